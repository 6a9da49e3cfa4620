"""The list of backups where there is little room: what is cut says so, and nothing is lost from below it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from textual.strip import Strip
from textual.widgets import DataTable

from tests.live.piloted import until
from tests.unit.backup_values import a_plan
from tui.app import QgaTui
from tui.backup.journal import Journal, RunStage
from tui.backup.runs import create_run
from tui.backup.runstate import EXIT_NOT_DONE
from tui.screens.jobs import JobsScreen
from tui.widgets.few_lines import FewLines

GUEST = "a guest of a very long name"
TITLE = "The backup's target has no room for what this guest has on its disks"


def a_failed_run(target: Path, number: int) -> None:
    run = create_run(replace(a_plan(guest=GUEST, target=str(target)), run_id=f"0000000{number}"))
    error = {"title": TITLE, "cause": "", "next_step": "", "original": ""}
    Journal(run.folder).write(RunStage.FAILED, exit_code=EXIT_NOT_DONE, error=error, shortfalls=[])


def lines_of(app: QgaTui) -> list[str]:
    """The screen as it is drawn."""
    return [Strip(strip).text.rstrip() for strip in app.screen._compositor.render_strips()]


@pytest.mark.parametrize("runs", [1, 9])
@pytest.mark.parametrize(("size", "has_when"), [((60, 12), False), ((80, 12), True)])
async def test_cells_that_are_cut_end_in_an_ellipsis(
    tmp_path: Path, size: tuple[int, int], has_when: bool, runs: int
) -> None:
    for number in range(runs):
        a_failed_run(tmp_path, number)
    app = QgaTui(())
    async with app.run_test(size=size) as pilot:
        screen = JobsScreen()
        await app.push_screen(screen)
        await until(pilot, lambda: screen.query_one(DataTable).row_count == runs)
        await pilot.pause()
        row = next(line for line in lines_of(app) if "failed" in line)
        said = row.rstrip("▁▂▃▄▅▆▇█ ")
        guest, word, *when, what = re.split(" {2,}", said.strip())
        assert (guest, word) == (f"{GUEST[:11]}…", "failed")
        assert when == ["2026-11-22 21:43"][: int(has_when)]
        assert what.endswith("…")
        assert TITLE.startswith(what[:-1])
        assert len(said) >= size[0] - 4


async def test_below_the_list_all_is_told_however_narrow_it_is(tmp_path: Path) -> None:
    a_failed_run(tmp_path, 1)
    app = QgaTui(())
    async with app.run_test(size=(60, 12)) as pilot:
        screen = JobsScreen()
        await app.push_screen(screen)
        await until(pilot, lambda: screen.query_one(DataTable).row_count == 1)
        await until(pilot, lambda: "no copy" in str(screen.query_one(FewLines).render()).split("\n"))
        headline, doing, folder, hint = str(screen.query_one(FewLines).render()).split("\n")
        assert headline.startswith(f"Backup of {GUEST}")
        assert headline.endswith("…")
        assert doing.startswith("2026-11-22 ")
        assert folder == "no copy"
        assert hint == "enter shows it"
        await pilot.resize_terminal(120, 20)
        await until(pilot, lambda: TITLE in str(screen.query_one(FewLines).render()))
        assert not str(screen.query_one(FewLines).render()).split("\n")[0].endswith("…")
