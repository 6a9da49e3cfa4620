"""Saving what a command wrote: each stream is a file of its own, and one that is not whole says so."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.widgets import OptionList

from tests.live.piloted import until
from tui.agent.exec_model import Output, Stream
from tui.console import scrollback as kept_scrollback
from tui.console.charset import Charset
from tui.console.saving import transcripts_folder
from tui.console.scrollback import Scrollback
from tui.screens.pick import PickScreen
from tui.screens.scrollback import ScrollbackScreen
from tui.widgets.output_view import OutputView

ERROR = (Stream.STDERR, b"tar: a warning\n")


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


class SavingScreen(ScrollbackScreen):
    """Nothing but a scrollback and the key that saves it."""

    BINDINGS: ClassVar[list[BindingType]] = [("ctrl+s", "save")]

    def compose(self) -> ComposeResult:
        yield OutputView()


async def saved(*written: tuple[Stream, bytes], choice: int) -> tuple[list[str], bytes, str]:
    """What is offered to save of a command, what the file holds once one was taken, and what was said about it."""
    scrollback = Scrollback(Charset(), lambda fact: None)
    record = scrollback.begin("tar c /etc")
    for stream, data in written:
        await scrollback.take(record, Output(stream, data))
    app = App[None]()
    async with app.run_test() as pilot:
        await app.push_screen(SavingScreen(scrollback, "web1"))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(app.screen, PickScreen))
        await pilot.pause()
        choices = app.screen.query_one(OptionList)
        offered = [str(choices.get_option_at_index(place).prompt) for place in range(choices.option_count)]
        await pilot.press(*["down"] * choice, "enter")
        await until(pilot, lambda: bool(app._notifications))
        (said,) = (notice.message for notice in app._notifications)
    (file,) = transcripts_folder().glob("web1-*")
    return offered, file.read_bytes(), said


async def test_an_archive_is_saved_without_the_warnings_beside_it() -> None:
    written = (Stream.STDOUT, b"\x1f\x8b"), ERROR, (Stream.STDOUT, b"\x08")
    offered, archive, said = await saved(*written, choice=1)
    assert [words.split(",")[0] for words in offered] == [
        "everything",
        "the last command's standard output",
        "the last command's standard error",
    ]
    assert archive == b"\x1f\x8b\x08"
    assert said.startswith("Saved 3 bytes as ")
    assert "not whole" not in said


async def test_a_stream_on_which_nothing_came_is_not_offered() -> None:
    offered, error, _ = await saved(ERROR, choice=1)
    assert len(offered) == 2
    assert error == ERROR[1]


async def test_a_file_whose_head_is_lost_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_scrollback, "KEPT_BYTES", 10)
    pieces = [(Stream.STDOUT, letter * 10) for letter in (b"a", b"b", b"c")]
    _, data, said = await saved(*pieces, choice=1)
    assert data.endswith(b"c" * 10)
    assert f"the oldest {30 - len(data)} bytes were no longer kept" in said


async def test_the_warnings_are_saved_alone_too() -> None:
    assert (await saved((Stream.STDOUT, b"\x1f\x8b"), ERROR, choice=2))[1] == ERROR[1]
