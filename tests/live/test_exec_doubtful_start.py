"""Starts whose answers are lost: what began is followed, what did not is said, and nothing runs twice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path

import pytest

from tests.live.fateful_line import FakeFatefulLine, Fate, Turn
from tests.live.host_agent import HostAgent, running, until
from tests.live.test_agent_exec import QUICK, end_of, is_alive, line, written
from tui.agent import exec_ahead, exec_streamed
from tui.agent.errors import StartInDoubtError, UnansweredError
from tui.agent.exec import run
from tui.agent.exec_ahead import make_ready, release
from tui.agent.exec_model import End, ExecEvent, Finished, Started
from tui.console.audit import run_audited
from tui.console.many import ManyGuest, ManyRun
from tui.console.many_rows import RunState
from tui.model.guest import GuestId
from tui.system.audit_log import AuditTarget, audit_path

WRITE, FLUSH, CLOSE, EXEC = "guest-file-write", "guest-file-flush", "guest-file-close", '"path": "setsid"'
TARGET = AuditTarget("host", "guest", "uuid")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shells of this machine begin at once; what is written waits in the agent until it is flushed."""
    monkeypatch.setattr(exec_ahead, "_BEGINS_S", 0.5)
    monkeypatch.setattr(exec_ahead, "_WRITTEN_AT_ONCE", 1)
    monkeypatch.setattr(exec_streamed, "_SAYS_PID_S", 0.5)


def marks(agent: HostAgent) -> list[str]:
    """A line for each time that the command ran."""
    file = agent.folder / "marks"
    return file.read_text().splitlines() if file.exists() else []


async def marked(
    agent: HostAgent, turns: Sequence[Turn], *, is_ready: bool = True, cancel: asyncio.Event | None = None
) -> tuple[list[ExecEvent], int]:
    """Run a command that leaves a mark, and tell its course with the pid of the shell that waited for it, or 0."""
    line_ = FakeFatefulLine(agent.line)
    ready = await make_ready(line_, "") if is_ready else None
    line_.turns = list(turns)
    request = line(f"echo mark >>{agent.folder / 'marks'}; echo said; exit 3")
    async with aclosing(run(line_, request, ready=ready, pace=QUICK, cancel=cancel)) as events:
        seen = [event async for event in events]
    assert line_.turns == []
    return seen, ready.runner if ready is not None else 0


def held(agent: HostAgent) -> list[str]:
    """What the agent holds open of our folders, removed or not."""
    return [link for link in agent.links() if str(agent.temp) in link]


async def nothing_is_left(agent: HostAgent, runner: int) -> None:
    assert agent.leftovers() == []
    assert held(agent) == []
    await until(lambda: not is_alive(runner))


LOST_HAND_OVERS: dict[str, list[Turn]] = {
    "the write": [(WRITE, Fate.UNHEARD)],
    "the flush": [(FLUSH, Fate.UNHEARD)],
    "both": [(WRITE, Fate.UNHEARD), (FLUSH, Fate.UNHEARD)],
    "an unsent flush": [(FLUSH, Fate.UNSENT)],
    "all for a while": [(WRITE, Fate.UNHEARD), *[("", Fate.UNSENT)] * 4],
}


@pytest.mark.parametrize("turns", LOST_HAND_OVERS.values(), ids=LOST_HAND_OVERS.keys())
async def test_a_command_whose_hand_over_was_lost_runs_once_and_is_followed(
    agent: HostAgent, turns: list[Turn]
) -> None:
    seen, runner = await marked(agent, turns)
    assert isinstance(seen[0], Started)
    assert seen[0].pid == runner
    assert (written(seen), end_of(seen).end, end_of(seen).exit_code) == (b"said\n", End.EXITED, 3)
    assert marks(agent) == ["mark"]
    await nothing_is_left(agent, runner)


async def test_a_command_that_was_written_through_runs_once(agent: HostAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exec_ahead, "_WRITTEN_AT_ONCE", 4096)
    for lost in (WRITE, "guest-file-read"):
        seen, runner = await marked(agent, [(lost, Fate.UNHEARD)])
        assert isinstance(seen[0], Started)
        assert (seen[0].pid, end_of(seen).exit_code) == (runner, 3)
        await nothing_is_left(agent, runner)
    assert marks(agent) == ["mark", "mark"]


async def test_a_command_that_never_arrived_is_started_anew(agent: HostAgent) -> None:
    seen, runner = await marked(agent, [(WRITE, Fate.UNSENT)])
    assert isinstance(seen[0], Started)
    assert seen[0].pid != runner
    assert end_of(seen).exit_code == 3
    assert marks(agent) == ["mark"]
    await nothing_is_left(agent, runner)


async def test_a_command_that_never_arrived_before_a_silence_is_said_not_to_have_begun(agent: HostAgent) -> None:
    seen, runner = await marked(agent, [(WRITE, Fate.UNSENT), *[("", Fate.UNSENT)] * 3])
    end = end_of(seen)
    assert (end.end, end.may_still_run, end.truncated) == (End.LOST, False, False)
    assert end.reason == "it never began: its text did not reach the guest"
    assert marks(agent) == []
    await nothing_is_left(agent, runner)


@pytest.mark.parametrize(("before", "is_anew"), [(WRITE, True), (FLUSH, False)])
async def test_a_handle_that_the_agent_has_forgotten_starts_nothing_twice(
    agent: HostAgent, before: str, is_anew: bool
) -> None:
    """As an agent that is restarted gives its files back: what waits in them goes to the guest."""

    async def forget_handle(request: str) -> None:
        handle = json.loads(request)["arguments"]["handle"]
        closing = json.dumps({"execute": CLOSE, "arguments": {"handle": handle}})
        assert json.loads(await agent.line.send(closing, 5)) == {"return": {}}

    seen, runner = await marked(agent, [(before, forget_handle)])
    assert isinstance(seen[0], Started)
    assert (seen[0].pid != runner) is is_anew
    assert end_of(seen).exit_code == 3
    assert marks(agent) == ["mark"]
    await nothing_is_left(agent, runner)


async def test_tidying_up_starts_no_command_that_waits_in_the_agent(agent: HostAgent) -> None:
    """The hand-over is written and not flushed, and nobody follows it."""
    ready = await make_ready(agent.line, "")
    text = f"x\necho mark >>{agent.folder / 'marks'}\nx\n".encode()
    await ready.go.write(text)
    await release(agent.line, ready)
    await nothing_is_left(agent, ready.runner)
    assert marks(agent) == []


async def test_a_start_whose_answer_was_lost_is_found_by_its_pid(agent: HostAgent) -> None:
    seen, _ = await marked(agent, [(EXEC, Fate.UNHEARD)], is_ready=False)
    assert isinstance(seen[0], Started)
    assert (written(seen), end_of(seen).exit_code) == (b"said\n", 3)
    assert marks(agent) == ["mark"]
    await nothing_is_left(agent, seen[0].pid)


@pytest.mark.parametrize("fate", [Fate.UNHEARD, Fate.UNSENT])
async def test_a_start_that_stays_in_doubt_is_called_so_and_logged(agent: HostAgent, fate: Fate) -> None:
    async def lost_once_it_runs(_request: str) -> None:
        await until(lambda: bool(marks(agent)))
        raise UnansweredError("The guest agent gave no answer", cause="the request was lost")

    turns: list[Turn] = [(EXEC, fate)]
    if fate is Fate.UNHEARD:
        turns.append(("guest-file-open", lost_once_it_runs))
    request = line(f"trap 'exit 0' TERM; echo $$ >>{agent.folder / 'marks'}")
    events = run_audited(FakeFatefulLine(agent.line, *turns), request, TARGET, typed="as typed", pace=QUICK)
    async with aclosing(events):
        with pytest.raises(
            StartInDoubtError, match=r"^The command may have been started: .* before you start it again"
        ):
            await anext(events)
    (logged,) = map(json.loads, audit_path().read_text().splitlines())
    assert (logged["event"], logged["pid"], logged["command"]) == ("perhaps started", None, "as typed")
    assert len(marks(agent)) == (1 if fate is Fate.UNHEARD else 0)
    assert agent.leftovers() == []


async def test_a_captured_start_whose_answer_was_lost_is_in_doubt(qemu_ga: Path) -> None:
    with running(qemu_ga, "guest-file-open") as agent:
        line_ = FakeFatefulLine(agent.line, (EXEC, Fate.UNHEARD))
        async with aclosing(run(line_, line("true"), pace=QUICK)) as events:
            with pytest.raises(StartInDoubtError, match="may have been started"):
                await anext(events)
        await agent.line.close()


async def test_a_folder_that_could_not_be_made_leaves_no_doubt_about_the_command(agent: HostAgent) -> None:
    line_ = FakeFatefulLine(agent.line, ("mktemp", Fate.UNSENT))
    events = run_audited(line_, line("true"), TARGET, pace=QUICK)
    async with aclosing(events):
        with pytest.raises(UnansweredError):
            await anext(events)
    assert not audit_path().exists()


@pytest.mark.parametrize("is_ready", [True, False])
async def test_a_command_that_was_cancelled_before_its_start_does_not_begin(agent: HostAgent, is_ready: bool) -> None:
    cancel = asyncio.Event()
    cancel.set()
    seen, runner = await marked(agent, [], is_ready=is_ready, cancel=cancel)
    (end,) = seen
    assert isinstance(end, Finished)
    assert (end.end, end.may_still_run, end.reason) == (End.CANCELLED, False, "it was cancelled before it began")
    assert marks(agent) == []
    await nothing_is_left(agent, runner)


async def test_a_round_that_is_cancelled_while_a_guest_is_prepared_does_not_begin_there(agent: HostAgent) -> None:
    async def cancel(request: str) -> None:
        many.cancel()

    line_ = FakeFatefulLine(agent.line, ("mktemp", cancel))
    guest = ManyGuest(GuestId("host", "uuid"), line_, TARGET)
    many = ManyRun(f"echo mark >>{agent.folder / 'marks'}", [guest], pace=QUICK)
    await many.run()
    assert (many.rows[0].state, many.rows[0].words) == (RunState.FAILED, "cancelled before it began")
    assert marks(agent) == []
    assert not audit_path().exists()
    assert agent.leftovers() == []


async def test_one_lost_answer_keeps_no_other_handle_open(agent: HostAgent) -> None:
    line_ = FakeFatefulLine(agent.line)
    ready = await make_ready(line_, "")
    assert len(held(agent)) == 4
    line_.turns = [(CLOSE, Fate.UNSENT)]
    with pytest.raises(UnansweredError):
        await release(line_, ready)
    assert len(held(agent)) == 1
    assert agent.leftovers() == []
    await until(lambda: not is_alive(ready.runner))


async def test_a_shell_that_cannot_wait_gives_back_every_handle(agent: HostAgent) -> None:
    """Two answers are lost: that to its start, and one of those with which its files are given back."""
    line_ = FakeFatefulLine(agent.line, (EXEC, Fate.UNHEARD), (CLOSE, Fate.UNSENT))
    with pytest.raises(UnansweredError, match="the answer was lost"):
        await make_ready(line_, "")
    assert len(held(agent)) == 1
    assert agent.leftovers() == []


async def test_a_run_gives_back_its_handles_though_one_answer_is_lost(agent: HostAgent) -> None:
    seen, runner = await marked(agent, [(CLOSE, Fate.UNHEARD)])
    assert end_of(seen).exit_code == 3
    assert held(agent) == []
    await nothing_is_left(agent, runner)
