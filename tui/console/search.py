"""Search in a transcript that may be far larger than memory, without holding anybody up."""

from __future__ import annotations

import asyncio

from tui.console.transcript import BLOCK, Transcript
from tui.model.text import without_colours


async def find(transcript: Transcript, term: str, start: int, *, backwards: bool = False) -> int | None:
    """The index of the first entry from `start` on (or back) that holds `term`, in whatever case; None without one."""
    wanted = term.casefold()
    block = start // BLOCK
    while transcript.first // BLOCK <= block <= transcript.whole_blocks:
        entries = list(enumerate(transcript.block(block), block * BLOCK))
        for index, entry in reversed(entries) if backwards else entries:
            is_ahead = index <= start if backwards else index >= start
            if is_ahead and wanted in without_colours(entry.text).casefold():
                return index
        block += -1 if backwards else 1
        await asyncio.sleep(0)
    return None
