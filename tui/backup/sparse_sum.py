"""The sha256 of a file with holes, whose zeros cost their time once: a second reading goes on from the first one's.

SHA-256 cannot skip zeros: each of them counts, at the processor's speed. But where two readings have the same sum at
one place of a hole, whatever comes after the same zeros is the same too, so that the first one's state is taken over.
The sum is the one that sha256sum(1) makes of every byte.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

STEP = 1024 * 1024
"""Bytes of zeros that are summed up at once."""
MARK_EVERY = 1024 * STEP
"""Bytes of a hole after which a state is kept, beside those at its ends."""
SAMPLE, TRIES = 4 * STEP, 8
"""Bytes that tell how fast zeros are summed up, and how often that is tried: other work comes between."""
MARK_LIMIT = 250_000
"""States that are kept, of some hundred bytes each."""
_ZEROS = bytes(STEP)


def zeros_rate() -> float:
    """Bytes of zeros that this machine sums up in a second, at its best of some tries; blocks for a tenth of one."""
    fastest = min(_seconds_of_zeros() for _ in range(TRIES))
    return SAMPLE / max(fastest, 1e-6)


def _seconds_of_zeros() -> float:
    summed, began = SparseSum(ZeroSums()), monotonic()
    for _ in summed.zeros(SAMPLE):
        pass
    return monotonic() - began


@dataclass(frozen=True, slots=True)
class _Mark:
    """At byte `position`, in the zeros numbered `run`: the sum of all before it, and the state that goes on from it."""

    position: int
    run: int
    digest: bytes
    state: Any


@dataclass(slots=True)
class ZeroSums:
    """What a first reading of a file keeps for the next ones."""

    marks: list[_Mark] = field(default_factory=list)

    def from_byte(self, position: int) -> int:
        """The number of the first mark at a byte or behind it."""
        return bisect_left(self.marks, position, key=lambda mark: mark.position)

    def furthest(self, number: int, end: int) -> _Mark:
        """The last mark, up to byte `end`, of the zeros that mark `number` is of."""
        first = self.marks[number]
        while number + 1 < len(self.marks):
            mark = self.marks[number + 1]
            if mark.run != first.run or mark.position > end:
                break
            number += 1
        return self.marks[number]


class SparseSum:
    """Sums up one file from its first byte on; `known` is kept in where it is empty, and gone on from elsewhere."""

    def __init__(self, known: ZeroSums) -> None:
        self._known = known
        self._marks: list[_Mark] | None = None if known.marks else []
        self._state = hashlib.sha256()
        self._at = 0
        self._run = 0
        self._in_zeros = False

    def data(self, piece: memoryview) -> None:
        """Take bytes."""
        self._end_run()
        self._state.update(piece)
        self._at += len(piece)

    def zeros(self, count: int) -> Iterator[int]:
        """Take zeros, step by step; yields how many each step took."""
        end = self._at + count
        if not self._in_zeros:
            self._in_zeros = True
            self._run += 1
            self._keep()
        while self._at < end:
            before = self._at
            number = self._known.from_byte(self._at) if self._marks is None else 0
            until = min(end, self._at - self._at % STEP + STEP)
            if self._marks is None and number < len(self._known.marks):
                mark = self._known.marks[number]
                until = min(until, mark.position) if mark.position > self._at else until
                if mark.position == self._at and self._leap(number, end):
                    yield self._at - before
                    continue
            self._state.update(memoryview(_ZEROS)[: until - self._at])
            self._at = until
            if self._at % MARK_EVERY == 0:
                self._keep()
            yield self._at - before

    def hexdigest(self) -> str:
        """The sum of everything that was taken."""
        self._end_run()
        if self._marks is not None:
            self._known.marks = self._marks
        return self._state.hexdigest()

    def _leap(self, number: int, end: int) -> bool:
        """Go on from what the first reading knew further on in the same zeros; False where it knew nothing further."""
        mark, furthest = self._known.marks[number], self._known.furthest(number, end)
        if furthest.position <= self._at or mark.digest != self._state.digest():
            return False
        self._state, self._at = furthest.state.copy(), furthest.position
        return True

    def _end_run(self) -> None:
        if self._in_zeros:
            self._in_zeros = False
            self._keep()

    def _keep(self) -> None:
        if self._marks is None or len(self._marks) >= MARK_LIMIT:
            return
        if self._marks and self._marks[-1].position == self._at and self._marks[-1].run == self._run:
            return
        self._marks.append(_Mark(self._at, self._run, self._state.digest(), self._state.copy()))
