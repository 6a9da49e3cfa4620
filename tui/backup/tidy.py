"""Deleting an overlay, once six things are proven."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from tui.backup.chain import names_path, texts_of
from tui.backup.disk_set import is_generated_overlay
from tui.backup.image_names import real_path
from tui.backup.images import ImageError, ImageInfo
from tui.backup.plan import BackupPlan, ImageFormat, PlannedDisk, is_own_overlay
from tui.backup.reach import ImageLook, Reach
from tui.backup.session import HostSession
from tui.hosts.lanes import apart
from tui.hosts.port import NoSuchDomainError
from tui.model.guest import PowerState


@dataclass(frozen=True, slots=True)
class OverlayEvidence:
    """What is known of an overlay at the moment at which it is to be deleted.

    `is_merged` says that it was proven to hold nothing more than its base; `info` is None where the image's lock was
    not given; `named_by` lists the domains that name the path.
    """

    is_merged: bool
    is_plain_file: bool
    info: ImageInfo | None
    named_by: tuple[str, ...]
    has_block_job: bool


def objections(plan: BackupPlan, disk: PlannedDisk, evidence: OverlayEvidence) -> tuple[str, ...]:
    """Why the overlay of `disk` must not be deleted; empty when all conditions hold."""
    info = evidence.info
    conditions = (
        (is_own_overlay(disk, plan.stamp) or is_generated_overlay(disk, plan), "it is not the overlay of this run"),
        (evidence.is_plain_file, "it is not a plain file"),
        (
            info is None or (info.format == ImageFormat.QCOW2 and disk.is_called(info.backing)),
            f"it does not lie on {disk.base}",
        ),
        (not evidence.named_by, f"it is in use by {', '.join(evidence.named_by)}"),
        (info is not None, "a program has it open"),
        (evidence.is_merged, "it is not proven to be merged"),
        (not evidence.has_block_job, "a block job runs on its disk"),
    )
    return tuple(objection for holds, objection in conditions if not holds)


async def delete_overlay(
    session: HostSession, plan: BackupPlan, reach: Reach, disk: PlannedDisk, *, is_merged: bool
) -> tuple[str, ...]:
    """Delete the overlay of a disk; returns the objections that forbade it, empty when it is gone."""
    if not await reach.exists(disk.overlay):
        return ()
    found = objections(plan, disk, await _gather(session, plan, reach, disk, is_merged=is_merged))
    if not found:
        await reach.delete(disk.overlay)
    return found


async def _gather(
    session: HostSession, plan: BackupPlan, reach: Reach, disk: PlannedDisk, *, is_merged: bool
) -> OverlayEvidence:
    look: ImageLook | None = None
    info: ImageInfo | None = None
    with suppress(ImageError, OSError):
        look = await reach.look(disk.overlay, ImageFormat.QCOW2)
        info = await reach.info(disk.overlay, ImageFormat.QCOW2)
    return OverlayEvidence(
        is_merged=is_merged,
        is_plain_file=look is not None and look.is_file,
        info=info,
        named_by=await domains_naming(session, disk.overlay),
        has_block_job=await _has_block_job(session, plan, disk),
    )


async def _has_block_job(session: HostSession, plan: BackupPlan, disk: PlannedDisk) -> bool:
    """A guest that is off, or has the disk no longer, has no job on it, and libvirt refuses the question."""
    facts = await session.ask(lambda host: host.read_domain(plan.uuid))
    if facts.power is PowerState.OFF or disk.target not in {there.target for there in facts.disks}:
        return False
    return await session.ask(lambda host: host.block_job(plan.uuid, disk.target)) is not None


async def domains_naming(session: HostSession, path: str, besides: str = "") -> tuple[str, ...]:
    """The names of all domains whose running or stored definition names `path`, by any name of it; not `besides`.

    `besides` is a UUID, for a name is no identity: a guest may be renamed meanwhile, and another one be given its name.
    """
    names: list[str] = []
    for facts in await session.ask(lambda host: host.list_domains()):
        if facts.uuid == besides:
            continue
        try:
            definitions = await _definitions(session, facts.uuid)
        except NoSuchDomainError:
            continue
        if any([names_path(each, path) or await apart(_leads_to, each, path) for each in definitions]):
            names.append(facts.name)
    return tuple(names)


def _leads_to(xml: str, path: str) -> bool:
    """Whether a path in a definition leads to the same file here; of another machine's paths none does."""
    real = real_path(path)
    return any(real_path(text) == real for text in texts_of(xml) if text.startswith("/"))


async def _definitions(session: HostSession, uuid: str) -> tuple[str, str]:
    live = await session.ask(lambda host: host.live_xml(uuid))
    return live, await session.ask(lambda host: host.stored_xml(uuid))
