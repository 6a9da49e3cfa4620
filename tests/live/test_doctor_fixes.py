"""Our own fixes, each through the screen on a real guest: the state turns good, and nothing else changes."""

from __future__ import annotations

import asyncio
import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import AsyncIterator, Callable
from shlex import quote

import pytest
import pytest_asyncio
from textual.pilot import Pilot
from textual.widgets import OptionList

from tests.live.piloted import go_to
from tests.live.sickness import break_link, call_windows, channel_socket, device
from tests.live.watched import PATIENCE_S
from tui.app import QgaTui
from tui.cli.connect import hosts_for
from tui.doctor.apply import FixFailedError, apply
from tui.doctor.causes import Cause
from tui.doctor.definition import CHANNEL_XML, read_definition
from tui.doctor.facts import Patient
from tui.doctor.fixes import FixKind, OurFix
from tui.hosts.domain_xml import AGENT_PORT
from tui.hosts.libvirt_host import LibvirtHost
from tui.lab.laboratory import Laboratory
from tui.lab.spec import AgentSetup, ChannelIn, GuestSpec
from tui.screens.doctor import DoctorScreen
from tui.screens.doctor_details import FixScreen

CHANNEL, CONTROLLER = "channel", "controller"
DRIVE = "<disk type='file' device='cdrom'><target dev='sda' bus='sata'/><readonly/></disk>"


async def until(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
    """Let the program run until the condition holds."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                await pilot.pause(0.05)
    except TimeoutError as error:
        raise AssertionError(f"{pilot.app.screen}: {shown(pilot)}") from error


def shown(pilot: Pilot[None]) -> str:
    """What the doctor's screen says now, for whoever reads a failure."""
    screens = [screen for screen in pilot.app.screen_stack if isinstance(screen, DoctorScreen)]
    return " / ".join(
        f"{screen.examination and screen.examination.verdict.sentence}; {screen.last_change}" for screen in screens
    )


async def call_doctor(pilot: Pilot[None], app: QgaTui, name: str) -> DoctorScreen:
    await go_to(pilot, app, name)
    await pilot.press("D")
    await until(pilot, lambda: isinstance(app.screen, DoctorScreen))
    assert isinstance(app.screen, DoctorScreen)
    return app.screen


def says(screen: DoctorScreen, *causes: Cause) -> Callable[[], bool]:
    return lambda: screen.examination is not None and screen.examination.verdict.cause in causes


async def mend(pilot: Pilot[None], app: QgaTui, screen: DoctorScreen, wrong: Cause, right: Cause) -> OurFix:
    """Wait for the wrong verdict, take the first fix by its keys, wait for the right one; the fix as it was shown."""
    await until(pilot, says(screen, wrong))
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(app.screen, FixScreen))
    assert isinstance(app.screen, FixScreen)
    fix = app.screen.fix
    await pilot.press("y")
    await until(pilot, says(screen, right))
    return fix


async def stored(lab: Laboratory, name: str) -> str:
    return await lab.virsh("dumpxml", name, "--inactive")


def difference(before: str, after: str) -> tuple[list[str], list[str]]:
    """The elements below <devices>, and beside it, that are only in the later or only in the earlier definition."""

    def parts(xml: str) -> Counter[str]:
        root = ET.fromstring(xml)
        devices = root.findall("./devices/*")
        others = [element for element in root if element.tag != "devices"]
        return Counter(ET.canonicalize(ET.tostring(each), strip_text=True) for each in devices + others)

    added, removed = parts(after) - parts(before), parts(before) - parts(after)
    return [ET.fromstring(each).tag for each in added.elements()], list(removed.elements())


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bare(lab: Laboratory) -> AsyncIterator[str]:
    """A guest without an agent channel, though with a controller for one; it may have one later."""
    name = "f-bare"
    await lab.add(GuestSpec(name, memory_mib=256, channel=ChannelIn.ABSENT))
    assert (await lab.shell(name, "true")).code == 0
    yield name
    await lab.virsh("destroy", name)


async def test_a_missing_channel_is_attached_a_paused_guest_resumed_a_frozen_one_thawed_a_broken_link_healed(
    lab: Laboratory, bare: str
) -> None:
    before = await stored(lab, bare)
    app = QgaTui(hosts_for((lab.uri,)))
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await call_doctor(pilot, app, bare)
        fix = await mend(pilot, app, screen, Cause.NO_CHANNEL, Cause.HEALTHY)
        with_channel = await stored(lab, bare)
        assert difference(before, with_channel) == ([CHANNEL], [])
        assert [line for line in fix.changes if line.startswith("+")] == [fix.changes[1]]

        await lab.virsh("suspend", bare)
        await mend(pilot, app, screen, Cause.PAUSED, Cause.HEALTHY)

        await lab.agent_command(bare, "guest-fsfreeze-freeze")
        await pilot.press("r")
        fix = await mend(pilot, app, screen, Cause.FROZEN, Cause.HEALTHY)
        assert "backup" in fix.warning
        assert await lab.agent_command(bare, "guest-fsfreeze-status") == "thawed"

        await break_link(lab, bare)
        await pilot.press("r")
        await mend(pilot, app, screen, Cause.LINK_BROKEN, Cause.HEALTHY)
        assert await lab.agent_command(bare, "guest-ping") == {}
        assert await stored(lab, bare) == with_channel


async def unplug(lab: Laboratory, name: str) -> None:
    """Take the channel out of the running guest; the guest lets go of it in its own time."""
    (channel,) = read_definition(await lab.virsh("dumpxml", name)).agent_channels
    await lab.virsh("detach-device-alias", name, channel.alias, "--live")


async def test_a_channel_that_runs_alone_is_stored_too_one_that_is_stored_alone_attached_a_transient_guests_live(
    lab: Laboratory, bare: str
) -> None:
    if AGENT_PORT not in await stored(lab, bare):
        await device(lab, "attach", bare, CHANNEL_XML, "--config")
        await device(lab, "attach", bare, CHANNEL_XML, "--live")
    await lab.wait_for_agent(bare)
    with_channel = await stored(lab, bare)
    app = QgaTui(hosts_for((lab.uri,)))
    async with app.run_test(size=(80, 24)) as pilot:
        await device(lab, "detach", bare, CHANNEL_XML, "--config")
        without = await stored(lab, bare)
        screen = await call_doctor(pilot, app, bare)
        fix = await mend(pilot, app, screen, Cause.LIVE_ONLY, Cause.HEALTHY)
        assert fix.kind is FixKind.ATTACH_STORED
        assert "power cycle" not in fix.title + fix.warning, "the running guest has it"
        assert difference(without, await stored(lab, bare)) == ([CHANNEL], [])
        assert difference(with_channel, await stored(lab, bare)) == ([], [])

        await unplug(lab, bare)
        fix = await mend(pilot, app, screen, Cause.STORED_ONLY, Cause.HEALTHY)
        assert fix.kind is FixKind.ATTACH_LIVE
        assert await stored(lab, bare) == with_channel

        await lab.virsh("undefine", bare)
        await unplug(lab, bare)
        fix = await mend(pilot, app, screen, Cause.NO_CHANNEL, Cause.HEALTHY)
        assert fix.kind is FixKind.ATTACH_LIVE
        assert re.search(r"Persistent:\s+no", await lab.virsh("dominfo", bare))


async def test_a_channel_that_cannot_be_plugged_in_again_is_put_back_as_it_was_or_the_way_to_do_it_told(
    lab: Laboratory, bare: str
) -> None:
    """The folder in which libvirt makes the sockets takes none: it refuses what is made there, and nothing else."""
    host = LibvirtHost(lab.uri, "ward")
    facts = next(each for each in await host.list_domains() if each.name == bare)
    patient = Patient(host.name, facts.uuid, bare)
    if AGENT_PORT not in await lab.virsh("dumpxml", bare):
        await device(lab, "attach", bare, CHANNEL_XML, "--live")
    await lab.wait_for_agent(bare)
    sockets = channel_socket(await lab.virsh("dumpxml", bare)).parent
    sockets.chmod(0o500)
    try:
        with pytest.raises(FixFailedError, match="could not be put back") as failure:
            await apply(host, patient, FixKind.RELINK)
        assert f"virsh -c {quote(lab.uri)} attach-device {bare}" in failure.value.next_step
        assert AGENT_PORT not in await lab.virsh("dumpxml", bare)
        own = lab.folder / "g" / "own.sock"
        placed = CHANNEL_XML.replace("<target", f"<source mode='bind' path='{own}'/><target")
        await device(lab, "attach", bare, placed, "--live")
        await lab.wait_for_agent(bare)
        await apply(host, patient, FixKind.RELINK)
        await lab.wait_for_agent(bare)
        assert channel_socket(await lab.virsh("dumpxml", bare)) == own
    finally:
        sockets.chmod(0o700)
        await host.close()


@pytest.mark.long
async def test_without_a_controller_the_stored_definition_alone_is_changed_and_a_power_cycle_heals(
    lab: Laboratory,
) -> None:
    name = "f-barer"
    await lab.add(GuestSpec(name, memory_mib=96, channel=ChannelIn.ABSENT, virtio_serial_controller=False))
    before = await stored(lab, name)
    app = QgaTui(hosts_for((lab.uri,)))
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await call_doctor(pilot, app, name)
        fix = await mend(pilot, app, screen, Cause.NO_CONTROLLER, Cause.STORED_ONLY)
        assert "needs a full power cycle, a reboot is not enough" in fix.title
        assert [line.split()[1].lstrip("<") for line in fix.changes if line.startswith("+")] == [CHANNEL, CONTROLLER]
        assert difference(before, await stored(lab, name)) == ([CONTROLLER, CHANNEL], [])
        await lab.virsh("destroy", name)
        await lab.virsh("start", name)
        await until(pilot, says(screen, Cause.HEALTHY))
    await lab.virsh("destroy", name)
    await lab.virsh("undefine", name)


@pytest.mark.long
async def test_the_drivers_of_windows_are_put_into_its_drive_and_the_steps_are_those_of_windows(
    lab: Laboratory,
) -> None:
    name = "f-win"
    iso = lab.folder / "g" / "virtio-win-test.iso"
    iso.write_bytes(bytes(64 * 1024))
    iso.chmod(0o644)
    spec = GuestSpec(name, memory_mib=96, windows_lookalike=True, agent=AgentSetup.NOT_STARTED, extra_devices=(DRIVE,))
    await lab.add(spec)
    await call_windows(lab, name)
    before = await stored(lab, name)
    app = QgaTui(hosts_for((lab.uri,)))
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await call_doctor(pilot, app, name)
        await until(pilot, says(screen, Cause.NEVER_OPENED, Cause.PORT_CLOSED))
        titles = " ".join(fix.title for fix in screen.fixes)
        for words in ("vioserial", "QEMU Guest Agent VSS Provider", "Device Manager"):
            assert words in titles
        lines = screen.query_one(OptionList)
        lines.highlighted = lines.get_option_index(f"fix:{FixKind.INSERT_DRIVERS}")  # below the advice to wait
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, FixScreen))
        await pilot.press(*str(iso))
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is screen and "in the drive" in screen.last_change)
        assert str(iso) in await lab.virsh("dumpxml", name)
        assert await stored(lab, name) == before
        assert (await lab.shell(name, "systemctl start qemu-guest-agent")).code == 0
        await until(pilot, says(screen, Cause.HEALTHY))
    await lab.virsh("destroy", name)
    await lab.virsh("undefine", name)
