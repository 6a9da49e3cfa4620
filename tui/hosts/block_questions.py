"""Blocking questions to libvirt about a domain's disks and the jobs on them; each raises libvirtError."""

from __future__ import annotations

from typing import Any

import libvirt

from tui.hosts import faults
from tui.hosts.port import BlockJob, BlockSizes


def snapshot_disks(domain: Any, snapshot_xml: str) -> None:
    """Switch disks to overlays, atomically and without a snapshot object."""
    flags = (
        libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY
        | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC
        | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA
    )
    domain.snapshotCreateXML(snapshot_xml, flags)


def commit_active(domain: Any, target: str, bandwidth_bytes_s: int) -> None:
    """Start merging the active image of a disk one level down."""
    flags = libvirt.VIR_DOMAIN_BLOCK_COMMIT_ACTIVE | libvirt.VIR_DOMAIN_BLOCK_COMMIT_SHALLOW
    flags |= libvirt.VIR_DOMAIN_BLOCK_COMMIT_BANDWIDTH_BYTES
    domain.blockCommit(target, None, None, bandwidth_bytes_s, flags)


def block_job(domain: Any, target: str) -> BlockJob | None:
    """The block job on a disk, None without one."""
    job = domain.blockJobInfo(target, 0)
    if not job:
        return None
    return BlockJob(int(job["type"]), int(job["cur"]), int(job["end"]), int(job["bandwidth"]))


def pivot(domain: Any, target: str) -> None:
    """End a ready job by switching to its target."""
    domain.blockJobAbort(target, libvirt.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT)


def cancel_block_job(domain: Any, target: str) -> None:
    """End a job and stay on the image in use."""
    domain.blockJobAbort(target, 0)


def set_block_job_speed(domain: Any, target: str, bytes_s: int) -> None:
    """Bound a running block job."""
    domain.blockJobSetSpeed(target, bytes_s, libvirt.VIR_DOMAIN_BLOCK_JOB_SPEED_BANDWIDTH_BYTES)


def job_active(domain: Any) -> bool:
    """Whether a migration, save, dump or backup job runs."""
    try:
        return bool(domain.jobInfo()[0] != libvirt.VIR_DOMAIN_JOB_NONE)
    except libvirt.libvirtError as error:
        if error.get_error_code() == faults.OPERATION_INVALID:  # off: no job can run
            return False
        raise


def block_sizes(domain: Any, target: str) -> BlockSizes:
    """Capacity, allocation and physical size of the active image."""
    capacity, allocation, physical = domain.blockInfo(target, 0)
    return BlockSizes(int(capacity), int(allocation), int(physical))
