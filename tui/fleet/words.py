"""How states, ages and pings are written, on the screen and in the terminal alike. Pure."""

from __future__ import annotations

from tui.model.guest import AgentState

GLYPHS: dict[AgentState, str] = {
    AgentState.OFF: "○",
    AgentState.PAUSED: "‖",
    AgentState.NO_CHANNEL: "∅",
    AgentState.PENDING: "◌",
    AgentState.DISCONNECTED: "✗",
    AgentState.CONNECTED: "◐",
    AgentState.RESPONDING: "●",
    AgentState.UNRESPONSIVE: "!",
    AgentState.FROZEN: "✱",
    AgentState.UNKNOWN: "?",
}
"""One column wide in every terminal; the word beside it carries the meaning."""


def age(seconds: float) -> str:
    """How long ago, in at most three characters: 42s, 7m, 23h, 9d, 2y."""
    whole = max(int(seconds), 0)
    for limit, unit, name in ((60, 1, "s"), (3600, 60, "m"), (86_400, 3600, "h"), (86_400 * 365, 86_400, "d")):
        if whole < limit:
            return f"{whole // unit}{name}"
    return f"{whole // (86_400 * 365)}y"


def ping(milliseconds: float | None) -> str:
    """A round trip: 0.4 ms, 12 ms, 1.3 s; empty where there was none."""
    if milliseconds is None:
        return ""
    if milliseconds >= 1000:
        return f"{milliseconds / 1000:.1f} s"
    return f"{milliseconds:.0f} ms" if milliseconds >= 10 else f"{milliseconds:.1f} ms"
