"""The checks and the plan of a backup or a restore as text for the review."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from rich.text import Text

from tui.backup.checks import Verdict
from tui.backup.equivalents import PlanStep
from tui.backup.propose import Proposal
from tui.backup.restore.definition import ExplainedChange
from tui.backup.restore.propose import RestoreProposal
from tui.model.quantities import size
from tui.model.text import printable

VERDICT_SIGNS: dict[Verdict, tuple[str, str]] = {
    Verdict.PASSED: ("✓", "success"),
    Verdict.WARNING: ("!", "warning"),
    Verdict.FAILED: ("✗", "error"),
}


STEPS_TITLE = "\nWhat will be done, and the command that would do the same\n"


class Looked(Protocol):
    """Something that was looked at before a backup or a restore."""

    @property
    def title(self) -> str:
        """What."""

    @property
    def verdict(self) -> Verdict:
        """Whether it is well."""

    @property
    def evidence(self) -> str:
        """How it is."""

    @property
    def next_step(self) -> str:
        """What to do if it is not well."""


def proposal_text(proposal: Proposal, styles: dict[str, str]) -> Text:
    """Verdict first, then the checks, then what will be done with the commands that do the same."""
    text = _verdict("backup", f"Ready: {proposal.size_words}." if proposal.may_begin else "", styles)
    text.append("Checks\n", "bold")
    append_checks(text, proposal.checks, styles)
    text.append(STEPS_TITLE, "bold")
    append_steps(text, proposal.steps)
    return text


def restore_proposal_text(proposal: RestoreProposal, styles: dict[str, str]) -> Text:
    """Verdict, checks with what is written where, what changes in the definition and why, the steps as commands."""
    ready = f"Ready. {size(proposal.data_bytes)} to write; nothing has happened yet."
    text = _verdict("restore", ready if proposal.may_begin else "", styles)
    text.append("Checks\n", "bold")
    append_checks(text, proposal.findings, styles)
    _append_changes(text, proposal.changes)
    text.append(STEPS_TITLE, "bold")
    append_steps(text, proposal.steps)
    return text


def _verdict(what: str, ready: str, styles: dict[str, str]) -> Text:
    """Whether it may begin; `ready` is empty where it may not."""
    if ready:
        return Text().append(f"{ready}\n\n", styles["success"])
    return Text().append(f"This {what} cannot begin: see the lines with ✗.\n\n", styles["error"])


def append_checks(text: Text, checks: Iterable[Looked], styles: dict[str, str]) -> None:
    """A line per check, the worst first, each with what to do if it is not well."""
    for check in sorted(checks, key=_worst_first):
        sign, tone = VERDICT_SIGNS[check.verdict]
        text.append(f"{sign} ", styles[tone])
        text.append(f"{printable(check.title)}: {printable(check.evidence)}\n")
        if check.next_step and check.verdict is not Verdict.PASSED:
            text.append(f"  {printable(check.next_step)}\n", "dim")


def _append_changes(text: Text, changes: Iterable[ExplainedChange]) -> None:
    for number, change in enumerate(changes):
        if number == 0:
            text.append("\nWhat changes in the definition, and why\n", "bold")
        text.append(f"  {printable(change.what)}")
        text.append(f": {printable(change.why)}\n", "dim")


def append_steps(text: Text, steps: Iterable[PlanStep]) -> None:
    """Two lines per step: what is done, and the command that does the same."""
    for number, step in enumerate(steps, 1):
        text.append(f"{number:2d} {printable(step.title)}\n")
        text.append(f"   {printable(step.command)}\n", "dim")


def _worst_first(check: Looked) -> int:
    return [Verdict.FAILED, Verdict.WARNING, Verdict.PASSED].index(check.verdict)
