"""Key bindings made from the table of commands."""

from __future__ import annotations

from collections.abc import Mapping

from textual.binding import Binding, BindingType

from tui.commands import commands_on
from tui.model.command import Where

_KEY_WORDS = {"question_mark": "?", "escape": "esc", "slash": "/"}


def key_word(key: str) -> str:
    """A key as it is printed: `?`, `esc`, `^c`."""
    return _KEY_WORDS.get(key, key.replace("ctrl+", "^"))


def bindings(where: Where, *, priority: bool = False, first: frozenset[str] = frozenset()) -> list[BindingType]:
    """The bindings of one screen; with `priority` they win over the focused widget's own, as do the actions `first`.

    Such a key is dealt with before the next one goes to whatever has the focus then. Each key is a binding of its own:
    the footer shows the first one that the focused widget does not take for itself. A key that follows another one has
    none: it is the prompt's.
    """
    return [
        Binding(
            key,
            command.action,
            command.label,
            show=command.footer,
            key_display=key_word(key),
            tooltip=command.help,
            id=command.id,
            priority=priority or command.action in first,
        )
        for command in commands_on(where)
        for key in command.keys
        if " " not in key
    ]


def screen_keys(where: Where) -> Mapping[str, str]:
    """The actions of one screen by their keys, for a widget that deals with every key itself."""
    return {key: command.action for command in commands_on(where) for key in command.keys}


def is_refused(where: Where, action: str, *, read_only: bool) -> bool:
    """Whether read-only mode refuses the action."""
    return read_only and any(command.changes and command.action == action for command in commands_on(where))
