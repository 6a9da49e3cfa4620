"""The line above a console: its guest, what runs there and what that waits for, and how it is read."""

from __future__ import annotations

from collections.abc import Mapping

from rich.text import Text

from tui.console.session import Session
from tui.fleet import words
from tui.model.guest import AgentState, Guest, PowerState
from tui.model.quantities import duration
from tui.model.text import printable
from tui.widgets.tones import POWER_TONES


def status_line(guest: Guest, session: Session, seconds: int | None, styles: Mapping[str, str]) -> Text:
    """One line; `seconds` is how long the command runs, None without one."""
    status = Text(no_wrap=True, overflow="ellipsis")
    status.append(printable(guest.name, 24), "bold")
    if seconds is not None:
        pid = f" pid {session.last.pid}" if session.last is not None and session.last.pid else ""
        status.append(f"  ▸ {'ending' if session.is_ending else 'running'} {duration(seconds)}{pid}")
        _append_power(status, guest, styles)
    elif guest.agent.state is AgentState.RESPONDING:
        status.append("  ready", "dim")
    else:
        status.append(f"  agent {guest.agent.state}: {printable(guest.agent.reason)}")
    status.append(f"  {session.shell or 'shell?'}  {session.scrollback.charset.label}", "dim")
    if session.cwd:
        status.append(f"  {printable(_shortened(session.cwd))}", "dim")
    return status


def _append_power(status: Text, guest: Guest, styles: Mapping[str, str]) -> None:
    """What the command waits for, where its guest does not run."""
    power, reason = guest.facts.power, guest.facts.power_reason
    if power is not PowerState.RUNNING:
        why = f": {printable(reason, 40)}" if reason else ""
        status.append(f"  {words.GLYPHS[guest.agent.state]} guest {power}{why}", styles[POWER_TONES[power]])


def _shortened(path: str, limit: int = 30) -> str:
    return path if len(path) <= limit else "…" + path[1 - limit :]
