"""Commands through a real guest agent that is restricted, restarted, stopped or killed meanwhile."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import signal
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.live.host_agent import HostAgent, running, until
from tests.live.raw_socket import RawSocket
from tests.live.test_agent_exec import QUICK, end_of, events_of, is_alive, line, written
from tui.agent.errors import CommandFailedError, CommandUnavailableError, RequestTooLargeError, UnansweredError
from tui.agent.exec import run
from tui.agent.exec_model import (
    CommandLine,
    End,
    ExecEvent,
    ExecPace,
    ExecRequest,
    Finished,
    Mode,
    Notice,
    Output,
    Program,
    Started,
    Stream,
    Surroundings,
)
from tui.agent.exec_scripts import GUARD
from tui.agent.exec_standing import Standing

TOOLS = ("sh", "head", "sleep", "seq", "cat", "dd", "mktemp", "setsid", "rm", "find", "mkfifo", "env")


def tools_without(folder: Path, *missing: str) -> str:
    """A PATH that leads to a few programs, without `missing`."""
    for name in set(TOOLS) - set(missing):
        program = shutil.which(name)
        assert program
        (folder / name).symlink_to(program)
    return str(folder)


class FakeLossyLine:
    """A real agent's line on which every seventh answer to a read, and every third to a seek, is lost: it was executed.

    So it is when a guest is saved, or a line breaks, between the agent's deed and our hearing of it.
    """

    def __init__(self, line: RawSocket) -> None:
        self._line = line
        self._reads, self._seeks = itertools.count(1), itertools.count(1)
        self.lost = 0

    async def send(self, request: str, timeout_s: int) -> str:
        reply = await self._line.send(request, timeout_s)
        is_lost = ("guest-file-read" in request and next(self._reads) % 7 == 0) or (
            "guest-file-seek" in request and next(self._seeks) % 3 == 0
        )
        if is_lost:
            self.lost += 1
            raise UnansweredError("The guest agent gave no answer", cause="the answer was lost")
        return reply


async def end_orphan(agent: HostAgent, pid: int) -> None:
    """End a command that no agent looks after, and wait for its pumps to follow."""
    (folder,) = agent.leftovers()
    os.kill(pid, signal.SIGKILL)
    await until(lambda: {"o", "e"} <= {line[:1] for line in (folder / "end").read_text().splitlines()})


async def test_blocked_exec_is_said_before_anything_starts(qemu_ga: Path) -> None:
    with running(qemu_ga, "guest-exec") as agent:
        with pytest.raises(CommandUnavailableError, match=r"guest-exec is blocked by the guest's policy"):
            await events_of(agent, line("true"))
        await agent.line.close()


@pytest.mark.parametrize("blocked", ["guest-file-open", "guest-file-read"])
async def test_blocked_files_fall_back_to_guarded_capture(qemu_ga: Path, blocked: str) -> None:
    with running(qemu_ga, blocked) as agent:
        events = await events_of(agent, line("echo out; echo err >&2; cat; exit 9", stdin=b"in", env={"A": "b"}))
        await agent.line.close()
    assert isinstance(events[0], Started)
    assert events[0].mode is Mode.CAPTURED
    (notice,) = (event.text for event in events if isinstance(event, Notice))
    assert notice == (
        "Output comes when the command and all that it left in the background have ended, cut after 1000000 bytes "
        "of each stream (the command runs on to its end): the agent's policy blocks its file commands."
    )
    assert (written(events), written(events, Stream.STDERR)) == (b"out\nin", b"err\n")
    assert end_of(events).exit_code == 9


async def test_guarded_capture_cuts_both_streams_and_says_so(qemu_ga: Path) -> None:
    with running(qemu_ga, "guest-file-open") as agent:
        events = await events_of(agent, line("seq 1 1000000 >&2; seq 1 1000000"))
        await agent.line.close()
    assert (len(written(events)), len(written(events, Stream.STDERR))) == (GUARD, GUARD)
    assert end_of(events).truncated


async def test_a_captured_command_is_cancelled_with_its_children(qemu_ga: Path) -> None:
    with running(qemu_ga, "guest-file-open") as agent:
        events = await events_of(agent, line("echo $$; sleep 1000 & echo $!; sleep 1000", timeout_s=0.4))
        await agent.line.close()
        assert end_of(events).end is End.TIMED_OUT
        assert not end_of(events).may_still_run


@pytest.mark.parametrize("missing", ["setsid", "mktemp", "mkfifo", "dd"])
async def test_a_missing_tool_is_named_and_captured_around(qemu_ga: Path, tmp_path: Path, missing: str) -> None:
    with running(qemu_ga, path=tools_without(tmp_path, missing)) as agent:
        events = await events_of(agent, line("echo out; exit 3"))
        await agent.line.close()
        assert agent.leftovers() == []
    assert [event for event in events if isinstance(event, Notice) and f"the guest has no {missing}" in event.text]
    assert (written(events), end_of(events).exit_code) == (b"out\n", 3)


async def test_without_setsid_a_cancelled_command_is_not_called_ended(qemu_ga: Path, tmp_path: Path) -> None:
    with running(qemu_ga, path=tools_without(tmp_path, "setsid")) as agent:
        pid_file = agent.folder / "pid-of-command"
        request = line('echo $$ >"$F"; exec sleep 1000', env={"F": str(pid_file)}, timeout_s=0.4)
        end = end_of(await events_of(agent, request))
        await agent.line.close()
        pid = int(pid_file.read_text())
        assert is_alive(pid)
        os.kill(pid, signal.SIGKILL)
    assert (end.end, end.may_still_run) == (End.TIMED_OUT, True)
    assert "its children hold its output open" in end.reason


async def test_without_head_output_is_cut_by_dd(qemu_ga: Path, tmp_path: Path) -> None:
    with running(qemu_ga, "guest-file-open", path=tools_without(tmp_path, "head")) as agent:
        events = await events_of(agent, line("seq 1 200000; echo err >&2; exit 3"))
        await agent.line.close()
    assert (len(written(events)), written(events, Stream.STDERR)) == (GUARD, b"err\n")
    assert (end_of(events).exit_code, end_of(events).truncated) == (3, True)


async def test_what_nothing_can_cut_is_not_captured(qemu_ga: Path, tmp_path: Path) -> None:
    with running(qemu_ga, path=tools_without(tmp_path, "setsid", "head", "dd")) as agent:
        events = await events_of(agent, ExecRequest(Program("seq", ("1", "3000000"))))
        await agent.line.close()
    (said,) = [event.text for event in events if isinstance(event, Notice)]
    assert said.startswith("Output is not shown: the guest has no setsid")
    assert said.endswith("a reply that is too large ends the agent's line for everybody.")
    assert (written(events), end_of(events).exit_code) == (b"", 0)


async def test_folder_and_environment_last_where_files_are_blocked(qemu_ga: Path) -> None:
    with running(qemu_ga, "guest-file-open") as agent:
        first = ExecRequest(CommandLine("cd /usr; export A='b  c'; echo out; exit 4"), keeps_surroundings=True)
        events = await events_of(agent, first)
        left = events[-1]
        assert isinstance(left, Surroundings)
        assert (written(events), end_of(events[:-1]).exit_code, left.cwd) == (b"out\n", 4, "/usr")
        second = ExecRequest(
            CommandLine('pwd; echo "$A"; export B="$(seq 100000)"'), cwd=left.cwd, exports=left.exports
        )
        again = await events_of(agent, replace(second, keeps_surroundings=True))
        assert written(again) == b"/usr\nb  c\n"
        # More than is worth carrying is not carried.
        assert isinstance(again[-1], Finished)
        await agent.line.close()


async def test_a_missing_folder_is_said_before_the_start(agent: HostAgent) -> None:
    with pytest.raises(CommandFailedError, match="the guest has no folder '/no/where'"):
        await events_of(agent, line("true", cwd="/no/where"))
    assert agent.leftovers() == []


async def test_too_much_input_is_refused_before_anything_is_made(agent: HostAgent) -> None:
    with pytest.raises(RequestTooLargeError):
        await events_of(agent, line("cat", stdin=b"x" * 200_000))
    assert agent.leftovers() == []


async def test_an_agent_killed_meanwhile_leaves_the_question_open(agent: HostAgent) -> None:
    seen: list[ExecEvent] = []
    async with aclosing(run(agent.line, line("echo up; exec sleep 1000"), pace=QUICK)) as events:
        async for event in events:
            seen.append(event)
            if isinstance(event, Output):
                agent.process.kill()
                agent.process.wait()
    started = seen[0]
    assert isinstance(started, Started)
    end = end_of(seen)
    assert (end.end, end.exit_code, end.signal, end.may_still_run) == (End.LOST, None, None, True)
    assert "not connected" in end.reason
    assert is_alive(started.pid)
    await end_orphan(agent, started.pid)


async def test_a_stopped_agent_that_goes_on_gives_the_whole_answer(agent: HostAgent) -> None:
    seen: list[ExecEvent] = []
    pace = ExecPace(patience=60)
    async with aclosing(run(agent.line, line("echo up; sleep 0.2; echo done; exit 4"), pace=pace)) as events:
        async for event in events:
            seen.append(event)
            if isinstance(event, Output) and event.data == b"up\n":
                agent.process.send_signal(signal.SIGSTOP)
            if isinstance(event, Notice):
                agent.process.send_signal(signal.SIGCONT)
    assert written(seen) == b"up\ndone\n"
    assert [event.text for event in seen if isinstance(event, Notice)][-1] == "The agent answers again."
    assert (end_of(seen).end, end_of(seen).exit_code) == (End.EXITED, 4)
    assert agent.leftovers() == []


async def test_answers_that_are_lost_lose_no_output(agent: HostAgent) -> None:
    lossy = FakeLossyLine(agent.line)
    steps = 300
    request = line(f"i=0; while [ $i -lt {steps} ]; do echo $i; echo e$i >&2; sleep 0.01; i=$((i+1)); done")
    async with aclosing(run(lossy, request, pace=QUICK)) as events:
        came = [event async for event in events]
    assert lossy.lost > 3
    assert end_of(came).exit_code == 0
    assert written(came).split() == [b"%d" % number for number in range(steps)]
    assert written(came, Stream.STDERR).split() == [b"e%d" % number for number in range(steps)]


async def test_cancelling_under_a_stopped_agent_ends_and_says_what_is_unknown(agent: HostAgent) -> None:
    cancel = asyncio.Event()
    seen: list[ExecEvent] = []
    async with aclosing(run(agent.line, line("echo up; exec sleep 1000"), cancel=cancel, pace=QUICK)) as events:
        async for event in events:
            seen.append(event)
            if isinstance(event, Output):
                agent.process.send_signal(signal.SIGSTOP)
                cancel.set()
    end = end_of(seen)
    assert (end.end, end.exit_code, end.may_still_run) == (End.CANCELLED, None, True)
    assert "gave no answer" in end.reason
    started = seen[0]
    assert isinstance(started, Started)
    await end_orphan(agent, started.pid)


@pytest.mark.long
async def test_a_known_pause_is_no_silence_however_long_it_lasts(agent: HostAgent) -> None:
    standing = Standing()

    def go_on() -> None:
        agent.process.send_signal(signal.SIGCONT)
        standing.is_paused = False

    pace = ExecPace(patience=0.5)
    seen: list[ExecEvent] = []
    request = line("echo up; sleep 0.2; echo done; exit 4")
    async with aclosing(run(agent.line, request, pace=pace, standing=standing)) as events:
        async for event in events:
            seen.append(event)
            if isinstance(event, Output) and event.data == b"up\n":
                agent.process.send_signal(signal.SIGSTOP)
                standing.is_paused = True
                asyncio.get_running_loop().call_later(8, go_on)
    assert [type(event) for event in seen] == [Started, Output, Output, Finished]
    assert written(seen) == b"up\ndone\n"
    assert (end_of(seen).end, end_of(seen).exit_code) == (End.EXITED, 4)


@pytest.mark.parametrize("may_run_on", [False, True])
async def test_the_hypervisors_word_ends_a_run(agent: HostAgent, may_run_on: bool) -> None:
    standing = Standing()
    seen: list[ExecEvent] = []
    async with aclosing(run(agent.line, line("echo up; exec sleep 1000"), standing=standing)) as events:
        async for event in events:
            seen.append(event)
            if isinstance(event, Output):
                standing.end, standing.may_run_on = "the guest is off", may_run_on
    started, end = seen[0], end_of(seen)
    assert isinstance(started, Started)
    os.kill(started.pid, signal.SIGKILL)
    assert (end.end, end.reason, end.may_still_run) == (End.LOST, "the guest is off", may_run_on)
    assert agent.leftovers() == []
