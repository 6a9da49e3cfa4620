"""An examination as text for the screen: the verdict, the lines of the list, the details of one check."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from tui.doctor.findings import Finding, Outcome
from tui.doctor.fixes import Fix, OurFix
from tui.doctor.report import GLYPHS
from tui.doctor.verdict import Examination
from tui.model.guest import Happening
from tui.model.quantities import clock_time
from tui.model.text import printable
from tui.widgets.few_lines import wrapped

TONES: dict[Outcome, str] = {
    Outcome.PASSED: "success",
    Outcome.FAILED: "error",
    Outcome.UNKNOWN: "warning",
    Outcome.SKIPPED: "muted",
}
TITLE_WIDTH = 19
OURS, COMMAND, STEP = "▸", "$", "·"
INDENT = "    "


def verdict_text(examination: Examination, styles: dict[str, str]) -> Text:
    """The sentence, what else was found, what else it may be and what would tell."""
    verdict = examination.verdict
    text = Text()
    glyph, tone = ("✓", "success") if verdict.is_healthy else ("✗", "error")
    text.append(f"{glyph} {printable(verdict.sentence)}", f"bold {styles[tone]}")
    for _, sentence in verdict.also:
        text.append(f"\n  Also: {printable(sentence)}", styles["warning"])
    for other in verdict.others:
        text.append(f"\n · maybe {printable(other.what)}: ")
        text.append(printable(other.tells), "dim")
    return text


def fix_text(fix: Fix, styles: dict[str, str], width: int) -> Text:
    """A fix in a line of `width` cells, and below it the command that somebody may copy, whole however long it is."""
    text = Text(no_wrap=True, overflow="ellipsis")
    if isinstance(fix, OurFix):
        text.append(f"{OURS} {printable(fix.title)}", styles["primary"])
        text.append("  enter shows what it changes", "dim")
        return text
    text.append(f"{COMMAND if fix.command else STEP} {fix.place}: {printable(fix.title)}")
    if fix.command or fix.note:
        words = Text(printable(fix.command or fix.note), styles["primary" if fix.command else "muted"])
        for line in wrapped(words, width - len(INDENT)):
            text.append(f"\n{INDENT}").append_text(line)
    return text


def check_text(finding: Finding, changed_at: float | None, styles: dict[str, str]) -> Text:
    """A check in a line, with the time of its last change where one was seen."""
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(f"{GLYPHS[finding.outcome]} {finding.title:<{TITLE_WIDTH}}", styles[TONES[finding.outcome]])
    if changed_at is not None:
        text.append(f"{clock_time(changed_at)} ", styles["primary"])
    text.append(printable(finding.ruling.found), "dim" if finding.outcome is Outcome.SKIPPED else "")
    return text


def waiting_text(titles: Sequence[str]) -> Text:
    """The checks that can be made only when those above are good."""
    return Text(f"· then: {', '.join(titles)}", "dim", no_wrap=True, overflow="ellipsis")


def change_text(change: Happening) -> Text:
    """One thing that changed while somebody watched."""
    return Text(f"{clock_time(change.at)}  {printable(change.what)}", no_wrap=True, overflow="ellipsis")


def details_text(finding: Finding, styles: dict[str, str]) -> Text:
    """Everything about one check, the original words included."""
    text = Text()
    text.append(f"{GLYPHS[finding.outcome]} {finding.title}: {finding.outcome}\n", styles[TONES[finding.outcome]])
    text.append("\nLooked at  ", "bold")
    text.append(f"{finding.looks_at}\n")
    text.append("Found      ", "bold")
    text.append(f"{printable(finding.ruling.found)}\n")
    if finding.ruling.original:
        text.append("\nThe original words\n", "bold")
        text.append("\n".join(printable(line) for line in finding.ruling.original.splitlines()))
    return text


def preview_text(fix: OurFix, styles: dict[str, str]) -> Text:
    """What a fix will do, before it is done."""
    text = Text()
    text.append(f"{printable(fix.title)}\n", "bold")
    if fix.warning:
        text.append(f"\n! {printable(fix.warning)}\n", styles["warning"])
    text.append("\nWhat changes\n", "bold")
    for line in fix.changes:
        tone = {"+": "success", "-": "error"}.get(line[:1], "plain")
        text.append(f"{printable(line)}\n", styles[tone])
    text.append("\nThe same by hand\n", "bold")
    for command in fix.virsh:
        text.append(f"{printable(command)}\n", "dim")
    return text
