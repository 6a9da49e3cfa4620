"""Our own fixes, each through the screen on a real guest: the state turns good, and nothing else changes."""

from __future__ import annotations

import asyncio
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable

from textual.pilot import Pilot

from tests.live.piloted import go_to
from tests.live.sickness import break_link, call_windows
from tests.live.watched import PATIENCE_S
from tui.app import QgaTui
from tui.cli.connect import hosts_for
from tui.doctor.causes import Cause
from tui.doctor.remedies import OurFix
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


async def test_a_missing_channel_is_attached_a_paused_guest_resumed_a_frozen_one_thawed_a_broken_link_healed(
    lab: Laboratory,
) -> None:
    name = "f-bare"
    await lab.add(GuestSpec(name, memory_mib=256, channel=ChannelIn.ABSENT))
    assert (await lab.shell(name, "true")).code == 0
    before = await stored(lab, name)
    app = QgaTui(hosts_for((lab.uri,)))
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await call_doctor(pilot, app, name)
        fix = await mend(pilot, app, screen, Cause.NO_CHANNEL, Cause.HEALTHY)
        with_channel = await stored(lab, name)
        assert difference(before, with_channel) == ([CHANNEL], [])
        assert [line for line in fix.changes if line.startswith("+")] == [fix.changes[1]]

        await lab.virsh("suspend", name)
        await mend(pilot, app, screen, Cause.PAUSED, Cause.HEALTHY)

        await lab.agent_command(name, "guest-fsfreeze-freeze")
        await pilot.press("r")
        fix = await mend(pilot, app, screen, Cause.FROZEN, Cause.HEALTHY)
        assert "backup" in fix.warning
        assert await lab.agent_command(name, "guest-fsfreeze-status") == "thawed"

        await break_link(lab, name)
        await pilot.press("r")
        await mend(pilot, app, screen, Cause.LINK_BROKEN, Cause.HEALTHY)
        assert await lab.agent_command(name, "guest-ping") == {}
        assert await stored(lab, name) == with_channel
    await lab.virsh("destroy", name)
    await lab.virsh("undefine", name)


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
