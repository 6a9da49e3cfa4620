"""The chooser of the list's columns: what is shown there, in which order, and that it stays so."""

from __future__ import annotations

from textual.pilot import Pilot
from textual.widgets import OptionList

from tests.tui import sample
from tests.tui.test_guests_screen import until
from tui.app import QgaTui
from tui.fleet.columns import ALL, DEFAULT_KEYS
from tui.fleet.kept_view import kept_view_path
from tui.screens.choose_columns import ColumnsScreen
from tui.screens.guests import GuestsScreen
from tui.widgets.guest_rows import GuestRows

TITLES = [column.title for column in ALL.values()]


async def choosing(pilot: Pilot[None], app: QgaTui) -> OptionList:
    """The chooser, opened from the list."""
    app.fleet = sample.every_state()
    await pilot.press("c")
    await until(
        pilot, lambda: isinstance(app.screen, ColumnsScreen) and app.screen.query_one(OptionList).option_count > 0
    )
    return app.screen.query_one(OptionList)


async def done(pilot: Pilot[None], app: QgaTui, key: str) -> None:
    await pilot.press(key)
    await until(pilot, lambda: isinstance(app.screen, GuestsScreen))


async def go_to(pilot: Pilot[None], options: OptionList, key: str) -> None:
    """Put the cursor on a column by the keys."""
    place = [title for title, _ in lines(options)].index(ALL[key].title)
    await pilot.press("home", *["j"] * place)


def lines(options: OptionList) -> list[tuple[str, bool]]:
    """Each column's title, in order, and whether it is ticked."""
    texts = [str(option.prompt) for option in options.options]
    return [(next(title for title in TITLES if text[2:].startswith(f"{title} ")), text[0] == "✔") for text in texts]


def ticked(options: OptionList) -> list[str]:
    return [title for title, is_ticked in lines(options) if is_ticked]


def columns_of(app: QgaTui) -> tuple[str, ...]:
    screen = app.screen
    assert isinstance(screen, GuestsScreen)
    return screen.view.columns


def drawn(app: QgaTui) -> list[str]:
    """The columns for which there is room, as the list draws them."""
    return [column.key for column in app.screen.query_one(GuestRows).columns]


async def test_columns_are_added_removed_and_moved_and_stay_so_in_the_next_run() -> None:
    app = QgaTui(())
    async with app.run_test(size=(160, 40)) as pilot:
        options = await choosing(pilot, app)
        assert ticked(options) == [ALL[key].title for key in DEFAULT_KEYS]
        for key in ("vcpus", "ping"):
            await go_to(pilot, options, key)
            await pilot.press("space")
        await go_to(pilot, options, "agent")
        await pilot.press("K")
        moved = [key for key in (*DEFAULT_KEYS, "vcpus") if key not in ("ping", "agent")]
        moved.insert(DEFAULT_KEYS.index("agent") - 1, "agent")
        await until(pilot, lambda: ticked(options) == [ALL[key].title for key in moved])
        await done(pilot, app, "enter")
        assert columns_of(app) == tuple(moved)
        await until(pilot, lambda: drawn(app) == [key for key in moved if key in drawn(app)])
        assert "vcpus" in drawn(app)
    again = QgaTui(())
    async with again.run_test(size=(160, 40)) as pilot:
        again.fleet = sample.every_state()
        await until(pilot, lambda: "vcpus" in drawn(again))
        assert columns_of(again) == tuple(moved)
        assert ticked(await choosing(pilot, again)) == [ALL[key].title for key in moved]


async def test_the_guest_and_its_agent_cannot_be_hidden_and_esc_leaves_all_as_it_was() -> None:
    app = QgaTui(())
    async with app.run_test(size=(60, 20)) as pilot:
        options = await choosing(pilot, app)
        for key in ("name", "agent", "reason"):
            await go_to(pilot, options, key)
            await pilot.press("space")
        await until(pilot, lambda: ALL["reason"].title not in ticked(options))
        assert {ALL["name"].title, ALL["agent"].title} <= set(ticked(options))
        await done(pilot, app, "escape")
        assert columns_of(app) == DEFAULT_KEYS
        assert not kept_view_path().exists()


async def test_a_column_for_which_there_is_no_room_says_so() -> None:
    app = QgaTui(())
    async with app.run_test(size=(60, 20)) as pilot:
        options = await choosing(pilot, app)
        said = {str(option.prompt).split()[1] for option in options.options if "no room now" in str(option.prompt)}
        await done(pilot, app, "escape")
        assert said == {ALL[key].title for key in DEFAULT_KEYS if key not in drawn(app)}
