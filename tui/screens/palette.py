"""The palette: every command of the screen below it, the columns to sort by, and every guest to go to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from rich.text import Text
from textual.command import DiscoveryHit, Hit, Hits, Provider

from tui.commands import COMMANDS
from tui.fleet import columns
from tui.model.command import Where
from tui.model.text import printable
from tui.screens.console import ConsoleScreen
from tui.screens.going import go_to_guest, guest_list
from tui.screens.guests import GuestsScreen
from tui.widgets.bindings import key_word

Entry = tuple[str, str, Callable[[], object]]


class CommandsProvider(Provider):
    """Offers what can be done here."""

    def _entries(self) -> Iterator[Entry]:
        screen = self.screen
        for command in COMMANDS:
            namespace = self.app if command.where is Where.ANYWHERE else screen
            if not hasattr(namespace, f"action_{command.action}") or not hasattr(namespace, "run_action"):
                continue
            if command.where is not Where.ANYWHERE and not self._is_here(command.where):
                continue
            if not screen.check_action(command.action, ()):
                continue
            keys = f"  ({key_word(command.keys[0])})" if command.keys else ""
            yield f"{command.label}{keys}", command.help, partial(namespace.run_action, command.action)
        if isinstance(screen, GuestsScreen):
            for column in columns.ALL.values():
                yield f"Sort by {column.title}", "Again sorts the other way round", partial(screen.sort_by, column.key)
        listed = guest_list(self.app)
        for guest in () if listed is None else listed.fleet.guests.values():
            way = "" if screen is listed else "; leaves this screen as esc does"
            where = f"On {printable(guest.id.host, 40)}{way}"
            yield f"Go to {printable(guest.name, 60)}", where, partial(go_to_guest, self.app, guest.id)
        if isinstance(screen, ConsoleScreen):
            for diagnostic in screen.diagnostics():
                yield (
                    f"{diagnostic.title}: {diagnostic.line}",
                    "Run it in the guest",
                    partial(screen.run_line, diagnostic.line, by_guests_shell=True),
                )

    def _is_here(self, where: Where) -> bool:
        return where is getattr(self.screen, "WHERE", None)

    async def discover(self) -> Hits:
        """What is offered before anything is typed: the commands, not every guest."""
        for label, help_text, act in self._entries():
            if not label.startswith(("Go to ", "Sort by ")):
                yield DiscoveryHit(Text(label), act, text=label, help=help_text)

    async def search(self, query: str) -> Hits:
        """What matches."""
        matcher = self.matcher(query)
        for label, help_text, act in self._entries():
            score = matcher.match(label)
            if score > 0:
                yield Hit(score, Text(label), act, text=label, help=help_text)
