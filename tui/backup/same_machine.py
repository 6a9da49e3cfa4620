"""Whether a run may act on its images as files: asked again as it acts, for a plan may be hours old."""

from __future__ import annotations

import os
from dataclasses import replace

from tui.backup.errors import BackupError
from tui.backup.plan import BackupPlan, Source, image_paths
from tui.backup.restore.plan import RestorePlan, RestoreWay
from tui.backup.session import HostSession
from tui.hosts.lanes import apart
from tui.hosts.open_images import has_open
from tui.hosts.same_files import why_not_here


async def require_own_overlays(session: HostSession, plan: BackupPlan) -> None:
    """See that the overlays that libvirt has just made are files here, and that the guest has these open.

    Their names are new, so that a file of the same name is no other one. Raises BackupError and HostError.
    """
    if plan.source is not Source.FILE:
        return
    why = await session.ask(lambda host: why_not_here(host, image_paths(plan))) or await apart(_strange_overlay, plan)
    if why:
        raise BackupError(
            "The guest's images are not the files of this machine",
            cause=why,
            next_step="Take --source stream, or run it on that host.",
        )


async def with_proven_source(session: HostSession, plan: BackupPlan) -> BackupPlan:
    """The plan, its images over libvirt's streams where they are not proven to be files here (any more).

    Raises NeedsRescueError where the host does not answer, and HostError.
    """
    if plan.source is not Source.FILE:
        return plan
    why = await session.ask(lambda host: why_not_here(host, image_paths(plan)))
    return replace(plan, source=Source.STREAM, source_reason=why) if why else plan


async def require_here(session: HostSession, plan: RestorePlan) -> None:
    """See that the places of a restore are files of the guest's host; raises BackupError and HostError."""
    if plan.way is RestoreWay.DISK:
        return
    why = await session.ask(lambda host: why_not_here(host, [file.to for file in plan.files]))
    if why:
        raise BackupError(
            "The guest's files are not proven to be on this machine",
            cause=why,
            next_step="Nothing was moved. Run the program on that host, over its own socket.",
        )


def _strange_overlay(plan: BackupPlan) -> str:
    for disk in plan.disks:
        if not os.path.lexists(disk.overlay):
            return f"libvirt made {disk.overlay}, which is not there"
        if has_open(plan.uuid, disk.overlay) is False:
            return f"the guest has another {disk.overlay} open"
    return ""
