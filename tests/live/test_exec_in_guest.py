"""Commands in a real guest, through libvirt, by the command line and by the console screen."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.live.piloted import go_to, until
from tests.live.watched import PATIENCE_S
from tui.app import QgaTui
from tui.cli.connect import hosts_for
from tui.lab.laboratory import Laboratory
from tui.screens.console import ConsoleScreen
from tui.widgets.output_view import LineKind, OutputView
from tui.widgets.prompt_input import PromptInput

STEPS = "for i in 1 2 3; do echo out $i; echo err $i >&2; sleep 1; done; exit 7"
HELD_STEPS = """for i in 1 2 3; do
  echo out $i; echo err $i >&2
  until [ -e /run/step-$i ]; do sleep 0.1; done; rm /run/step-$i
done; exit 7"""
"""A command that goes on with each step only when somebody has made the step's file in the guest."""


@asynccontextmanager
async def qga_tui(*words: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The command line as a process; ended with the body."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "tui", *words, stdout=pipe, stderr=pipe)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def sleepers(lab: Laboratory, guest: str) -> int:
    """How many `sleep 1000` live in the guest."""
    return int((await lab.shell(guest, "ps | grep -c '[s]leep 1000'")).output)


async def test_the_streams_stay_apart_arrive_line_by_line_and_the_exit_code_is_the_guests(
    lab: Laboratory, web1: str
) -> None:
    async with qga_tui("exec", "-c", lab.uri, web1, "--", "sh", "-c", HELD_STEPS) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        async with asyncio.timeout(PATIENCE_S):
            for step in (b"1", b"2", b"3"):
                assert await process.stdout.readline() == b"out %s\n" % step
                assert await process.stderr.readline() == b"err %s\n" % step
                await lab.shell(web1, f"touch /run/step-{step.decode()}")
            assert await process.stdout.read() == b""
            assert await process.stderr.read() == b""
            assert await process.wait() == 7


async def test_interrupting_leaves_no_process_in_the_guest(lab: Laboratory, web1: str) -> None:
    async with qga_tui("exec", "-c", lab.uri, web1, "--", "sh", "-c", "echo begun; sleep 1000 & sleep 1000") as process:
        assert process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            assert await process.stdout.readline() == b"begun\n"
            process.send_signal(signal.SIGINT)
            assert await process.wait() == 130
    assert await sleepers(lab, web1) == 0


async def test_time_over_is_124_and_leaves_no_process_in_the_guest(lab: Laboratory, web1: str) -> None:
    async with qga_tui("exec", "-c", lab.uri, web1, "--timeout", "1", "--", "sleep", "1000") as process:
        async with asyncio.timeout(PATIENCE_S):
            assert await process.wait() == 124
    assert await sleepers(lab, web1) == 0


async def test_the_console_shows_both_streams_and_its_cancel_key_ends_the_command(lab: Laboratory, web1: str) -> None:
    app = QgaTui(hosts_for((lab.uri,)))
    async with app.run_test(size=(80, 24)) as pilot:
        await go_to(pilot, app, web1)
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, ConsoleScreen))
        view = app.screen.query_one(OutputView)

        def lines() -> list[tuple[LineKind, str]]:
            return list(view.lines)

        app.screen.query_one("#prompt", PromptInput).value = STEPS
        await pilot.press("enter")
        await until(pilot, lambda: any(kind is LineKind.ENDED_BADLY for kind, _ in lines()))
        told = lines()
        assert [text for kind, text in told if kind is LineKind.STDOUT] == ["out 1", "out 2", "out 3"]
        assert [text for kind, text in told if kind is LineKind.STDERR] == ["err 1", "err 2", "err 3"]
        assert told[-1][1].startswith("exit 7 after ")

        app.screen.query_one("#prompt", PromptInput).value = "sleep 1000 & sleep 1000"
        await pilot.press("enter")
        await until(pilot, lambda: "pid" in str(app.screen.query_one("#title").render()))
        await pilot.press("ctrl+c")
        await until(pilot, lambda: sum(kind is LineKind.ENDED_BADLY for kind, _ in lines()) == 2)
        assert lines()[-1][1].startswith("cancelled after ")
    assert await sleepers(lab, web1) == 0
