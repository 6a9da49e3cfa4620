"""A backup by keys alone, on a real guest: wizard, plan, leaving and coming back, the end."""

from __future__ import annotations

from pathlib import Path

from textual.pilot import Pilot
from textual.widgets import Button, ContentSwitcher, Static

from tests.live.piloted import go_to, until
from tui.app import QgaTui
from tui.cli.connect import hosts_for
from tui.cli.workers import WORKER_ARGV
from tui.lab.laboratory import Laboratory
from tui.screens.backup import BackupScreen
from tui.screens.guests import GuestsScreen
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
        await open_backup(pilot, app, web1)
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
    again = QgaTui(hosts_for((lab.uri,)), WORKER_ARGV, tmp_path)
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


async def test_a_target_that_cannot_be_written_is_said_before_anything_happens(
    lab: Laboratory, web1: str, tmp_path: Path
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    app = QgaTui(hosts_for((lab.uri,)), WORKER_ARGV, blocked / "below")
    async with app.run_test(size=(80, 24)) as pilot:
        await choose_missing_folder(pilot, app, web1)
        await pilot.press("enter")
        await until(pilot, lambda: "cannot be made" in shown(app, "#trouble"))
        assert app.screen.query_one(ContentSwitcher).current == "choose"
    assert blocked.read_text() == "not a folder"


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
