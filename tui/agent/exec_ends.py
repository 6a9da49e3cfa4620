"""What the shells of a streamed run say of it in the file `end`: that it began, with what it ended, what came out."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tui.agent.held_file import HeldFile

_LIMIT = 4096
"""Bytes of the file that are looked at; the shells write less than a tenth."""
_STREAM = re.compile(rb"([oe]) (\d{1,9}) (lost|unread)?")
_CODE = re.compile(rb"x (\d{1,3})")
_WORD = re.compile(rb"t ([0-9a-f]{1,64})")
_HANDLES = re.compile(rb"h [0-9 ]{0,80}")
_BEGUN = b"b"
_SIGNAL_BASE = 128


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """What a pump said when its stream had ended: how many segments it wrote, and whether more came than that.

    `was_lost` where the guest did not take it, `was_unread` where nobody read for too long.
    """

    segments: int
    was_lost: bool = False
    was_unread: bool = False


class Endings:
    """Reads the file as it grows."""

    def __init__(self, file: HeldFile) -> None:
        self._file = file
        self._said = b""
        self.has_begun = False
        self.word = ""
        """The word that a waiting shell was given, once it has said it."""
        self.is_foreign = False
        """Whether something was read that no shell of ours writes: this is another file."""
        self.exit_code: int | None = None
        """That of a shell which came to its own end; the agent alone tells codes above 128 from signals."""
        self.streams: dict[str, StreamEnd] = {}

    @property
    def are_complete(self) -> bool:
        """Whether both streams have ended."""
        return len(self.streams) == len("oe")

    async def look(self) -> bool:
        """Learn what was said since the last look; false where the file is gone."""
        data = await self._file.read(_LIMIT)
        if data is None:
            return False
        lines = (self._said + data).split(b"\n")
        self._said = lines.pop()[-_LIMIT:]
        for line in lines:
            self._learn(line)
        return True

    def _learn(self, line: bytes) -> None:
        if stream := _STREAM.fullmatch(line):
            name, segments, rest = stream.groups()
            self.streams[name.decode("ascii")] = StreamEnd(int(segments), rest == b"lost", rest == b"unread")
        elif code := _CODE.fullmatch(line):
            number = int(code[1])
            self.exit_code = number if number <= _SIGNAL_BASE else None
        elif line == _BEGUN:
            self.has_begun = True
        elif word := _WORD.fullmatch(line):
            self.word = word[1].decode("ascii")
        elif line and not _HANDLES.fullmatch(line):
            self.is_foreign = True

    async def close(self) -> None:
        """Give back the handle that is held."""
        await self._file.close()
