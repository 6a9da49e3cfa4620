"""A backup by keys alone, on a real guest: wizard, plan, leaving and coming back, the end."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Button, ContentSwitcher, DataTable, Input, SelectionList, Static

from tests.live import held_worker
from tests.live.backup_fixtures import end_of, facts_of
from tests.live.piloted import go_to, until
from tests.live.watched import PATIENCE_S
from tui.app import QgaTui
from tui.backup.follow import read_state
from tui.backup.journal import read_journal
from tui.backup.launch import launch
from tui.backup.progress import Step
from tui.backup.propose import propose
from tui.backup.runs import Run, cancel, worker_alive
from tui.backup.runstate import EXIT_DONE
from tui.backup.scan import find_leftovers
from tui.cli.connect import hosts_for
from tui.cli.workers import WORKER_ARGV
from tui.hosts.port import HostError
from tui.lab.laboratory import Laboratory
from tui.screens.backup import BackupScreen
from tui.screens.confirm import ConfirmScreen
from tui.screens.guests import GuestsScreen
from tui.screens.jobs import JobsScreen
from tui.screens.line import LineScreen
from tui.screens.restore import RestoreScreen


def shown(app: QgaTui, selector: str) -> str:
    """The text of a part of the screen."""
    return str(app.screen.query_one(selector, Static).render())


async def open_backup(pilot: Pilot[None], app: QgaTui, guest: str) -> None:
    await go_to(pilot, app, guest)
    await pilot.press("b")
    await until(pilot, lambda: isinstance(app.screen, BackupScreen))


async def choose_missing_folder(pilot: Pilot[None], app: QgaTui, guest: str) -> None:
    """Open the wizard, which proposes a folder that is not there, and take it: it asks whether to make it."""
    await open_backup(pilot, app, guest)
    await until(pilot, lambda: app.screen.query_one(ContentSwitcher).current == "choose")
    await pilot.press("enter")
    await until(pilot, lambda: "Press enter again to make it" in shown(app, "#trouble"))


async def test_the_wizard_leads_to_a_verified_backup_that_another_screen_shows(
    lab: Laboratory, web1: str, tmp_path: Path
) -> None:
    app = QgaTui(hosts_for((lab.uri,)), WORKER_ARGV, tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await go_to(pilot, app, web1)
        await pilot.press("space", "b")
        await until(pilot, lambda: isinstance(app.screen, BackupScreen))
        await until(pilot, lambda: app.screen.query_one("#folder").has_focus)
        await pilot.press("enter")
        await until(pilot, lambda: app.screen.query_one("#start", Button).has_focus)
        plan = shown(app, "#plan")
        assert plan.startswith("Ready: about")
        assert "virsh" in plan
        assert "snapshot-create-as" in plan
        await pilot.press("enter")
        await until(pilot, lambda: app.screen.query_one(ContentSwitcher).current == "run")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, GuestsScreen))
        await until(pilot, lambda: "The mark was used" in " ".join(note.message for note in app._notifications))
        assert "marked" not in shown(app, "#hosts")
    again = QgaTui(hosts_for((lab.uri,)), WORKER_ARGV, tmp_path / "of the settings")
    async with again.run_test(size=(80, 24)) as pilot:
        await open_backup(pilot, again, web1)
        await until(pilot, lambda: "done and verified" in shown(again, "#headline"))
        (result,) = tmp_path.glob(f"*/{web1}/*")
        assert f"Saved in {result}" in shown(again, "#outcome").replace("\n", "")
        assert (result / "RESTORE.md").is_file()
        await pilot.press("R")
        await until(pilot, lambda: isinstance(again.screen, RestoreScreen))
        assert f"Restore {web1} of " in shown(again, "#title")
        assert str(result) in shown(again, "#backup").replace("\n", "")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(again.screen, BackupScreen))
        again.screen.query_one("#new", Button).press()
        await until(pilot, lambda: again.screen.query_one("#folder").has_focus)
        assert again.screen.query_one("#folder", Input).value == str(tmp_path)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("{folder}/file", "file is no folder"),
        ("{folder}/file/below", "file to make below in"),
        ("{folder}/missing/below", "missing to make below in"),
        ("below", "must begin with / or ~"),
        ("/proc/below", "cannot be made"),
    ],
)
async def test_a_target_that_cannot_be_is_refused_before_anything_happens(
    lab: Laboratory, web1: str, target: Path, typed: str, words: str
) -> None:
    (target / "file").write_text("not a folder")
    app = QgaTui(hosts_for((lab.uri,)), WORKER_ARGV, target)
    async with app.run_test(size=(80, 24)) as pilot:
        await open_backup(pilot, app, web1)
        await until(pilot, lambda: app.screen.query_one("#folder").has_focus)
        app.screen.query_one("#folder", Input).value = typed.format(folder=target)
        await pilot.press("enter")
        await until(pilot, lambda: "✗" in shown(app, "#trouble") or "again" in shown(app, "#trouble"))
        if "again" in shown(app, "#trouble"):
            await pilot.press("enter")
        await until(pilot, lambda: words in shown(app, "#trouble"))
        assert app.screen.query_one(ContentSwitcher).current == "choose"
    assert [path.name for path in target.iterdir()] == ["file"]


@asynccontextmanager
async def held_backup(lab: Laboratory, guest: str, target: Path, moment: str = "copied") -> AsyncIterator[Run]:
    """A backup of the program's own host that stands still, once its copy is whole, until it is let go."""
    (host,) = hosts_for((lab.uri,))
    await host.open()
    try:
        plan = (await propose(host, await facts_of(host, guest), target)).plan
        run = launch(plan, held_worker.argv(moment))
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not (run.folder / held_worker.HELD).exists():  # noqa: ASYNC110 - its file is its only word
                    await asyncio.sleep(0.05)
            yield run
        finally:
            let_go(run)
            await end_of(run)
        assert await find_leftovers(host, (plan.uuid,)) == ()
    finally:
        await host.close()


def let_go(run: Run) -> None:
    (run.folder / held_worker.GO).touch()


async def test_a_new_backup_offers_the_disks_as_they_are_once_the_last_one_has_ended(
    lab: Laboratory, web1: str, target: Path
) -> None:
    """While a backup runs, a guest is on overlays, which are no disks to choose."""
    app = QgaTui(hosts_for((lab.uri,)), WORKER_ARGV, target)
    async with held_backup(lab, web1, target) as run, app.run_test(size=(80, 24)) as pilot:
        await open_backup(pilot, app, web1)
        await until(pilot, lambda: "is running" in shown(app, "#headline"))
        let_go(run)
        await until(pilot, lambda: "done and verified" in shown(app, "#headline"))
        app.screen.query_one("#new").focus()
        await pilot.press("enter")
        await until(pilot, lambda: app.screen.query_one("#folder").has_focus)
        assert app.screen.query_one("#disks", SelectionList).selected == ["vda", "vdb"]
        assert "overlay" not in shown(app, "#left-out")


async def test_a_running_backup_is_cancelled_by_its_key(lab: Laboratory, web1: str, target: Path) -> None:
    app = QgaTui(hosts_for((lab.uri,)), WORKER_ARGV, target)
    async with held_backup(lab, web1, target) as run, app.run_test(size=(80, 24)) as pilot:
        await open_backup(pilot, app, web1)
        await until(pilot, lambda: "is running" in shown(app, "#headline"))
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, BackupScreen))
        assert worker_alive(run)
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await pilot.press("y")
        await until(pilot, lambda: "is being cancelled, since" in shown(app, "#headline"))
        assert not app.screen.query_one("#cancel").display
        await pilot.press("c")
        assert isinstance(app.screen, BackupScreen)
        let_go(run)
        await until(pilot, lambda: not worker_alive(run) and bool(app.screen.query_one("#new").display))
        assert not app.screen.query_one("#cancel").display


async def test_the_rate_of_a_running_copy_is_changed_by_its_key(lab: Laboratory, web1: str, target: Path) -> None:
    """At the first rate the copy would take minutes."""
    app = QgaTui(hosts_for((lab.uri,)), WORKER_ARGV, target)
    (host,) = hosts_for((lab.uri,))
    await host.open()
    try:
        plan = (await propose(host, await facts_of(host, web1), target, limit_bytes_s=300_000)).plan
        run = launch(plan, WORKER_ARGV)
        try:
            async with app.run_test(size=(80, 24)) as pilot:
                await open_backup(pilot, app, web1)
                await until(pilot, lambda: "is running: copy" in shown(app, "#headline"))
                await pilot.press("l")
                await until(pilot, lambda: isinstance(app.screen, LineScreen))
                await pilot.press("0", "enter")
                await until(pilot, lambda: "without a limit" in " ".join(n.message for n in app._notifications))
                await until(pilot, lambda: "done and verified" in shown(app, "#headline"))
                assert "vda, vdb in " in shown(app, "#outcome")
            copy = next(step for step in read_state(run).steps if step.step is Step.COPY)
            manifest = json.loads((read_state(run).result / "manifest.json").read_text())
            assert copy.skipped == sum(disk["file_bytes"] for disk in manifest["disks"]) - copy.done > 0
            assert "" < manifest["started"] <= manifest["snapshot"] <= manifest["finished"]
        finally:
            cancel(run, signal.SIGTERM)
            await end_of(run)
    finally:
        await host.close()


async def test_a_guest_is_paused_for_its_merge_by_the_key_on_its_row(lab: Laboratory, web1: str, target: Path) -> None:
    app = QgaTui(hosts_for((lab.uri,)), WORKER_ARGV, target)
    await lab.shell(
        web1,
        "rm -f /run/calm; (while [ ! -e /run/calm ]; do dd if=/dev/zero of=/data/busy bs=64k count=64 "
        "conv=fsync; done) >/dev/null 2>&1 &",
    )
    try:
        async with held_backup(lab, web1, target, "commit-mid") as run, app.run_test(size=(80, 24)) as pilot:
            await pilot.press("B")
            await until(
                pilot, lambda: isinstance(app.screen, JobsScreen) and app.screen.query_one(DataTable).row_count > 0
            )
            await until(pilot, lambda: "commit and pivot" in shown(app, "#under-cursor"))
            let_go(run)
            await pilot.press("p")
            await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
            await pilot.press("y")
            await until(pilot, lambda: any(e.details.get("settling") for e in read_journal(run.folder)))
            for disk in run.plan.disks:
                with suppress(HostError):  # the merge may have come to its end meanwhile
                    await app._hosts[run.plan.host].set_block_job_speed(run.plan.uuid, disk.target, 0)
            await until(pilot, lambda: read_state(run).ended)
        assert (await lab.virsh("domstate", web1)).strip() == "running"
        assert read_state(run).exit_code == EXIT_DONE
    finally:
        await lab.shell(web1, "touch /run/calm; rm -f /data/busy")


async def test_read_only_mode_shows_a_backup_and_begins_and_ends_none(lab: Laboratory, web1: str, target: Path) -> None:
    app = QgaTui(hosts_for((lab.uri,)), WORKER_ARGV, target, read_only=True)
    async with held_backup(lab, web1, target) as run, app.run_test(size=(80, 24)) as pilot:
        await go_to(pilot, app, web1)
        await pilot.press("b")
        await pilot.pause()
        await until(pilot, lambda: isinstance(app.screen, GuestsScreen))
        await pilot.press("B")
        await until(pilot, lambda: isinstance(app.screen, JobsScreen) and app.screen.query_one(DataTable).row_count > 0)
        await pilot.press("c", "enter")
        await until(pilot, lambda: isinstance(app.screen, BackupScreen))
        await until(pilot, lambda: "is running" in shown(app, "#headline"))
        await pilot.press("c")
        assert app.screen.query_one("#cancel").disabled
        let_go(run)
        await until(pilot, lambda: "done and verified" in shown(app, "#headline"))
        assert app.screen.query_one("#new").disabled


async def test_a_target_that_is_missing_is_made_when_the_user_says_so(
    lab: Laboratory, web1: str, tmp_path: Path
) -> None:
    app = QgaTui(hosts_for((lab.uri,)), WORKER_ARGV, tmp_path / "backups")
    async with app.run_test(size=(80, 24)) as pilot:
        await choose_missing_folder(pilot, app, web1)
        assert not (tmp_path / "backups").exists()
        await pilot.press("enter")
        await until(pilot, lambda: app.screen.query_one("#start", Button).has_focus)
        assert (tmp_path / "backups").is_dir()
