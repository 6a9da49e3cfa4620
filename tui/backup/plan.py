"""What a backup is going to do, as one frozen value that survives a trip through JSON."""

from __future__ import annotations

import json
import os
import re
import secrets
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from tui.backup.errors import BackupError
from tui.backup.image_names import plain
from tui.backup.values import a_count, a_list, a_path, a_text, a_text_like
from tui.model.quantities import UNKNOWN, moment

PLAN_LIMIT = 1024 * 1024
"""Bytes of a plan file; a plan of 256 disks with the longest paths stays below."""
STEM_LIMIT = 160
"""Bytes of a base's stem that are kept in its overlay's name, so that the name stays under NAME_MAX (255)."""

RUN_ID = re.compile(r"[0-9a-f]{8}")
STAMP_FORMAT = "%Y%m%dT%H%M%SZ"
STAMP = re.compile(r"\d{8}T\d{6}Z")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_OVERLAY_NAME = re.compile(r".*\.qgatui-\d{8}T\d{6}Z(\.[A-Za-z0-9]{1,16}\.qcow2|-[0-9a-f]{8})", re.DOTALL)
"""Ours, and the form of those that libvirt makes up for a disk which a snapshot of ours does not name."""
TARGET = re.compile(r"[A-Za-z0-9]{1,16}")
ANY_TARGET = re.compile(r"[A-Za-z0-9][A-Za-z0-9_:.-]{0,63}")
"""What libvirt takes as a disk's target: wider than what is made a file's name of (diskTarget in its schema)."""


class QuiescePolicy(StrEnum):
    """What to do about the guest's file systems at the moment of the snapshot."""

    REQUIRED = "required"
    """No freeze, no backup."""
    PREFERRED = "preferred"
    """Without a freeze the backup is made as if the power had been cut, and says so."""
    OFF = "off"


class Source(StrEnum):
    """Which way a run goes to the guest's images."""

    FILE = "file"
    """It opens the files."""
    STREAM = "stream"
    """libvirt's storage reads them for it, and deletes the overlays."""


class ImageFormat(StrEnum):
    """The formats of file disks that are backed up."""

    RAW = "raw"
    QCOW2 = "qcow2"


class InvalidPlanError(BackupError):
    """A plan file does not describe a plan this program would have written."""


class DiskKind(StrEnum):
    """How the definition names a disk's image (the `type` of `<disk>`)."""

    FILE = "file"
    BLOCK = "block"
    VOLUME = "volume"


@dataclass(frozen=True, slots=True)
class PlannedDisk:
    """One disk to back up: `base` is the image in use before the run, `overlay` takes the guest's writes during it.

    `base` is always a path without detours; `named` is what the definition calls it where that is another text: for a
    volume `pool/volume`, else the path as it is spelled there. `called` are further names of the base. `below` lists
    the images that the base itself lies on, nearest first: they are neither written nor merged. `is_device` says what
    was found at the path, whatever the definition's word (`kind`) for it is. `overlay_apart` where the overlay is not
    in the base's folder.
    """

    target: str
    base: str
    format: ImageFormat
    overlay: str
    kind: DiskKind = DiskKind.FILE
    named: str = ""
    below: tuple[str, ...] = ()
    is_device: bool = False
    called: tuple[str, ...] = ()
    overlay_apart: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """What definitions may call the base, the definition's own word for it last."""
        others = tuple(name for name in self.called if name not in (self.base, self.named))
        return (self.base, *others, *((self.named,) if self.named else ()))

    def is_called(self, name: str) -> bool:
        """Whether a name that a definition uses means the base, however many slashes and dots it is spelled with."""
        return name in self.names or (name.startswith("/") and plain(name) in map(plain, self.names))


@dataclass(frozen=True, slots=True)
class Unfit:
    """A disk that cannot be in the backup for what was found in its images or their places; `reason` in words."""

    target: str
    reason: str


@dataclass(frozen=True, slots=True)
class BackupPlan:
    """Everything a worker needs to know; `stamp` is the UTC second of the plan (`20261122T214300Z`).

    `target` is the folder under which results are kept, `left_out` the targets of the guest's other disks;
    `limit_bytes_s` bounds the copy, 0 is unlimited; `compact` wants compressed copies. `accepted` names what the user
    agreed to be without, `source_reason` tells why it is this source. `after` are the ids of the runs that have to end
    before this one begins. `unfit` are those of `left_out` whose images were looked at and cannot be backed up.
    """

    run_id: str
    stamp: str
    host: str
    uri: str
    uuid: str
    guest: str
    target: str
    disks: tuple[PlannedDisk, ...]
    left_out: tuple[str, ...] = ()
    quiesce: QuiescePolicy = QuiescePolicy.PREFERRED
    limit_bytes_s: int = 0
    compact: bool = False
    accepted: tuple[str, ...] = ()
    source: Source = Source.FILE
    source_reason: str = ""
    after: tuple[str, ...] = ()
    unfit: tuple[Unfit, ...] = ()

    def is_converted(self, disk: PlannedDisk) -> bool:
        """Whether the copy is a new qcow2 image rather than the same bytes: where asked for, and where a chain ends."""
        return self.compact or bool(disk.below)

    def copy_format(self, disk: PlannedDisk) -> ImageFormat:
        """The format of a disk's copy."""
        return ImageFormat.QCOW2 if self.is_converted(disk) else disk.format

    def copy_name(self, disk: PlannedDisk) -> str:
        """The name of a disk's copy in the result's `disks` folder."""
        return f"{disk.target}.{self.copy_format(disk)}"

    def to_json(self) -> str:
        """The plan as a JSON text that `read_plan` takes back."""
        return json.dumps(asdict(self), indent=1)


def pool_name(plan: BackupPlan) -> str:
    """What the names of the storage pools begin with that a run makes."""
    return f"qga-tui-{plan.run_id}"


def new_run_id() -> str:
    """Eight hexadecimal digits that no other run has."""
    return secrets.token_hex(4)


def stamp_now() -> str:
    """The current UTC second, as it is used in names."""
    return datetime.now(UTC).strftime(STAMP_FORMAT)


def stamp_time(stamp: str) -> float | None:
    """The Unix time in seconds of a stamp, None for a text that is none."""
    try:
        return datetime.strptime(stamp, STAMP_FORMAT).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def stamp_words(stamp: str) -> str:
    """A stamp as local date and time, as every time is shown; `?` for a text that is none."""
    at = stamp_time(stamp)
    return UNKNOWN if at is None else moment(at)


def overlay_beside(base: str, stamp: str, target: str, folder: str = "") -> str:
    """The overlay's path: in the folder of `base`, where permissions and security labels fit, ending in .qcow2.

    A block device has no such folder: its overlay is a file in `folder`.
    """
    beside, name = os.path.split(base)
    folder = folder or beside
    stem = Path(name).stem.encode("utf-8", "surrogateescape")[:STEM_LIMIT].decode("utf-8", "ignore")
    return str(Path(folder) / f"{stem}.qgatui-{stamp}.{target}.qcow2")


def is_own_overlay(disk: PlannedDisk, stamp: str) -> bool:
    """Whether a disk's overlay is where a run of this stamp puts it."""
    folder = os.path.dirname(disk.overlay) if disk.overlay_apart else ""  # noqa: PTH120 - a plain string
    return disk.overlay == overlay_beside(disk.base, stamp, disk.target, folder)


def is_overlay_name(path: str) -> bool:
    """Whether a path has the form of an overlay of some run."""
    return _OVERLAY_NAME.fullmatch(Path(path).name) is not None


def image_paths(plan: BackupPlan) -> tuple[str, ...]:
    """Every file that a run reads, makes or removes: images, what they lie on, and overlays."""
    return tuple(path for disk in plan.disks for path in (disk.base, *disk.below, disk.overlay))


def read_plan(text: str) -> BackupPlan:
    """The plan in a JSON text; raises InvalidPlanError for anything `to_json` could not have written."""
    if len(text) > PLAN_LIMIT:
        raise InvalidPlanError("The backup's plan is too long", cause=f"{len(text)} characters")
    try:
        raw = json.loads(text)
        plan = _plan(raw)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InvalidPlanError("The backup's plan cannot be read", cause=str(error), original=text[:2000]) from error
    _check_disks(plan)
    return plan


def _plan(raw: Any) -> BackupPlan:
    stamp = a_text_like(raw["stamp"], STAMP)
    return BackupPlan(
        run_id=a_text_like(raw["run_id"], RUN_ID),
        stamp=stamp,
        host=a_text(raw["host"]),
        uri=a_text(raw["uri"]),
        uuid=a_text_like(raw["uuid"], UUID),
        guest=a_text(raw["guest"]),
        target=a_path(raw["target"]),
        disks=tuple(_disk(disk) for disk in a_list(raw["disks"])),
        left_out=tuple(a_text_like(target, ANY_TARGET) for target in a_list(raw["left_out"])),
        quiesce=QuiescePolicy(raw["quiesce"]),
        limit_bytes_s=a_count(raw.get("limit_bytes_s", 0)),
        compact=raw.get("compact", False) is True,
        accepted=tuple(a_text(name) for name in a_list(raw.get("accepted", []))),
        source=Source(raw.get("source", Source.FILE)),
        source_reason=a_text(raw["source_reason"]) if raw.get("source_reason") else "",
        after=tuple(a_text_like(run_id, RUN_ID) for run_id in a_list(raw.get("after", []))),
        unfit=tuple(Unfit(a_text(each["target"]), a_text(each["reason"])) for each in a_list(raw.get("unfit", []))),
    )


def _disk(raw: Any) -> PlannedDisk:
    target = a_text_like(raw["target"], TARGET)
    kind = DiskKind(raw.get("kind", DiskKind.FILE))
    return PlannedDisk(
        target=target,
        base=a_path(raw["base"]),
        format=ImageFormat(raw["format"]),
        overlay=a_path(raw["overlay"]),
        kind=kind,
        named=a_text(raw["named"]) if raw.get("named") else "",
        below=tuple(a_path(path) for path in a_list(raw.get("below", []))),
        # Plans of before tell the definition's word alone.
        is_device=raw.get("is_device", kind is DiskKind.BLOCK) is True,
        overlay_apart=raw.get("overlay_apart", kind is DiskKind.BLOCK) is True,
        called=tuple(a_text(name) for name in a_list(raw.get("called", []))),
    )


def _check_disks(plan: BackupPlan) -> None:
    targets = [disk.target for disk in plan.disks] + list(plan.left_out)
    if not plan.disks:
        raise InvalidPlanError("The backup's plan names no disk")
    if len(set(targets)) < len(targets) or len({disk.base for disk in plan.disks}) < len(plan.disks):
        raise InvalidPlanError("The backup's plan names a disk twice")
    for disk in plan.disks:
        if not is_own_overlay(disk, plan.stamp):
            raise InvalidPlanError("The backup's plan names a foreign overlay", cause=disk.overlay)
