"""What becomes of a running command when its guest is paused, goes on, is shut off, moves away or begins anew. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from tui.agent.exec_standing import Standing
from tui.model.guest import MIGRATED_AWAY, REBOOTED, RESTORED, SAVED, STARTING_UP, Guest, HappeningKind, PowerState


@dataclass(frozen=True, slots=True)
class GuestNews:
    """`words` for the user; `is_paused` while the command waits; `end` where it is over, `may_run_on` elsewhere."""

    words: str
    is_paused: bool = False
    end: str = ""
    may_run_on: bool = False


class GuestStory:
    """Follows the guest of a console, and tells the run that is under way how its guest stands."""

    def __init__(self) -> None:
        self._seen: Guest | None = None
        self._standing = Standing()

    def begin_run(self, standing: Standing | None = None) -> Standing:
        """How the guest stands for a run that begins; `standing` is that of one that has begun."""
        self._standing = Standing() if standing is None else standing
        return self._standing

    def take(self, guest: Guest | None) -> str:
        """Take the guest as it is now, None where its host has it no more; words for what happened, or none."""
        before = self._seen
        if guest is not None and not _is_settled(guest):
            return ""
        self._seen = guest
        news = news_of(before, guest) if before is not None and before is not guest else None
        if news is None:
            return ""
        standing = self._standing
        standing.is_paused = news.is_paused
        if not standing.end:
            standing.end, standing.may_run_on = news.end, news.may_run_on
        return news.words


def _is_settled(guest: Guest) -> bool:
    """Whether what is known of a guest is not about to become something else."""
    return guest.facts.power is not PowerState.UNKNOWN and guest.facts.power_reason != STARTING_UP


def news_of(before: Guest, now: Guest | None) -> GuestNews | None:
    """What happened between two moments; None where nothing did that matters to a command."""
    if now is None:
        return _ended("the guest is gone from its host", may_run_on=True)
    was, power, reason = before.facts.power, now.facts.power, now.facts.power_reason
    if power is PowerState.OFF:
        return _off(reason) if was is not power else None
    if was is PowerState.OFF and before.facts.power_reason == SAVED and power is PowerState.PAUSED:
        # What is restored is paused until all of it is there.
        return None
    if _has_begun_anew(before, now):
        return _ended("the guest was started anew")
    if power is PowerState.PAUSED and was is not power:
        return GuestNews(f"The guest is paused{_because(reason)}: the command waits until it goes on.", is_paused=True)
    if power is PowerState.RUNNING and was in {PowerState.PAUSED, PowerState.OFF}:
        return GuestNews("The guest goes on, and the command with it.")
    return None


def _off(reason: str) -> GuestNews:
    if reason == SAVED:
        words = "The guest was saved to disk: the command waits in it until it is restored."
        return GuestNews(words, is_paused=True)
    if reason == MIGRATED_AWAY:
        return _ended("the guest was migrated away", may_run_on=True)
    return _ended(f"the guest is off{_because(reason)}")


def _ended(why: str, *, may_run_on: bool = False) -> GuestNews:
    return GuestNews(f"{why[0].upper()}{why[1:]}.", end=why, may_run_on=may_run_on)


def _has_begun_anew(before: Guest, now: Guest) -> bool:
    """Whether its system did: a domain that starts with what was saved goes on."""
    known = set(before.timeline)
    begun = {line.what for line in now.timeline if line.kind is HappeningKind.STARTED and line not in known}
    return REBOOTED in begun or (bool(begun) and now.facts.power_reason != RESTORED)


def _because(reason: str) -> str:
    return f" ({reason})" if reason else ""
