"""What a way of getting a command's output must offer, and what all ways share."""

from __future__ import annotations

from collections.abc import AsyncIterable
from typing import Protocol

from tui.agent import exec_scripts as scripts
from tui.agent.commands import ExecStatus
from tui.agent.errors import RequestTooLargeError
from tui.agent.exec_model import INPUT_LIMIT, ExecRequest, Mode, Notice, Output, Surroundings

START_TIMEOUT_S = 10


class NotStreamableError(Exception):
    """This guest lacks something that streaming needs; its text says what."""


class OutputSource(Protocol):
    """How one command is started and how its output comes."""

    @property
    def mode(self) -> Mode:
        """What the user may expect of the output."""
        ...

    @property
    def leads_group(self) -> bool:
        """Whether the command's pid is that of its process group."""
        ...

    @property
    def is_dry(self) -> bool:
        """Whether a command that is gone has nothing more to say."""
        ...

    @property
    def cut(self) -> bool:
        """Whether the command wrote more than came."""
        ...

    async def start(self) -> int:
        """Start the command and return its pid."""
        ...

    async def status(self) -> ExecStatus:
        """Whether the command has ended, and how; once it has, the answer stays."""
        ...

    async def drain(self, *, is_gone: bool) -> list[Output | Notice]:
        """What came since the last call. An error loses nothing: the next call gives it.

        `is_gone` says that nothing more will be heard of the command itself.
        """
        ...

    async def feed(self, pieces: AsyncIterable[bytes]) -> None:
        """Hand `pieces` to the command's standard input as they come, then its end."""
        ...

    async def surroundings(self) -> Surroundings | None:
        """What the command left to the next one, where that was asked for and can be told."""
        ...

    async def remove(self) -> None:
        """Remove what was made in the guest, in one attempt; a no-op afterwards."""
        ...


def surrounded(request: ExecRequest, input_path: str = "/dev/null") -> tuple[tuple[str, ...], bytes]:
    """The parameters of `exec_scripts.SURROUND` and its standard input; raises `RequestTooLargeError`.

    `input_path` is what a command without `stdin` reads.
    """
    prologue = request.exports + scripts.exports(request.env).encode("utf-8", "surrogateescape")
    data = prologue + request.stdin
    if len(data) > INPUT_LIMIT:
        raise too_much_input(len(data))
    program = request.program
    source = "1" if request.stdin else input_path
    return (request.cwd, str(len(prologue)), source, program.path, *program.args), data


def too_much_input(size: int) -> RequestTooLargeError:
    """The error for `size` bytes of input and environment, or the first so many of them."""
    return RequestTooLargeError(
        "The command was not started",
        cause=f"its input and environment have {size} bytes, {INPUT_LIMIT} can be sent along",
        next_step="Write the input to a file in the guest first.",
    )
