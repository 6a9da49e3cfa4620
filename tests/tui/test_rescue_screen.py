"""The rescue that a screen begins: what its process says is shown, and it needs nobody to hear it."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest
from textual.widgets import Static

from tests.unit.fake_errand import FAKE_ERRAND, PATIENCE_S, until_there
from tests.unit.test_backup_leftovers import OURS
from tui.app import QgaTui
from tui.backup.meaning import leftover_of
from tui.backup.runs import LOG, create_run
from tui.screens.rescue import RescueScreen


def rescue_screen(folder: Path) -> RescueScreen:
    os.mkfifo(folder / "gate")
    leftover = leftover_of(OURS)
    assert leftover is not None
    return RescueScreen(leftover, (sys.executable, "-c", FAKE_ERRAND, str(folder)))


@pytest.fixture
def log() -> Path:
    return create_run(OURS.plan).folder / LOG


async def test_a_rescue_ends_well_when_the_program_is_left_meanwhile(tmp_path: Path, log: Path) -> None:
    app = QgaTui(())
    async with app.run_test(size=(80, 24)) as pilot:
        await app.push_screen(rescue_screen(tmp_path))
        await pilot.click("#apply")
        await asyncio.to_thread(until_there, tmp_path / "begun")
    await asyncio.to_thread((tmp_path / "gate").write_text, "go")
    await asyncio.to_thread(until_there, tmp_path / "done")
    assert log.read_text().endswith("not thawed: no answer\n")


async def test_how_far_a_rescue_is_and_what_it_answers_is_shown(tmp_path: Path, log: Path) -> None:
    app = QgaTui(())
    async with app.run_test(size=(80, 24)) as pilot:
        screen = rescue_screen(tmp_path)
        await app.push_screen(screen)
        await pilot.click("#apply")
        async with asyncio.timeout(PATIENCE_S):
            while "merging vda: 40 %" not in str(screen.query_one("#outcome", Static).render()):
                await pilot.pause(0.02)
        await asyncio.to_thread((tmp_path / "gate").write_text, "go")
        async with asyncio.timeout(PATIENCE_S):
            while "Nothing is left behind" not in str(screen.query_one("#outcome", Static).render()):
                await pilot.pause(0.02)
