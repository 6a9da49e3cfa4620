"""All that is known of one guest; each section fills as its answer comes."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.reactive import reactive
from textual.screen import Screen
from textual.widgets import Static

from tui.commands import Where
from tui.fleet import words
from tui.fleet.details import Section, asked_sections, known_sections
from tui.fleet.fleet import Fleet
from tui.hosts.port import Host
from tui.model.guest import Guest
from tui.model.text import printable
from tui.widgets.bindings import bindings
from tui.widgets.key_line import KeyLine
from tui.widgets.tones import AGENT_TONES, styles_of

TIMELINE = 3
"""The place of the timeline among the known sections; it stands last on the screen."""


class DetailsScreen(Screen[None]):
    """Follows its guest while it is open."""

    WHERE = Where.DETAILS
    BINDINGS: ClassVar[list[BindingType]] = bindings(Where.DETAILS)
    HELP = "Sections that ask the guest fill as it answers; what it cannot answer says why."

    fleet: reactive[Fleet] = reactive(Fleet(), init=False)

    def __init__(self, host: Host, guest: Guest) -> None:
        super().__init__()
        self._host = host
        self._guest = guest
        self._asked: dict[str, Section] = {}
        self._asking = False

    def compose(self) -> ComposeResult:
        """Title and one scrolling text."""
        yield Static(id="title")
        with VerticalScroll():
            yield Static(id="sections")
        yield KeyLine()

    def on_mount(self) -> None:
        """Show what is known and ask the rest."""
        self._draw()
        self._ask()
        self.query_one(VerticalScroll).focus()

    def watch_fleet(self, fleet: Fleet) -> None:
        """Follow the guest."""
        guest = fleet.guests.get(self._guest.id, self._guest)
        if guest is not self._guest:
            state_changed = guest.agent.state is not self._guest.agent.state
            self._guest = guest
            if self.is_mounted:
                self._draw()
                if state_changed:
                    self._ask()

    @work(exclusive=True)
    async def _ask(self) -> None:
        self._asking = True
        async for section in asked_sections(self._host, self._guest):
            self._asked[section.title] = section
            self._draw()
        self._asking = False
        self._draw()

    def _draw(self) -> None:
        styles = styles_of(self.app.theme_variables)
        state = self._guest.agent.state
        title = Text(no_wrap=True, overflow="ellipsis")
        title.append(printable(self._guest.name, 40), "bold")
        title.append(f"  {words.GLYPHS[state]} {state}", styles[AGENT_TONES[state]])
        title.append("  asking …" if self._asking else "", "dim")
        self.query_one("#title", Static).update(title)
        known = known_sections(self._guest)
        text = Text()
        for section in (*known[:TIMELINE], *self._asked.values(), *known[TIMELINE:]):
            text.append(f"{section.title}\n", f"bold {styles['primary']}")
            for line in section.lines:
                text.append(f"  {printable(line.expandtabs(4))}\n")
            if section.trouble:
                text.append(f"  {printable(section.trouble)}\n", "dim")
            text.append("\n")
        self.query_one("#sections", Static).update(text)

    def action_refresh(self) -> None:
        """Ask again."""
        self._ask()

    def action_back(self) -> None:
        """To the list."""
        self.dismiss()
