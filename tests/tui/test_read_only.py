"""Read-only mode holds: whatever key, button or line is chosen on whatever screen, nothing changes a guest or a run.

The host is libvirt's own test driver, whose calls are counted; processes, signals and consoles are noted, not begun.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Button, OptionList

from tests.live.piloted import until
from tests.unit.backup_values import a_plan
from tests.unit.saved_folder import write_backup
from tests.unit.test_backup_leftovers import OURS
from tests.unit.test_restore_undo import restored_in_place
from tui.app import QgaTui
from tui.backup.jobs import list_jobs
from tui.backup.journal import Journal, RunStage
from tui.backup.meaning import leftover_of
from tui.backup.progress import Progress, Step, StepStatus
from tui.backup.restore.catalogue import found_in
from tui.backup.restore.saved import read_saved
from tui.backup.runs import create_run, note_worker
from tui.backup.runstate import EXIT_DONE
from tui.commands import COMMANDS
from tui.hosts.libvirt_host import LibvirtHost
from tui.model.command import Where
from tui.model.guest import Guest
from tui.screens.console import ConsoleScreen
from tui.screens.doctor import DoctorScreen
from tui.screens.inside import InsideScreen
from tui.screens.line import LineScreen
from tui.screens.many import ManyScreen
from tui.screens.palette import CommandsProvider
from tui.screens.verify import VerifyScreen

HOST = "test"
WORKER = ("qga-tui-of-this-test", "backup-worker")
QUESTIONS = frozenset(
    [
        "listAllDomains",
        "getURI",
        "getHostname",
        "getCapabilities",
        "UUIDString",
        "getAllDomainStats",
        "XMLDesc",
        "lookupByUUIDString",
        "metadata",
        "blockInfo",
        "isPersistent",
        "autostart",
        "state",
        "info",
        "messages",
        "interfaceAddresses",
        "snapshotNum",
        "jobInfo",
    ]
)
"""The functions of libvirt that only ask."""
NOT_TRIED = {"app.quit", "guests.quit", "app.command_palette"}


@dataclass
class Desk:
    """The running program, what it would have done, and where its files are."""

    app: QgaTui
    host: LibvirtHost
    pilot: Pilot[None]
    acts: list[str]
    folder: Path
    seen: set[type[Screen[Any]]] = field(default_factory=set)

    @property
    def guest(self) -> Guest:
        (guest,) = self.app.fleet.guests.values()
        return guest

    @property
    def changes(self) -> list[str]:
        """All that was to change something."""
        return [*self.acts, *sorted(self.host.calls.keys() - QUESTIONS)]

    async def until_top(self, screen: type[Screen[Any]]) -> None:
        await until(self.pilot, lambda: isinstance(self.app.screen, screen) and self.app.screen.is_mounted)
        await self.pilot.pause()


Opener = Callable[[Desk], Awaitable[None]]


def by_keys(*keys: str) -> Opener:
    async def open_it(desk: Desk) -> None:
        await desk.pilot.press(*keys)
        await desk.pilot.pause()

    return open_it


async def doctor(desk: Desk) -> None:
    await desk.pilot.press("d")
    await desk.until_top(DoctorScreen)
    await until(desk.pilot, lambda: bool(desk.app.screen.query_one(OptionList).option_count))


def job(*, ended: bool, restores: bool = False, merges: bool = False, in_list: bool = False) -> Opener:
    """The screen of a run that ended well, or that this process works on; or its row in the list of backups."""

    async def open_it(desk: Desk) -> None:
        if not list_jobs():
            if restores:
                images = desk.folder / "images"
                images.mkdir()
                for name in ("web.qcow2", "data.raw"):
                    (images / name).write_text("the original")
                run: Any = restored_in_place(write_backup(desk.folder / "backup", str(images)), "11111111")
            else:
                guest = desk.guest
                plan = replace(a_plan(target=str(desk.folder)), host=HOST, uuid=guest.id.uuid, guest=guest.name)
                run = create_run(plan)
                Journal(run.folder).write(RunStage.DONE, exit_code=EXIT_DONE)
            if not ended:
                (run.folder / "journal.jsonl").unlink()
                note_worker(run, os.getpid())
            if merges:
                with closing(Progress(run.folder)) as progress:
                    progress.step(Step.COMMIT, StepStatus.RUNNING)
        if in_list:
            await by_keys("B")(desk)
            await until(desk.pilot, lambda: bool(getattr(desk.app.screen, "_orders", None)))
            return
        desk.app._backup_flow.open_job(desk.app.fleet, list_jobs()[0])
        await until(desk.pilot, lambda: any(button.display for button in desk.app.screen.query("#run Button, Button")))
        await desk.pilot.pause(0.5)

    return open_it


async def rescue(desk: Desk) -> None:
    leftover = leftover_of(OURS)
    assert leftover is not None
    desk.app._backup_flow.open_rescue(HOST, leftover)
    await desk.pilot.pause()


def a_backup(desk: Desk) -> Path:
    folder = desk.folder / "saved"
    return folder if folder.exists() else write_backup(folder)


async def restore(desk: Desk) -> None:
    (found,) = found_in(a_backup(desk))
    desk.app._restore_flow.open_backup(desk.app.fleet, found)
    await until(desk.pilot, lambda: any(ways.has_focus for ways in desk.app.screen.query("#ways")))


async def verify(desk: Desk) -> None:
    (found,) = found_in(a_backup(desk))
    await desk.app.push_screen(VerifyScreen(found))


async def inside(desk: Desk) -> None:
    await desk.app.push_screen(InsideScreen(read_saved(a_backup(desk))))


SCREENS: dict[str, tuple[Where, Opener]] = {
    "guests": (Where.GUESTS, by_keys()),
    "details": (Where.DETAILS, by_keys("i")),
    "doctor": (Where.DOCTOR, doctor),
    "rounds": (Where.ROUNDS, by_keys("V")),
    "jobs": (Where.JOBS, by_keys("B")),
    "finished backup": (Where.BACKUP, job(ended=True)),
    "running backup": (Where.BACKUP, job(ended=False)),
    "merging backup": (Where.BACKUP, job(ended=False, merges=True)),
    "row of a running backup": (Where.JOBS, job(ended=False, in_list=True)),
    "row of a merging backup": (Where.JOBS, job(ended=False, merges=True, in_list=True)),
    "finished restore": (Where.RESTORE_RUN, job(ended=True, restores=True)),
    "running restore": (Where.RESTORE_RUN, job(ended=False, restores=True)),
    "rescue": (Where.RESCUE, rescue),
    "restores": (Where.RESTORES, by_keys("R")),
    "restore": (Where.RESTORE, restore),
    "verify": (Where.VERIFY, verify),
    "inside": (Where.INSIDE, inside),
}
UNREACHABLE = {Where.CONSOLE: ConsoleScreen, Where.MANY: ManyScreen}
"""What there is nothing to look at without changing something."""


def test_no_screen_of_the_table_is_left_out() -> None:
    tried = {where for where, _ in SCREENS.values()}
    assert tried | UNREACHABLE.keys() | {Where.ANYWHERE} == {command.where for command in COMMANDS}


def is_shown(widget: Widget) -> bool:
    """Whether a user can come to it."""
    return all(each.display for each in widget.ancestors_with_self if isinstance(each, Widget))


async def say_yes_to_all(desk: Desk, opened: Screen[Any], open_it: Opener) -> Screen[Any]:
    """Answer whatever came up with yes, then come back; the screen that is tried, made anew where it was left."""
    for key in ("1" if isinstance(desk.app.screen, LineScreen) else "y", "enter"):
        if desk.app.screen is opened:
            break
        desk.seen.add(type(desk.app.screen))
        await desk.pilot.press(key)
        await desk.pilot.pause()
    while opened in desk.app.screen_stack and desk.app.screen is not opened:
        desk.app.pop_screen()
        await desk.pilot.pause()
    if opened not in desk.app.screen_stack:
        while len(desk.app.screen_stack) > 1:
            desk.app.pop_screen()
            await desk.pilot.pause()
        await open_it(desk)
    return desk.app.screen


async def try_everything(desk: Desk, where: Where, open_it: Opener) -> None:
    """Press each key of the screen's commands, each button, and each line of each list."""
    await open_it(desk)
    screen = desk.app.screen
    for command in COMMANDS:
        if command.where in (where, Where.ANYWHERE) and command.id not in NOT_TRIED:
            for key in command.keys:
                await desk.pilot.press(key)
                await desk.pilot.pause()
                screen = await say_yes_to_all(desk, screen, open_it)
        if command.where is Where.GUESTS and where is Where.GUESTS:
            await desk.pilot.press("escape")
    for place in range(len(screen.query(Button))):
        button = list(screen.query(Button))[place]
        if is_shown(button) and not button.disabled:
            button.press()
            await desk.pilot.pause()
            screen = await say_yes_to_all(desk, screen, open_it)
    for number in range(len(screen.query(OptionList))):
        for place in range(screen.query(OptionList)[number].option_count):
            lines = screen.query(OptionList)[number]
            if place < lines.option_count and not lines.get_option_at_index(place).disabled:
                lines.highlighted = place
                lines.action_select()
                await desk.pilot.pause()
                screen = await say_yes_to_all(desk, screen, open_it)


async def tried(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, *, read_only: bool) -> Desk:
    """Everything tried on a screen."""
    acts: list[str] = []
    begin, send = subprocess.Popen.__init__, os.kill

    def noted_begin(self: Any, argv: Any, *args: Any, **kwargs: Any) -> None:
        if argv[0] == WORKER[0]:
            acts.append("process")
            argv = ["true"]
        begin(self, argv, *args, **kwargs)

    def noted_send(pid: int, number: int) -> None:
        if pid == os.getpid():
            acts.append(f"signal {number}")
        else:
            send(pid, number)

    monkeypatch.setattr(subprocess.Popen, "__init__", noted_begin)
    monkeypatch.setattr(os, "kill", noted_send)

    async def noted_console(*_args: object) -> None:
        acts.append("console")

    async def noted_order(_run: object, line: str) -> None:
        acts.append(f"order {line}")

    monkeypatch.setattr("tui.backup.steering.order", noted_order)
    # A signal that does not arrive cancels nothing, so the run takes the other orders too.
    monkeypatch.setattr("tui.backup.runs.tell_cancelling", lambda _run: None)
    for module in ("tui.app", "tui.screens.doctor"):
        monkeypatch.setattr(f"{module}.open_serial", noted_console)
    where, open_it = SCREENS[name]
    host = LibvirtHost("test:///default", HOST)
    app = QgaTui((host,), WORKER, folder / "target", read_only=read_only)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: bool(app.fleet.guests))
        desk = Desk(app, host, pilot, acts, folder)
        await try_everything(desk, where, open_it)
        offered = {label for label, _, _ in CommandsProvider(desk.app.screen)._entries()}
        changing = {each.label for each in COMMANDS if each.where is where and each.changes}
        if read_only:
            assert not {label.partition("  (")[0] for label in offered} & changing
    return desk


@pytest.mark.parametrize("name", SCREENS)
async def test_in_read_only_mode_nothing_that_changes_anything_reaches_a_host(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await tried(name, tmp_path, monkeypatch, read_only=True)
    assert desk.changes == []
    assert not desk.seen & set(UNREACHABLE.values())


@pytest.mark.parametrize(
    ("name", "act"),
    [
        pytest.param("doctor", "console", marks=pytest.mark.long),
        ("running backup", "signal 15"),
        pytest.param("running backup", "order limit 1000000", marks=pytest.mark.long),
        pytest.param("merging backup", "order settle", marks=pytest.mark.long),
        pytest.param("row of a running backup", "order limit 1000000", marks=pytest.mark.long),
        pytest.param("row of a merging backup", "order settle", marks=pytest.mark.long),
        pytest.param("running restore", "signal 15", marks=pytest.mark.long),
        pytest.param("finished restore", "process", marks=pytest.mark.long),
        ("rescue", "process"),
    ],
)
async def test_without_it_the_same_reaches_the_host(
    name: str, act: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await tried(name, tmp_path, monkeypatch, read_only=False)
    assert act in desk.changes


@pytest.mark.parametrize("name", ["finished backup", "running backup", "finished restore", "running restore", "rescue"])
async def test_what_is_not_to_be_used_says_why(name: str, tmp_path: Path) -> None:
    host = LibvirtHost("test:///default", HOST)
    app = QgaTui((host,), WORKER, tmp_path, read_only=True)
    async with app.run_test(size=(60, 20)) as pilot:
        await until(pilot, lambda: bool(app.fleet.guests))
        await SCREENS[name][1](Desk(app, host, pilot, [], tmp_path))
        refused = [str(button.label) for button in app.screen.query(Button) if is_shown(button) and button.disabled]
        assert refused
        assert all(label.endswith(": not in read-only mode") for label in refused)
