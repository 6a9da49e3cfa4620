"""A run that is shown before its place on the screen is complete, and what it says once it is done."""

import shlex
from dataclasses import replace

import pytest
from textual.app import App, ComposeResult
from textual.widgets import Static

from tests.unit.backup_values import STAMP, UUID, a_plan
from tui.backup.journal import Entry, RunStage
from tui.backup.restore.plan import RestoredFile, RestorePlan, RestoreWay
from tui.backup.runfold import first_state, with_entry
from tui.backup.runstate import EXIT_DONE, EXIT_LESS, EXIT_NOT_DONE, RunState
from tui.backup.telling import headline
from tui.model.quantities import moment
from tui.widgets.run_pane import RunPane, afterwards


class PaneApp(App[None]):
    def __init__(self, state: RunState, next_words: str = "") -> None:
        super().__init__()
        self._state, self._next_words = state, next_words

    def compose(self) -> ComposeResult:
        pane = RunPane(self._next_words)
        pane.show(self._state)
        yield pane


def a_clone(uri: str, *, link_down: bool) -> RestorePlan:
    disk = RestoredFile("vda", "disk-vda.qcow2", "0" * 64, "/images/c/vda.qcow2", "/images/c/vda.partial")
    way = RestoreWay.CLONE
    return RestorePlan(
        "0a1b2c3d", STAMP, "here", uri, way, "/backups/x", "web 1", "web 1-clone", UUID, (disk,), link_down=link_down
    )


async def drawn(plan: RestorePlan) -> str:
    """What is said of a restore that is done."""
    state = replace(first_state(plan), stage=RunStage.DONE, exit_code=EXIT_DONE)
    app = PaneApp(state, afterwards(plan))
    async with app.run_test(size=(160, 24)) as pilot:
        await pilot.pause()
        return str(app.query_one("#outcome", Static).render())


@pytest.mark.parametrize(("exit_code", "is_told"), [(EXIT_DONE, True), (EXIT_LESS, True), (EXIT_NOT_DONE, False)])
async def test_a_finished_backup_tells_its_disks_its_time_and_its_moment(exit_code: int, is_told: bool) -> None:
    state = first_state(a_plan())
    for at, stage in ((1000.0, RunStage.PLANNED), (1010.0, RunStage.SNAPSHOT_TAKEN)):
        state = with_entry(state, Entry(at, stage))
    stage = RunStage.DONE if is_told else RunStage.FAILED
    state = with_entry(state, Entry(1192.0, stage, {"exit_code": exit_code}))
    app = PaneApp(state)
    async with app.run_test(size=(160, 24)) as pilot:
        await pilot.pause()
        said = str(app.query_one("#outcome", Static).render())
    assert (f"vda, vdb in 3 min 12 s, as at {moment(1010.0)}" in said) is is_told


async def test_what_comes_before_the_parts_are_there_is_drawn_with_them() -> None:
    app = PaneApp(first_state(a_plan()))
    async with app.run_test() as pilot:
        await pilot.pause()
        assert headline(first_state(a_plan())) in str(app.query_one("#headline", Static).render())


@pytest.mark.parametrize("uri", ["qemu:///system", "qemu:///session?socket=/run/libvirt-sock"])
async def test_the_commands_after_a_clone_name_it_and_its_connection(uri: str) -> None:
    words = [shlex.split(line) for line in (await drawn(a_clone(uri, link_down=True))).splitlines() if "virsh" in line]
    assert words == [
        ["virsh", "-c", uri, "domiflist", "web 1-clone"],
        ["virsh", "-c", uri, "domif-setlink", "web 1-clone", "INTERFACE", "up"],
    ]


async def test_nobody_is_told_to_raise_the_links_of_a_clone_that_has_them_up() -> None:
    said = await drawn(a_clone("qemu:///system", link_down=False))
    assert "Start it with p" in said
    assert "link" not in said
