"""A session's output as files: the transcript as text, a command's bytes as they came."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

from tui import settings
from tui.console.transcript import EndLine, Entry, NoticeLine, OutputLine, PromptLine, Transcript
from tui.model.text import without_colours

_GATHERED = 1000


def transcripts_folder() -> Path:
    """Where transcripts and outputs are saved."""
    return settings.state_folder() / "transcripts"


def text_of(entry: Entry) -> str:
    """An entry as a line of a text file."""
    text = without_colours(entry.text)
    match entry:
        case PromptLine(at=at):
            return f"[{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(at))}] $ {text}"
        case OutputLine():
            return text
        case NoticeLine():
            return f"· {text}"
        case EndLine():
            return f"= {text}"


async def save_transcript(transcript: Transcript, guest: str, folder: Path | None = None) -> Path:
    """Write all that is kept into a new private file and return it; raises OSError."""

    async def lines() -> AsyncIterator[bytes]:
        gathered: list[str] = []
        for entry in transcript.since():
            gathered.append(text_of(entry))
            if len(gathered) >= _GATHERED:
                yield ("\n".join(gathered) + "\n").encode("utf-8", "replace")
                gathered.clear()
        yield "".join(f"{line}\n" for line in gathered).encode("utf-8", "replace")

    return await save_bytes(lines(), guest, "txt", folder)


async def save_bytes(pieces: AsyncIterator[bytes], guest: str, ending: str, folder: Path | None = None) -> Path:
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
