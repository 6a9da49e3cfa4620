"""Makes pictures of a backup's screens, from wizard to rescue, in a small and a larger terminal."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from pathlib import Path

from textual.pilot import Pilot
from textual.widgets import Button

from tests.live import held_worker
from tests.live.kill_matrix import SPEC, rescue_by_hand
from tests.live.piloted import go_to, until
from tests.screenshots import save
from tui.app import QgaTui
from tui.backup.runs import Run, cancel, list_runs
from tui.cli.connect import hosts_for
from tui.lab.laboratory import Laboratory
from tui.screens.backup import BackupScreen
from tui.screens.rescue import RescueScreen

SIZES = ((80, 24), (120, 40))
GUEST = SPEC.name


def held_run() -> Run | None:
    """The newest run, once it stands still."""
    return next((run for run in list_runs() if (run.folder / held_worker.HELD).exists()), None)


async def take_backup(uri: str, target: Path, size: tuple[int, int]) -> None:
    """Wizard, plan, running, finished."""
    name = f"backup-{size[0]}x{size[1]}"
    app = QgaTui(hosts_for((uri,)), held_worker.argv("copy-mid"), target)
    async with app.run_test(size=size) as pilot:
        await begin(app, pilot, name)
        await until(pilot, lambda: held_run() is not None)
        await pilot.pause(2)
        save(app, f"{name}-running")
        run = held_run()
        if run is None:
            raise AssertionError("the run went on by itself")
        (run.folder / held_worker.GO).touch()
        await until(
            pilot, lambda: bool(app.screen.query_one("#new", Button).display) and any(target.rglob("manifest*"))
        )
        await pilot.pause(2)
        save(app, f"{name}-finished")


async def take_rescue(uri: str, target: Path, size: tuple[int, int]) -> None:
    """A backup whose process was killed, and what is offered then."""
    name = f"backup-{size[0]}x{size[1]}"
    app = QgaTui(hosts_for((uri,)), held_worker.argv("copy-mid"), target)
    async with app.run_test(size=size) as pilot:
        await begin(app, pilot, "")
        await until(pilot, lambda: held_run() is not None)
        run = held_run()
        if run is None or not cancel(run, signal.SIGKILL):
            raise AssertionError("there is nothing to kill")
        await until(pilot, lambda: bool(app.screen.query_one("#new", Button).display))
        await pilot.pause(2)
        save(app, f"{name}-failed")
    # The next program to be started looks for what was left behind.
    app = QgaTui(hosts_for((uri,)), held_worker.argv("none"), target)
    async with app.run_test(size=size) as pilot:
        await go_to(pilot, app, GUEST)
        await pilot.pause(3)
        save(app, f"{name}-stranded")
        await pilot.press("B")
        await pilot.pause(2)
        save(app, f"{name}-jobs")
        await pilot.press("enter")
        await pilot.pause(2)
        if isinstance(app.screen, RescueScreen):
            save(app, f"{name}-rescue")


async def begin(app: QgaTui, pilot: Pilot[None], name: str) -> None:
    """Go through the wizard by keys alone, with pictures where they have a name."""
    await go_to(pilot, app, GUEST)
    await pilot.press("b")
    await until(pilot, lambda: isinstance(app.screen, BackupScreen))
    await until(pilot, lambda: bool(app.screen.query_one("#folder").has_focus))
    await pilot.pause(1)
    if name:
        save(app, f"{name}-wizard")
    await pilot.press("enter")
    await until(pilot, lambda: bool(app.screen.query_one("#start", Button).has_focus))
    await pilot.pause(1)
    if name:
        save(app, f"{name}-plan")
    await pilot.press("enter")


async def take_all() -> None:
    """Every picture in every size, each backup with a state folder of its own."""
    async with Laboratory() as lab:
        await lab.add(SPEC)
        await lab.wait_for_agent(GUEST)
        for size in SIZES:
            for take in (take_backup, take_rescue):
                with tempfile.TemporaryDirectory(prefix="qga-tui-") as folder:
                    os.environ["XDG_STATE_HOME"] = f"{folder}/state"
                    target = Path(folder, "backups")
                    target.mkdir()
                    await take(lab.uri, target, size)
                    code, said = await rescue_by_hand(lab)
                    if code != 0:
                        raise AssertionError(said)


def main() -> None:
    """Take all pictures."""
    os.environ["PYTHONPATH"] = str(Path(__file__).parent.parent)
    asyncio.run(take_all())


if __name__ == "__main__":
    main()
