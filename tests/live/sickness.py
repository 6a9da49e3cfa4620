"""What makes a guest's agent sick, and well again, for real: courses of sicknesses that one guest goes through."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.live.watched import PATIENCE_S, Watched
from tui.doctor.causes import Cause
from tui.doctor.definition import CHANNEL_XML
from tui.doctor.examine import visit
from tui.doctor.verdict import Examination
from tui.fleet.attend import patient_of
from tui.fleet.prober import probe
from tui.hosts.libvirt_host import LibvirtHost
from tui.lab.cpio import GuestFile
from tui.lab.laboratory import Laboratory
from tui.lab.programs import LabError
from tui.lab.spec import AgentSetup, ChannelIn, GuestSpec
from tui.model.guest import AgentState, Guest, PowerState
from tui.model.probe import ProbeOutcome, Unanswered

OSINFO = "http://libosinfo.org/xmlns/libvirt/domain/1.0"
WRONG_CHANNEL = "<channel type='unix'><target type='virtio' name='org.qemu.guest-agent.0'/></channel>"
ISA_PORT = "<serial type='unix'><source mode='bind' path='{path}'/><target port='1'/></serial>"
ISA = GuestFile("/etc/default/qemu-guest-agent", b'PORT=/dev/ttyS1\nDAEMON_ARGS="-m isa-serial"\n')
EXEC_BLOCKED = ("-b", "guest-exec,guest-exec-status")
SLOW_FREEZE = "/run/freeze-waits"
HOOK_WAITS = f"[ $1 = freeze ] && while [ -e {SLOW_FREEZE} ]; do : >/run/freezing; sleep 0.2; done"
HOOK = GuestFile("/etc/slow-hook", f"#!/bin/sh\n{HOOK_WAITS}\nexit 0\n".encode(), 0o755)
PING_S = 5
STAYS_IN_PANIC = ("panic=0",)
PANIC_DEVICE = "<panic model='isa'/>"


@dataclass
class Ward:
    """The laboratory, the fleet that watches it, the strangers who hold a channel, and pings as the list sends them."""

    lab: Laboratory
    view: Watched
    host: LibvirtHost
    strangers: dict[str, socket.socket] = field(default_factory=dict)
    asking: dict[str, asyncio.Task[ProbeOutcome | None]] = field(default_factory=dict)
    freezing: dict[str, asyncio.Task[str]] = field(default_factory=dict)

    async def until(self, name: str, condition: Callable[[Guest], bool]) -> None:
        def reached() -> bool:
            guest = self.view.guest(name)
            return guest is not None and condition(guest)

        await self.view.until(reached)

    async def see(self, name: str) -> list[Examination]:
        """The first verdict, and the one that refines it."""
        guest = self.view.guest(name)
        assert guest is not None
        return [each async for each in visit(self.host, patient_of(self.view.watch.fleet, guest))]

    async def run(self, name: str, command: str) -> None:
        """Have the guest's console do something that works."""
        assert (await self.lab.shell(name, command, timeout=PATIENCE_S)).code == 0, command


Act = Callable[[Ward, str], Awaitable[None]]


@dataclass(frozen=True)
class Case:
    """A kind of sickness: how it is brought about, the one right verdict, and what makes the guest well again.

    Without `mend`, the guest's next sickness comes on top, or there is none.
    """

    what: str
    cause: Cause
    sicken: Act
    mend: Act | None = None


@dataclass(frozen=True)
class Course:
    """The sicknesses of one guest, one after the other."""

    spec: GuestSpec
    cases: tuple[Case, ...]


async def started_only(ward: Ward, name: str) -> None:
    await ward.until(name, lambda guest: guest.facts.power is PowerState.RUNNING)


async def booted(ward: Ward, name: str) -> None:
    """There is a shell on its console: the guest has booted, whatever its agent does."""
    await ward.run(name, "true")


async def answering(ward: Ward, name: str) -> None:
    await ward.lab.wait_for_agent(name)
    await port_open(ward, name)


async def port_open(ward: Ward, name: str) -> None:
    await ward.until(name, lambda guest: guest.agent.state is AgentState.CONNECTED)


async def agent_stopped(ward: Ward, name: str) -> None:
    await ward.run(name, "systemctl stop qemu-guest-agent")
    await ward.until(name, lambda guest: guest.agent.state is AgentState.DISCONNECTED)


async def agent_started(ward: Ward, name: str) -> None:
    await ward.run(name, "systemctl start qemu-guest-agent")
    await port_open(ward, name)


async def agent_uninstalled(ward: Ward, name: str) -> None:
    await ward.run(name, "mv /usr/sbin/qemu-ga /usr/sbin/qemu-ga.away")


async def stopped_process(ward: Ward, name: str) -> None:
    await ward.run(name, "kill -STOP $(pidof qemu-ga)")


async def continued_process(ward: Ward, name: str) -> None:
    await ward.run(name, "kill -CONT $(pidof qemu-ga)")


async def sync_blocked(ward: Ward, name: str) -> None:
    """The list's own ping hangs at the same time: that is no other program.

    An agent's first refusal has libvirt try once more, so that a slow start is waited for by a ping before.
    """
    await ward.run(name, "echo 'DAEMON_ARGS=\"-b guest-sync\"' >/etc/default/qemu-guest-agent")
    await agent_started(ward, name)
    guest = ward.view.guest(name)
    assert guest is not None
    line = ward.host.probe_line(guest.id.uuid)
    async with asyncio.timeout(PATIENCE_S):
        while not isinstance(await probe(line, PING_S), Unanswered):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    ward.asking[name] = asyncio.create_task(probe(line, PING_S))
    await asyncio.sleep(0)  # the task begins


async def unblocked(ward: Ward, name: str) -> None:
    assert isinstance(await ward.asking.pop(name), Unanswered)
    await ward.run(name, ": >/etc/default/qemu-guest-agent")
    await agent_stopped(ward, name)
    await agent_started(ward, name)


async def killed_again_and_again(ward: Ward, name: str) -> None:
    """QEMU reports a port at most once a second and swallows what is between, so the guest waits before each kill."""
    for _ in range(2):
        before = _port_lines(ward, name)
        await ward.run(name, "(sleep 1.5; kill -9 $(pidof qemu-ga)) >/dev/null 2>&1 &")
        await _port_moved(ward, name, before + 2)


async def _port_moved(ward: Ward, name: str, lines: int) -> None:
    await ward.view.until(lambda: _port_lines(ward, name) >= lines)


def _port_lines(ward: Ward, name: str) -> int:
    guest = ward.view.guest(name)
    return 0 if guest is None else sum(line.kind.startswith("port") for line in guest.timeline)


async def panicked(ward: Ward, name: str) -> None:
    with pytest.raises(LabError):
        await ward.lab.shell(name, "echo c >/proc/sysrq-trigger", timeout=1)


async def panicked_seen(ward: Ward, name: str) -> None:
    await panicked(ward, name)
    await ward.until(name, lambda guest: guest.facts.power is PowerState.OFF)


async def paused(ward: Ward, name: str) -> None:
    await ward.lab.virsh("suspend", name)
    await ward.until(name, lambda guest: guest.facts.power is PowerState.PAUSED)


async def resumed(ward: Ward, name: str) -> None:
    await ward.lab.virsh("resume", name)
    await started_only(ward, name)


async def frozen(ward: Ward, name: str) -> None:
    await ward.lab.agent_command(name, "guest-fsfreeze-freeze")


async def thawed(ward: Ward, name: str) -> None:
    await ward.lab.agent_command(name, "guest-fsfreeze-thaw")


async def freezing_slowly(ward: Ward, name: str) -> None:
    """Another program's freeze, whose hook in the guest does not end: libvirt lets nobody else speak to the agent."""
    await ward.run(name, f": >{SLOW_FREEZE}")
    ward.freezing[name] = asyncio.create_task(ward.lab.virsh("domfsfreeze", name))
    await ward.run(name, "until [ -e /run/freezing ]; do sleep 0.2; done")


async def freeze_ended(ward: Ward, name: str) -> None:
    await ward.run(name, f"rm {SLOW_FREEZE}")
    await ward.freezing.pop(name)
    await thawed(ward, name)


async def stranger_connected(ward: Ward, name: str) -> None:
    """A client that queued while libvirt was connected is the next one when the agent's port opens anew."""
    ward.strangers[name] = socket.socket(socket.AF_UNIX)
    ward.strangers[name].connect(str(channel_socket(await ward.lab.virsh("dumpxml", name))))
    await agent_stopped(ward, name)
    await agent_started(ward, name)


async def stranger_gone(ward: Ward, name: str) -> None:
    ward.strangers.pop(name).close()


async def oversize_reply(ward: Ward, name: str) -> None:
    await break_link(ward.lab, name)


async def agent_killed(ward: Ward, name: str) -> None:
    """SIGTERM would not do: the agent loops writing."""
    before = _port_lines(ward, name)
    await ward.run(name, "kill -9 $(pidof qemu-ga)")
    await _port_moved(ward, name, before + 2)


async def break_link(lab: Laboratory, name: str) -> None:
    """Have the agent send a reply of more than 10 MiB, on which libvirt gives up the link."""
    script = "dd if=/dev/zero bs=1M count=9 2>/dev/null"
    started = await lab.agent_command(
        name, "guest-exec", path="/bin/sh", arg=["-c", script], **{"capture-output": True}
    )
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                status = await lab.agent_command(name, "guest-exec-status", 20, pid=started["pid"])
            except LabError:
                return
            assert not status["exited"], "the reply came through"


async def call_windows(lab: Laboratory, name: str) -> None:
    """Have the running definition say that the guest is Windows, as virt-install would."""
    os_element = "<libosinfo><os id='http://microsoft.com/win/10'/></libosinfo>"
    await lab.virsh("metadata", name, OSINFO, "--key", "libosinfo", "--set", os_element, "--live")


async def windows(ward: Ward, name: str) -> None:
    await call_windows(ward.lab, name)


async def channel_stored(ward: Ward, name: str) -> None:
    await device(ward.lab, "attach", name, CHANNEL_XML, "--config")


async def channel_unstored(ward: Ward, name: str) -> None:
    await device(ward.lab, "detach", name, CHANNEL_XML, "--config")


async def channel_misnamed(ward: Ward, name: str) -> None:
    await channel_unstored(ward, name)
    await device(ward.lab, "attach", name, WRONG_CHANNEL, "--live")


async def device(lab: Laboratory, verb: str, name: str, xml: str, scope: str) -> None:
    """`virsh attach-device` or `detach-device`, --live or --config."""
    file = lab.folder / f"{name}-device.xml"
    file.write_text(xml)
    await lab.virsh(f"{verb}-device", name, str(file), scope)


def channel_socket(live_xml: str) -> Path:
    """Where on the host the agent's channel of a running guest ends."""
    path = re.search(r"<channel.*?path='([^']+)'", live_xml, re.DOTALL)
    assert path is not None
    return Path(path[1])


async def isa_agent(ward: Ward, name: str) -> None:
    """An agent that lives, on a serial port."""
    await ward.run(name, "until pidof qemu-ga; do sleep 0.2; done")


def courses(lab: Laboratory) -> tuple[tuple[Course, ...], ...]:
    """All sicknesses, in two lanes for two guests at a time: a third would take the processor from the others.

    The port of one guest may close twice within a minute before that is a sickness of its own.
    """
    isa = ISA_PORT.format(path=lab.folder / "g" / "isa.sock")
    plain = GuestSpec(
        "s-plain",
        memory_mib=256,
        kernel_args=STAYS_IN_PANIC,
        extra_devices=(PANIC_DEVICE,),
        extra_files=(HOOK,),
        agent_args=(f"-F{HOOK.path}",),
    )
    in_plain = (
        Case("just booting", Cause.NEVER_OPENED, started_only),
        Case("healthy", Cause.HEALTHY, answering),
        Case("SIGSTOPped", Cause.SILENT, stopped_process, continued_process),
        Case("paused", Cause.PAUSED, paused, resumed),
        Case("frozen", Cause.FROZEN, frozen, thawed),
        Case("busy with a slow freeze", Cause.BUSY, freezing_slowly, freeze_ended),
        Case("oversize reply", Cause.LINK_BROKEN, oversize_reply, agent_killed),
        Case("another client", Cause.HELD_BY_OTHER, stranger_connected, stranger_gone),
        Case("killed again and again", Cause.FLAPPING, killed_again_and_again),
        Case("panic, seen", Cause.PANICKED, panicked_seen),
    )
    blocked = GuestSpec("s-block", memory_mib=96, agent_args=EXEC_BLOCKED, kernel_args=STAYS_IN_PANIC)
    in_blocked = (
        Case("exec blocked", Cause.BLOCKED, port_open),
        Case("stopped after it ran", Cause.WENT_AWAY, agent_stopped),
        Case("guest-sync blocked", Cause.SILENT, sync_blocked, unblocked),
        Case("panic, no device", Cause.SILENT, panicked),
    )
    mute = GuestSpec("s-mute", memory_mib=96, windows_lookalike=True, agent=AgentSetup.NOT_STARTED)
    in_mute = (
        Case("not started", Cause.NEVER_OPENED, booted),
        Case("not installed", Cause.NEVER_OPENED, agent_uninstalled),
        Case("Windows without the service", Cause.NEVER_OPENED, windows),
    )
    bare = GuestSpec("s-bare", memory_mib=96, channel=ChannelIn.ABSENT)
    in_bare = (
        Case("no channel", Cause.NO_CHANNEL, started_only),
        Case("channel only stored", Cause.STORED_ONLY, channel_stored),
        Case("wrong target name", Cause.WRONG_NAME, channel_misnamed),
    )
    barer = GuestSpec("s-barer", memory_mib=96, channel=ChannelIn.ABSENT, virtio_serial_controller=False)
    in_barer = (Case("no channel, no controller", Cause.NO_CONTROLLER, started_only),)
    serial = GuestSpec("s-isa", memory_mib=96, channel=ChannelIn.ABSENT, extra_devices=(isa,), extra_files=(ISA,))
    in_serial = (Case("isa-serial agent", Cause.ISA_SERIAL, isa_agent),)
    return (
        (Course(plain, in_plain),),
        (
            Course(blocked, in_blocked),
            Course(mute, in_mute),
            Course(serial, in_serial),
            Course(bare, in_bare),
            Course(barer, in_barer),
        ),
    )
