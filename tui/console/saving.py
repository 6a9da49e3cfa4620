"""A session's output as files: the transcript as text, a command's bytes as they came."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterable, AsyncIterator
from pathlib import Path

from tui import settings
from tui.agent.exec_model import Stream
from tui.console.transcript import BLOCK, EndLine, Entry, NoticeLine, OutputLine, PromptLine, Transcript
from tui.model.errors import ExplainedError
from tui.model.text import printable, without_colours

_GATHERED = 1000
_TIME = "%Y-%m-%d %H:%M:%S"
LEGEND = (
    "# What each line begins with tells what it is:",
    '#   "[time] $ "  a command',
    '#   "[time] > "  a further line of a command',
    '#   "  "         a line that it wrote to standard output',
    '#   "! "         a line that it wrote to standard error',
    '#   "· "         a word of qga-tui about it',
    '#   "= "         how it ended',
    "",
)
"""What the marks mean. Every line has one, so that no output can pass for another line."""


def transcripts_folder() -> Path:
    """Where transcripts and outputs are saved."""
    return settings.state_folder() / "transcripts"


def text_of(entry: Entry) -> str:
    """An entry as a line of a text file."""
    text = without_colours(entry.text)
    match entry:
        case PromptLine(at=at, goes_on=goes_on):
            return f"[{time.strftime(_TIME, time.localtime(at))}] {'>' if goes_on else '$'} {text}"
        case OutputLine(stream=stream):
            return f"{'!' if stream is Stream.STDERR else ' '} {text}"
        case NoticeLine():
            return f"· {text}"
        case EndLine():
            return f"= {text}"


COPIED_CHARACTERS = 16 * 1024 * 1024
"""Characters that are copied at most: more is for a file."""


class TooMuchToCopyError(ExplainedError):
    """The text is more than any clipboard is given."""


async def text_to_copy(transcript: Transcript, command: int | None = None) -> str:
    """All lines as in a text file, or those that `command` wrote, unmarked; gives way to keys between blocks.

    Raises TooMuchToCopyError, before more than COPIED_CHARACTERS are in memory.
    """
    left = COPIED_CHARACTERS
    texts = [] if command is not None else ["".join(f"{line}\n" for line in LEGEND)]
    for block in range(transcript.first // BLOCK, transcript.whole_blocks + 1):
        entries = transcript.block(block)
        if command is None:
            lines = [printable(text_of(entry)) for entry in entries]
        else:
            written = (entry for entry in entries if isinstance(entry, OutputLine) and entry.number == command)
            lines = [without_colours(entry.text) for entry in written]
        texts.append("".join(f"{line}\n" for line in lines))
        left -= len(texts[-1])
        if left < 0:
            raise TooMuchToCopyError(
                f"Not copied: it is more than {COPIED_CHARACTERS:,} characters", next_step="Save it as a file: ^s."
            )
        await asyncio.sleep(0)
    return "".join(texts)


async def save_transcript(transcript: Transcript, guest: str, folder: Path | None = None) -> Path:
    """Write all that is kept into a new private file and return it; raises OSError."""

    async def lines() -> AsyncIterator[bytes]:
        gathered = [f"# Transcript of {printable(guest)}, saved by qga-tui {time.strftime(_TIME)}", *LEGEND]
        for entry in transcript.since():
            gathered.append(text_of(entry))
            if len(gathered) >= _GATHERED:
                yield ("\n".join(gathered) + "\n").encode("utf-8", "replace")
                gathered.clear()
        yield "".join(f"{line}\n" for line in gathered).encode("utf-8", "replace")

    return await save_bytes(lines(), guest, "txt", folder)


async def save_bytes(pieces: AsyncIterable[bytes], guest: str, ending: str, folder: Path | None = None) -> Path:
    """Write bytes into a new private file and return it; raises OSError."""
    folder = settings.private_folder(folder or transcripts_folder())
    name = "".join(c if c.isalnum() or c in "-_." else "_" for c in guest)[:60].lstrip(".") or "guest"
    stamp = time.strftime("%Y%m%d-%H%M%S")
    for number in range(1000):
        path = folder / f"{name}-{stamp}{f'-{number}' if number else ''}.{ending}"
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, settings.PRIVATE_FILE)
        except FileExistsError:
            continue
        with os.fdopen(handle, "wb") as file:
            async for piece in pieces:
                file.write(piece)
                await asyncio.sleep(0)
        return path
    raise FileExistsError(str(folder))
