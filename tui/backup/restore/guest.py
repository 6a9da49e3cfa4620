"""What a restore does to guests: putting one off, defining one, giving one a disk. Each act is read back."""

from __future__ import annotations

import asyncio
import xml.etree.ElementTree as ET
from shlex import quote
from time import monotonic

from tui.backup.acts import force_off, shut_down
from tui.backup.chain import disks_by_target
from tui.backup.defining import define_as_it_is
from tui.backup.errors import BackupError
from tui.backup.restore.plan import RestoredFile, RestorePlan, StopWay
from tui.backup.restore.present import moved_since, present_disks
from tui.backup.session import HostSession
from tui.hosts.domain_xml import read_definition
from tui.hosts.port import NoSuchDomainError
from tui.model.guest import DomainFacts, PowerState

SERIAL_LIMIT = 20
"""Bytes of a virtio disk's serial number (VIRTIO_BLK_ID_BYTES)."""
POLL_S = 1.0
DETACH_S = 30.0


async def find(session: HostSession, uuid: str) -> DomainFacts | None:
    """The domain of that UUID, None where there is none; raises HostError."""
    try:
        return await session.ask(lambda host: host.read_domain(uuid))
    except NoSuchDomainError:
        return None


async def is_off(session: HostSession, uuid: str) -> bool:
    """Whether the domain does not run, or is not there at all."""
    facts = await find(session, uuid)
    return facts is None or facts.power is PowerState.OFF


async def put_off(session: HostSession, plan: RestorePlan, stop: asyncio.Event, patience_s: float) -> None:
    """Put the plan's guest off as the plan says; raises BackupError where it stays on, and it may go off afterwards."""
    if await is_off(session, plan.uuid):
        return
    if plan.stop is StopWay.FORCE_OFF:
        await force_off(session, plan.uuid)
    elif plan.stop is StopWay.SHUT_DOWN:
        await shut_down(session, plan.uuid)
    end = monotonic() + patience_s
    while not await is_off(session, plan.uuid):
        if stop.is_set() or monotonic() >= end or plan.stop is StopWay.NONE:
            raise BackupError(
                f"{plan.guest} is not off",
                cause="it did not shut down" if plan.stop is StopWay.SHUT_DOWN else "it was started meanwhile",
                next_step="Shut it down yourself, or force it off (--stop force), and try again.",
            )
        await session.wait_for_news(POLL_S)


async def goes_off(session: HostSession, uuid: str, patience_s: float) -> bool:
    """Whether a guest that was asked to go off is so within that time."""
    end = monotonic() + patience_s
    while not await is_off(session, uuid):
        if monotonic() >= end:
            return False
        await session.wait_for_news(POLL_S)
    return True


async def require_off(session: HostSession, plan: RestorePlan) -> None:
    """Raise BackupError where the plan's guest runs: its images are about to be changed under it."""
    if not await is_off(session, plan.uuid):
        raise BackupError(
            f"{plan.guest} runs",
            cause="its images cannot be changed meanwhile",
            next_step="Shut it down, and try again.",
        )


async def require_present(session: HostSession, plan: RestorePlan) -> None:
    """Raise BackupError where the plan's guest has not the disks the plan is about; without effect where it is gone."""
    if await find(session, plan.uuid) is None:
        return
    xml = await session.ask(lambda host: host.stored_xml(plan.uuid))
    moved = moved_since(plan, await session.ask(lambda host: present_disks(host, xml)))
    if moved:
        raise BackupError(
            f"The disks of {plan.guest} are not where they were",
            cause="; ".join(moved),
            next_step=f"Have its definition name them again, and try again: virsh -c {quote(plan.uri)} edit "
            f"{quote(plan.guest)}",
        )


async def define(session: HostSession, xml: str) -> str:
    """Define a guest and read back that it is what was asked for; raises HostError and BackupError.

    Returns a remark where libvirt's schema refuses the definition, else nothing.
    """
    wanted = read_definition(xml)
    remark = await session.ask(lambda host: define_as_it_is(host, xml))
    stored = await session.ask(lambda host: host.stored_xml(wanted.uuid))
    found = read_definition(stored)
    images = {disk.target: (disk.source, disk.format) for disk in found.disks if disk.source}
    missing = [d.target for d in wanted.disks if d.source and images.get(d.target) != (d.source, d.format)]
    if found.name != wanted.name or missing:
        raise BackupError(
            "libvirt did not define the guest as it was asked to",
            cause=f"other images for {', '.join(missing)}" if missing else f"its name is {found.name}",
            original=stored[:2000],
        )
    return remark


async def undefine(session: HostSession, uuid: str, *, with_tpm: bool = False) -> None:
    """Forget a guest that is off, and read back that it is gone; without effect where it is. Raises BackupError.

    The state of its TPM is forgotten with it only where `with_tpm` says so.
    """
    if await find(session, uuid) is None:
        return
    await session.act(lambda host: host.undefine(uuid, with_tpm=with_tpm), lambda: _is_gone(session, uuid))
    if await find(session, uuid) is not None:
        virsh = f"virsh undefine {uuid} --keep-nvram {'--tpm' if with_tpm else '--keep-tpm'}"
        raise BackupError("libvirt still knows the guest", cause=uuid, next_step=virsh)


def disk_xml(plan: RestorePlan, disk: RestoredFile) -> str:
    """The `<disk>` that gives a guest a disk of the plan, read-only; its serial number tells the guest which it is."""
    root = ET.Element("disk", type="file", device="disk")
    ET.SubElement(root, "driver", name="qemu", type=disk.to_format)
    ET.SubElement(root, "source", file=disk.to)
    ET.SubElement(root, "target", dev=disk.attach_as, bus="virtio")
    ET.SubElement(root, "readonly")
    ET.SubElement(root, "serial").text = f"{disk.name}-restore-{plan.run_id}"[:SERIAL_LIMIT]
    return ET.tostring(root, encoding="unicode")


async def attach(session: HostSession, plan: RestorePlan) -> None:
    """Give the running guest the disks it lacks and read back that it has them, read-only.

    Raises HostError and BackupError; it may have some of them then.
    """
    there = await attached(session, plan)
    for disk in plan.disks:
        if disk not in there:
            await _give(session, plan, disk)
    there = await attached(session, plan)
    missing = ", ".join(disk.name for disk in plan.disks if disk not in there)
    if missing:
        raise BackupError(
            f"{plan.guest} did not get {missing}", cause="its definition does not name it", next_step="Try again."
        )


async def attached(session: HostSession, plan: RestorePlan) -> tuple[RestoredFile, ...]:
    """Which of the plan's disks the running guest has, read-only."""
    if await find(session, plan.uuid) is None:
        return ()
    live = disks_by_target(await session.ask(lambda host: host.live_xml(plan.uuid)))
    there = {(target, disk.source) for target, disk in live.items() if disk.readonly}
    return tuple(disk for disk in plan.disks if (disk.attach_as, disk.to) in there)


async def _is_gone(session: HostSession, uuid: str) -> bool:
    return await find(session, uuid) is None


async def detach(session: HostSession, plan: RestorePlan) -> None:
    """Take the disks away from the guest again; raises BackupError where it does not give one back."""
    for disk in await attached(session, plan):
        await _ask_back(session, plan, disk)
    end = monotonic() + DETACH_S
    while left := await attached(session, plan):
        if monotonic() >= end:
            names = ", ".join(disk.attach_as for disk in left)
            raise BackupError(
                f"{plan.guest} does not give {names} back",
                cause="in use in it, maybe mounted",
                next_step="Unmount it in the guest, and try again.",
            )
        await session.wait_for_news(POLL_S)


async def _give(session: HostSession, plan: RestorePlan, disk: RestoredFile) -> None:
    async def has_it() -> bool:
        return disk in await attached(session, plan)

    xml = disk_xml(plan, disk)
    await session.act(lambda host: host.attach_device(plan.uuid, xml, live=True, stored=False), has_it)


async def _ask_back(session: HostSession, plan: RestorePlan, disk: RestoredFile) -> None:
    async def gave_it() -> bool:
        return disk not in await attached(session, plan)

    xml = disk_xml(plan, disk)
    await session.act(lambda host: host.detach_device(plan.uuid, xml, live=True, stored=False), gave_it)
