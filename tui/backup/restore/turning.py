"""Both ways out of a restore, from wherever it stands: on to the new state, or back to the old one.

Each looks at what is there and may be repeated, so that it also finishes the work of a process that died.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from tui.backup.acts import force_off
from tui.backup.durable import read_text, write_new
from tui.backup.restore.definition import with_former_disks, with_restored_disks
from tui.backup.restore.files import put_in, remove_folder, remove_partials, take_back
from tui.backup.restore.guest import attach, define, detach, find, require_off, require_present, undefine
from tui.backup.restore.images_in_use import require_undoable, require_unused
from tui.backup.restore.plan import RestorePlan, RestoreWay
from tui.backup.runs import RestoreRun
from tui.backup.same_machine import require_here
from tui.backup.session import HostSession
from tui.hosts.domain_xml import XML_LIMIT
from tui.model.guest import PowerState

DEFINITION = "definition.xml"
"""The definition that is restored, in the run's folder."""
BEFORE = "before.xml"
"""The guest's definition before it was restored in place, in the run's folder; absent where there was none."""


@dataclass(frozen=True, slots=True)
class Definitions:
    """What the run's folder keeps: the definition restored, and the one before, each empty where there is none."""

    restored: str = ""
    before: str = ""


def keep_definitions(run: RestoreRun, definitions: Definitions) -> None:
    """Write them into the run's folder, open to the user alone: they hold secrets. Raises OSError."""
    for name, xml in ((DEFINITION, definitions.restored), (BEFORE, definitions.before)):
        if xml:
            write_new(run.folder / name, xml)


def read_definitions(run: RestoreRun) -> Definitions:
    """What `keep_definitions` wrote; raises OSError."""

    def read(name: str) -> str:
        try:
            return read_text(run.folder / name, XML_LIMIT)
        except FileNotFoundError:
            return ""

    return Definitions(read(DEFINITION), read(BEFORE))


async def put_files_in(session: HostSession, plan: RestorePlan) -> None:
    """Give every copy its name, former files aside; raises OSError and BackupError."""
    if plan.way is RestoreWay.IN_PLACE:
        await require_off(session, plan)
    if plan.keeps_definition:
        await require_present(session, plan)
    await require_here(session, plan)
    if plan.way is RestoreWay.IN_PLACE:
        await require_unused(session, plan)
    for file in plan.files:
        await asyncio.to_thread(put_in, file)


async def hand_over(session: HostSession, run: RestoreRun) -> tuple[str, ...]:
    """Define the guest on its restored images, or give the running guest its disks; raises HostError, BackupError.

    Returns remarks: that libvirt's schema refuses the definition, which is defined all the same.
    """
    plan = run.plan
    if plan.way is RestoreWay.IN_PLACE:
        # Somebody may have started it while its images were moved: it would run on the former ones.
        await require_off(session, plan)
    remark = ""
    if plan.keeps_definition:
        remark = await _name_restored(session, run)
    elif plan.defines:
        remark = await define(session, read_definitions(run).restored)
    elif plan.way is RestoreWay.ATTACH:
        await attach(session, plan)
    return (remark,) if remark else ()


async def _name_restored(session: HostSession, run: RestoreRun) -> str:
    """See that the guest's present definition names the restored images, and change nothing else in it.

    A transient guest is gone with its end, and defined as it was.
    """
    plan = run.plan
    present = await _present(session, plan)
    named = with_restored_disks(plan, present or read_definitions(run).before)
    remark = await define(session, named) if named != present else ""
    await require_present(session, plan)
    return remark


async def _present(session: HostSession, plan: RestorePlan) -> str:
    """The guest's stored definition with its secrets, empty where there is no such guest; raises HostError."""
    if await find(session, plan.uuid) is None:
        return ""
    return await session.ask(lambda host: host.stored_xml(plan.uuid, secrets=True))


async def turn_back(session: HostSession, run: RestoreRun, *, moved: bool, keep: bool) -> None:
    """Put the former state back; `moved` says that copies may have got their names already.

    `keep` leaves the restored images under a third name, for they may have been used; without it what the restore made
    is removed. Raises OSError, HostError, and BackupError where the guest is in the way.
    """
    plan = run.plan
    if moved:
        await require_here(session, plan)
        await _let_go(session, plan)
        if plan.way is RestoreWay.IN_PLACE:
            await require_undoable(session, plan, read_definitions(run).before)
        for file in plan.files:
            await asyncio.to_thread(take_back, file, plan.run_id, keep=keep)
        if plan.way is RestoreWay.IN_PLACE:
            await define_former(session, run)
    await asyncio.to_thread(remove_partials, plan.files)
    await asyncio.to_thread(remove_folder, plan)


async def _let_go(session: HostSession, plan: RestorePlan) -> None:
    """See that nobody uses the restored images."""
    match plan.way:
        case RestoreWay.IN_PLACE:
            await require_off(session, plan)
        case RestoreWay.BOOT_TEST:
            await remove_guest(session, plan)
        case RestoreWay.CLONE:
            await require_off(session, plan)
            await undefine(session, plan.uuid, with_tpm=True)
        case RestoreWay.ATTACH:
            await detach(session, plan)
        case RestoreWay.DISK:
            return


async def remove_guest(session: HostSession, plan: RestorePlan) -> None:
    """Cut the power of a boot test's clone and forget it; raises HostError and BackupError."""
    facts = await find(session, plan.uuid)
    if facts is not None and facts.power is not PowerState.OFF:
        await force_off(session, plan.uuid)
    await undefine(session, plan.uuid, with_tpm=True)


async def define_former(session: HostSession, run: RestoreRun) -> None:
    """Define the guest as it was before the run, or forget it where there was none; raises HostError, BackupError.

    Of a guest that kept its definition, only what the run changed in it is put back.
    """
    before, plan = read_definitions(run).before, run.plan
    if not before:
        await undefine(session, plan.uuid)
        return
    present = await _present(session, plan)
    wanted = with_former_disks(plan, present, before) if present and plan.keeps_definition else before
    if wanted != present:
        await define(session, wanted)
