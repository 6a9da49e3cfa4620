"""An examination told: as lines for a terminal, as JSON for scripts, as Markdown fit for a ticket."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime

from tui.doctor.findings import Finding, Outcome
from tui.doctor.fixes import Fix, OurFix
from tui.doctor.remedies import remedies
from tui.doctor.verdict import Examination
from tui.model.text import printable

GLYPHS: dict[Outcome, str] = {
    Outcome.PASSED: "✓",
    Outcome.FAILED: "✗",
    Outcome.UNKNOWN: "?",
    Outcome.SKIPPED: "·",
}
"""One column wide; the word beside it says the same."""
HIDDEN = "(removed)"
TOLD = 20_000
"""Characters that are told of one finding."""
_SECRETS = (
    # name=value and name: value
    re.compile(
        r"(?i)((?:passw(?:or)?d|passwd|secret|token|api[_-]?key)\s{0,8}[=:]\s{0,8})"
        r"(\"[^\"]{0,4096}\"|'[^']{0,4096}'|[^\s,;&<]+)"
    ),
    # user:password@host in a URI
    re.compile(r"(://[^/\s:@]{1,256}:)([^@\s/]{1,1024})(?=@)"),
    re.compile(r"(?i)(\bBearer\s+)(\S+)"),
)


def without_secrets(text: str) -> str:
    """The text, its first TOLD characters, with whatever looks like a password or a token taken out.

    Each pattern looks at each character a bounded number of times: the text may be a guest's.
    """
    text = text if len(text) <= TOLD else f"{text[:TOLD]} … ({len(text) - TOLD} more characters)"
    for pattern in _SECRETS:
        text = pattern.sub(lambda found: f"{found[1]}{HIDDEN}", text)
    return text


def as_fields(examination: Examination) -> dict[str, object]:
    """An examination as the JSON that scripts read; times are ISO 8601 in UTC, durations seconds."""
    facts, verdict = examination.facts, examination.verdict
    return {
        "host": facts.patient.host,
        "name": facts.patient.name,
        "uuid": facts.patient.uuid,
        "at": datetime.fromtimestamp(facts.at, UTC).isoformat(),
        "took_s": round(facts.took_s, 3),
        "system": {"family": facts.system.family.name.lower(), "known_from": facts.system.known_from},
        "verdict": {
            "cause": str(verdict.cause),
            "sentence": verdict.sentence,
            "healthy": verdict.is_healthy,
            "others": [{"what": other.what, "tells": other.tells} for other in verdict.others],
            "also": [{"cause": str(cause), "sentence": sentence} for cause, sentence in verdict.also],
        },
        "checks": [
            {
                "id": finding.id,
                "looked_at": finding.looks_at,
                "outcome": str(finding.outcome),
                "found": without_secrets(finding.ruling.found),
                "original": without_secrets(finding.ruling.original),
            }
            for finding in examination.findings
        ],
        "fixes": [_fix_fields(fix) for fix in remedies(examination)],
    }


def _fix_fields(fix: Fix) -> dict[str, object]:
    if isinstance(fix, OurFix):
        commands = [without_secrets(command) for command in fix.virsh]
        return {"by": "qga-tui", "title": fix.title, "virsh": commands, "warning": fix.warning}
    return {"by": fix.place, "title": fix.title, "command": without_secrets(fix.command), "note": fix.note}


def as_lines(examination: Examination) -> Iterable[str]:
    """For a terminal: the verdict, what else it may be, the checks, what mends it."""
    verdict = examination.verdict
    yield f"{examination.facts.patient.name}: {verdict.sentence}"
    for _, sentence in verdict.also:
        yield f"  also: {sentence}"
    for other in verdict.others:
        yield f"  maybe {other.what}: {other.tells}"
    for finding in examination.findings:
        yield f"  {check_line(finding)}"
    fixes = remedies(examination)
    if fixes:
        yield "  what mends it:"
    for fix in fixes:
        commands = fix.virsh if isinstance(fix, OurFix) else (fix.command or fix.note,)
        yield f"    {'from here or by hand' if isinstance(fix, OurFix) else fix.place}: {fix.title}"
        yield from (f"      {without_secrets(command)}" for command in commands if command)


def check_line(finding: Finding) -> str:
    """One check in one line."""
    return f"{GLYPHS[finding.outcome]} {finding.title}: {without_secrets(finding.ruling.found)}"


def as_markdown(examination: Examination) -> str:
    """For a ticket: every word is printable, secrets are removed."""
    facts, verdict = examination.facts, examination.verdict
    at = _when(facts.at)
    lines = [
        f"## Guest agent of {_plain(facts.patient.name)}",
        "",
        f"**{_plain(verdict.sentence)}** (`{verdict.cause}`)",
        "",
        f"Host {_plain(facts.patient.host)} (`{_code(facts.uri)}`), {at}, looked for {facts.took_s:.1f} s.",
        f"System: {_plain(facts.system.family)}; {_plain(facts.system.known_from)}.",
        "",
        *(f"- Also: {_plain(sentence)}" for _, sentence in verdict.also),
        *(f"- Maybe {_plain(other.what)}: {_plain(other.tells)}" for other in verdict.others),
        "",
        "| | check | found |",
        "|---|---|---|",
        *(f"| {each.outcome} | {each.title} | {_cell(each.ruling.found)} |" for each in examination.findings),
    ]
    for finding in examination.findings:
        if finding.ruling.original and finding.outcome is not Outcome.PASSED:
            original = (f"    {printable(line)}" for line in without_secrets(finding.ruling.original).splitlines())
            lines += ["", f"{finding.title}, original words:", "", *original]
    timeline = facts.patient.timeline[-20:]
    if timeline:
        lines += ["", "Seen:", ""]
        lines += [
            f"- {datetime.fromtimestamp(line.at, UTC).isoformat(timespec='seconds')} {_plain(line.what)}"
            for line in timeline
        ]
    fixes = remedies(examination)
    if fixes:
        lines += ["", "What mends it:", ""]
    for fix in fixes:
        commands = fix.virsh if isinstance(fix, OurFix) else (fix.command,)
        place = "" if isinstance(fix, OurFix) else f" ({fix.place}){f': {_plain(fix.note)}' if fix.note else ''}"
        lines += [f"- {_plain(fix.title)}{place}", *(f"  - `{_code(command)}`" for command in commands if command)]
    return "\n".join(lines) + "\n"


def _when(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def as_table(examinations: Iterable[Examination]) -> str:
    """The verdicts on several guests, for a ticket."""
    rows = [
        f"| {each.verdict.cause} | {_cell(each.facts.patient.name)} | {_cell(each.verdict.sentence)} |"
        for each in examinations
    ]
    return "\n".join(["| cause | guest | verdict |", "|---|---|---|", *rows]) + "\n"


def _plain(text: str) -> str:
    shown = printable(without_secrets(text))
    return re.sub(r"([\\`*_<>\[\]|])", r"\\\1", shown)


def _cell(text: str) -> str:
    return _plain(text).replace("\n", " ")


def _code(text: str) -> str:
    return printable(without_secrets(text)).replace("`", "'")
