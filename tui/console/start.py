"""What a line of a console needs to be known before it is started."""

from __future__ import annotations

from dataclasses import dataclass

from tui.agent.exec_ahead import ReadyRun
from tui.agent.exec_model import ExecRequest
from tui.agent.profile import GuestProfile
from tui.console.shells import Shell


@dataclass(frozen=True, slots=True)
class Start:
    """`ready` is a run that was kept for it, None without one; `asks_folder` where it is to tell its new folder."""

    profile: GuestProfile
    shell: Shell
    request: ExecRequest
    ready: ReadyRun | None
    asks_folder: bool
