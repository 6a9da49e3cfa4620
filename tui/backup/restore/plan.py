"""What a restore is going to do, as one frozen value that survives a trip through JSON."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from tui.backup.plan import PLAN_LIMIT, RUN_ID, STAMP, TARGET, UUID, DiskKind, ImageFormat, InvalidPlanError
from tui.backup.tpm import LAYOUT
from tui.backup.values import a_count, a_list, a_path, a_text, a_text_like, a_user

KIND = "restore"
NVRAM_NAME = "nvram"
"""The name of the UEFI variables among the files of a plan, where disks go by their targets."""
TPM_NAME = "tpm"
"""The name of the state of an emulated TPM among them: a folder, which is moved as one."""
_SHA256 = re.compile(r"[0-9a-f]{64}")


class RestoreWay(StrEnum):
    """What becomes of the backup."""

    CLONE = "clone"
    """A second guest beside the first."""
    IN_PLACE = "in-place"
    """The guest itself, its present images moved aside."""
    DISK = "disk"
    """Images of disks alone, put somewhere."""
    ATTACH = "attach"
    """Disks alone, read-only, in another guest that runs."""
    BOOT_TEST = "boot-test"
    """A clone that is started without network, asked over its agent, and removed again."""


class StopWay(StrEnum):
    """What is done about a guest that runs though it has to be off."""

    NONE = "none"
    SHUT_DOWN = "shutdown"
    FORCE_OFF = "force"


class ChangeKind(StrEnum):
    """What of a definition can be changed so that it fits this host."""

    NETWORK = "network"
    BRIDGE = "bridge"
    EJECT = "eject"
    POOL = "pool"
    """The disk is named by its path, for its pool is not here."""
    FILE = "file"
    """The disk becomes a file, for what it was on cannot be moved aside; that stays as it is."""
    MACHINE = "machine"
    CPU = "cpu"
    TYPE = "type"
    EMULATOR = "emulator"


@dataclass(frozen=True, slots=True)
class Change:
    """One change to the definition: `subject` is what stands there now, or the disk's target; `value` what will."""

    kind: ChangeKind
    subject: str = ""
    value: str = ""

    @property
    def word(self) -> str:
        """The change as it is typed: `network:default=lan`, `eject:sda`, `machine=q35`."""
        subject = f":{self.subject}" if self.subject else ""
        return f"{self.kind}{subject}={self.value}" if self.value else f"{self.kind}{subject}"

    def is_about_same(self, other: Change) -> bool:
        """Whether both are about the same thing of the definition."""
        return (self.kind, self.subject) == (other.kind, other.subject)


@dataclass(frozen=True, slots=True)
class RestoredFile:
    """One file that is put somewhere: a disk's image, or the UEFI variables (`name` is `nvram`).

    Or a folder, the state of a TPM (`tpm`): its files go into the folder `within` it, or into itself where that is
    empty, and have that one's owner.

    `file` is the copy in the backup's folder and `format` its format, `to` where it goes and `to_format` what it is
    there. `partial` is its name until it is whole; `aside` where the file goes that is at `to` now, empty where there
    is none; `named` is what definitions call the place where that is another text than `to`, and `is_device` says that
    a block device is or was there; `attach_as` the disk's target in the guest that gets it, empty for the other ways.
    Sizes in bytes; `mode`
    are permission bits.
    """

    name: str
    file: str
    sha256: str
    to: str
    partial: str
    data_bytes: int = 0
    format: ImageFormat = ImageFormat.RAW
    to_format: ImageFormat = ImageFormat.RAW
    aside: str = ""
    kind: DiskKind = DiskKind.FILE
    owner: int = 0
    group: int = 0
    mode: int = 0o600
    attach_as: str = ""
    within: str = ""
    named: str = ""
    is_device: bool = False

    @property
    def is_disk(self) -> bool:
        """Whether it is a disk's image."""
        return self.name not in (NVRAM_NAME, TPM_NAME)

    @property
    def is_folder(self) -> bool:
        """Whether it is the state of a TPM."""
        return self.name == TPM_NAME

    @property
    def is_converted(self) -> bool:
        """Whether it gets another format than the copy has."""
        return self.format is not self.to_format


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """Everything a worker needs to know; `stamp` is the UTC second of the plan, `folder` the backup's.

    `guest` and `uuid` are those of the guest that is made, replaced, or given the disks; disks alone concern none and
    have a UUID that is nobody's. `source` is the name of the guest that was backed up. With `chosen`, the files are
    those of disks that were chosen, and `left_out` are the targets of the backup's other disks. `own_folder` is made
    for the files and removed with them, empty where they lie among others. `accepted` names disks and files that are
    restored though they are not what was saved, and what else was agreed to.
    """

    run_id: str
    stamp: str
    host: str
    uri: str
    way: RestoreWay
    folder: str
    source: str
    guest: str
    uuid: str
    files: tuple[RestoredFile, ...]
    chosen: bool = False
    left_out: tuple[str, ...] = ()
    own_folder: str = ""
    changes: tuple[Change, ...] = ()
    link_down: bool = True
    stop: StopWay = StopWay.NONE
    accepted: tuple[str, ...] = ()
    limit_bytes_s: int = 0

    @property
    def disks(self) -> tuple[RestoredFile, ...]:
        """The files that are disks."""
        return tuple(file for file in self.files if file.is_disk)

    @property
    def into_files(self) -> frozenset[str]:
        """The targets of the disks that become files."""
        return frozenset(change.subject for change in self.changes if change.kind is ChangeKind.FILE)

    @property
    def defines(self) -> bool:
        """Whether a guest is defined as the backup's definition has it."""
        ways = (RestoreWay.CLONE, RestoreWay.IN_PLACE, RestoreWay.BOOT_TEST)
        return self.way in ways and not self.keeps_definition

    @property
    def keeps_definition(self) -> bool:
        """Whether disks are put back into a guest that stays as it is but for them."""
        return self.way is RestoreWay.IN_PLACE and self.chosen

    def to_json(self) -> str:
        """The plan as a JSON text that `read_restore_plan` takes back."""
        return json.dumps({"kind": KIND, **asdict(self)}, indent=1)


def partial_of(to: str, run_id: str) -> str:
    """What a restored file is called until it is whole."""
    return f"{to}.restore-{run_id}.partial"


def aside_of(to: str, run_id: str) -> str:
    """What a file is called once it is moved aside."""
    return f"{to}.before-restore-{run_id}"


def undone_of(to: str, run_id: str) -> str:
    """What a restored file is called once the former one is back."""
    return f"{to}.undone-restore-{run_id}"


def read_change(text: str) -> Change:
    """A change as `Change.word` writes it; raises ValueError."""
    head, _, value = text.partition("=")
    kind, _, subject = head.partition(":")
    return Change(ChangeKind(kind), subject, value)


def is_restore(text: str) -> bool:
    """Whether a plan's text is one of a restore; a text that is no plan is none."""
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(raw, dict) and raw.get("kind") == KIND


def read_restore_plan(text: str) -> RestorePlan:
    """The plan in a JSON text; raises InvalidPlanError for anything `to_json` could not have written."""
    if len(text) > PLAN_LIMIT:
        raise InvalidPlanError("The restore's plan is too long", cause=f"{len(text)} characters")
    try:
        plan = _plan(json.loads(text))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InvalidPlanError("The restore's plan cannot be read", cause=str(error), original=text[:2000]) from error
    _check(plan)
    return plan


def _plan(raw: Any) -> RestorePlan:
    return RestorePlan(
        run_id=a_text_like(raw["run_id"], RUN_ID),
        stamp=a_text_like(raw["stamp"], STAMP),
        host=a_text(raw["host"]),
        uri=a_text(raw["uri"]),
        way=RestoreWay(raw["way"]),
        folder=a_path(raw["folder"]),
        source=a_text(raw["source"]),
        guest=a_text(raw["guest"]),
        uuid=a_text_like(raw["uuid"], UUID),
        files=tuple(_file(each) for each in a_list(raw["files"])),
        chosen=raw.get("chosen") is True,
        left_out=tuple(a_text_like(each, TARGET) for each in a_list(raw.get("left_out", []))),
        own_folder=a_path(raw["own_folder"]) if raw.get("own_folder") else "",
        changes=tuple(_change(each) for each in a_list(raw.get("changes", []))),
        link_down=raw.get("link_down", True) is True,
        stop=StopWay(raw.get("stop", StopWay.NONE)),
        accepted=tuple(a_text(each) for each in a_list(raw.get("accepted", []))),
        limit_bytes_s=a_count(raw.get("limit_bytes_s", 0)),
    )


def _change(raw: Any) -> Change:
    subject, value = (a_text(raw[key]) if raw.get(key) else "" for key in ("subject", "value"))
    return Change(ChangeKind(raw["kind"]), subject, value)


def _file(raw: Any) -> RestoredFile:
    return RestoredFile(
        name=a_text_like(raw["name"], TARGET),
        file=a_text(raw["file"]),
        sha256=a_text_like(raw["sha256"], _SHA256),
        to=a_path(raw["to"]),
        partial=a_path(raw["partial"]),
        data_bytes=a_count(raw["data_bytes"]),
        format=ImageFormat(raw["format"]),
        to_format=ImageFormat(raw["to_format"]),
        aside=a_path(raw["aside"]) if raw.get("aside") else "",
        kind=DiskKind(raw["kind"]),
        owner=a_user(raw["owner"]),
        group=a_user(raw["group"]),
        mode=a_count(raw["mode"]) & 0o7777,
        attach_as=a_text_like(raw["attach_as"], TARGET) if raw.get("attach_as") else "",
        within=a_text_like(raw["within"], LAYOUT) if raw.get("within") else "",
        named=a_text(raw["named"]) if raw.get("named") else "",
        is_device=raw.get("is_device", raw["kind"] == DiskKind.BLOCK) is True,
    )


def _check(plan: RestorePlan) -> None:
    if not plan.disks:
        raise InvalidPlanError("The restore's plan names no disk")
    if len({file.name for file in plan.files}) < len(plan.files) or len({f.to for f in plan.files}) < len(plan.files):
        raise InvalidPlanError("The restore's plan names a file twice")
    if plan.keeps_definition and len(plan.disks) < len(plan.files):
        raise InvalidPlanError("The restore's plan replaces more than the disks that were chosen")
    targets = {file.attach_as for file in plan.files}
    if plan.way is RestoreWay.ATTACH and ("" in targets or len(targets) < len(plan.files)):
        raise InvalidPlanError("The restore's plan does not say as what each disk is attached")
    for file in plan.files:
        own_names = file.aside in ("", aside_of(file.to, plan.run_id))
        if file.partial != partial_of(file.to, plan.run_id) or not own_names:
            raise InvalidPlanError("The restore's plan names a foreign file", cause=file.partial)
        if file.aside and plan.way is not RestoreWay.IN_PLACE:
            raise InvalidPlanError("The restore's plan moves a file aside that is not its guest's", cause=file.aside)
        if plan.own_folder and not _is_own(plan, file):
            raise InvalidPlanError("The restore's plan puts a file outside its folder", cause=file.to)


def _is_own(plan: RestorePlan, file: RestoredFile) -> bool:
    """Whether a clone's file is in its folder, or in the one that libvirt keeps for its UUID."""
    if file.is_folder:
        return Path(file.to).parts[-2:] == ("swtpm", plan.uuid)
    return file.to.startswith(f"{plan.own_folder}/")
