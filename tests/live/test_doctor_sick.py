"""Sick guests made real, one at a time, and the verdict on each: a clean diagonal, no finer than the host can tell."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from statistics import median

import pytest

from tests.live.watched import PATIENCE_S, Watched, watched
from tui.doctor.causes import Cause
from tui.doctor.examine import examine
from tui.doctor.systems import Family
from tui.doctor.verdict import Examination
from tui.fleet.attend import patient_of
from tui.fleet.liveness import LivenessPolicy
from tui.hosts.libvirt_host import LibvirtHost
from tui.lab.cpio import GuestFile
from tui.lab.laboratory import Laboratory
from tui.lab.programs import LabError
from tui.lab.spec import AgentSetup, ChannelIn, GuestSpec
from tui.model.guest import AgentState, Guest, PowerState

ON_DEMAND = LivenessPolicy(cycle_s=0)
OSINFO = "http://libosinfo.org/xmlns/libvirt/domain/1.0"
ISA_PORT = "<serial type='unix'><source mode='bind' path='{path}'/><target port='1'/></serial>"


@dataclass
class Ward:
    """The laboratory, the fleet that watches it, and what is to be undone."""

    lab: Laboratory
    view: Watched
    host: LibvirtHost

    async def until(self, name: str, condition: Callable[[Guest], bool]) -> None:
        def reached() -> bool:
            guest = self.view.guest(name)
            return guest is not None and condition(guest)

        await self.view.until(reached)

    async def up(self, name: str) -> None:
        """Wait for the shell on its console: the guest has booted, whatever its agent does."""
        assert (await self.lab.shell(name, "true", timeout=PATIENCE_S)).code == 0

    async def see(self, name: str) -> Examination:
        guest = self.view.guest(name)
        assert guest is not None
        return await examine(self.host, patient_of(self.view.watch.fleet, guest))


Sicken = Callable[[Ward, str], Awaitable[None]]


@dataclass(frozen=True)
class Case:
    """A kind of sickness: the guest it needs, how it is brought about, and the one right verdict."""

    what: str
    cause: Cause
    spec: GuestSpec
    sicken: Sicken


async def booted(ward: Ward, name: str) -> None:
    await ward.up(name)


async def isa_agent(ward: Ward, name: str) -> None:
    """An agent that lives, on a serial port."""
    assert (await ward.lab.shell(name, "until pidof qemu-ga; do sleep 0.2; done")).code == 0


async def started_only(ward: Ward, name: str) -> None:
    await ward.until(name, lambda guest: guest.facts.power is PowerState.RUNNING)


async def answering(ward: Ward, name: str) -> None:
    await ward.lab.wait_for_agent(name)
    await ward.until(name, lambda guest: guest.agent.state is AgentState.CONNECTED)


async def stopped_process(ward: Ward, name: str) -> None:
    await answering(ward, name)
    await ward.lab.shell(name, "kill -STOP $(pidof qemu-ga)")


async def killed_three_times(ward: Ward, name: str) -> None:
    """QEMU reports a port at most once a second and swallows what is between, so the guest waits before each kill."""
    await answering(ward, name)
    for _ in range(3):
        before = len(_port_lines(ward, name))
        await ward.lab.shell(name, "(sleep 2; kill -9 $(pidof qemu-ga)) >/dev/null 2>&1 &")
        await ward.view.until(lambda seen=before: len(_port_lines(ward, name)) >= seen + 2)  # type: ignore[misc]


def _port_lines(ward: Ward, name: str) -> list[str]:
    guest = ward.view.guest(name)
    return [] if guest is None else [line.kind for line in guest.timeline if line.kind.startswith("port")]


async def service_stopped(ward: Ward, name: str) -> None:
    await answering(ward, name)
    await ward.lab.shell(name, "systemctl stop qemu-guest-agent")
    await ward.until(name, lambda guest: guest.agent.state is AgentState.DISCONNECTED)


async def panicked_unseen(ward: Ward, name: str) -> None:
    await answering(ward, name)
    with pytest.raises(LabError):
        await ward.lab.shell(name, "echo c >/proc/sysrq-trigger", timeout=2)


async def panicked_seen(ward: Ward, name: str) -> None:
    await panicked_unseen(ward, name)
    await ward.until(name, lambda guest: guest.facts.power is PowerState.OFF)


async def paused(ward: Ward, name: str) -> None:
    await answering(ward, name)
    await ward.lab.virsh("suspend", name)
    await ward.until(name, lambda guest: guest.facts.power is PowerState.PAUSED)


async def frozen(ward: Ward, name: str) -> None:
    await answering(ward, name)
    await ward.lab.agent_command(name, "guest-fsfreeze-freeze")


async def port_open(ward: Ward, name: str) -> None:
    await ward.until(name, lambda guest: guest.agent.state is AgentState.CONNECTED)


_strangers: list[socket.socket] = []


async def stranger_connected(ward: Ward, name: str) -> None:
    """A client that queued while libvirt was connected is the next one when the agent's port opens anew."""
    await answering(ward, name)
    path = re.search(r"<channel.*?path='([^']+)'", await ward.lab.virsh("dumpxml", name), re.DOTALL)
    assert path is not None
    stranger = socket.socket(socket.AF_UNIX)
    stranger.connect(path[1])
    _strangers.append(stranger)
    await ward.lab.shell(name, "systemctl stop qemu-guest-agent")
    await ward.until(name, lambda guest: guest.agent.state is AgentState.DISCONNECTED)
    await ward.lab.shell(name, "systemctl start qemu-guest-agent")
    await port_open(ward, name)


async def oversize_reply(ward: Ward, name: str) -> None:
    await answering(ward, name)
    await break_link(ward.lab, name)


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


BLOCKED = ("-b", "guest-exec,guest-exec-status")
NO_SYNC = ("-b", "guest-sync")
ISA = GuestFile("/etc/default/qemu-guest-agent", b'PORT=/dev/ttyS1\nDAEMON_ARGS="-m isa-serial"\n')
PANIC = ("panic=0",)


def cases(lab: Laboratory) -> tuple[Case, ...]:
    def spec(name: str, **more: object) -> GuestSpec:
        return GuestSpec(name, **{"memory_mib": 96, **more})  # type: ignore[arg-type]

    isa = ISA_PORT.format(path=lab.folder / "g" / "isa.sock")
    wrong = "org.qemu.guest-agent.0"
    return (
        Case("healthy", Cause.HEALTHY, spec("well"), answering),
        Case("not installed", Cause.NEVER_OPENED, spec("s-absent", agent=AgentSetup.NOT_INSTALLED), booted),
        Case("not started", Cause.NEVER_OPENED, spec("s-mute", agent=AgentSetup.NOT_STARTED), booted),
        Case("just booting", Cause.NEVER_OPENED, spec("s-young"), started_only),
        Case("stopped after it ran", Cause.WENT_AWAY, spec("s-gone"), service_stopped),
        Case("killed again and again", Cause.FLAPPING, spec("s-flap"), killed_three_times),
        Case("SIGSTOPped", Cause.SILENT, spec("s-stop"), stopped_process),
        Case("guest-sync blocked", Cause.SILENT, spec("s-sync", agent_args=NO_SYNC), port_open),
        Case("panic, no device", Cause.SILENT, spec("s-panic", kernel_args=PANIC), panicked_unseen),
        Case(
            "panic, seen",
            Cause.PANICKED,
            spec("s-crash", kernel_args=PANIC, extra_devices=("<panic model='isa'/>",)),
            panicked_seen,
        ),
        Case("no channel", Cause.NO_CHANNEL, spec("s-bare", channel=ChannelIn.ABSENT), started_only),
        Case(
            "no channel, no controller",
            Cause.NO_CONTROLLER,
            spec("s-barer", channel=ChannelIn.ABSENT, virtio_serial_controller=False),
            started_only,
        ),
        Case("channel only stored", Cause.STORED_ONLY, spec("s-later", channel=ChannelIn.STORED_ONLY), started_only),
        Case("wrong target name", Cause.WRONG_NAME, spec("s-named", channel_name=wrong), started_only),
        Case(
            "isa-serial agent",
            Cause.ISA_SERIAL,
            spec("s-isa", channel=ChannelIn.ABSENT, extra_devices=(isa,), extra_files=(ISA,)),
            isa_agent,
        ),
        Case("paused", Cause.PAUSED, spec("s-pause"), paused),
        Case("exec blocked", Cause.BLOCKED, spec("s-block", agent_args=BLOCKED), port_open),
        Case("frozen", Cause.FROZEN, spec("s-cold"), frozen),
        Case("another client", Cause.HELD_BY_OTHER, spec("s-held"), stranger_connected),
        Case("oversize reply", Cause.LINK_BROKEN, spec("s-link", memory_mib=256), oversize_reply),
        Case(
            "Windows without the service",
            Cause.NEVER_OPENED,
            spec("s-win", windows_lookalike=True, agent=AgentSetup.NOT_STARTED),
            booted,
        ),
    )


def matrix(rows: list[tuple[Case, Examination]]) -> str:
    """What each sickness was, what the doctor said, and how long that took."""
    lines = [f"{'sickness':<28}{'meant':<26}{'said':<26}{'s':>5}"]
    for case, seen in rows:
        mark = "" if seen.verdict.cause is case.cause else "  <- WRONG"
        lines.append(f"{case.what:<28}{case.cause:<26}{seen.verdict.cause:<26}{seen.facts.took_s:>5.1f}{mark}")
    right = sum(1 for case, seen in rows if seen.verdict.cause is case.cause)
    times = [seen.facts.took_s for _, seen in rows]
    lines.append(
        f"{right} of {len(rows)} on the diagonal; to a verdict: median {median(times):.2f} s, worst {max(times):.2f} s"
    )
    return "\n".join(lines)


async def test_every_sickness_gets_its_own_verdict_and_the_healthy_guest_none(lab: Laboratory) -> None:
    rows: list[tuple[Case, Examination]] = []
    async with watched(lab.uri, policy=ON_DEMAND) as view:
        ward = Ward(lab, view, LibvirtHost(lab.uri, "ward"))
        for case in cases(lab):
            name = case.spec.name
            await lab.add(case.spec)
            if case.spec.windows_lookalike:
                os_element = "<libosinfo><os id='http://microsoft.com/win/10'/></libosinfo>"
                await lab.virsh("metadata", name, OSINFO, "--key", "libosinfo", "--set", os_element, "--live")
            try:
                await case.sicken(ward, name)
                seen = await ward.see(name)
            finally:
                while _strangers:
                    _strangers.pop().close()
                await lab.virsh("destroy", name)
                await lab.virsh("undefine", name)
            rows.append((case, seen))
            print(f"\n{case.what}: {seen.verdict.sentence}", flush=True)
        await ward.host.close()
    print(matrix(rows))
    assert [(case.what, seen.verdict.cause) for case, seen in rows] == [(case.what, case.cause) for case, _ in rows]
    by_case = {case.what: seen for case, seen in rows}
    assert not by_case["healthy"].verdict.also
    assert by_case["Windows without the service"].facts.system.family is Family.WINDOWS
    for what in ("not installed", "not started", "just booting"):
        assert len(by_case[what].verdict.others) >= 4, "a class names its members"
        assert "s ago" in by_case[what].verdict.sentence
