"""Disks that are chosen by keys alone."""

from textual.app import App, ComposeResult
from textual.widgets import Button

from tui.widgets.disk_list import DiskList


class DisksApp(App[None]):
    def compose(self) -> ComposeResult:
        yield Button("before")
        yield DiskList(("vda", "vda", True), ("vdb", "vdb", True))


async def test_space_acts_on_the_first_disk_as_soon_as_the_list_has_the_focus() -> None:
    app = DisksApp()
    async with app.run_test() as pilot:
        disks = app.query_one(DiskList)
        while not disks.has_focus:
            await pilot.press("tab")
        await pilot.press("space")
        assert disks.selected == ["vdb"]
