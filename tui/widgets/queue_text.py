"""The review of several backups as text: who is backed up and who is not, then each guest's checks, then the steps."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from tui.backup.checks import Check, Verdict
from tui.backup.queue import Candidate
from tui.model.quantities import duration, size
from tui.model.text import printable
from tui.widgets.proposal_text import append_checks, append_steps


def queue_text(candidates: Sequence[Candidate], room: Check, styles: dict[str, str]) -> Text:
    """The verdict on all; each guest with its size and what speaks against it; at the end what is done to each."""
    ready = [each.proposal for each in candidates if each.proposal is not None and each.proposal.may_begin]
    text = Text()
    if ready:
        estimates = [proposal.estimated_s for proposal in ready]
        time = duration(sum(filter(None, estimates))) if all(each is not None for each in estimates) else ""
        total = size(sum(proposal.estimated_bytes for proposal in ready))
        count = "All" if len(ready) == len(candidates) else f"{len(ready)} of {len(candidates)}"
        takes = f", about {time}" if time else ""
        text.append(f"{count} can begin, in this order: about {total} to copy{takes}.\n", styles["success"])
        append_checks(text, (room,), styles)
    else:
        text.append("None of these backups can begin: see the lines with ✗.\n", styles["error"])
    for number, each in enumerate(candidates, 1):
        text.append(f"\n{number} {printable(each.guest)}", "bold")
        _append_candidate(text, each, styles)
    for proposal in ready:
        text.append(f"\n{printable(proposal.plan.guest)}: what will be done, and the command for it\n", "bold")
        append_steps(text, proposal.steps)
    return text


def _append_candidate(text: Text, each: Candidate, styles: dict[str, str]) -> None:
    if each.proposal is None:
        text.append("\n✗ ", styles["error"])
        text.append(f"{printable(each.trouble.one_line()) if each.trouble is not None else ''}\n")
        return
    text.append(f"  {each.proposal.size_words}\n", "" if each.may_begin else "dim")
    checks = each.proposal.checks
    append_checks(text, (check for check in checks if check.verdict is not Verdict.PASSED), styles)
    well = sum(check.verdict is Verdict.PASSED for check in checks)
    text.append("✓ ", styles["success"])
    text.append(f"{well} checks are well\n")
