"""One cause first, in plain words, and what else it may be with what would tell."""

from __future__ import annotations

from dataclasses import dataclass

from tui.agent.errors import CommandFailedError
from tui.doctor.causes import BOOTING, CAUSES, NO_DRIVER, Cause, Possibility, badness
from tui.doctor.checks import run_checks
from tui.doctor.checks_agent import FREEZE
from tui.doctor.facts import AgentLook, Facts
from tui.doctor.findings import Finding, Outcome
from tui.doctor.systems import Family

KNOWN_TROUBLE_LIMIT = 300
"""Characters of foreign text inside a sentence of ours."""
BOOT_LIMIT_S = 900.0
"""Seconds after which a guest is not taken for booting any more; a file system check may take minutes."""
NOT_SICK = frozenset({Cause.HEALTHY, Cause.AT_WORK})


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong in one sentence; `also` are further causes found, `others` what the same evidence fits."""

    cause: Cause
    sentence: str
    others: tuple[Possibility, ...] = ()
    also: tuple[tuple[Cause, str], ...] = ()

    @property
    def is_healthy(self) -> bool:
        """Whether nothing was found."""
        return self.cause in NOT_SICK

    @property
    def mends(self) -> str:
        """The way out in a sentence."""
        return CAUSES[self.cause].mends


@dataclass(frozen=True, slots=True)
class Examination:
    """One guest, looked at once."""

    facts: Facts
    findings: tuple[Finding, ...]
    verdict: Verdict


def examination_of(facts: Facts) -> Examination:
    """Judge the facts. Pure."""
    findings = run_checks(facts)
    return Examination(facts, findings, judge(facts, findings))


def judge(facts: Facts, findings: tuple[Finding, ...]) -> Verdict:
    """The worst of the failed checks names the cause; without one the guest is healthy as far as could be seen."""
    causes: dict[Cause, str] = {}
    for finding in findings:
        cause = finding.ruling.cause
        if finding.outcome is Outcome.FAILED and cause is not None and cause not in causes:
            causes[cause] = sentence(cause, dict(finding.ruling.words))
    if causes:
        first, *rest = sorted(causes.items(), key=lambda found: badness(found[0]))
        return Verdict(first[0], first[1], _others(first[0], facts), tuple(rest))
    if facts.patient.held:
        return Verdict(Cause.AT_WORK, sentence(Cause.AT_WORK, {"who": facts.patient.held}))
    if facts.agent is None or facts.agent.ping.trouble is not None:
        why = next((each.ruling.found for each in findings if each.outcome is Outcome.UNKNOWN), "")
        return Verdict(Cause.UNKNOWN, sentence(Cause.UNKNOWN, {"why": why or "the agent was not asked"}))
    trouble = facts.agent.trouble
    if trouble is not None and not isinstance(trouble, CommandFailedError):
        why = "the agent answered the ping, but not every question after it"
        return Verdict(Cause.UNKNOWN, sentence(Cause.UNKNOWN, {"why": why}))
    words = {"ping": f"{facts.agent.ping.ms:.0f} ms", "able": _proven(facts.agent)}
    return Verdict(Cause.HEALTHY, sentence(Cause.HEALTHY, words))


def _proven(agent: AgentLook) -> str:
    """What the agent showed that it can do."""
    runs = ", runs programs" if agent.trial is not None else ""
    freezes = ", and can freeze for a backup" if agent.info is not None and agent.info.offers(*FREEZE) else ""
    return f"{runs}{freezes}"


def _others(cause: Cause, facts: Facts) -> tuple[Possibility, ...]:
    """What the same evidence fits, without what this guest rules out."""
    ruled_out: set[Possibility] = set()
    if facts.started_at is not None and facts.at - facts.started_at > BOOT_LIMIT_S:
        ruled_out.add(BOOTING)
    if facts.system.family not in (Family.UNKNOWN, Family.WINDOWS):
        ruled_out.add(NO_DRIVER)
    return tuple(other for other in CAUSES[cause].others if other not in ruled_out)


def sentence(cause: Cause, words: dict[str, str]) -> str:
    """What is said of a cause, its fields filled."""
    bounded = {name: word[:KNOWN_TROUBLE_LIMIT] for name, word in words.items()}
    return CAUSES[cause].said.format_map(bounded)
