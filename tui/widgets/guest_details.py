"""All that is known of one guest; each section fills as its answer comes."""

from __future__ import annotations

import time
from collections.abc import Mapping

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.timer import Timer
from textual.widgets import Static

from tui.doctor.booting import booting_left_s
from tui.fleet import words
from tui.fleet.details import Section, asked_sections, known_sections
from tui.hosts.port import Host
from tui.model.guest import Guest
from tui.model.text import Shown, printable
from tui.widgets.few_lines import wrapped
from tui.widgets.leaving import EndsWorkersFirst
from tui.widgets.tones import AGENT_TONES, styles_of

TIMELINE = 3
"""The place of the timeline among the known sections; it and what follows it stand last on the screen."""
MARGINS = 3
"""Cells beside the text: padding, and the scroll bar that may come."""
INDENT = "  "
LINE_LIMIT = 1000
"""Characters of a line that are worth drawing, a dozen rows of the screen: a guest says as much as it likes."""


class GuestDetails(Vertical, EndsWorkersFirst):
    """A title and one scrolling text about the guest that `show` names.

    Another guest is drawn once it was shown for `draw_after_s`, and asked once it was shown for `ask_after_s`: one that
    a cursor passes over is not asked. Its host and its agent are asked again when the agent's state changes.
    """

    def __init__(self, hosts: Mapping[str, Host], *, draw_after_s: float = 0.0, ask_after_s: float = 0.0) -> None:
        super().__init__()
        self._hosts = hosts
        self._draw_after_s, self._ask_after_s = draw_after_s, ask_after_s
        self._guest: Guest | None = None
        self._unasked = Shown("")
        self._asked: dict[str, Section] = {}
        self._asking = False
        self._due: list[Timer] = []
        self._drawn: tuple[Text, Text] | None = None

    def compose(self) -> ComposeResult:
        """The title stays where it is while the text scrolls."""
        yield Static(id="title")
        with VerticalScroll():
            yield Static(id="sections")

    def on_resize(self) -> None:
        """Long lines have other room."""
        self._draw()

    def show(self, guest: Guest | None, *, unasked: Shown) -> None:
        """Show a guest, or nothing; `unasked` says why nobody is to be asked about it now, empty where that is fine."""
        before, self._guest = self._guest, guest
        unasked_before, self._unasked = self._unasked, unasked
        if guest is None or before is None or guest.id != before.id:
            self._turn_to_another()
        elif guest is not before or unasked != unasked_before:
            self._draw()
            if guest.agent.state is not before.agent.state or unasked != unasked_before:
                self._later(self._ask_after_s)

    def _turn_to_another(self) -> None:
        self.workers.cancel_node(self)
        self._asked, self._asking = {}, False
        for timer in self._due:
            timer.stop()
        self._due.clear()
        if self._draw_after_s and self._guest is not None:
            self._due.append(self.set_timer(self._draw_after_s, self._draw_another))
        else:
            self._draw_another()
        self._later(self._ask_after_s)

    def _draw_another(self) -> None:
        self.query_one(VerticalScroll).scroll_home(animate=False)
        self._draw()

    def _later(self, seconds: float) -> None:
        if seconds:
            self._due.append(self.set_timer(seconds, self.ask))
        else:
            self.ask()

    def ask(self) -> None:
        """Ask host and agent, unless nobody is to be asked."""
        if self._guest is not None and not self._unasked and self._guest.id.host in self._hosts:
            self._ask(self._guest)

    @work(exclusive=True)
    async def _ask(self, guest: Guest) -> None:
        self._asking = True
        async for section in asked_sections(self._hosts[guest.id.host], guest):
            self._asked[section.title] = section
            self._draw()
        self._asking = False
        self._draw()

    def _draw(self) -> None:
        """Draw what differs from what is drawn."""
        texts = (Text(), Text()) if self._guest is None else (self._title(self._guest), self._sections(self._guest))
        if texts != self._drawn:
            self._drawn = texts
            self.query_one("#title", Static).update(texts[0])
            self.query_one("#sections", Static).update(texts[1])
            if self._guest is not None and (left_s := booting_left_s(self._guest, time.time())):
                self._due.append(self.set_timer(left_s, self._draw))  # the advice to wait holds until then

    def _title(self, guest: Guest) -> Text:
        state = guest.agent.state
        title = Text(no_wrap=True, overflow="ellipsis")
        title.append(printable(guest.name, 40), "bold")
        title.append(f"  {words.GLYPHS[state]} {state}", styles_of(self.app.theme_variables)[AGENT_TONES[state]])
        return title.append("  asking …" if self._asking else "", "dim")

    def _sections(self, guest: Guest) -> Text:
        styles = styles_of(self.app.theme_variables)
        known = known_sections(guest)
        text = Text()
        for section in (*known[:TIMELINE], *self._asked.values(), *known[TIMELINE:]):
            text.append(f"{section.title}\n", f"bold {styles['primary']}")
            for line in section.lines:
                text.append_text(self._line(line.expandtabs(4)))
            if section.trouble:
                text.append_text(self._line(section.trouble, "dim"))
            text.append("\n")
        return text.append(f"Not asked for more: {self._unasked}\n" if self._unasked else "", "dim")

    def _line(self, line: str, style: str = "") -> Text:
        """A line of a section; where it takes several on the screen, the further ones are indented."""
        text, room = Text(printable(line, LINE_LIMIT), style), self.size.width - MARGINS - len(INDENT)
        parts = [text] if text.cell_len <= room else wrapped(text, room - len(INDENT))
        drawn = Text()
        for place, part in enumerate(parts):
            part.rstrip()
            drawn.append(INDENT * (2 if place else 1)).append_text(part).append("\n")
        return drawn
