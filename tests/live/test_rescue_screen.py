"""Leftovers by keys alone: the banner at connect, the list, the explanation, the typed confirmation, the end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from textual.widgets import Static

from tests.live.piloted import go_to, until
from tui.app import QgaTui
from tui.cli.connect import hosts_for
from tui.cli.workers import WORKER_ARGV
from tui.lab.laboratory import Laboratory
from tui.screens.guests import GuestsScreen
from tui.screens.jobs import JobsScreen
from tui.screens.rescue import RescueScreen

PICTURES = os.environ.get("QGA_TUI_PICTURES", "")
"""A folder to keep what was shown, for whoever wants to look."""


def shown(app: QgaTui, selector: str) -> str:
    return str(app.screen.query_one(selector, Static).render())


def keep(app: QgaTui, name: str) -> None:
    if PICTURES:
        (Path(PICTURES) / f"{name}.svg").write_text(app.export_screenshot(), encoding="utf-8")


@pytest.mark.parametrize("size", [(80, 24), pytest.param((120, 40), marks=pytest.mark.long)])
async def test_what_was_left_behind_is_shown_at_connect_and_merged_by_keys(
    lab: Laboratory, web1: str, tmp_path: Path, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    await lab.virsh("snapshot-create-as", web1, "left", "--disk-only", "--atomic", "--no-metadata")
    app = QgaTui(hosts_for((lab.uri,)), WORKER_ARGV, tmp_path)
    async with app.run_test(size=size) as pilot:
        await go_to(pilot, app, web1)
        await until(pilot, lambda: bool(app.screen.query_one("#banner").display))
        assert f"{web1}: A snapshot without an owner" in shown(app, "#banner")
        keep(app, f"banner-{size[0]}")
        await pilot.press("B")
        await until(pilot, lambda: isinstance(app.screen, JobsScreen))
        await pilot.pause()
        keep(app, f"jobs-{size[0]}")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, RescueScreen))
        await pilot.pause()
        keep(app, f"rescue-{size[0]}")
        await pilot.press("enter")
        await until(pilot, lambda: "Type the guest's name" in shown(app, "#outcome"))
        await pilot.press(*web1, "enter")
        await until(pilot, lambda: "on its own disks" in shown(app, "#outcome"))
        keep(app, f"rescued-{size[0]}")
        await pilot.press("enter")
        await until(
            pilot, lambda: isinstance(app.screen, JobsScreen) and not app.leftovers.get(app.fleet.hosts[0].name)
        )
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, GuestsScreen) and not app.screen.query_one("#banner").display)
    chain = await lab.virsh("domblklist", web1)
    assert ".left" not in chain
    for path in (lab.folder / "g").iterdir():
        if path.suffix == ".left":
            path.unlink()
