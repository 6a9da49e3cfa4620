"""What a restore does to guests: putting one off, defining one, giving one a disk. Each act is read back."""

from __future__ import annotations

import asyncio
import xml.etree.ElementTree as ET
from time import monotonic

from tui.backup.chain import disks_by_target
from tui.backup.errors import BackupError
from tui.backup.restore.plan import RestorePlan, StopWay
from tui.backup.session import HostSession
from tui.hosts.domain_xml import read_definition
from tui.hosts.port import NoSuchDomainError, PowerWay
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


async def put_off(session: HostSession, plan: RestorePlan, stop: asyncio.Event, patience_s: float) -> bool:
    """Put the plan's guest off as the plan says; returns whether it was on. Raises BackupError where it stays on."""
    if await is_off(session, plan.uuid):
        return False
    if plan.stop is StopWay.FORCE_OFF:
        await session.ask(lambda host: host.force_off(plan.uuid))
    elif plan.stop is StopWay.SHUT_DOWN:
        await session.ask(lambda host: host.shut_down(plan.uuid, PowerWay.ACPI))
    end = monotonic() + patience_s
    while not await is_off(session, plan.uuid):
        if stop.is_set() or monotonic() >= end or plan.stop is StopWay.NONE:
            raise BackupError(
                f"{plan.guest} is not off",
                cause="it did not shut down" if plan.stop is StopWay.SHUT_DOWN else "it was started meanwhile",
                next_step="Shut it down yourself, or force it off (--stop force), and try again.",
            )
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


async def define(session: HostSession, xml: str) -> None:
    """Define a guest and read back that it is what was asked for; raises HostError and BackupError."""
    wanted = read_definition(xml)
    await session.ask(lambda host: host.define(xml))
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


async def undefine(session: HostSession, uuid: str) -> None:
    """Forget a guest that is off, and read back that it is gone; without effect where it is. Raises BackupError."""
    if await find(session, uuid) is None:
        return
    await session.ask(lambda host: host.undefine(uuid))
    if await find(session, uuid) is not None:
        raise BackupError("libvirt still knows the guest", cause=uuid, next_step=f"virsh undefine {uuid} --keep-nvram")


def disk_xml(plan: RestorePlan) -> str:
    """The `<disk>` that gives the plan's disk to a guest, read-only; its serial number tells the guest which it is."""
    (disk,) = plan.disks
    root = ET.Element("disk", type="file", device="disk")
    ET.SubElement(root, "driver", name="qemu", type=disk.to_format)
    ET.SubElement(root, "source", file=disk.to)
    ET.SubElement(root, "target", dev=plan.attach_as, bus="virtio")
    ET.SubElement(root, "readonly")
    ET.SubElement(root, "serial").text = f"restore-{plan.run_id}"[:SERIAL_LIMIT]
    return ET.tostring(root, encoding="unicode")


async def attach(session: HostSession, plan: RestorePlan) -> None:
    """Give the disk to the running guest and read back that it has it, read-only; raises HostError and BackupError."""
    await session.ask(lambda host: host.attach_device(plan.uuid, disk_xml(plan), live=True, stored=False))
    if not await is_attached(session, plan):
        raise BackupError(
            f"{plan.guest} did not get the disk", cause="its definition does not name it", next_step="Try again."
        )


async def is_attached(session: HostSession, plan: RestorePlan) -> bool:
    """Whether the running guest has the plan's disk."""
    if await find(session, plan.uuid) is None:
        return False
    (disk,) = plan.disks
    live = disks_by_target(await session.ask(lambda host: host.live_xml(plan.uuid)))
    there = live.get(plan.attach_as)
    return there is not None and there.source == disk.to and there.readonly


async def detach(session: HostSession, plan: RestorePlan) -> None:
    """Take the disk away from the guest again; raises BackupError where the guest does not give it back."""
    if not await is_attached(session, plan):
        return
    await session.ask(lambda host: host.detach_device(plan.uuid, disk_xml(plan), live=True, stored=False))
    end = monotonic() + DETACH_S
    while await is_attached(session, plan):
        if monotonic() >= end:
            raise BackupError(
                f"{plan.guest} does not give the disk back",
                cause=f"{plan.attach_as} is in use in it, maybe mounted",
                next_step="Unmount it in the guest, and try again.",
            )
        await session.wait_for_news(POLL_S)
