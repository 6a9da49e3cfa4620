"""A backup's steps in a narrow and in a wide terminal."""

from dataclasses import replace

import pytest
from textual.app import App, ComposeResult

from tests.unit.backup_values import a_plan
from tui.backup.progress import Step, StepStatus
from tui.backup.runfold import first_state
from tui.backup.runstate import DiskProgress, RunState
from tui.widgets.step_bars import StepBars

COPYING = tuple(DiskProgress(target, 532_000, 14_000_000, 264_000) for target in ("vda", "vdb"))


def copying() -> RunState:
    state = first_state(a_plan())
    steps = (replace(s, status=StepStatus.RUNNING, disks=COPYING) if s.step is Step.COPY else s for s in state.steps)
    return replace(state, steps=tuple(steps))


class BarsApp(App[None]):
    def compose(self) -> ComposeResult:
        yield StepBars()

    def on_mount(self) -> None:
        self.query_one(StepBars).show(copying())


@pytest.mark.parametrize(("width", "lines_of_copy"), [(60, 2), (80, 2), (120, 1)])
async def test_facts_that_do_not_fit_beside_their_bar_stand_below_it(width: int, lines_of_copy: int) -> None:
    app = BarsApp()
    async with app.run_test(size=(width, 24)) as pilot:
        await pilot.pause()
        lines = str(app.query_one(StepBars).render()).splitlines()
        assert all(len(line) <= width for line in lines)
        at = next(number for number, line in enumerate(lines) if line.startswith("▸ copy"))
        assert "left" in lines[at + lines_of_copy - 1]
        assert "vda" in lines[at + lines_of_copy]
