"""What is to be run in a guest, and the past-tense facts of its run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from tui.agent.errors import CommandFailedError

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
INPUT_LIMIT = 128 * 1024
"""Bytes of standard input and environment together that one request carries."""
CANCELLED_BEFORE = "it was cancelled before it began"
"""The reason of a `Finished` that no start came before."""
EXPORTS_LIMIT = 64 * 1024
"""Bytes of a kept environment that are worth carrying from one command to the next."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program with exactly these arguments: no shell looks at any of them. `path` is searched in the guest's PATH."""

    path: str
    args: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CommandLine:
    """A line for the guest's POSIX shell."""

    text: str
    shell: str = "/bin/sh"


@dataclass(frozen=True, slots=True)
class CmdLine:
    """A line for cmd.exe of a Windows guest; `settings` are variables that earlier lines set."""

    text: str
    settings: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class ExecRequest:
    """A command with its surroundings in the guest.

    `cwd` is empty for the agent's own folder. `exports` is what `Surroundings` of an earlier command carried; `env`
    adds to it and to the agent's environment. In POSIX guests both travel beside the argument list, which the agent
    writes to the guest's log. `stdin` (at most INPUT_LIMIT bytes) is /dev/null when empty. After `timeout_s` seconds
    the command is ended in the guest; None lets it run. `keeps_surroundings` asks for `Surroundings` after a command
    line.
    """

    command: Program | CommandLine | CmdLine
    cwd: str = ""
    env: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    stdin: bytes = b""
    timeout_s: float | None = None
    exports: bytes = b""
    keeps_surroundings: bool = False

    def __post_init__(self) -> None:
        """Refuse what no guest could be given, with CommandFailedError."""
        program = self.program
        if not program.path:
            raise _refused("a command needs a program")
        if any("\0" in word for word in (program.path, *program.args, self.cwd, *self.env.values())):
            raise _refused("a command cannot contain NUL")
        for name in self.env:
            if not _VARIABLE.fullmatch(name):
                raise _refused(f"not a name for an environment variable: {name!r}")

    @property
    def program(self) -> Program:
        """What is executed: the program itself, or the shell with the line."""
        if isinstance(self.command, CommandLine):
            return Program(self.command.shell, ("-c", self.command.text))
        if isinstance(self.command, CmdLine):
            return Program("cmd.exe", ("/d", "/s", "/c", self.command.text))
        return self.command


def _refused(cause: str) -> CommandFailedError:
    return CommandFailedError("This program cannot be run", cause=cause)


@dataclass(frozen=True, slots=True)
class ExecPace:
    """The times of a run, in seconds.

    Polls are `poll_min` apart while output comes, and the farther the longer it is silent, up to `poll_max`. A command
    that is to end has `grace` to follow TERM and `kill` to follow KILL. An agent that gives no answers is asked for
    `patience`. A command that waits for its output to be read is cut off when nobody did for `unread`.
    """

    poll_min: float = 0.003
    poll_max: float = 0.5
    grace: float = 5.0
    kill: float = 3.0
    patience: float = 60.0
    unread: float = 600.0


DEFAULT_PACE = ExecPace()


class Stream(StrEnum):
    """The two outputs of a command."""

    STDOUT = "stdout"
    STDERR = "stderr"


class Mode(StrEnum):
    """How output reaches us."""

    STREAMED = "streamed"
    CAPTURED = "captured"
    """After the end."""


class End(StrEnum):
    """Why a run was over."""

    EXITED = "exited"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed out"
    LOST = "lost"
    """The agent no longer told how the command went."""


@dataclass(frozen=True, slots=True)
class Started:
    """The command runs in the guest under `pid`."""

    pid: int
    mode: Mode


@dataclass(frozen=True, slots=True)
class Output:
    """The command wrote `data`. Within a stream the order is exact, between the two only roughly."""

    stream: Stream
    data: bytes


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the user should know about the run; not output of the command."""

    text: str


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a command line left to the next one: its folder, and its environment as the guest's own shell wrote it.

    `exports` is text for that shell and for nothing else. Told after `Finished`, where the shell came to its end.
    """

    cwd: str
    exports: bytes


@dataclass(frozen=True, slots=True)
class Finished:
    """The command is over; only `Surroundings` may follow.

    `exit_code` and `signal` are the command's own; both None where they were not learned. `may_still_run` says that
    something of the command was left in the guest, or that nobody could look. `reason` explains every end but a
    plain exit. Output is counted in bytes as it was received; `truncated` says that there was more.
    """

    end: End
    exit_code: int | None
    signal: int | None
    duration_s: float
    out_bytes: int
    err_bytes: int
    truncated: bool = False
    may_still_run: bool = False
    reason: str = ""


ExecEvent = Started | Output | Notice | Surroundings | Finished
