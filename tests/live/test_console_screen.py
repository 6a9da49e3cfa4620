"""The console's screen by keys alone, on a real guest."""

from __future__ import annotations

import re
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from textual.pilot import Pilot
from textual.widgets import Input, Static

from tests.live.piloted import go_to, until
from tui.app import QgaTui
from tui.cli.connect import hosts_for
from tui.console.saving import transcripts_folder
from tui.lab.laboratory import Laboratory
from tui.screens.console import ConsoleScreen
from tui.screens.guests import GuestsScreen
from tui.screens.pick import PickScreen
from tui.widgets.guest_rows import GuestRows
from tui.widgets.output_view import OutputView
from tui.widgets.prompt_input import PromptInput


class Console:
    """The console of one guest in a running program, as a user has it."""

    def __init__(self, app: QgaTui, pilot: Pilot[None]) -> None:
        self.app = app
        self.pilot = pilot

    @property
    def prompt(self) -> str:
        return self.app.screen.query_one("#prompt", PromptInput).value

    @property
    def visible(self) -> str:
        view = self.app.screen.query_one(OutputView)
        return "\n".join(view.render_line(y).text.rstrip() for y in range(view.size.height))

    @property
    def rows(self) -> list[str]:
        """The visible rows without their signs and margins."""
        return [row.strip(" !") for row in self.visible.splitlines()]

    async def until(self, condition: Callable[[], bool]) -> None:
        await until(self.pilot, condition)

    async def until_visible(self, words: str) -> None:
        await self.until(lambda: words in self.visible)

    async def open(self) -> None:
        await self.pilot.press("x")
        await self.until(lambda: isinstance(self.app.screen, ConsoleScreen))
        await self.until(lambda: self.app.screen.query_one("#prompt").has_focus)

    async def type(self, text: str) -> None:
        """Type into whatever has the focus."""
        await self.pilot.press(*text)

    async def run(self, line: str) -> None:
        """Run a line and wait for its end."""
        self.app.screen.query_one("#prompt", PromptInput).value = line
        await self.pilot.press("enter")
        await self.until(lambda: " ready" in str(self.app.screen.query_one("#title", Static).render()))
        await self.until(lambda: self.visible.rstrip().splitlines()[-1].startswith("= exit"))

    async def pick(self, key: str, words: str = "") -> None:
        """Open a list by its key, narrow it down and take what is first."""
        await self.pilot.press(key)
        await self.until(lambda: isinstance(self.app.screen, PickScreen))
        await self.until(lambda: self.app.screen.query_one("#typed").has_focus)
        self.app.screen.query_one("#typed", Input).value = words
        await self.pilot.pause()
        await self.pilot.press("enter")
        await self.until(lambda: isinstance(self.app.screen, ConsoleScreen))

    def named_in_list(self, guest: str) -> str:
        """What the guest list shows as a guest's name."""
        rows = self.app.screen.query_one(GuestRows)
        names = (rows.row(index)[0] for index in range(rows.row_count))
        return next((name for name in names if guest in name.split()), "")

    def said(self, words: str) -> bool:
        """Whether a notice says so."""
        return any(words in notice.message for notice in self.app._notifications)


@asynccontextmanager
async def console(lab: Laboratory, guest: str) -> AsyncIterator[Console]:
    app = QgaTui(hosts_for((lab.uri,)))
    async with app.run_test(size=(80, 24)) as pilot:
        await go_to(pilot, app, guest)
        one = Console(app, pilot)
        await one.open()
        yield one


async def test_lines_typed_before_come_back_by_up_and_by_search(lab: Laboratory, web1: str) -> None:
    async with console(lab, web1) as one:
        await one.run("echo alpha")
        await one.run(" echo secret")
        await one.run("echo beta")
        await one.pilot.press("up", "up")
        assert one.prompt == "echo alpha"
        await one.pilot.press("down")
        assert one.prompt == "echo beta"
        await one.pilot.press("down")
        assert one.prompt == ""
        await one.pick("ctrl+r", "alp")
        assert one.prompt == "echo alpha"
    async with console(lab, web1) as again:
        await again.pick("ctrl+r", "beta")
        assert again.prompt == "echo beta"


async def test_search_goes_up_through_the_output(lab: Laboratory, web1: str) -> None:
    async with console(lab, web1) as one:
        await one.run("i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo row $i.; done")
        assert "row 200." not in one.visible
        await one.pick("ctrl+f", "00.")
        for wanted in ("row 200.", "row 100."):
            await one.pilot.press("f3")
            await one.until_visible(wanted)
        await one.pilot.press("f3")
        await one.until(lambda: one.said("No more '00.'"))


async def test_the_last_output_is_copied_and_the_way_is_told(lab: Laboratory, web1: str) -> None:
    async with console(lab, web1) as one:
        await one.run("echo before")
        await one.run("echo one; echo two")
        await one.pick("ctrl+y", "last")
        await one.until(lambda: one.said("Copied 8 characters by the terminal (OSC 52)"))
        assert one.app.clipboard == "one\ntwo\n"
        await one.pick("ctrl+y", "everything")
        await one.until(lambda: "before" in one.app.clipboard)
        assert "= exit 0 after" in one.app.clipboard


async def test_a_transcript_and_the_bytes_are_saved_privately(lab: Laboratory, web1: str) -> None:
    async with console(lab, web1) as one:
        await one.run("ls /nowhere")
        await one.run(r"printf 'a\033[2J\377\n'")
        await one.pick("ctrl+s", "everything")
        await one.until(lambda: one.said("Saved "))
        await one.pick("ctrl+s", "bytes")
        await one.until(lambda: bool(list(transcripts_folder().glob("*.bin"))))
    (text,) = transcripts_folder().glob(f"{web1}-*.txt")
    (raw,) = transcripts_folder().glob(f"{web1}-*.bin")
    assert "\x1b" not in text.read_text()
    assert "= exit 0 after" in text.read_text()
    assert re.search(r"\$ ls /nowhere\n! ls: /nowhere: .*\n= exit ", text.read_text())
    assert raw.read_bytes() == b"a\x1b[2J\xff\n"
    assert [stat.S_IMODE(each.stat().st_mode) for each in (text, raw)] == [0o600, 0o600]


async def test_tab_completes_paths_of_the_guest(lab: Laboratory, web1: str) -> None:
    async with console(lab, web1) as one:
        await one.run(
            "mkdir -p /tmp/pilot; : >'/tmp/pilot/a file'; : >/tmp/pilot/bb1; : >/tmp/pilot/bb2; cd /tmp/pilot"
        )
        await one.type("cat a")
        await one.pilot.press("tab")
        await one.until(lambda: one.prompt == "cat a\\ file ")
        await one.pilot.press("ctrl+c")
        await one.type("cat b")
        await one.pilot.press("tab")
        await one.until(lambda: one.prompt == "cat bb")
        await one.pilot.press("tab")
        await one.until(lambda: one.said("bb1  bb2"))
        await one.run("rm -r /tmp/pilot")


async def test_a_command_that_runs_on_is_shown_in_the_list(lab: Laboratory, web1: str) -> None:
    async with console(lab, web1) as one:
        await one.type("echo up; exec sleep 1000")
        await one.pilot.press("enter")
        await one.until(lambda: "up" in one.rows)
        await one.until(lambda: bool(one.app.commands))
        await one.pilot.press("escape")
        await one.until(lambda: isinstance(one.app.screen, GuestsScreen))
        under = one.app.screen.query_one("#under-cursor", Static)
        await one.until(lambda: one.named_in_list(web1) == f"▸ {web1}")
        assert "running echo up; exec sleep 1000" in str(under.render())
        await one.open()
        assert "up" in one.rows
        await one.pilot.press("ctrl+c")
        await one.until(lambda: "= cancelled after" in one.visible)
        await one.pilot.press("escape")
        await one.until(lambda: isinstance(one.app.screen, GuestsScreen))
        await one.until(lambda: one.named_in_list(web1) == web1)
