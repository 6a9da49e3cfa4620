"""When to ask an agent whether it lives: the one place of that policy. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from tui.model.guest import Channel, Guest, PowerState
from tui.model.probe import Unanswered


@dataclass(frozen=True, slots=True)
class LivenessPolicy:
    """Seconds between pings of one guest; `cycle_s` 0 switches all pings off that the user did not order.

    After `patience` unanswered pings in a row the guest is asked only every `slow_cycle_s`. Each pause is varied by
    `jitter`, a share of it, so that a host's guests are not all asked at once.
    """

    cycle_s: float = 60.0
    slow_cycle_s: float = 300.0
    patience: int = 3
    jitter: float = 0.2
    ping_timeout_s: int = 5
    at_once_per_host: int = 3
    silent_at_once_per_host: int = 2

    @property
    def asks_by_itself(self) -> bool:
        """Whether agents are asked without an order."""
        return self.cycle_s > 0


def can_be_asked(guest: Guest) -> bool:
    """Whether a ping could be answered at all: the guest runs and its port is open."""
    return guest.facts.power is PowerState.RUNNING and guest.facts.channel is Channel.OPEN


def is_silent(guest: Guest) -> bool:
    """Whether the last ping was unanswered, so that the next one may cost its whole timeout."""
    return isinstance(guest.probe, Unanswered)


def pause_s(guest: Guest, policy: LivenessPolicy, chance: float) -> float | None:
    """Seconds until the guest is asked again, None for never; `chance` is a random number from 0 to 1."""
    if not policy.asks_by_itself or not can_be_asked(guest):
        return None
    silent = isinstance(guest.probe, Unanswered) and guest.probe.in_a_row >= policy.patience
    pause = policy.slow_cycle_s if silent else policy.cycle_s
    return pause * (1 + policy.jitter * (2 * chance - 1))
