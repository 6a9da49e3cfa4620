"""The mark in a guest's metadata: which run holds the guest, and who runs it, for everybody on any machine. Pure."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from enum import StrEnum

from tui.backup.journal import RunStage
from tui.hosts.domain_xml import MalformedXmlError, parse_tree
from tui.model.quantities import duration

WORD_LIMIT = 256
"""Characters of one attribute that are read: anybody may write a domain's metadata."""


class Kind(StrEnum):
    """What holds a guest."""

    BACKUP = "backup"
    RESTORE = "restore"
    RESCUE = "rescue"


@dataclass(frozen=True, slots=True)
class Owner:
    """Who holds a guest: `run_id` is the run whose overlays are meant, `token` the one holder among several of a run.

    `host` is what the run calls the hypervisor; `node` and `machine` (machine-id(5)) are the process's machine.
    `process` is a `ProcessIdentity` in text, `processes` the PID namespace that its number counts in. `beat` is the
    sign of life: it grows as long as the process lives; `at` is when, in Unix seconds of that machine's clock. Marks of
    earlier versions have only `run_id`, `host` and `stage`.
    """

    run_id: str
    host: str = ""
    kind: str = Kind.BACKUP
    token: str = ""
    node: str = ""
    machine: str = ""
    user: str = ""
    uid: str = ""
    process: str = ""
    processes: str = ""
    beat: int = 0
    at: float = 0.0

    @property
    def is_signed(self) -> bool:
        """Whether the mark tells who left it, and shows signs of life."""
        return bool(self.token and self.process)

    def is_same(self, other: Owner | None) -> bool:
        """Whether another mark is of the same holder, whatever its sign of life."""
        return other is not None and (self.run_id, self.token) == (other.run_id, other.token)


def mark_xml(owner: Owner, stage: RunStage) -> str:
    """The element: who holds the guest, and how far the run is."""
    words = {
        "id": owner.run_id,
        "host": owner.host,
        "stage": str(stage),
        "kind": owner.kind,
        "token": owner.token,
        "node": owner.node,
        "machine": owner.machine,
        "user": owner.user,
        "uid": owner.uid,
        "process": owner.process,
        "processes": owner.processes,
        "beat": str(owner.beat),
        "at": f"{owner.at:.0f}",
    }
    return ET.tostring(ET.Element("run", words), encoding="unicode")


def read_mark(xml: str | None) -> Owner | None:
    """Who left a mark; None without one. What cannot be read of it is empty: it is a mark all the same."""
    if xml is None:
        return None
    try:
        element = parse_tree(xml)
    except MalformedXmlError:
        return Owner("")
    words = {name: value[:WORD_LIMIT] for name, value in element.attrib.items()}
    texts = ("host", "token", "node", "machine", "user", "uid", "process", "processes")
    return Owner(
        run_id=words.get("id", ""),
        kind=words.get("kind", Kind.BACKUP),
        beat=int(_number(words.get("beat", ""))),
        at=_number(words.get("at", "")),
        **{name: words.get(name, "") for name in texts},
    )


def run_id_of(xml: str) -> str:
    """The run that left a mark, empty where it cannot be read."""
    owner = read_mark(xml)
    return owner.run_id if owner is not None else ""


def owner_words(owner: Owner, now: float) -> str:
    """Who holds a guest, as in `backup by root on kvm3 (run 0123abcd), last sign of life 12 s ago`; `now` is Unix time.

    The two machines' clocks may differ: this is a hint, and decides nothing.
    """
    if not owner.is_signed:
        return f"run {owner.run_id or 'unknown'}, of an earlier version or another program"
    who = f"{owner.kind} by {owner.user or f'user {owner.uid}'} on {owner.node} (run {owner.run_id})"
    since = now - owner.at
    when = f"{duration(since)} ago" if since >= 0 else f"{duration(-since)} ahead of this machine's clock"
    return f"{who}, last sign of life {when}"


def _number(text: str) -> float:
    plain = text.isascii() and text.isdigit() and len(text) <= 15
    return float(text) if plain else 0.0
