"""Makes the pictures of README.md from the running program on the demo's real guests."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path

from textual.pilot import Pilot
from textual.widgets import Button, Static

from tests.headless_lab import headless_lab
from tests.live.piloted import go_to, until
from tests.live.restore_keys import choose, open_list, review, shown, to_the_end
from tui.app import QgaTui
from tui.cli.connect import hosts_for
from tui.cli.workers import WORKER_ARGV
from tui.model.guest import AgentState
from tui.screens.backup import BackupScreen
from tui.screens.console import ConsoleScreen
from tui.screens.doctor import DoctorScreen
from tui.screens.many import ManyScreen
from tui.screens.many_entry import ManyEntryScreen
from tui.screens.restore import RestoreScreen
from tui.screens.restores import RestoresScreen
from tui.screens.verify import VerifyScreen
from tui.widgets.prompt_input import PromptInput

FOLDER = Path(__file__).parent.parent / "screenshots"
SIZE, SMALL, SMALLEST = (96, 26), (80, 24), (60, 20)
COMMAND = "uname -sr; df -h / | tail -1; ls /nowhere; for i in 1 2 3; do echo step $i; sleep 1; done"


def save(app: QgaTui, name: str) -> None:
    """Write what the program shows now."""
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.svg").write_text(app.export_screenshot(title="qga-tui"), encoding="utf-8")


async def take_all(uri: str, target: Path) -> None:
    """Guests, doctor, console, backup."""
    app = QgaTui(hosts_for((uri,)), WORKER_ARGV, target)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: _answering(app) == 3)
        await go_to(pilot, app, "mute")
        await pilot.pause(1)
        save(app, "guests")

        await pilot.press("D")
        await until(pilot, lambda: isinstance(app.screen, DoctorScreen) and app.screen.examination is not None)
        await pilot.pause(1)
        save(app, "doctor")
        await pilot.press("escape")

        await take_commands(app, pilot)

        await go_to(pilot, app, "db1")
        await pilot.press("b")
        await until(pilot, lambda: isinstance(app.screen, BackupScreen))
        await pilot.pause(1)
        await pilot.press("enter")
        await until(pilot, lambda: app.screen.query_one("#start", Button).has_focus)
        save(app, "backup-plan")
        await pilot.press("enter")
        await until(pilot, lambda: bool(app.screen.query_one("#new", Button).display) and _saved(target))
        await pilot.pause(1)
        save(app, "backup")


async def take_small(uri: str, size: tuple[int, int]) -> None:
    """The console and many guests in a smaller terminal."""
    app = QgaTui(hosts_for((uri,)))
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: _answering(app) == 3)
        await take_commands(app, pilot, f"-{size[0]}x{size[1]}")


async def take_commands(app: QgaTui, pilot: Pilot[None], ending: str = "") -> None:
    """A console while a command runs and after one that failed, then one command in all guests."""
    await go_to(pilot, app, "web1")
    await pilot.press("x")
    await until(pilot, lambda: isinstance(app.screen, ConsoleScreen))
    app.screen.query_one("#prompt", PromptInput).value = COMMAND
    await pilot.press("enter")
    await pilot.pause(3)
    save(app, f"console{ending}")
    await pilot.pause(4)
    app.screen.query_one("#prompt", PromptInput).value = "cd /etc && ls -l passwd nothing"
    await pilot.press("enter")
    await pilot.pause(3)
    save(app, f"console-failed{ending}")
    await pilot.press("escape")
    await take_many(app, pilot, ending)


async def take_restores(uri: str, target: Path) -> None:
    """A plan, a boot test, a disk that was damaged meanwhile, and the backups that are found."""
    await asyncio.to_thread(_back_up, uri, target)
    app = QgaTui(hosts_for((uri,)), WORKER_ARGV, target)
    async with app.run_test(size=SMALL) as pilot:
        await open_list(pilot, app, "db1")
        await choose(pilot, app, "clone")
        await review(pilot, app)
        save(app, "restore-plan")
        await pilot.press("escape")
        await choose(pilot, app, "boot-test")
        await until(pilot, lambda: app.screen.query_one("#start", Button).has_focus)
        await pilot.press("enter")
        await to_the_end(pilot, app)
        await pilot.pause(1)
        save(app, "restore-boot-test")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, RestoreScreen))
        await asyncio.to_thread(_damage, target)
        await choose(pilot, app, "verify")
        await until(pilot, lambda: isinstance(app.screen, VerifyScreen) and bool(shown(app, "#found")))
        await pilot.pause(1)
        save(app, "verify-failed")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, RestoreScreen))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, RestoresScreen))
        await pilot.press("r")
        await until(pilot, lambda: "damaged" in shown(app, "#under-cursor"))
        await pilot.pause(1)
        save(app, "restores")


def _back_up(uri: str, target: Path) -> None:
    """Another backup of db1, and one of web1."""
    command = (sys.executable, "-m", "tui", "-c", uri, "backup", "web1", "db1", "--to", str(target))
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _damage(target: Path) -> None:
    """Change some bytes of a disk in the newest backup of db1."""
    disk = max(target.glob("*/db1/*/disks/vdb.*"))
    with disk.open("r+b") as file:
        file.seek(disk.stat().st_size // 2)
        file.write(b"damage")


async def take_many(app: QgaTui, pilot: Pilot[None], ending: str) -> None:
    """One command in all guests, each in a row, then grouped."""
    await pilot.press("a", "e")
    await until(pilot, lambda: isinstance(app.screen, ManyEntryScreen))
    app.screen.query_one(PromptInput).value = "hostname; date +%F"
    await pilot.press("enter", "enter")
    await until(pilot, lambda: isinstance(app.screen, ManyScreen))
    await pilot.pause(6)
    save(app, f"many{ending}")
    await until(pilot, lambda: "running" not in str(app.screen.query_one("#summary", Static).render()))
    await pilot.press("g", "up", "up", "up")
    await pilot.pause(1)
    save(app, f"many-grouped{ending}")
    await pilot.press("escape", "n")


def _answering(app: QgaTui) -> int:
    return sum(1 for guest in app.fleet.guests.values() if guest.agent.state is AgentState.RESPONDING)


def _saved(target: Path) -> bool:
    return any(target.glob("*/*/*/manifest.json"))


def main() -> None:
    """Take all pictures."""
    with headless_lab() as uri, tempfile.TemporaryDirectory(prefix="qga-tui-") as target:
        asyncio.run(take_all(uri, Path(target)))
        for size in (SMALL, SMALLEST):
            asyncio.run(take_small(uri, size))
        asyncio.run(take_restores(uri, Path(target)))


if __name__ == "__main__":
    main()
