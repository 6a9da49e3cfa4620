"""Gives definitions to a real libvirtd, and what the program makes of them for a clone and a restore in place."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import libvirt

from tests.corpus.definitions import CorpusFile
from tests.corpus.fake_definition_host import as_libvirt_tells_it
from tests.corpus.fitting import fitted
from tests.corpus.planned import unexplained
from tests.corpus.shared import shared_by
from tui.backup.chain import disks_by_target
from tui.backup.clone_xml import DISKS_WORD, clone_xml
from tui.backup.nvram import nvram_path
from tui.backup.plan import DiskKind, ImageFormat, new_run_id, stamp_now
from tui.backup.restore.definition import explained_changes, restored_xml
from tui.backup.restore.plan import NVRAM_NAME, RestoredFile, RestorePlan, RestoreWay, partial_of
from tui.backup.selection import choices_of
from tui.lab.daemon import Daemon
from tui.model.disk import Disk
from tui.model.errors import ExplainedError

UNDEFINE = (
    libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
    | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_KEEP_NVRAM
)
ORIGINAL_UUID, CLONE_UUID = "1b7f4a52-35c1-4d0e-9a86-5a3a1f0c2e11", "2c8e5b63-46d2-4e1f-8b97-6b4b201d3f22"
FOLDER = "/var/lib/restored"
"""Where restored images would be; nothing is started, so that nothing need be there."""
_CALLED = re.compile(r"'[^']*'|\"[^\"]*\"|[0-9a-f]{8}-[0-9a-f-]{27}|\d+")


@dataclass(slots=True)
class Acceptance:
    """How many definitions a libvirtd took, and what became of those; `broken` lists files by what does not hold."""

    read: int = 0
    other_machines: int = 0
    refused: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    deadly: list[str] = field(default_factory=list)
    originals: int = 0
    only_unvalidated: int = 0
    alike: int = 0
    unlike_itself: list[str] = field(default_factory=list)
    clones: int = 0
    restored_clones: int = 0
    in_place: int = 0
    in_place_unvalidated: int = 0
    broken: dict[str, list[str]] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """The counts in lines."""
        return (
            f"{self.read} read, {self.other_machines} for machines that this QEMU does not have, "
            f"{self.refused} refused by libvirtd, {len(self.deadly)} that end it\n"
            f"  {self.originals} accepted ({self.only_unvalidated} without validation alone), {self.alike} of them "
            f"like another, {len(self.unlike_itself)} not accepted again as libvirt tells them\n"
            f"  clones by RESTORE.md accepted: {self.clones}, clones by a restore: {self.restored_clones}, "
            f"in place: {self.in_place} ({self.in_place_unvalidated} without validation alone)"
        )

    def note(self, what: str, file: str) -> None:
        """Note that something does not hold for a file."""
        files = self.broken.setdefault(what, [])
        if file not in files:
            files.append(file)


class Judge:
    """A libvirtd that is asked what it takes; a definition that kills it is noted, and the daemon started again."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._connection = libvirt.open(daemon.uri)
        self._seen: set[str] = set()

    async def judge(self, file: CorpusFile, tally: Acceptance) -> None:
        """Take one definition through all that is defined of it."""
        tally.read += 1
        xml = fitted(file.xml, "corpus", ORIGINAL_UUID)
        if xml is None:
            tally.other_machines += 1
            if "type='kvm'" in file.xml or "type='qemu'" in file.xml:
                _walk(as_libvirt_tells_it(file.xml), file.name, tally)
            return
        try:
            self._judge(xml, file.name, tally)
        except libvirt.libvirtError as error:
            if self._connection.isAlive():
                raise
            tally.deadly.append(f"{file.name}: {error}")
            await self._daemon.reap()
            await self._daemon.start()
            self._connection = libvirt.open(self._daemon.uri)

    def _judge(self, xml: str, name: str, tally: Acceptance) -> None:
        stored, flags, why = self._define(xml)
        if stored is None:
            tally.refused += 1
            tally.reasons[_CALLED.sub("…", why)] += 1
            _walk(xml, name, tally)
            return
        tally.originals += 1
        tally.only_unvalidated += not flags
        if stored in self._seen:
            tally.alike += 1
            return
        self._seen.add(stored)
        made = _made_of(stored, name, tally)
        if made is None:
            return
        tally.clones += self._accepts("clone", made.clone, stored, flags, name, tally)
        tally.restored_clones += self._accepts("restored clone", made.restored, stored, flags, name, tally)
        in_place, in_place_flags, why = self._define(made.in_place)
        if in_place is None:
            self._note_refusal("in place", stored, why, name, tally)
        else:
            tally.in_place += 1
            tally.in_place_unvalidated += not in_place_flags

    def _accepts(self, what: str, xml: str, original: str, flags: int, name: str, tally: Acceptance) -> bool:
        defined, clone_flags, why = self._define(xml)
        if defined is None or (flags and not clone_flags):
            self._note_refusal(what, original, why, name, tally)
            return False
        for shared in (*shared_by(original, xml), *shared_by(original, defined)):
            tally.note(f"{what} shares {shared.cause}", name)
        return True

    def _note_refusal(self, what: str, stored: str, why: str, name: str, tally: Acceptance) -> None:
        """Of what libvirt takes again as it told it itself."""
        again, _, _ = self._define(stored)
        if again is None:
            tally.unlike_itself.append(name)
        else:
            tally.note(f"{what} refused: {_CALLED.sub('…', why)}", name)

    def _define(self, xml: str) -> tuple[str | None, int, str]:
        """What libvirt makes of a definition, forgotten again; with which flags; why not, or not at first."""
        why = ""
        for flags in (libvirt.VIR_DOMAIN_DEFINE_VALIDATE, 0):
            try:
                domain = self._connection.defineXMLFlags(xml, flags)
            except libvirt.libvirtError as error:
                if not self._connection.isAlive():
                    raise
                why = f"{why}; without validation: {error}" if why else str(error)
                continue
            told = str(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE))
            domain.undefineFlags(UNDEFINE)
            return told, flags, why
        return None, 0, why


@dataclass(frozen=True, slots=True)
class _Made:
    clone: str
    restored: str
    in_place: str


def _walk(xml: str, name: str, tally: Acceptance) -> None:
    """Look at the clone of what this libvirtd does not take: another one does."""
    made = _made_of(xml, name, tally)
    if made is not None:
        for shared in (*shared_by(xml, made.clone), *shared_by(xml, made.restored)):
            tally.note(f"clone shares {shared.cause}", name)


def _made_of(stored: str, name: str, tally: Acceptance) -> _Made | None:
    """What the program makes of a stored definition whose possible disks are all in a backup."""
    try:
        disks = [choice.disk for choice in choices_of(tuple(disks_by_target(stored).values())) if choice.possible]
        has_nvram = bool(nvram_path(stored))
        copies = {disk.target: f"{disk.target}.{disk.format}" for disk in disks}
        clone = clone_xml(stored, copies, has_nvram=has_nvram).replace(DISKS_WORD, FOLDER)
        as_clone = _plan(RestoreWay.CLONE, CLONE_UUID, disks, has_nvram=has_nvram)
        in_place = _plan(RestoreWay.IN_PLACE, ORIGINAL_UUID, disks, has_nvram=has_nvram)
        explained_changes(as_clone, stored)
        return _Made(clone, restored_xml(as_clone, stored), restored_xml(in_place, stored))
    except ExplainedError as error:
        tally.note(f"no clone of the whole guest: {error.title}", name)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what this test looks for
        tally.note(unexplained(error), name)
    return None


def _plan(way: RestoreWay, guest_uuid: str, disks: list[Disk], *, has_nvram: bool) -> RestorePlan:
    run_id = new_run_id()
    names = [(disk.target, f"disks/{disk.target}.{disk.format}", ImageFormat(disk.format)) for disk in disks]
    if has_nvram:
        names.append((NVRAM_NAME, "nvram/vars.fd", ImageFormat.RAW))
    return RestorePlan(
        run_id=run_id,
        stamp=stamp_now(),
        host="lab",
        uri="qemu:///session",
        way=way,
        folder="/backups/corpus",
        source="corpus",
        guest="corpus" if way is RestoreWay.IN_PLACE else "corpus-restored",
        uuid=guest_uuid,
        own_folder=FOLDER if way is RestoreWay.CLONE else "",
        files=tuple(
            RestoredFile(
                name=name,
                file=file,
                sha256="0" * 64,
                to=(to := f"{FOLDER}/{Path(file).name}"),
                partial=partial_of(to, run_id),
                format=image_format,
                to_format=image_format,
                kind=DiskKind.FILE,
            )
            for name, file, image_format in names
        ),
    )
