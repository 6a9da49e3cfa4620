"""Bytes, rates and durations in words, and a rate that was typed."""

from __future__ import annotations

import math
import time

UNKNOWN = "?"
MEGABYTE = 1_000_000
"""Bytes in the MB of a rate that is typed or told."""
_ROUNDED_UP = 1023.95
"""From here on a tenth of a unit rounds to 1024.0, which is 1.0 of the next one."""


def size(count: float) -> str:
    """Bytes in binary units: 812 B, 1.5 GiB."""
    left = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if left < _ROUNDED_UP:
            return f"{left:.0f} {unit}" if unit == "B" else f"{left:.1f} {unit}"
        left /= 1024
    return f"{left:.1f} TiB"


def duration(seconds: float) -> str:
    """0.4 s, 42 s, 3 min 05 s, 2 h 10 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def clock_time(at: float) -> str:
    """A Unix time in seconds as local time of day: 03:12:44."""
    return time.strftime("%H:%M:%S", time.localtime(at))


def moment(at: float) -> str:
    """A Unix time in seconds as local date and time: 2026-11-22 21:43; `?` where no calendar has it."""
    try:
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))
    except (OverflowError, OSError, ValueError):
        return UNKNOWN


def a_number(text: str) -> float:
    """The number that was typed; not-a-number, which no range holds, for anything else."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def a_rate(text: str) -> int:
    """Bytes per second of a rate typed in MB/s, 0 for no bound; raises ValueError, also where it would round to 0."""
    value = a_number(text)
    if not 0 <= value < 10**6:
        raise ValueError(f"not a rate in MB/s: {text}")
    rate = int(value * MEGABYTE)
    if value and not rate:
        raise ValueError(f"less than one byte per second: {text}")
    return rate


def bound_words(bytes_s: int) -> str:
    """What a rate is bounded by: at most 5 MB/s, or without a limit."""
    return f"at most {bytes_s / MEGABYTE:g} MB/s" if bytes_s else "without a limit"
