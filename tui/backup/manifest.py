"""manifest.json: what a backup holds, for programs and for whoever finds it in ten years."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum

from tui import __version__
from tui.backup.plan import BackupPlan, PlannedDisk
from tui.backup.reach import ImageLook
from tui.hosts.port import HostVersions

SCHEMA = 1


class Consistency(StrEnum):
    """The state of the guest's file systems in the copy."""

    QUIESCED = "quiesced"
    """Frozen by the agent, and proven to be frozen still after the snapshot."""
    PAUSED = "paused"
    """The guest stood still, with unwritten data in its memory."""
    OFFLINE = "offline"
    """The guest was off: its disks are whole, as after a shutdown."""
    CRASH = "crash"
    """As after a power cut."""


@dataclass(frozen=True, slots=True)
class FreezeReport:
    """How the freeze went; times in milliseconds, `frozen_ms` an upper bound of what the guest felt.

    `taken` is the UTC second at which the snapshot was there; `is_thawed` is false where no thaw was proven then.
    """

    consistency: Consistency
    file_systems: int = 0
    frozen_ms: float = 0.0
    remark: str = ""
    taken: str = ""
    is_thawed: bool = True


@dataclass(frozen=True, slots=True)
class CopiedDisk:
    """One disk in the backup; sizes in bytes, owner and mode those of the image that was copied.

    `format` is the copy's; where it differs from `original_format`, or a `chain` lay below, the copy was converted.
    `original` is where the image really was, `named` what the definition calls it where that is another text.
    `is_device` tells that it was on a block device, whatever the definition's word for it (`kind`) is.
    `dropped_snapshots` are the names of internal snapshots that the images had and the copy has not.
    """

    target: str
    file: str
    format: str
    original_format: str
    kind: str
    chain: tuple[str, ...]
    original: str
    virtual_bytes: int
    file_bytes: int
    data_bytes: int
    sha256: str
    owner: int
    group: int
    mode: str
    named: str = ""
    is_device: bool = False
    dropped_snapshots: tuple[str, ...] = ()

    @property
    def was_on_device(self) -> bool:
        """Whether nothing may be moved aside there."""
        return self.is_device or self.kind == "block"


def utc_words(at: float) -> str:
    """A Unix time in seconds as the manifest tells it: 2026-11-22T21:43:00+00:00."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def utc_now() -> str:
    """The current second in the same words."""
    return utc_words(time.time())


def copied_disk(
    plan: BackupPlan, disk: PlannedDisk, look: ImageLook, virtual_bytes: int, data_bytes: int, sha256: str
) -> CopiedDisk:
    """Describe a disk that was copied; `data_bytes` with all that lies below."""
    return CopiedDisk(
        target=disk.target,
        file=f"disks/{plan.copy_name(disk)}",
        format=plan.copy_format(disk),
        original_format=disk.format,
        kind=disk.kind,
        chain=disk.below,
        original=disk.base,
        virtual_bytes=virtual_bytes,
        file_bytes=look.length,
        data_bytes=data_bytes,
        sha256=sha256,
        owner=look.owner,
        group=look.group,
        mode=f"{look.mode:04o}",
        named=disk.named,
        is_device=disk.is_device or look.is_device,
    )


def manifest_json(
    plan: BackupPlan,
    versions: HostVersions,
    freeze: FreezeReport,
    disks: tuple[CopiedDisk, ...],
    facts: Mapping[str, object],
) -> str:
    """The manifest's text; `facts` are further things to keep, such as times and autostart."""
    return json.dumps(
        {
            "schema": SCHEMA,
            "tool": {"name": "qga-tui", "version": __version__},
            "versions": asdict(versions),
            "host": {"name": plan.host, "uri": plan.uri, "hostname": socket.gethostname()},
            "guest": {"name": plan.guest, "uuid": plan.uuid},
            "run": plan.run_id,
            "stamp": plan.stamp,
            "freeze": {"policy": plan.quiesce, **asdict(freeze)},
            "disks": [asdict(disk) for disk in disks],
            "disks_left_out": list(plan.left_out),
            "source": plan.source,
            **facts,
        },
        indent=1,
    )
