"""Merging the disks of a guest that is off, with qemu-img alone: for one that cannot be started, or may not be merged.

Every step may be repeated, and none takes the journal's word: an overlay that holds nothing proves itself merged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from tui.backup.by_hand import merge_off as by_hand
from tui.backup.chain import Place, place_of, read_guest, with_base
from tui.backup.device_room import enlarge_advice
from tui.backup.errors import BackupError, NeedsRescueError, explained
from tui.backup.image_lock import barred_to_writers
from tui.backup.images import ImageError, allocates_nothing, check_image, image_info, run_program
from tui.backup.journal import RunStage
from tui.backup.merge import TITLE
from tui.backup.plan import BackupPlan, ImageFormat, PlannedDisk, Source
from tui.backup.session import HostSession
from tui.backup.tidy import domains_naming
from tui.hosts.same_files import why_not_here
from tui.model.errors import ExplainedError
from tui.model.guest import PowerState

Note = Callable[..., None]
NO_SPACE = "No space left on device"
"""The system's words, which qemu-img passes on untranslated."""
_AS_ROOT = "Be root, on the host itself: rescue it there (qga-tui rescue), or by hand as below."


async def merge_off(
    session: HostSession, plan: BackupPlan, disks: Sequence[PlannedDisk], why: ExplainedError, note: Note
) -> tuple[str, ...]:
    """Merge disks that the stored definition has on overlays, one level down, then define it with their bases.

    `why` tells what keeps the guest from being merged in QEMU. Returns remarks, with that one before all. Raises
    NeedsRescueError with what to type where it was not done; no overlay is deleted, and none emptied before its base
    holds all of it and was checked.
    """
    try:
        remarks = await _merge(session, plan, disks, note)
    except (ExplainedError, OSError) as error:
        told = explained(error)
        commands = " && ".join(by_hand(plan, disks))
        raise NeedsRescueError(
            TITLE,
            cause=f"{why.one_line()}; and while it is off: {told.title}{f' ({told.cause})' if told.cause else ''}",
            next_step=f"{told.next_step} Delete nothing. By hand, with the guest off: {commands}".lstrip(),
            original=told.original or why.original,
        ) from error
    return (f"it was merged while it was off, by qemu-img: {why.one_line()}", *remarks)


async def _merge(session: HostSession, plan: BackupPlan, disks: Sequence[PlannedDisk], note: Note) -> list[str]:
    if plan.source is not Source.FILE:
        raise BackupError("This user may not open its images", next_step=_AS_ROOT)
    paths = [path for disk in disks for path in (disk.base, disk.overlay)]
    elsewhere = await session.ask(lambda host: why_not_here(host, paths))
    if elsewhere:
        raise BackupError("Its images are not files of this machine", cause=elsewhere, next_step=_AS_ROOT)
    remarks: list[str] = []
    for disk in disks:
        await _refuse_shared(session, plan, disk)
        await _refuse_unless_off(session, plan)
        note(RunStage.COMMITTING, target=disk.target, off=True)
        await _refuse_foreign_chain(disk)
        # The overlay stays as it is until its base was looked at; only then it is emptied, by merging it once more.
        await _commit(disk, "-d")
        await _refuse_unless_off(session, plan)
        remarks += [remark for remark in (await _check(disk),) if remark]
        await _commit(disk)
    with ExitStack() as barred:
        for disk in disks:
            await asyncio.to_thread(barred.enter_context, barred_to_writers(disk.overlay))
            if not await allocates_nothing(disk.overlay):
                raise ImageError("The guest wrote to its overlay meanwhile", cause=disk.overlay)
        await _refuse_unless_off(session, plan)
        await _define(session, plan, disks)
    return remarks


async def _commit(disk: PlannedDisk, *options: str) -> None:
    """One level down, under the locks of both images, which qemu-img takes itself."""
    code, out, err = await run_program("qemu-img", "commit", "-q", *options, "-f", ImageFormat.QCOW2, disk.overlay)
    if code != 0:
        said = (out + err)[-2000:]
        advice = await enlarge_advice(disk) if NO_SPACE in said else ""
        raise ImageError("qemu-img could not merge the overlay", cause=disk.overlay, next_step=advice, original=said)


async def _check(disk: PlannedDisk) -> str:
    try:
        return await check_image(disk.base, disk.format)
    except ImageError as error:
        raise ImageError(
            "The disk's structure is damaged after the merge",
            cause=f"{disk.base}; its overlay was left as it was",
            next_step=f"Look at it with qemu-img check -f {disk.format}.",
            original=error.original,
        ) from error


async def _refuse_foreign_chain(disk: PlannedDisk) -> None:
    """Both images are asked for their locks; raises ImageError where one is in use, or they are no pair."""
    overlay = await image_info(disk.overlay, ImageFormat.QCOW2)
    if not disk.is_called(overlay.backing) or overlay.backing_format != disk.format:
        found = f"{overlay.backing or 'nothing'} ({overlay.backing_format or 'of no stated format'})"
        raise ImageError("The overlay lies on another image", cause=f"{disk.overlay} on {found}, not on {disk.base}")
    await image_info(disk.base, disk.format)


async def _refuse_shared(session: HostSession, plan: BackupPlan, disk: PlannedDisk) -> None:
    users = {name for each in disk.names for name in await domains_naming(session, each, plan.uuid)}
    if users:
        raise BackupError("Another guest uses the base", cause=f"{disk.base} is in use by {', '.join(sorted(users))}")


async def _refuse_unless_off(session: HostSession, plan: BackupPlan) -> None:
    facts = await session.ask(lambda host: host.read_domain(plan.uuid))
    if facts.power is not PowerState.OFF:
        raise BackupError("The guest was started meanwhile", next_step="Rescue it again.")
    if await session.ask(lambda host: host.has_managed_save(plan.uuid)):
        raise BackupError("The guest's memory was saved meanwhile", next_step="Start it, then rescue it again.")


async def _define(session: HostSession, plan: BackupPlan, disks: Sequence[PlannedDisk]) -> None:
    """Put the stored definition onto the bases, and read it back."""
    stored = await session.ask(lambda host: host.stored_xml(plan.uuid, secrets=True))
    await session.ask(lambda host: host.define(with_base(stored, disks)))
    view = await read_guest(session, plan.uuid)
    for definition in (view.stored, view.live):
        away = [disk.target for disk in disks if place_of(definition.get(disk.target), disk) is not Place.BASE]
        if away:
            raise BackupError("The definition was not put back", cause=f"it still names an overlay for {away[0]}")
