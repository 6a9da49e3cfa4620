"""Does our own fixes and reads back what became of them: a success is only what the host then shows."""

from __future__ import annotations

import asyncio
import time
import xml.etree.ElementTree as ET
from collections.abc import Awaitable, Callable
from pathlib import Path
from shlex import quote

from tui.agent import commands
from tui.doctor.definition import CHANNEL_XML, Definition, read_definition
from tui.doctor.facts import Patient
from tui.doctor.fixes import POWER_CYCLE, FixKind, virsh_at
from tui.hosts.port import Host, HostError
from tui.model.errors import ExplainedError
from tui.model.guest import PowerState

THAW_S = 10
UNPLUG_S = 10.0
"""Seconds that a guest has to let go of a port."""
LOOK_S = 0.1
MEDIA = (
    "/usr/share/virtio-win/virtio-win.iso",
    "/var/lib/libvirt/images/virtio-win*.iso",
    "/var/lib/libvirt/boot/virtio-win*.iso",
    "/var/lib/vz/template/iso/virtio-win*.iso",
    "/usr/share/drivers/windows/virtio-win*.iso",
)
"""Where distributions and habit keep the ISO; searched on this machine."""


class FixFailedError(ExplainedError):
    """A fix was tried and the host does not show its effect."""


async def apply(host: Host, patient: Patient, kind: FixKind, medium: str = "") -> str:
    """Do a fix and return what the host shows afterwards, in a sentence.

    Raises HostError and AgentError as the calls do, and FixFailedError where they went well and nothing changed.
    """
    match kind:
        case FixKind.ATTACH:
            return await _attach(host, patient, live=True, stored=True)
        case FixKind.ATTACH_LIVE:
            return await _attach(host, patient, live=True, stored=False)
        case FixKind.ATTACH_STORED:
            return await _attach(host, patient, live=False, stored=True)
        case FixKind.INSERT_DRIVERS:
            return await _insert(host, patient, medium)
        case FixKind.RESUME:
            return await _resume(host, patient)
        case FixKind.THAW:
            return await _thaw(host, patient)
        case FixKind.RELINK:
            return await _relink(host, patient)


def find_media() -> tuple[str, ...]:
    """The virtio-win ISOs in the usual places of this machine, newest first."""
    found: dict[Path, float] = {}
    for pattern in MEDIA:
        for path in Path("/").glob(pattern.lstrip("/")):
            try:
                found[path] = path.stat().st_mtime
            except OSError:
                continue
    return tuple(str(path) for path in sorted(found, key=found.__getitem__, reverse=True))


async def _definition(host: Host, patient: Patient, *, live: bool) -> Definition:
    return read_definition(await (host.live_xml if live else host.stored_xml)(patient.uuid))


async def _attach(host: Host, patient: Patient, *, live: bool, stored: bool) -> str:
    await host.attach_device(patient.uuid, CHANNEL_XML, live=live, stored=stored)
    for wanted, is_live, name in ((live, True, "running"), (stored, False, "stored")):
        if wanted and not (await _definition(host, patient, live=is_live)).agent_channels:
            raise FixFailedError("The channel was not added", cause=f"the {name} definition does not show it")
    if not live:
        runs_with_it = (await _definition(host, patient, live=True)).agent_channels
        return "The stored definition has the channel " + ("too." if runs_with_it else f"now. It {POWER_CYCLE}.")
    return f"The channel is plugged in{' and stored' if stored else ''}. An agent in the guest opens it by itself."


async def _insert(host: Host, patient: Patient, medium: str) -> str:
    """Change the medium of the first CD drive, keeping the rest of the drive as the XML has it."""
    if not Path(medium).is_absolute():
        raise FixFailedError("Nothing was inserted", cause="the path of the ISO must begin with /")
    root = ET.fromstring(await host.live_xml(patient.uuid))  # noqa: S314 - of libvirt's own making, bounded by its RPC
    drive = root.find("./devices/disk[@device='cdrom']")
    if drive is None:
        raise FixFailedError("Nothing was inserted", cause="the guest has no CD drive")
    for element in drive.findall("source") + drive.findall("backingStore"):
        drive.remove(element)
    drive.set("type", "file")
    drive.insert(0, ET.Element("source", file=medium))
    await host.update_device(patient.uuid, ET.tostring(drive, encoding="unicode"), live=True, stored=False)
    now = await _definition(host, patient, live=True)
    if not any(inside == medium for _, inside in now.cdroms):
        raise FixFailedError("The drive does not show the ISO", cause=f"it has {now.cdroms}")
    return "The ISO is in the drive; in Windows it appears as a CD."


async def _resume(host: Host, patient: Patient) -> str:
    await host.resume(patient.uuid)
    facts = await host.read_domain(patient.uuid)
    if facts.power is not PowerState.RUNNING:
        raise FixFailedError("The guest does not run on", cause=f"it is {facts.power}: {facts.power_reason}")
    return "The guest runs on."


async def _thaw(host: Host, patient: Patient) -> str:
    line = host.work_line(patient.uuid)
    count = await commands.fsfreeze_thaw(line, THAW_S)
    if await commands.fsfreeze_status(line) is not commands.FreezeStatus.THAWED:
        raise FixFailedError("The guest is still frozen", cause=f"the agent thawed {count} file systems")
    return f"{count} file system{'s' if count != 1 else ''} thawed."


async def _relink(host: Host, patient: Patient) -> str:
    """Take the channel out of the running guest and plug in the same again; the stored definition is not touched."""
    channels = (await _definition(host, patient, live=True)).agent_channels
    if not channels:
        raise FixFailedError("There is no channel to detach")
    await host.detach_device(patient.uuid, channels[0].xml, live=True, stored=False)

    async def unplugged() -> bool:
        return not (await _definition(host, patient, live=True)).agent_channels

    if not await _becomes(unplugged, UNPLUG_S):
        raise FixFailedError(
            "The guest does not let go of the channel",
            cause=f"it is still there after {UNPLUG_S:.0f} s",
            next_step="Kill the agent in the guest instead.",
        )
    await _plug_in_again(host, patient, channels[0].xml)
    if not (await _definition(host, patient, live=True)).agent_channels:
        raise FixFailedError("The channel was taken out and did not come back", next_step=_by_hand(host, patient))
    return "The channel was taken out and plugged in again; the agent opens it by itself."


async def _plug_in_again(host: Host, patient: Patient, taken_out: str) -> None:
    """A fresh channel, or else the very one that was taken out; where the host takes neither, say how to do it."""
    try:
        await host.attach_device(patient.uuid, CHANNEL_XML, live=True, stored=False)
    except HostError as error:
        try:
            await host.attach_device(patient.uuid, taken_out, live=True, stored=False)
        except HostError:
            raise FixFailedError(
                "The channel was taken out and could not be put back",
                cause=error.cause or error.original,
                next_step=_by_hand(host, patient),
                original=error.original,
            ) from error


def _by_hand(host: Host, patient: Patient) -> str:
    virsh, name = virsh_at(host.uri), quote(patient.name)
    return (
        f"Mend what the host says, then attach the channel live from here (r looks again), or by hand: "
        f"{virsh} attach-device {name} FILE --live, FILE with {CHANNEL_XML}"
    )


async def _becomes(condition: Callable[[], Awaitable[bool]], within_s: float) -> bool:
    end = time.monotonic() + within_s
    while not await condition():
        if time.monotonic() > end:
            return False
        await asyncio.sleep(LOOK_S)
    return True
