"""What a download brings, joined to the pieces that a copy is made of."""

from __future__ import annotations

from tui.backup.landing import CHUNK, Landing
from tui.backup.meter import Meter


class Inflow:
    """A `storage.Receiver` that fills chunks for a `Landing`; `position` is the byte that comes next."""

    def __init__(self, landing: Landing, meter: Meter) -> None:
        self._landing = landing
        self._meter = meter
        self._buffer: memoryview | None = None
        self._filled = 0
        self.position = 0

    def data(self, piece: bytes) -> None:
        """Take bytes; raises OSError and CancelledBackupError."""
        rest = memoryview(piece)
        while rest:
            if self._buffer is None:
                self._meter.wait(0)
                self._buffer = self._landing.buffer()
            # Chunks end on multiples of CHUNK, whatever a hole before them left.
            count = min(len(rest), CHUNK - self.position % CHUNK)
            self._buffer[self._filled : self._filled + count] = rest[:count]
            self._filled += count
            self.position += count
            rest = rest[count:]
            if self.position % CHUNK == 0:
                self._flush()

    def hole(self, length: int) -> None:
        """Take zeros; raises OSError and CancelledBackupError."""
        self._flush()
        self._landing.hole(length)
        self.position += length

    def end(self) -> str:
        """The sum of everything in hexadecimal."""
        self._flush()
        return self._landing.end()

    def give_up(self) -> None:
        """End without a sum."""
        self._landing.give_up()

    def _flush(self) -> None:
        if self._buffer is None:
            return
        buffer, count = self._buffer, self._filled
        self._buffer, self._filled = None, 0
        self._meter.pace(count)
        self._landing.data(buffer, count, self.position - count)
