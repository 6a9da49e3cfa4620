"""The restore's screens on folders as they may be found: whole, broken, foreign, hostile."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import DataTable, Input, OptionList, Static

from tests.live.piloted import until
from tests.tui.sample import guest
from tests.unit.saved_folder import change_manifest, write_backup
from tests.unit.test_backup_inside import an_ext4, make_qcow2
from tests.unit.test_backup_proof import a_backup
from tui.app import QgaTui
from tui.backup.inside import raw_view
from tui.backup.inside.debugfs import Entry, EntryKind
from tui.backup.restore.boot_test import BootNote, keep_note
from tui.backup.restore.catalogue import BackupWord, FoundBackup, found_in
from tui.backup.restore.saved import read_saved
from tui.hosts.libvirt_host import LibvirtHost
from tui.model.guest import AgentState
from tui.model.text import printable
from tui.screens.backup import BackupScreen
from tui.screens.confirm import ConfirmScreen
from tui.screens.file import FileScreen
from tui.screens.inside import InsideScreen
from tui.screens.line import LineScreen
from tui.screens.restore import RestoreScreen
from tui.screens.restores import RestoresScreen
from tui.screens.verify import VerifyScreen
from tui.widgets.disk_list import DiskList

SIZES = [(60, 20), (80, 24), (160, 50)]
EVIL = "evil\x1b[2J\x9b31m\u202e"


def cells(app: QgaTui) -> list[list[str]]:
    """The table's texts, row by row."""
    table = app.screen.query_one(DataTable)
    return [[str(cell) for cell in table.get_row_at(at)] for at in range(table.row_count)]


def shown(app: QgaTui, selector: str) -> str:
    return str(app.screen.query_one(selector, Static).render())


async def open_list(pilot: Pilot[None], app: QgaTui, target: Path, rows: int) -> RestoresScreen:
    screen = RestoresScreen(None, target)
    await app.push_screen(screen)
    await until(pilot, lambda: screen.query_one(DataTable).row_count == rows)
    await until(pilot, lambda: "enter opens" in shown(app, "#title"))
    return screen


@pytest.mark.parametrize("size", SIZES)
async def test_every_backup_is_listed_for_what_it_is_and_no_escape_survives(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    write_backup(tmp_path / "here/web/20261122T214300Z-00000001")
    change_manifest(write_backup(tmp_path / "here/web/20261122T214300Z-00000002"), schema=9)
    (tmp_path / "here/web/20261122T214300Z-00000003.partial").mkdir()
    host = {"name": "far", "uri": "qemu:///x", "hostname": EVIL}
    named = {"name": EVIL, "uuid": "0f7ab5a4-9a3c-4a35-8d0a-6b7c4a5b2c12"}
    change_manifest(write_backup(tmp_path / "far/evil/x"), guest=named, host=host)
    app = QgaTui(())
    async with app.run_test(size=size) as pilot:
        await open_list(pilot, app, tmp_path, 4)
        words = sorted(row[2].split()[-1] for row in cells(app))
        assert words == ["complete", "complete", "newer", "partial"]
        assert "another machine" in shown(app, "#under-cursor")
        drawn = app.export_screenshot()
        assert "evil\ufffd[2J" in drawn
        assert not set(drawn) & {"\x1b", "\x9b", "\u202e"}


async def test_a_folder_is_typed_in_and_searched_too(tmp_path: Path) -> None:
    write_backup(tmp_path / "one/backup")
    write_backup(tmp_path / "two/backup")
    app = QgaTui(())
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_list(pilot, app, tmp_path / "one", 1)
        await pilot.press("f")
        await until(pilot, lambda: isinstance(app.screen, LineScreen))
        app.screen.query_one(Input).value = str(tmp_path / "two")
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is screen and len(cells(app)) == 2)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is not screen)


async def test_a_path_that_cannot_be_one_is_refused_and_ends_nothing(tmp_path: Path) -> None:
    host, one = LibvirtHost("test:///default", "here"), guest("web1", AgentState.RESPONDING)
    found = found_one(write_backup(tmp_path / "a/backup"))
    saved = read_saved(found.folder)
    nowhere = "~nobody-is-called-so/x"
    app = QgaTui(())
    async with app.run_test(size=(80, 24)) as pilot:
        await open_list(pilot, app, tmp_path / "a", 1)
        await pilot.press("f")
        await until(pilot, lambda: isinstance(app.screen, LineScreen))
        app.screen.query_one(Input).value = nowhere
        await pilot.press("enter")
        await until(pilot, lambda: any("nobody-is-called-so" in note.message for note in app._notifications))
        await app.push_screen(InsideScreen(saved))
        inside = app.screen
        assert isinstance(inside, InsideScreen)
        inside.rows = (Entry(12, EntryKind.FILE, 0o644, 1, "hosts"),)
        inside._draw()
        inside.action_take()
        await until(pilot, lambda: isinstance(app.screen, LineScreen) and bool(app.screen.query(Input)))
        app.screen.query_one(Input).value = nowhere
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is inside and "nobody-is-called-so" in shown(app, "#said"))
        await app.push_screen(RestoreScreen(host, found, saved, (one,), ()))
        await until(pilot, lambda: app.screen.query_one("#ways").has_focus)
        await pilot.press("home", "enter")
        await until(pilot, lambda: app.screen.query_one("#name").has_focus)
        app.screen.query_one("#place", Input).value = nowhere
        await pilot.press("enter")
        await until(pilot, lambda: "nobody-is-called-so" in shown(app, "#trouble"))
        await app.push_screen(BackupScreen(host, one, (), tmp_path))
        await until(pilot, lambda: app.screen.query_one("#folder").has_focus)
        app.screen.query_one("#folder", Input).value = nowhere
        await pilot.press("enter")
        await until(pilot, lambda: "nobody-is-called-so" in shown(app, "#trouble"))


async def test_what_cannot_be_restored_says_why_instead_of_opening(tmp_path: Path) -> None:
    (write_backup(tmp_path / "b") / "manifest.json").write_text("garbage")
    app = QgaTui(())
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        screen = await open_list(pilot, app, tmp_path, 1)
        await pilot.press("enter")
        await pilot.pause()
        assert app.screen is screen
        assert any("manifest" in note.message for note in app._notifications)


def found_one(folder: Path) -> FoundBackup:
    (found,) = found_in(folder)
    assert found.word is BackupWord.COMPLETE
    return found


async def test_read_only_mode_looks_and_restores_nothing(tmp_path: Path) -> None:
    found = found_one(write_backup(tmp_path / "b"))
    app = QgaTui(())
    host = LibvirtHost("test:///default", "here")
    async with app.run_test(size=(60, 20)) as pilot:
        guests = (guest("web1", AgentState.RESPONDING),)
        await app.push_screen(RestoreScreen(host, found, read_saved(found.folder), guests, (), read_only=True))
        await pilot.pause()
        options = app.screen.query_one("#ways", OptionList).options
        assert {option.id for option in options if not option.disabled} == {"inside", "verify"}


async def test_leaving_a_verification_ends_its_reading(tmp_path: Path) -> None:
    folder = a_backup(tmp_path / "b")
    with (folder / "disks/vdb.raw").open("r+b") as disk:
        disk.truncate(2**40)
    app = QgaTui(())
    async with app.run_test(size=(80, 24)) as pilot:
        await app.push_screen(VerifyScreen(found_one(folder)))
        await until(pilot, lambda: "disks/vdb.raw" in shown(app, "#progress"))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, VerifyScreen))
        for thread in threading.enumerate():
            if thread.name.startswith(("verify-", "sha256")):
                await asyncio.to_thread(thread.join, 30)
                assert not thread.is_alive()


async def take_out(pilot: Pilot[None], app: QgaTui, offered: Path) -> None:
    """Take one file out to the place that is offered."""
    await pilot.press("x")
    await until(pilot, lambda: isinstance(app.screen, LineScreen))
    await pilot.press("enter")
    await until(pilot, lambda: shown(app, "#said").endswith(f"B in {offered}"))
    assert shown(app, "#said").startswith("✓ 1 file, 0 folders")
    assert offered.is_file()


async def test_the_user_is_asked_before_a_temporary_copy_and_looks_into_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raw_view, "STORAGE_DAEMON", "no-such-program")
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    folder = write_backup(tmp_path / "b")
    (tmp_path / "made").mkdir()
    make_qcow2("convert", "-f", "raw", str(an_ext4(tmp_path / "made")), str(folder / "disks/vda.qcow2"))
    app = QgaTui(())
    async with app.run_test(size=(60, 20)) as pilot:
        screen = InsideScreen(read_saved(folder))
        await app.push_screen(screen)
        await until(pilot, lambda: screen.query_one(DataTable).row_count == 2)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await pilot.press("n")
        await until(pilot, lambda: app.screen is screen)
        assert [row[0] for row in cells(app)] == ["vda  qcow2", "vdb  raw"]
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await pilot.press("y")
        await until(pilot, lambda: app.screen is screen and [row[0] for row in cells(app)] == ["etc/", "lost+found/"])
        await pilot.press("enter")
        await until(pilot, lambda: any("hostname" in row[0] for row in cells(app)))
        await pilot.press("down", "enter")
        await until(pilot, lambda: isinstance(app.screen, FileScreen))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen)
        for name in ("hostname", "hostname-2"):
            await take_out(pilot, app, home / "taken-out" / name)
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, LineScreen))
        app.screen.query_one(Input).value = str(home / "taken-out/hostname")
        await pilot.press("enter")
        await until(pilot, lambda: "name another path" in shown(app, "#said"))
        await pilot.press("up", "enter")
        await until(pilot, lambda: [row[0] for row in cells(app)] == ["ev\ufffdil \ufffd[31m\ufffd"])
        await take_out(pilot, app, home / "taken-out/ev_il _[31m_")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, FileScreen))


async def test_a_disk_for_a_guest_needs_a_guest_that_runs(tmp_path: Path) -> None:
    found = found_one(write_backup(tmp_path / "b"))
    app = QgaTui(())
    host = LibvirtHost("test:///default", "here")
    async with app.run_test(size=(60, 20)) as pilot:
        guests = (guest("web1", AgentState.OFF),)
        await app.push_screen(RestoreScreen(host, found, read_saved(found.folder), guests, ()))
        await until(pilot, lambda: app.screen.query_one("#ways").has_focus)
        await pilot.press("home", "down", "down", "down", "enter")
        await until(pilot, lambda: app.screen.query_one("#disks").has_focus)
        app.screen.query_one("#check").focus()
        await pilot.press("enter")
        await until(pilot, lambda: "No guest is chosen" in shown(app, "#trouble"))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen.query_one("#ways").has_focus)


async def test_chosen_disks_are_told_apart_without_colours_and_none_is_refused(tmp_path: Path) -> None:
    found = found_one(write_backup(tmp_path / "b"))
    app = QgaTui(())
    host = LibvirtHost("test:///default", "here")
    async with app.run_test(size=(60, 20)) as pilot:
        await app.push_screen(RestoreScreen(host, found, read_saved(found.folder), (), ()))
        await until(pilot, lambda: app.screen.query_one("#ways").has_focus)
        await pilot.press("home", "down", "down", "enter")
        disks = app.screen.query_one("#disks", DiskList)
        await until(pilot, lambda: disks.has_focus)
        first, second = (disks.render_line(at).text for at in (0, 1))
        assert ("X" in first, "X" in second) == (True, False)
        await pilot.press("space", "down", "space")
        first, second = (disks.render_line(at).text for at in (0, 1))
        assert ("X" in first, "X" in second) == (False, True)
        await pilot.press("space")
        app.screen.query_one("#check").focus()
        await pilot.press("enter")
        await until(pilot, lambda: "No disk is chosen" in shown(app, "#trouble"))


async def test_the_list_shows_what_was_noted_while_a_backup_was_open(tmp_path: Path) -> None:
    folder = write_backup(tmp_path / "b")
    app = QgaTui(())
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_list(pilot, app, tmp_path, 1)
        assert "boot tested" not in shown(app, "#under-cursor")
        await app.push_screen(LineScreen(printable("what was opened")))
        keep_note(folder, BootNote(1.0, "here", "qemu:///x", passed=True, seconds=8.0, answer="Debian"))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen and "boot tested" in shown(app, "#under-cursor"))


async def test_the_title_names_the_way_and_no_line_of_the_choices_wraps(tmp_path: Path) -> None:
    found = found_one(write_backup(tmp_path / "b"))
    app = QgaTui(())
    async with app.run_test(size=(60, 20)) as pilot:
        await app.push_screen(
            RestoreScreen(LibvirtHost("test:///default", "here"), found, read_saved(found.folder), (), ())
        )
        ways = app.screen.query_one("#ways", OptionList)
        await until(pilot, lambda: ways.has_focus)
        assert ways.virtual_size.height == ways.option_count
        await pilot.press("home", "down", "down", "enter")
        await until(pilot, lambda: shown(app, "#title").endswith("disks to a path"))
        await pilot.press("escape")
        await until(pilot, lambda: ways.has_focus and shown(app, "#title").endswith("on here"))
