"""Following a command whose agent says less and less."""

from __future__ import annotations

from collections.abc import AsyncIterable

import pytest

from tui.agent.commands import ExecStatus
from tui.agent.errors import AgentError, CommandFailedError, HostGoneError, NeverBegunError, UnansweredError
from tui.agent.every_step import every_step
from tui.agent.exec_model import End, ExecPace, Mode, Notice, Output, Stream, Surroundings
from tui.agent.exec_watch import Watch


class FakeSilentAgent:
    """An agent that answers nothing."""

    async def send(self, request: str, timeout_s: int) -> str:
        raise UnansweredError("The guest agent did not answer")


class FakeForgottenCommand:
    """A command that the agent knows no more, with some output that came before."""

    mode = Mode.STREAMED
    leads_group = True
    is_dry = True
    cut = False

    def __init__(self, error: CommandFailedError) -> None:
        self._error = error

    async def start(self) -> int:
        return 7

    async def status(self) -> ExecStatus:
        raise self._error

    async def drain(self, *, is_gone: bool) -> list[Output | Notice]:
        return [Output(Stream.STDOUT, b"last words")]

    async def feed(self, pieces: AsyncIterable[bytes]) -> None:
        raise AssertionError

    async def surroundings(self) -> Surroundings | None:
        raise AssertionError

    async def remove(self) -> None:
        raise AssertionError


@pytest.mark.parametrize("windows", [True, False])
async def test_output_is_kept_when_nobody_says_what_is_left_of_a_forgotten_command(windows: bool) -> None:
    watch = Watch(
        FakeSilentAgent(), FakeForgottenCommand(CommandFailedError("no such pid")), ExecPace(), windows=windows
    )
    await watch.start()
    assert await watch.step() == [Output(Stream.STDOUT, b"last words")]
    assert (watch.finished.end, watch.finished.may_still_run, watch.finished.out_bytes) == (End.LOST, True, 10)
    assert watch.finished.reason.startswith("the agent no longer knows it")


async def test_a_command_that_never_began_is_not_called_forgotten() -> None:
    watch = Watch(FakeSilentAgent(), FakeForgottenCommand(NeverBegunError("no", cause="it got nothing")), ExecPace())
    await watch.start()
    await watch.step()
    assert watch.finished.reason == "it never began: it got nothing"


class Steps:
    """Steps by name, of which some raise."""

    def __init__(self, **errors: AgentError) -> None:
        self._errors = errors
        self.taken = ""

    async def step(self, name: str) -> None:
        self.taken += name
        if name in self._errors:
            raise self._errors[name]

    async def take(self, names: str) -> None:
        await every_step(*((lambda name=name: self.step(name)) for name in names))


@pytest.mark.parametrize(
    ("errors", "taken", "raised"),
    [
        ({}, "abcd", None),
        ({"a": HostGoneError("a"), "b": HostGoneError("b"), "d": CommandFailedError("d")}, "abcd", "a"),
        ({"b": UnansweredError("b")}, "abcd", "b"),
        ({"a": UnansweredError("a"), "c": UnansweredError("c")}, "abcd", "a"),
        ({"b": UnansweredError("b"), "c": UnansweredError("c")}, "abc", "b"),
    ],
)
async def test_every_step_is_taken_until_nobody_answers(
    errors: dict[str, AgentError], taken: str, raised: str | None
) -> None:
    steps = Steps(**errors)
    if raised is None:
        await steps.take("abcd")
    else:
        with pytest.raises(AgentError, match=f"^{raised}$"):
            await steps.take("abcd")
    assert steps.taken == taken
