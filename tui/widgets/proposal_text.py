"""A backup's checks and plan as text for the review."""

from __future__ import annotations

from rich.text import Text

from tui.backup.preflight import Check, Verdict
from tui.backup.propose import Proposal
from tui.model.text import printable

VERDICT_SIGNS: dict[Verdict, tuple[str, str]] = {
    Verdict.PASSED: ("✓", "success"),
    Verdict.WARNING: ("!", "warning"),
    Verdict.FAILED: ("✗", "error"),
}


def proposal_text(proposal: Proposal, styles: dict[str, str]) -> Text:
    """Verdict first, then the checks, then what will be done with the commands that do the same."""
    text = Text()
    if proposal.may_begin:
        text.append(f"Ready: {proposal.size_words}.\n\n", styles["success"])
    else:
        text.append("This backup cannot begin: see the lines with ✗.\n\n", styles["error"])
    text.append("Checks\n", "bold")
    for check in sorted(proposal.checks, key=_worst_first):
        _append_check(text, check, styles)
    text.append("\nWhat will be done, and the command that would do the same\n", "bold")
    for number, step in enumerate(proposal.steps, 1):
        text.append(f"{number:2d} {printable(step.title)}\n")
        text.append(f"   {printable(step.command)}\n", "dim")
    return text


def _worst_first(check: Check) -> int:
    return [Verdict.FAILED, Verdict.WARNING, Verdict.PASSED].index(check.verdict)


def _append_check(text: Text, check: Check, styles: dict[str, str]) -> None:
    sign, tone = VERDICT_SIGNS[check.verdict]
    text.append(f"{sign} ", styles[tone])
    text.append(f"{printable(check.title)}: {printable(check.evidence)}\n")
    if check.next_step and check.verdict is not Verdict.PASSED:
        text.append(f"  {printable(check.next_step)}\n", "dim")
