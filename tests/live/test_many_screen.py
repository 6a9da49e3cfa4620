"""One command in many guests by keys, on a real guest agent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, cast

import pytest
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import DataTable, Static

from tests.live.host_agent import HostAgent
from tests.live.piloted import until
from tests.tui.sample import guest
from tests.unit.fake_host import FakeDeadLine
from tui.agent.transport import Transport
from tui.console.many_rows import RunState
from tui.console.saving import transcripts_folder
from tui.hosts.port import Host
from tui.model.guest import AgentState, Guest, PowerState
from tui.screens.confirm import ConfirmScreen
from tui.screens.console_flow import ConsoleFlow
from tui.screens.many import ManyScreen
from tui.screens.many_entry import ManyEntryScreen
from tui.screens.pick import PickScreen
from tui.widgets import clipboard
from tui.widgets.output_view import OutputView
from tui.widgets.prompt_input import PromptInput
from tui.widgets.stylesheets import style_paths

SIZES = [(60, 20), (80, 24)]


class ManyApp(App[None]):
    """Nothing but the way to one command in many guests."""

    CSS_PATH: ClassVar = style_paths()


class Many:
    """The screen of a run, as a user has it."""

    def __init__(self, app: ManyApp, pilot: Pilot[None], flow: ConsoleFlow) -> None:
        self.app = app
        self.pilot = pilot
        self.flow = flow
        assert isinstance(app.screen, ManyScreen)
        self.run = app.screen._run

    def guests_are(self, *guests: Guest) -> None:
        self.flow.guests_changed({each.id: each for each in guests})

    def words(self, part: str) -> str:
        return str(self.app.screen.query_one(part, Static).render())

    @property
    def rows(self) -> list[list[str]]:
        table = self.app.screen.query_one("#rows", DataTable)
        return [[str(cell) for cell in table.get_row_at(row)] for row in range(table.row_count)]

    @property
    def output(self) -> str:
        view = self.app.screen.query_one(OutputView)
        return "\n".join(view.render_line(y).text.strip() for y in range(view.size.height)) if view.display else ""

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def until_over(self) -> None:
        await until(self.pilot, lambda: self.run.is_over)
        await self.pilot.pause(0.2)


class FakeHostOfLines:
    """Stands for a host that has nothing but lines to agents."""

    uri = "fake:///kvm7"

    def __init__(self, lines: Mapping[str, Transport]) -> None:
        self._lines = {up(name).id.uuid: line for name, line in lines.items()}

    def work_line(self, uuid: str) -> Transport:
        return self._lines[uuid]


def up(name: str) -> Guest:
    return guest(name, AgentState.RESPONDING)


def stands(name: str, power: PowerState, reason: str) -> Guest:
    return replace(up(name), facts=replace(up(name).facts, power=power, power_reason=reason))


@asynccontextmanager
async def begun(line: str, lines: Mapping[str, Transport], size: tuple[int, int]) -> AsyncIterator[Many]:
    """The run, begun by keys, after the question named every guest."""
    app = ManyApp()
    flow = ConsoleFlow(app, {up("any").id.host: cast("Host", FakeHostOfLines(lines))}, lambda commands: None)
    guests = [up(name) for name in lines]
    flow.guests_changed({each.id: each for each in guests})
    async with app.run_test(size=size) as pilot:
        flow.open_many(guests)
        await until(pilot, lambda: isinstance(app.screen, ManyEntryScreen))
        await pilot.pause()
        app.screen.query_one(PromptInput).value = line
        await pilot.press("enter")
        await pilot.pause()
        asked = " ".join(str(each.render()) for each in app.screen.query(Static))
        assert f"in {len(guests)} guests?" in asked
        assert ", ".join(lines) in asked
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ManyScreen))
        await pilot.pause()
        many = Many(app, pilot, flow)
        yield many
        many.run.cancel()
        await until(pilot, lambda: many.run.is_over)


@pytest.mark.parametrize("size", SIZES)
async def test_groups_tell_who_is_in_them_and_why_and_open_to_each_guest(
    agent: HostAgent, size: tuple[int, int]
) -> None:
    lines: dict[str, Transport] = {
        "web1": agent.line,
        "mute": FakeDeadLine(),
        "db1": agent.line,
        "deaf": FakeDeadLine(),
    }
    async with begun("echo one; echo two", lines, size) as many:
        await many.until_over()
        assert [row[1] for row in many.rows] == list(lines)
        assert "✗ 2 failed  ✓ 2 done" in many.words("#summary")
        await many.press("g")
        assert [row[1] for row in many.rows] == ["2: mute, deaf", "2: web1, db1"]
        assert "The connection to libvirt was lost" in many.rows[0][4]
        await many.press("up")
        assert many.words("#detail").startswith("mute, deaf: The connection to libvirt was lost")
        await many.press("down")
        assert many.words("#detail") == "web1, db1: exit 0"
        await many.press("enter")
        assert [row[1] for row in many.rows] == ["2: mute, deaf", "2: web1, db1", "└ web1", "└ db1"]
        await many.press("down", "down", "enter")
        *written, end = many.output.splitlines()[:4]
        assert written == ["$ echo one; echo two", "one", "two"]
        assert end.startswith("= exit 0 after ")
        assert many.words("#detail").startswith("db1: exit 0 after ")
        await many.press("escape")
        assert many.output == ""
        await many.press("up", "up", "enter")
        assert len(many.rows) == 2


async def test_all_are_ended_by_a_key_and_leaving_asks_first(agent: HostAgent) -> None:
    lines = {"web1": agent.line, "db1": agent.line}
    async with begun("echo up; exec sleep 1000", lines, (80, 24)) as many:
        await until(many.pilot, lambda: [row[4] for row in many.rows] == ["up", "up"])
        await until(many.pilot, lambda: many.rows[0][3] not in {"", "0 s"})
        await many.press("escape")
        await until(many.pilot, lambda: isinstance(many.app.screen, ConfirmScreen))
        await many.press("n")
        assert not many.run.is_over
        await many.press("ctrl+c")
        await many.until_over()
        assert {row.words.split(" after ")[0] for row in many.run.rows} == {"cancelled"}
        await many.press("g")
        assert [row[1:3] for row in many.rows] == [["2: web1, db1", "signal 15"]]
        await many.press("escape")
        assert not isinstance(many.app.screen, ManyScreen)


async def test_rows_hear_from_the_hypervisor_what_becomes_of_their_guests(agent: HostAgent) -> None:
    lines = {"db1": agent.line, "web1": agent.line}
    async with begun("echo up; exec sleep 1000", lines, (80, 24)) as many:
        await until(many.pilot, lambda: [row[4] for row in many.rows] == ["up", "up"])
        paused = stands("web1", PowerState.PAUSED, "paused by a user")
        many.guests_are(stands("db1", PowerState.OFF, "forced off"), paused)
        await until(many.pilot, lambda: many.run.rows[0].state is RunState.FAILED)
        await many.pilot.pause(0.2)
        assert many.run.rows[0].words == "its end was not seen: the guest is off (forced off)"
        assert many.run.rows[1].state is RunState.RUNNING
        assert many.rows[1][4].startswith("The guest is paused (paused by a user)")
        prompt, up, off, end = many.run.scrollbacks[0].transcript.since()
        assert (prompt.text, up.text) == ("echo up; exec sleep 1000", "up")
        assert off.text == "The guest is off (forced off)."
        assert end.text == "its end was not seen: the guest is off (forced off)"


async def test_an_opened_guests_output_is_searched_copied_and_saved_as_it_came(
    agent: HostAgent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    copied: list[str] = []

    async def copy(_app: object, text: str) -> str:
        copied.append(text)
        return "copied"

    monkeypatch.setattr(clipboard, "copy", copy)
    line = r"printf '\001\002\000\003'; seq 300 >&2"
    async with begun(line, {"web1": agent.line, "db1": agent.line}, (80, 24)) as many:
        await many.until_over()
        await many.press("ctrl+s")
        assert isinstance(many.app.screen, ManyScreen), "no guest is opened"
        await many.press("down", "enter")
        assert "stdout is no text and is not shown; save it as a file" in many.output
        await many.press("ctrl+f", "7", "7", "enter")
        await until(many.pilot, lambda: "! 277" in many.output)
        await many.press("f3", "f3")
        await until(many.pilot, lambda: "! 77" in many.output)
        await many.press("ctrl+y")
        await until(many.pilot, lambda: isinstance(many.app.screen, PickScreen))
        await many.press("enter")
        await until(many.pilot, lambda: bool(copied))
        assert copied == ["".join(f"{number}\n" for number in range(1, 301))]
        await many.press("ctrl+s")
        await until(many.pilot, lambda: isinstance(many.app.screen, PickScreen))
        await many.press("down", "enter")
        await until(many.pilot, lambda: any("Saved 4 bytes" in each.message for each in many.app._notifications))
        (file,) = transcripts_folder().glob("db1-*.stdout.bin")
        assert file.read_bytes() == b"\x01\x02\x00\x03"
