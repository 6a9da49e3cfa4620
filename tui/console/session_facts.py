"""What a session tells whoever shows it, in the past tense."""

from __future__ import annotations

from dataclasses import dataclass

from tui.agent.exec_model import Finished


@dataclass(frozen=True, slots=True)
class CommandStarted:
    """Command `number` runs in the guest under `pid`."""

    number: int
    pid: int


@dataclass(frozen=True, slots=True)
class OutputArrived:
    """The transcript grew, or its open lines changed."""

    number: int


@dataclass(frozen=True, slots=True)
class CommandEnded:
    """Command `number` is over; `finished` is None where it was never started."""

    number: int
    finished: Finished | None


@dataclass(frozen=True, slots=True)
class StatusChanged:
    """The shell, the folder or the encoding is another one."""


@dataclass(frozen=True, slots=True)
class ReadAnew:
    """The transcript was replaced: the output is read in another encoding."""


SessionFact = CommandStarted | OutputArrived | CommandEnded | StatusChanged | ReadAnew
