"""The screen that counts the calls to libvirt."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.tui.test_guests_screen import text_of, three_domains, until
from tui.app import QgaTui
from tui.cli.connect import hosts_for
from tui.screens import calls
from tui.screens.calls import CallsScreen
from tui.screens.guests import GuestsScreen


async def test_the_calls_are_counted_by_host_and_function_and_go_on_being_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "REFRESH_S", 0.01)
    hosts = hosts_for((three_domains(tmp_path), "test:///default"))
    app = QgaTui(hosts)

    def all_are_drawn() -> bool:
        return counted(app) == {f"{host.name}  {host.calls.total()} calls": dict(host.calls) for host in hosts}

    async with app.run_test(size=(80, 40)) as pilot:
        await until(pilot, lambda: len(app.fleet.guests) == 4)
        await pilot.press("f12")
        await until(pilot, lambda: isinstance(app.screen, CallsScreen) and bool(app.screen.query("#counts")))
        await until(pilot, all_are_drawn)
        before = hosts[0].calls.copy()
        await hosts[0].list_domains()
        assert hosts[0].calls > before
        await until(pilot, all_are_drawn)
        await pilot.press("f12")
        await until(pilot, lambda: isinstance(app.screen, GuestsScreen))


def counted(app: QgaTui) -> dict[str, dict[str, int]]:
    """What is drawn: how often each function was called, under each host's head."""
    hosts = {}
    for part in text_of(app, "#counts").split("\n\n")[1:]:
        head, *lines = part.strip("\n").split("\n")
        hosts[head] = {function: int(count) for count, function in (re.split(" +", line.strip()) for line in lines)}
    return hosts
