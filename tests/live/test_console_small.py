"""The console in small terminals, on a real guest agent: what runs, how it ended and the prompt are in sight."""

from __future__ import annotations

from typing import ClassVar

import pytest
from textual.app import App
from textual.widgets import Static

from tests.live.host_agent import HostAgent
from tests.live.piloted import until
from tests.live.test_agent_exec import QUICK
from tests.tui.sample import guest
from tui.console.session import Session
from tui.model.guest import AgentState
from tui.screens.console import ConsoleScreen
from tui.widgets.output_view import OutputView
from tui.widgets.prompt_input import PromptInput
from tui.widgets.stylesheets import style_paths


class ConsoleApp(App[None]):
    """Nothing but a console."""

    CSS_PATH: ClassVar = style_paths()


@pytest.mark.parametrize("size", [(60, 20), (80, 24)])
async def test_title_output_end_and_prompt_are_in_sight(agent: HostAgent, size: tuple[int, int]) -> None:
    app, session = ConsoleApp(), Session(agent.line, pace=QUICK)
    async with app.run_test(size=size) as pilot:
        await app.push_screen(ConsoleScreen(guest("web1", AgentState.RESPONDING), session))
        title, view = app.screen.query_one("#title", Static), app.screen.query_one(OutputView)
        app.screen.query_one("#prompt", PromptInput).value = "seq 100; echo wrong >&2; sleep 1; exit 3"
        await pilot.press("enter")
        await until(pilot, lambda: " pid " in str(title.render()))
        assert str(title.render()).startswith("web1  ▸ running ")
        await until(pilot, lambda: not session.is_running)
        await pilot.pause(0.2)
        rows = [view.render_line(y).text.rstrip() for y in range(view.size.height)]
        assert view.size.height == size[1] - 3
        assert max(map(len, rows)) <= size[0]
        assert [row.lstrip(" !") for row in rows[-3:-1]] == ["100", "wrong"]
        assert rows[-1].startswith("= exit 3 after ")
        assert app.screen.query_one("#prompt").region.bottom == size[1] - 1
        assert str(title.render()).startswith("web1  ready")
    await session.close()
