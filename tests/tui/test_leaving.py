"""A screen that is left while its workers have news."""

from __future__ import annotations

import ast
import asyncio
from pathlib import Path

import pytest
from textual import work
from textual.app import App, ComposeResult
from textual.screen import Screen
from textual.widgets import Static

import tui
from tui.widgets.leaving import EndsWorkersFirst

PROGRAM = Path(tui.__file__).parent


class Lingering(Static):
    """Goes only after its siblings have gone, and tells when they have."""

    def __init__(self, alone: asyncio.Event) -> None:
        super().__init__()
        self._alone = alone

    async def on_unmount(self) -> None:
        for _ in range(100):
            await asyncio.sleep(0.01)
            if not self.screen.query("#news"):
                self._alone.set()


class NewsScreen(Screen[None], EndsWorkersFirst):
    """Has news just when its parts are gone."""

    def __init__(self) -> None:
        super().__init__()
        self.is_without_parts = asyncio.Event()

    def compose(self) -> ComposeResult:
        yield Static("", id="news")
        yield Lingering(self.is_without_parts)

    def on_mount(self) -> None:
        self._tell()

    @work
    async def _tell(self) -> None:
        await self.is_without_parts.wait()
        self.query_one("#news", Static).update("news")


@pytest.mark.parametrize("quits", [False, True], ids=["the screen is left", "the program is left"])
async def test_news_for_a_screen_that_loses_its_parts_do_no_harm(quits: bool) -> None:
    app = App[None]()
    async with app.run_test() as pilot:
        screen = NewsScreen()
        await app.push_screen(screen)
        if not quits:
            await app.pop_screen()
            await pilot.pause()
    assert screen.is_without_parts.is_set()


def test_whatever_has_workers_ends_them_first() -> None:
    classes = {
        each.name: each
        for room in ("screens", "widgets")
        for file in (PROGRAM / room).glob("*.py")
        for each in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(each, ast.ClassDef)
    }
    with_workers = {name for name, each in classes.items() if each.bases and has_workers(each)}
    assert "ManyScreen" in with_workers
    assert [name for name in sorted(with_workers) if "EndsWorkersFirst" not in bases(name, classes)] == []


def has_workers(each: ast.ClassDef) -> bool:
    return any(
        (isinstance(part, ast.AsyncFunctionDef) and any("work" in ast.unparse(mark) for mark in part.decorator_list))
        or (isinstance(part, ast.Call) and ast.unparse(part.func) == "self.run_worker")
        for part in ast.walk(each)
    )


def bases(name: str, classes: dict[str, ast.ClassDef]) -> set[str]:
    """The names of what a class is made from, near and far."""
    if name not in classes:
        return set()
    own = {ast.unparse(base).partition("[")[0] for base in classes[name].bases}
    return own.union(*(bases(base, classes) for base in own))
