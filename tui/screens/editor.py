"""Text in the user's own editor, with the program out of the way meanwhile."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import tempfile
from pathlib import Path

from textual.app import App, SuspendNotSupported

from tui import settings
from tui.model.text import printable

FALLBACKS = ("editor", "nano", "vi")
"""What is looked for where neither VISUAL nor EDITOR is set: Debian's alternative first."""
MOST_BYTES = 1024 * 1024


class NotEditedError(Exception):
    """The text could not be edited; says why."""


def editor_argv() -> list[str]:
    """The user's editor with its arguments; raises NotEditedError where there is none."""
    named = os.environ.get("VISUAL") or os.environ.get("EDITOR") or ""
    try:
        words = shlex.split(named)
    except ValueError as error:
        raise NotEditedError(f"The editor {named!r} cannot be read: {error}.") from error
    words = words or [name for name in FALLBACKS if shutil.which(name)][:1]
    if not words:
        raise NotEditedError("No editor was found: set EDITOR.")
    return words


async def edited(app: App[None], text: str) -> str:
    """The text as the user left it in the editor; raises NotEditedError.

    The file is open to the user alone, and gone afterwards.
    """
    argv = editor_argv()
    folder = settings.private_folder(settings.state_folder())
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix="edit-") as place:
            path = Path(place) / "command.sh"
            path.write_text(f"{text}\n" if text and not text.endswith("\n") else text, encoding="utf-8")
            await _run(app, [*argv, str(path)])
            if path.stat().st_size > MOST_BYTES:
                raise NotEditedError(f"The text is larger than {MOST_BYTES:,} bytes; it stays as it was.")
            return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise NotEditedError(f"The editor could not be used: {error.strerror or error}.") from error


async def _run(app: App[None], argv: list[str]) -> None:
    failure: OSError | None = None
    code = 0
    try:
        with app.batch_update(), app.suspend():
            try:
                process = await asyncio.create_subprocess_exec(*argv)
                code = await process.wait()
            except OSError as error:
                failure = error  # an exception inside would leave the terminal suspended
    except SuspendNotSupported as error:
        raise NotEditedError("This terminal cannot be handed over to an editor.") from error
    if failure is not None:
        raise NotEditedError(printable(f"{argv[0]} could not be run: {failure.strerror or failure}."))
    if code:
        raise NotEditedError(printable(f"{argv[0]} ended with exit {code}; the text stays as it was."))
