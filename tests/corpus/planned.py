"""Takes one definition through reading, planning, the snapshot's XML and the red list, and says what does not hold."""

from __future__ import annotations

import re
import traceback
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.corpus.fake_definition_host import FakeDefinitionHost
from tests.corpus.holders import holders_in
from tui.backup.chain import snapshot_xml
from tui.backup.checks import Verdict
from tui.backup.errors import BackupError
from tui.backup.plan import QuiescePolicy
from tui.backup.propose import Proposal, propose
from tui.model.errors import ExplainedError

NOTHING_POSSIBLE = "There is no disk to back up"
_SILENT = {"startupPolicy", "index"}
"""What a `<source>` may say without naming anything."""


@dataclass(slots=True)
class Tally:
    """What came of definitions; `broken` lists files by what does not hold for them.

    `possible` are the targets planned without a check against them, `refused` those with one, `named` those left out
    and told.
    """

    read: int = 0
    plans: int = 0
    planned: int = 0
    media: int = 0
    empty: int = 0
    without_a_plan: int = 0
    possible: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    named: set[str] = field(default_factory=set)
    red: Counter[str] = field(default_factory=Counter)
    broken: dict[str, list[str]] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """The counts in a line, and one for each reason."""
        counts = (
            f"{self.read} read, of them {self.plans} planned and {self.without_a_plan} without a disk to back up; "
            f"disks: {self.planned} planned, {self.media} media, {self.empty} empty drives; "
            f"{sum(self.red.values())} on the red list"
        )
        return "\n".join((counts, *(f"  {count:5} {reason}" for reason, count in self.red.most_common())))

    def note(self, what: str, file: str) -> None:
        """Note that something does not hold for a file."""
        files = self.broken.setdefault(what, [])
        if file not in files:
            files.append(file)


@dataclass(frozen=True, slots=True)
class DiskInXml:
    """One `<disk>` as the test reads it, apart from the program's own reading."""

    target: str
    device: str
    kind: str
    holds_something: bool

    @property
    def is_removable(self) -> bool:
        """Whether it is a drive for media."""
        return self.device in ("cdrom", "floppy")


def disks_in(xml: str) -> tuple[DiskInXml, ...]:
    """Every `<disk>` of a definition."""
    return tuple(_disk(element) for element in ET.fromstring(xml).findall("./devices/disk"))


def _disk(element: ET.Element) -> DiskInXml:
    target, source = element.find("target"), element.find("source")
    names = [] if source is None else [*(set(source.attrib) - _SILENT), *(e.tag for e in source if e.tag != "seclabel")]
    return DiskInXml(
        target=target.get("dev", "") if target is not None else "",
        device=element.get("device", "disk"),
        kind=element.get("type", ""),
        holds_something=bool(names),
    )


async def plan_definition(host: FakeDefinitionHost, xml: str, name: str, target: Path, tally: Tally) -> None:
    """Plan a backup of a guest of this definition, and note what does not hold."""
    disks = disks_in(xml)
    try:
        facts = host.facts()
        tally.read += 1
        proposal = await propose(host.as_host, facts, target, quiesce=QuiescePolicy.OFF)
    except BackupError as error:
        _judge_refusal(error, disks, name, tally)
    except ExplainedError as error:
        tally.note(f"no plan for the whole guest: {type(error).__name__} {error.title}", name)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what this test looks for
        tally.note(unexplained(error), name)
    else:
        tally.plans += 1
        _judge_plan(proposal, disks, name, tally, xml)


def unexplained(error: Exception) -> str:
    """An exception that no user could understand, by the line it comes from."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"unexplained {type(error).__name__} in {Path(last.filename).name}:{last.name}"


def _judge_refusal(error: BackupError, disks: tuple[DiskInXml, ...], name: str, tally: Tally) -> None:
    if error.title != NOTHING_POSSIBLE:
        words = f"{type(error).__name__} {error.title}: {re.sub(r'[0-9a-f./-]*[/][^ ]*', '…', error.cause)[:80]}"
        tally.note(f"no plan for the whole guest: {words}", name)
        return
    tally.without_a_plan += 1
    for disk in disks:
        reason = re.search(rf"(?:^|; ){re.escape(disk.target)}: (.+?)(?:; |$)", error.cause)
        if reason is None:
            tally.note(f"not named in a refusal: {disk.kind} {disk.device}", name)
        elif not disk.is_removable and disk.holds_something:
            if reason[1] == "no medium in it":
                tally.note(f"called empty though it has a source: {disk.kind}", name)
            tally.red[reason[1]] += 1


def _judge_plan(proposal: Proposal, disks: tuple[DiskInXml, ...], name: str, tally: Tally, xml: str) -> None:
    planned = {disk.target for disk in proposal.plan.disks}
    words = " ".join(f"{check.title} {check.evidence}" for check in proposal.checks)
    tally.planned += len(planned)
    failed = {check.title for check in proposal.checks if check.verdict is Verdict.FAILED}
    tally.refused |= {target for target in planned if f"Disk {target}" in failed}
    tally.possible |= planned - tally.refused
    tally.named |= {disk.target for disk in disks if disk.target in proposal.red or not disk.holds_something}
    for red in proposal.red:
        tally.red[_reason(proposal, red)] += 1
    for disk in disks:
        is_named = re.search(rf"(?<![\w-]){re.escape(disk.target)}(?![\w-])", words) is not None
        if disk.target in planned:
            continue
        if not disk.holds_something:
            tally.empty += 1
        elif disk.is_removable and is_named:
            tally.media += 1
        elif disk.is_removable:
            tally.note(f"a medium that no check names: {disk.kind} {disk.device}", name)
        elif disk.target not in proposal.red:
            tally.note(f"neither planned nor red: {disk.kind} {disk.device}", name)
    if len(planned) < len(proposal.plan.disks):
        tally.note("planned twice", name)
    for what in _snapshot_faults(proposal, disks):
        tally.note(what, name)
    for what, word in holders_in(xml):
        if not any(word in _reason(proposal, red) for red in proposal.red):
            tally.note(f"not on the red list: {what}", name)


def _reason(proposal: Proposal, red: str) -> str:
    """Why something is on the red list, as its check says it."""
    said = (check.evidence.partition(": ") for check in proposal.checks)
    return next((why for name, _, why in said if name.removesuffix(", as accepted") == red), "no reason given")


def _snapshot_faults(proposal: Proposal, disks: tuple[DiskInXml, ...]) -> Iterator[str]:
    switched = ET.fromstring(snapshot_xml(proposal.plan, proposal.plan.left_out)).findall("./disks/disk")
    named = Counter(disk.get("name") for disk in switched)
    external = {disk.get("name") for disk in switched if disk.get("snapshot") == "external"}
    if named != Counter(disk.target for disk in disks):
        yield "the snapshot's XML does not name each disk once"
    if external != {disk.target for disk in proposal.plan.disks}:
        yield "the snapshot's XML switches other disks than planned"
