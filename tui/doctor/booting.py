"""Whether a guest may still be booting: in its first minutes, a port that nothing has opened yet tells nothing."""

from __future__ import annotations

from tui.model.guest import MIGRATED_HERE, POST_COPY, REBOOTED, RESTORED, REVERTED, Guest, Happening, HappeningKind

BOOTING_S = 180.0
"""Seconds after a start for which to wait is the first advice; most guests have their agent running by then."""
_RUNS_ON = frozenset({RESTORED, MIGRATED_HERE, REVERTED, POST_COPY})
"""Power reasons of a domain that was started with a system that runs already."""


def booting_until(
    timeline: tuple[Happening, ...], power_reason: str, process_began_at: float | None = None
) -> float | None:
    """The Unix time until which a guest may be booting; None where its start was not seen, or its agent was since.

    `process_began_at` is the Unix time of the guest's process on the host, where that can be seen and nothing tells
    that the agent was there since.
    """
    runs_on = power_reason in _RUNS_ON
    process = None if runs_on else process_began_at
    began = process
    for line in timeline:
        match line.kind:
            case HappeningKind.STARTED:
                began = None if runs_on and line.what != REBOOTED else line.at
            case HappeningKind.PORT_OPENED:
                began = None
            case HappeningKind.PORT_CLOSED if began == process:
                began = None  # it was open before anybody looked
    return None if began is None else began + BOOTING_S


def booting_left_s(guest: Guest, now: float) -> float:
    """Seconds for which a guest may still be booting, by what was seen of it; `now` is a Unix time."""
    until = booting_until(guest.timeline, guest.facts.power_reason)
    return 0.0 if until is None else max(until - now, 0.0)
