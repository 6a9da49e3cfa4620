"""Restores by keys alone, on a real guest: the list, verification, looking inside, plan, run, result, undo."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio
from textual.widgets import Button, Input, OptionList

from tests.live.piloted import until
from tests.live.restore_keys import choose, enter, open_list, review, review_what_is_marked, shown, to_the_end
from tui.app import QgaTui
from tui.backup.follow import follow
from tui.backup.launch import launch
from tui.backup.propose import propose
from tui.backup.restore.catalogue import BackupWord, found_in
from tui.backup.runs import list_restores
from tui.backup.runstate import EXIT_DONE
from tui.cli.connect import find_guest, hosts_for
from tui.cli.workers import WORKER_ARGV
from tui.lab.laboratory import Laboratory
from tui.screens.confirm import ConfirmScreen
from tui.screens.file import FileScreen
from tui.screens.guests import GuestsScreen
from tui.screens.inside import InsideScreen
from tui.screens.jobs import JobsScreen
from tui.screens.line import LineScreen
from tui.screens.restore import RestoreScreen
from tui.screens.restore_run import RestoreRunScreen
from tui.screens.restores import RestoresScreen
from tui.screens.verify import VerifyScreen

PICTURES = os.environ.get("QGA_TUI_PICTURES", "")
"""A folder to keep what was shown, for whoever wants to look."""


def keep(app: QgaTui, name: str) -> None:
    if PICTURES:
        (Path(PICTURES) / f"{name}-{app.size.width}.svg").write_text(app.export_screenshot(), encoding="utf-8")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def target(lab: Laboratory, web1: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Path]:
    """A folder with one good backup of the guest."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        folder = tmp_path_factory.mktemp("backups")
        host, facts = await find_guest(hosts_for((lab.uri,)), web1)
        run = launch((await propose(host, facts, folder)).plan, WORKER_ARGV)
        states = [state async for state in follow(run)]
        await host.close()
        assert states[-1].exit_code == EXIT_DONE, states[-1].error
    yield folder


def title_ends_with(app: QgaTui, words: str) -> bool:
    return shown(app, "#title").endswith(words)


@pytest.mark.parametrize("size", [(80, 24), pytest.param((60, 20), marks=pytest.mark.long)])
async def test_a_backup_is_found_verified_and_looked_into(
    lab: Laboratory, web1: str, target: Path, tmp_path: Path, size: tuple[int, int]
) -> None:
    app = QgaTui(hosts_for((lab.uri,)), WORKER_ARGV, target)
    async with app.run_test(size=size) as pilot:
        await open_list(pilot, app, web1)
        keep(app, "list")
        assert "complete" in shown(app, "#under-cursor")
        await pilot.press("v")
        await until(pilot, lambda: isinstance(app.screen, VerifyScreen) and bool(shown(app, "#found")))
        keep(app, "verified")
        assert "The backup is whole" in shown(app, "#found")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, RestoresScreen))
        await until(pilot, lambda: ", verified" in shown(app, "#under-cursor"))
        await choose(pilot, app, "inside")
        await until(pilot, lambda: isinstance(app.screen, InsideScreen))
        await pilot.press("enter")
        await until(pilot, lambda: "entries" in shown(app, "#said"))
        keep(app, "inside")
        await enter(pilot, app, "etc")
        await enter(pilot, app, "hostname")
        await until(pilot, lambda: isinstance(app.screen, FileScreen))
        keep(app, "file")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, InsideScreen))
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, LineScreen))
        app.screen.query_one(Input).value = str(tmp_path / "hostname")
        await pilot.press("enter")
        await until(pilot, lambda: "1 file," in shown(app, "#said"))
        asked = await lab.shell(web1, "cat /etc/hostname")
        assert (tmp_path / "hostname").read_text() == asked.output
        for place in ("/etc", "/", f"Inside {web1}"):
            await until(pilot, partial(title_ends_with, app, place))
            await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, RestoreScreen))
        await pilot.press("escape", "escape")
        await until(pilot, lambda: isinstance(app.screen, GuestsScreen))


async def test_a_second_guest_is_planned_made_and_found_again_in_the_list_of_jobs(
    lab: Laboratory, web1: str, target: Path
) -> None:
    app = QgaTui(hosts_for((lab.uri,)), WORKER_ARGV, target)
    async with app.run_test(size=(80, 24)) as pilot:
        await open_list(pilot, app, web1)
        await choose(pilot, app, "clone")
        await until(pilot, lambda: app.screen.query_one("#name").has_focus)
        app.screen.query_one("#name", Input).value = web1
        keep(app, "clone")
        app.screen.query_one("#check").focus()
        await pilot.press("enter")
        await until(pilot, lambda: app.screen.query_one("#fixes").has_focus)
        plan = shown(app, "#plan")
        assert plan.startswith("This restore cannot begin")
        assert f"there is a guest {web1}" in plan
        keep(app, "plan-refused")
        await pilot.press("enter")
        await until(pilot, lambda: app.screen.query_one("#start", Button).has_focus)
        plan = shown(app, "#plan")
        assert plan.startswith("Ready.")
        assert f"{web1}-2" in plan
        assert "virsh" in plan
        keep(app, "plan")
        await pilot.press("enter")
        said = await to_the_end(pilot, app)
        keep(app, "cloned")
        assert f"{web1}-2 is defined and off" in said
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, RestoreScreen))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, RestoresScreen))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, GuestsScreen))
        await pilot.press("B")
        await until(pilot, lambda: isinstance(app.screen, JobsScreen))
        keep(app, "jobs")
        await pilot.press("enter")
        assert f"{web1}-2 is defined and off" in await to_the_end(pilot, app)
    await lab.virsh("undefine", f"{web1}-2")
    (run,) = list_restores()
    shutil.rmtree(run.plan.own_folder)


async def test_a_damaged_disk_is_named_and_restored_only_when_its_name_is_typed(
    lab: Laboratory, web1: str, target: Path, tmp_path: Path
) -> None:
    (good,) = [each for each in found_in(target) if each.word is BackupWord.COMPLETE]
    bad = tmp_path / "bad" / "backup"
    shutil.copytree(good.folder, bad)
    with (bad / "disks/vdb.raw").open("r+b") as file:
        file.seek(2_000_000)
        file.write(b"damage")
    app = QgaTui(hosts_for((lab.uri,)), WORKER_ARGV, tmp_path / "bad")
    async with app.run_test(size=(80, 24)) as pilot:
        await open_list(pilot, app, web1)
        await choose(pilot, app, "disk")
        await until(pilot, lambda: app.screen.query_one("#disks").has_focus)
        await pilot.press("space", "down", "space")
        app.screen.query_one("#place", Input).value = str(tmp_path / "out.raw")
        await review(pilot, app)
        await pilot.press("enter")
        said = await to_the_end(pilot, app)
        keep(app, "damaged")
        assert "The backup is damaged: vdb" in said
        assert not (tmp_path / "out.raw").exists()
        app.screen.query_one("#insist").focus()
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, LineScreen))
        keep(app, "insist")
        await pilot.press(*"vda", "enter")
        await until(pilot, lambda: isinstance(app.screen, RestoreRunScreen))
        app.screen.query_one("#insist").focus()
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, LineScreen))
        await pilot.press(*"vdb", "enter")
        await until(pilot, lambda: isinstance(app.screen, RestoreScreen))
        await until(pilot, lambda: app.screen.query_one("#start", Button).has_focus)
        await pilot.press("enter")
        said = await to_the_end(pilot, app)
        assert "restored as accepted" in said
        assert (tmp_path / "out.raw").read_bytes() == (bad / "disks/vdb.raw").read_bytes()
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, RestoreScreen))
        await until(pilot, lambda: "found damaged" in shown(app, "#backup"))


async def test_a_boot_test_shows_the_agents_answer_and_leaves_nothing(lab: Laboratory, web1: str, target: Path) -> None:
    app = QgaTui(hosts_for((lab.uri,)), WORKER_ARGV, target)
    async with app.run_test(size=(80, 24)) as pilot:
        await open_list(pilot, app, web1)
        await choose(pilot, app, "boot-test")
        await until(pilot, lambda: app.screen.query_one("#start", Button).has_focus)
        await pilot.press("enter")
        said = await to_the_end(pilot, app)
        keep(app, "boot-tested")
        assert "its agent answered" in said
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, RestoreScreen))
        await until(pilot, lambda: "boot tested" in shown(app, "#backup"))
        keep(app, "ways")
    assert "boot-test" not in await lab.virsh("list", "--all", "--name")


async def test_in_place_is_offered_to_put_the_guest_off_and_undone_by_one_key(
    lab: Laboratory, web1: str, target: Path
) -> None:
    before = lab.disk(web1, "vdb").stat().st_ino
    app = QgaTui(hosts_for((lab.uri,)), WORKER_ARGV, target)
    async with app.run_test(size=(80, 24)) as pilot:
        await open_list(pilot, app, web1)
        await choose(pilot, app, "in-place")
        await review_what_is_marked(pilot, app)
        await until(pilot, lambda: app.screen.query_one("#fixes").has_focus)
        assert "it is running" in shown(app, "#plan")
        labels = [str(option.prompt) for option in app.screen.query_one("#fixes", OptionList).options]
        await pilot.press(*["down"] * next(at for at, label in enumerate(labels) if "Force" in label), "enter")
        await until(pilot, lambda: app.screen.query_one("#start", Button).has_focus)
        keep(app, "in-place")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        keep(app, "confirm")
        await pilot.press("y")
        assert "is as it was then, and off" in await to_the_end(pilot, app)
        keep(app, "in-place-done")
        assert lab.disk(web1, "vdb").stat().st_ino != before
        await pilot.press("u")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await pilot.press("y")
        await until(pilot, lambda: "was undone" in shown(app, "#headline"))
        keep(app, "undone")
    assert lab.disk(web1, "vdb").stat().st_ino == before
    await lab.start(web1)
    await lab.wait_for_agent(web1)
