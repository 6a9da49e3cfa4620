"""Leaving disks out by keys: what is marked at first, and the plan and the question that follow the marks."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Button, Input, OptionList, Static

from tests.live.piloted import until
from tests.unit.backup_values import UUID
from tests.unit.saved_folder import write_backup
from tui.app import QgaTui
from tui.backup.restore.catalogue import look_at
from tui.backup.restore.saved import read_saved
from tui.hosts.daemon_process import DaemonProcess
from tui.hosts.libvirt_host import LibvirtHost
from tui.screens.confirm import ConfirmScreen
from tui.screens.restore import RestoreScreen
from tui.widgets.disk_list import DiskList

NODE = """<node><domain type='test' xmlns:test='http://libvirt.org/schemas/domain/test/1.0'><name>web 1</name>
<uuid>{uuid}</uuid><memory>1024</memory><os><type>hvm</type></os><test:runstate>5</test:runstate><devices>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{images}/web.qcow2'/>
<target dev='vda' bus='virtio'/></disk>
<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{images}/data.raw'/>
<target dev='vdb' bus='virtio'/></disk></devices></domain></node>"""
"""A host of libvirt's own test driver: it has the guest of the backup, which is off."""


@pytest.fixture
def screen(tmp_path: Path) -> RestoreScreen:
    """What may be done with the backup of a guest with two disks."""
    images = tmp_path / "images"
    images.mkdir()
    for name in ("web.qcow2", "data.raw"):
        (images / name).write_text("of today")
    folder = write_backup(tmp_path / "backup", str(images))
    (tmp_path / "node.xml").write_text(NODE.format(uuid=UUID, images=images))
    host = FakeLocalHost(f"test://{tmp_path}/node.xml", "here")
    return RestoreScreen(host, look_at(folder), read_saved(folder), (), ())


class FakeLocalHost(LibvirtHost):
    """Stands for a host whose guests have their images here: those of libvirt's test driver have none."""

    async def daemon_process(self) -> DaemonProcess:
        """This very process."""
        return DaemonProcess(pid=os.getpid())


def plan_of(app: QgaTui) -> str:
    return str(app.screen.query_one("#plan", Static).render())


def marked(app: QgaTui) -> list[str]:
    return app.screen.query_one("#disks", DiskList).selected


async def take(pilot: Pilot[None], app: QgaTui, way: int) -> None:
    """Choose the way at that place in the list."""
    await until(pilot, lambda: app.screen.query_one("#ways").has_focus)
    await pilot.press("home", *["down"] * way, "enter")


@pytest.mark.parametrize("size", [(60, 20), (80, 24)])
async def test_in_place_all_disks_are_marked_and_one_is_left_out_by_keys(
    screen: RestoreScreen, size: tuple[int, int]
) -> None:
    app = QgaTui(())
    async with app.run_test(size=size) as pilot:
        await app.push_screen(screen)
        await take(pilot, app, 1)
        await until(pilot, lambda: app.screen.query_one("#check").has_focus)
        assert marked(app) == ["vda", "vdb"]
        await pilot.press("enter")
        await until(pilot, lambda: "Move web.qcow2 aside" in plan_of(app))
        assert "Different moments" not in plan_of(app)
        app.screen.query_one("#change", Button).focus()
        await pilot.press("enter")
        await until(pilot, lambda: app.screen.query_one("#check").has_focus)
        await pilot.press("shift+tab", "space")
        assert marked(app) == ["vdb"]
        await pilot.press("tab", "enter")
        await until(pilot, lambda: "Different moments: vdb of" in plan_of(app))
        assert "Move web.qcow2 aside" not in plan_of(app)
        assert app.screen.query_one("#start", Button).disabled
        fixes = app.screen.query_one("#fixes", OptionList)
        await until(pilot, lambda: fixes.has_focus)
        await pilot.press("enter")
        await until(pilot, lambda: "as accepted" in plan_of(app))
        # What was agreed to is not agreed to for other disks.
        app.screen.query_one("#change", Button).focus()
        await pilot.press("enter")
        await until(pilot, lambda: app.screen.query_one("#check").has_focus)
        await pilot.press("shift+tab", "space", "down", "space", "tab", "enter")
        await until(pilot, lambda: "Different moments: vda of" in plan_of(app))
        assert "as accepted" not in plan_of(app)


async def test_the_question_before_the_start_names_the_disks_that_alone_go_back(screen: RestoreScreen) -> None:
    app = QgaTui(())
    async with app.run_test(size=(80, 24)) as pilot:
        await app.push_screen(screen)
        await take(pilot, app, 1)
        await until(pilot, lambda: app.screen.query_one("#check").has_focus)
        await pilot.press("shift+tab", "space", "tab", "enter")
        await until(pilot, lambda: app.screen.query_one("#fixes").has_focus)
        await pilot.press("enter")
        await until(pilot, lambda: app.screen.query_one("#start").has_focus)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen) and bool(app.screen.query(Static)))
        asked = " ".join(str(each.render()) for each in app.screen.query(Static))
        assert "Put only vdb of web 1 back" in asked
        assert "its other disks" in asked
        await pilot.press("n")
        await until(pilot, lambda: app.screen is screen)


async def test_a_clones_disks_are_left_out_too_and_none_is_refused(screen: RestoreScreen) -> None:
    app = QgaTui(())
    async with app.run_test(size=(80, 24)) as pilot:
        await app.push_screen(screen)
        # The disks that a way of disks alone begins with do not stay marked for another way.
        await take(pilot, app, 2)
        await until(pilot, lambda: app.screen.query_one("#disks").has_focus)
        assert marked(app) == ["vda"]
        await pilot.press("escape")
        await take(pilot, app, 0)
        await until(pilot, lambda: app.screen.query_one("#name").has_focus)
        assert marked(app) == ["vda", "vdb"]
        app.screen.query_one("#place", Input).focus()
        await pilot.press("tab", "space", "shift+tab", "enter")
        await until(pilot, lambda: "without vda, from which the guest boots" in plan_of(app))
        assert "detach-disk" in plan_of(app)
        app.screen.query_one("#change", Button).focus()
        await pilot.press("enter")
        await until(pilot, lambda: app.screen.query_one("#name").has_focus)
        assert marked(app) == ["vdb"]
        app.screen.query_one("#place", Input).focus()
        await pilot.press("tab", "down", "space", "shift+tab", "enter")
        await until(pilot, lambda: "No disk is chosen" in str(app.screen.query_one("#trouble", Static).render()))
