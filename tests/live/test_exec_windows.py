"""Commands of a Windows guest, through a real agent that has the programs of the look-alike in place of Windows."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from tests.live.host_agent import HostAgent, running, until
from tests.live.test_agent_exec import QUICK, end_of, events_of, written
from tui.agent.commands import ping
from tui.agent.errors import CommandFailedError
from tui.agent.exec import run
from tui.agent.exec_model import CmdLine, End, ExecEvent, ExecRequest, Mode, Notice, Program, Started, Stream
from tui.agent.exec_scripts import GUARD
from tui.agent.leftovers import sweep_leftovers
from tui.agent.owner import run_folder_name
from tui.agent.profile import read_profile
from tui.console.cli_exec import Job, exec_to_json, exec_to_streams
from tui.console.session import Session
from tui.console.shells import Shell, request_for_line
from tui.console.transcript import NoticeLine, OutputLine
from tui.model.text import without_colours

OVER_THE_LINE = 14_000_000
"""Bytes that end libvirt's link, and no raw socket's: the largest reply of the agent tells here."""


class Measured:
    """The agent's line, with the size of the largest reply on it."""

    def __init__(self, agent: HostAgent) -> None:
        self._line = agent.line
        self.largest = 0

    async def send(self, request: str, timeout_s: int) -> str:
        reply = await self._line.send(request, timeout_s)
        self.largest = max(self.largest, len(reply))
        return reply


@pytest_asyncio.fixture(loop_scope="session")
async def win(qemu_ga: Path) -> AsyncIterator[HostAgent]:
    with running(qemu_ga, windows=True) as agent:
        yield agent
        await agent.line.close()


async def pieces(*data: bytes) -> AsyncIterator[bytes]:
    for each in data:
        yield each


async def fed(agent: HostAgent, line: str, *data: bytes) -> list[ExecEvent]:
    request = request_for_line(line, Shell.CMD, settings={"X": "1"})
    async with aclosing(run(agent.line, request, stdin=pieces(*data), pace=QUICK)) as events:
        return [event async for event in events]


def notices(events: Sequence[ExecEvent]) -> list[str]:
    return [event.text for event in events if isinstance(event, Notice)]


async def test_the_two_outputs_and_the_exit_code_come_apart_and_nothing_is_left(win: HostAgent) -> None:
    events = await events_of(win, ExecRequest(CmdLine('echo "a & b" & nonsense & exit 7')))
    assert isinstance(events[0], Started)
    assert events[0].mode is Mode.CAPTURED
    assert notices(events) == ["Output comes when the command has ended: this is a Windows guest."]
    assert written(events) == b'"a & b" \r\n'
    assert written(events, Stream.STDERR).startswith(b'"nonsense" ')
    assert end_of(events).exit_code == 7
    assert win.windows_leftovers() == []


@pytest.mark.parametrize("blocked", [(), ("guest-file-open",)])
async def test_no_reply_grows_with_the_output(qemu_ga: Path, blocked: tuple[str, ...]) -> None:
    with running(qemu_ga, *blocked, windows=True) as agent:
        line = Measured(agent)
        request = ExecRequest(Program("head", ("-c", str(OVER_THE_LINE), "/dev/zero")))
        async with aclosing(run(line, request, pace=QUICK)) as course:
            events = [event async for event in course]
        assert line.largest < 2_000_000
        assert len(written(events)) == (GUARD if blocked else OVER_THE_LINE)
        assert end_of(events).truncated == bool(blocked)
        await ping(agent.line)
        assert agent.windows_leftovers() == []
        await agent.line.close()


@pytest.mark.parametrize("blocked", [(), ("guest-file-open",)])
async def test_input_is_read_by_the_command_and_never_run(qemu_ga: Path, blocked: tuple[str, ...]) -> None:
    with running(qemu_ga, *blocked, windows=True) as agent:
        events = await fed(agent, 'findstr "am"', b"whoami\r\nhost", b"name %X%\r\nver\r\n")
        assert written(events) == b"whoami\r\nhostname %X%\r\n"
        assert end_of(events).exit_code == 0
        assert agent.windows_leftovers() == []
        await agent.line.close()


async def test_a_program_gets_exactly_its_arguments(win: HostAgent) -> None:
    arguments = ("a b", 'q"x"', "50%", "%TEMP%", "a&b>c^d(e)", "", "back\\", "sp \\", "'")
    events = await events_of(win, ExecRequest(Program("printf", ("%s|", *arguments)), env={"LANG": "1&2"}))
    assert written(events) == "".join(f"{each}|" for each in arguments).encode()


async def test_folder_and_variables_are_those_of_the_request(win: HostAgent) -> None:
    line = CmdLine("cd & echo %A% %B%", {"A": "1 (x)"})
    events = await events_of(win, ExecRequest(line, cwd=r"C:\Program Files (x86)\a&b", env={"B": "50% off"}))
    assert written(events).split(b"\r\n") == [rb"C:\Program Files (x86)\a&b", b"1 (x) 50% off", b""]
    with pytest.raises(CommandFailedError, match="the guest has no folder"):
        await events_of(win, ExecRequest(line, cwd=r"C:\nowhere"))
    with pytest.raises(CommandFailedError, match="holds a quote"):
        await events_of(win, ExecRequest(line, env={"B": 'a"b'}))
    assert win.windows_leftovers() == []


async def test_the_folder_is_private(win: HostAgent) -> None:
    events = run(win.line, ExecRequest(Program("sleep", ("50",))), stdin=pieces(b"secret"), pace=QUICK)
    assert isinstance(await anext(events), Started)
    modes = {path.name.rpartition("\\")[2]: path.stat().st_mode & 0o777 for path in win.windows_leftovers()}
    await events.aclose()
    assert [modes.pop(name) for name in "oei"] == [0o600] * 3
    assert list(modes.values()) == [0o700]
    assert win.windows_leftovers() == []


async def test_a_command_is_ended_with_its_children(win: HostAgent) -> None:
    events = await events_of(win, ExecRequest(CmdLine("echo up & sleep 1000"), timeout_s=0.5))
    assert (end_of(events).end, end_of(events).may_still_run) == (End.TIMED_OUT, False)
    assert written(events) == b"up \r\n"
    assert win.windows_leftovers() == []


async def test_input_that_is_waited_for_does_not_hold_a_cancel_up(win: HostAgent) -> None:
    cancel = asyncio.Event()

    async def typed() -> AsyncIterator[bytes]:
        yield b"one"
        cancel.set()
        await asyncio.Event().wait()

    request = ExecRequest(CmdLine("sort"))
    async with aclosing(run(win.line, request, stdin=typed(), cancel=cancel, pace=QUICK)) as events:
        (end,) = [event async for event in events]
    assert end_of([end]).reason == "it was cancelled before it began"
    assert win.windows_leftovers() == []


async def test_what_a_dead_run_left_is_swept(win: HostAgent) -> None:
    profile = await read_profile(win.line)
    name = run_folder_name().rpartition("-")[0]
    own = win.folder / rf"C:\Windows\Temp\{run_folder_name()}.00"
    dead = win.folder / rf"C:\Windows\Temp\{name}-1.00"
    for folder in (own, dead):
        folder.mkdir()
    assert (await sweep_leftovers(win.line, profile)).folders == 1
    assert win.windows_leftovers() == [own]


async def test_output_that_a_child_in_the_background_holds_open_is_read_all_the_same(win: HostAgent) -> None:
    class FakeSharing:
        """Refuses to open an output, as the agent of Windows does while somebody writes it."""

        async def send(self, request: str, timeout_s: int) -> str:
            if "guest-file-open" in request and r"\\o" in request:
                return '{"error": {"class": "GenericError", "desc": "used by another process"}}'
            return await win.line.send(request, timeout_s)

    async with aclosing(run(FakeSharing(), ExecRequest(CmdLine("ver")), pace=QUICK)) as course:
        events = [event async for event in course]
    assert b"6.1.7601" in written(events)
    assert "A process in the background holds stdout open" in notices(events)[-1]


async def test_the_command_line_reads_the_page_of_the_guest(win: HostAgent) -> None:
    job = Job(request_for_line("dir", Shell.CMD), pace=QUICK)
    told, code = await exec_to_json(win.line, job, "win")
    assert (code, "1 файлов" in str(told["stdout"])) == (0, True)
    out, err = io.BytesIO(), io.BytesIO()
    assert await exec_to_streams(win.line, job, out, err, prefix="win: ") == 0
    assert "win:                1 файлов" in out.getvalue().decode()


async def test_paths_are_completed(win: HostAgent) -> None:
    session = Session(win.line, pace=QUICK)
    session.scrollback.charset = replace(session.scrollback.charset, oem_page="cp866")
    assert (await session.complete(r"dir C:\Users\Ан")).line == "dir C:\\Users\\Анна\\"
    assert (await session.complete(r"dir C:\Users\al")).line == 'dir "C:\\Users\\All Users\\'
    several = await session.complete(r"dir C:\Users\d")
    assert (several.line, several.candidates) == ("dir C:\\Users\\Default", ("Default\\", "Default archive\\"))
    assert (await session.complete(r"dir C:\Users\x")).line == r"dir C:\Users\x"
    await session.close()


async def test_errors_of_powershell_are_read(win: HostAgent) -> None:
    session = Session(win.line, pace=QUICK)
    session.scrollback.charset = replace(session.scrollback.charset, oem_page="cp866")
    session.use_shell(Shell.POWERSHELL)
    session.run("Nonsense")
    await session.idle()
    lines = list(session.scrollback.transcript.since())
    texts = [str(without_colours(each.text)) for each in lines if isinstance(each, OutputLine)]
    assert texts == ["Имя не распознано как имя командлета."]
    await session.close()


async def test_what_is_left_of_a_command_is_looked_at(win: HostAgent) -> None:
    session = Session(win.line, pace=QUICK)
    session.run("sleep 1000")
    await until_running(session, win)
    session.cancel()
    await session.idle()
    await session.look_again()
    said = [each.text for each in session.scrollback.transcript.since() if isinstance(each, NoticeLine)]
    assert said[-1].endswith("nothing of it is left in the guest")
    await session.close()


async def until_running(session: Session, agent: HostAgent) -> None:
    while session.last is None or not session.last.pid:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    await until(lambda: len(agent.windows_leftovers()) > 2)
