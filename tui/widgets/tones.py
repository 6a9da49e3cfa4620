"""Which colour carries which meaning: every state has a glyph and a word too, so that none depends on it."""

from __future__ import annotations

import os

from textual.app import App
from textual.theme import Theme

from tui.fleet.fleet import Link
from tui.model.guest import AgentState, PowerState

NIGHT = Theme(
    name="qga-night",
    primary="#5fafd7",
    secondary="#8787af",
    accent="#5fafd7",
    success="#5fd7af",
    warning="#ffaf5f",
    error="#ff875f",
    foreground="#d0d0d0",
    background="#121212",
    surface="#1c1c1c",
    panel="#262626",
    dark=True,
    variables={"footer-key-foreground": "#5fafd7", "block-cursor-text-style": "none"},
)
"""Blue, green and orange that colour-blind people can tell apart, on black as terminals are at night."""

AGENT_TONES: dict[AgentState, str] = {
    AgentState.OFF: "muted",
    AgentState.PAUSED: "muted",
    AgentState.NO_CHANNEL: "warning",
    AgentState.PENDING: "warning",
    AgentState.DISCONNECTED: "warning",
    AgentState.CONNECTED: "primary",
    AgentState.RESPONDING: "success",
    AgentState.UNRESPONSIVE: "error",
    AgentState.FROZEN: "error",
    AgentState.UNKNOWN: "warning",
}

POWER_TONES: dict[PowerState, str] = {
    PowerState.RUNNING: "plain",
    PowerState.PAUSED: "warning",
    PowerState.OFF: "muted",
    PowerState.UNKNOWN: "warning",
}

LINK_TONES: dict[Link, str] = {
    Link.CONNECTING: "primary",
    Link.CONNECTED: "success",
    Link.SILENT: "error",
    Link.LOST: "error",
}
LINK_GLYPHS: dict[Link, str] = {Link.CONNECTING: "…", Link.CONNECTED: "●", Link.SILENT: "?", Link.LOST: "✗"}


def dress(app: App[None]) -> None:
    """Give the program its theme; over SSH nothing is animated, for each step of it would cross the line."""
    app.register_theme(NIGHT)
    app.theme = NIGHT.name
    app.animation_level = "none" if "SSH_CONNECTION" in os.environ else "basic"


def styles_of(variables: dict[str, str]) -> dict[str, str]:
    """Rich styles for the tones, from a theme's variables."""
    return {
        "plain": "",
        "muted": "dim",
        "primary": variables["primary"],
        "success": variables["success"],
        "warning": variables["warning"],
        "error": f"bold {variables['error']}",
    }
