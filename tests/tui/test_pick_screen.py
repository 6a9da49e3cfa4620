"""Picking: what is typed counts where any text may be taken, and a slow disk holds up no key."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest
from textual.app import App
from textual.widgets import OptionList

from tests.live.piloted import until
from tui.app import QgaTui
from tui.console.charset import CHOICES
from tui.console.local_file import files_beginning
from tui.screens.pick import PickScreen, among


async def picked(keys: Sequence[str], *, free: bool) -> str | None:
    """What is taken with these keys out of the encodings."""
    taken: list[str | None] = []
    app = App[None]()
    async with app.run_test() as pilot:
        await app.push_screen(PickScreen("An encoding", among(CHOICES), free=free), taken.append)
        await pilot.pause()
        await pilot.press(*keys)
        await pilot.pause()
    (one,) = taken
    return one


@pytest.mark.parametrize("typed", ["utf-16", "cp125", "866"])
async def test_where_any_text_may_be_taken_enter_takes_what_was_typed(typed: str) -> None:
    assert await picked([*typed, "enter"], free=True) == typed


async def test_a_choice_is_taken_once_the_user_went_to_it_or_typed_nothing() -> None:
    assert await picked([*"utf-16", "down", "enter"], free=True) == "utf-16-le"
    assert await picked([*"cp125", "down", "down", "enter"], free=True) == "cp1252"
    assert await picked(["enter"], free=True) == "auto"


async def test_where_only_the_choices_may_be_taken_the_first_that_fits_is() -> None:
    assert await picked([*"cp125", "enter"], free=False) == "cp1251"


async def test_a_user_that_is_unknown_ends_nothing_and_the_disk_is_asked_in_a_thread() -> None:
    asked: list[threading.Thread] = []

    def narrow(typed: str) -> list[str]:
        asked.append(threading.current_thread())
        return [*files_beginning(typed), typed]

    app = QgaTui(())
    taken: list[str | None] = []
    async with app.run_test() as pilot:
        screen = PickScreen("A file", narrow, free=True, blocks=True)
        await app.push_screen(screen, taken.append)
        await pilot.pause()
        await pilot.press(*"~b")
        options = screen.query_one(OptionList)
        await until(pilot, lambda: options.option_count == 1 and str(options.get_option_at_index(0).prompt) == "~b")
        await pilot.press("enter")
        await pilot.pause()
    assert taken == ["~b"]
    assert threading.main_thread() not in asked
