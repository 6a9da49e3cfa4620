"""Which guests run a command of ours at the moment, for whoever shows guests."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

from tui.model.guest import GuestId


class RunningCommands:
    """The command of each guest; where several run in one, the one that was begun last."""

    def __init__(self, changed: Callable[[Mapping[GuestId, str]], None]) -> None:
        """`changed` is handed all of them, as typed, whenever one begins or ends."""
        self._changed = changed
        self._numbers = itertools.count()
        self._running: dict[int, tuple[GuestId, str]] = {}

    def begin(self, guest_id: GuestId, line: str) -> int:
        """A command has begun; the number that `end` takes."""
        number = next(self._numbers)
        self._running[number] = (guest_id, line)
        self._tell()
        return number

    def end(self, number: int) -> None:
        """The command is over."""
        del self._running[number]
        self._tell()

    @contextmanager
    def during(self, guest_id: GuestId, line: str) -> Iterator[None]:
        """The command runs for as long as the block."""
        number = self.begin(guest_id, line)
        try:
            yield
        finally:
            self.end(number)

    def _tell(self) -> None:
        self._changed(MappingProxyType(dict(self._running.values())))
