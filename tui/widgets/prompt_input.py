"""The prompt at which commands are typed: one line that grows to several, with what was entered before on up and down.

Every key that reaches it is dealt with before the next one, also those that belong to the screen: however fast keys
come, none is taken for a later or an earlier line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import TextArea

from tui.console.entry import entered, lines_of, taken
from tui.console.entry_question import EntryQuestion
from tui.console.history import History

NEWLINE_KEYS = frozenset({"ctrl+j", "shift+enter", "alt+enter", "shift+\r", "\r"})
"""A new line. ctrl+j is sent by every terminal; the last two are what Textual makes of xterm's modifyOtherKeys."""
LINES_KEY = "ctrl+l"
"""Answers the question about several lines: each by itself."""
EDITOR_CHORD = ("ctrl+x", "ctrl+e")
MOST_ROWS = 8


class PromptInput(TextArea, inherit_bindings=False):
    """Asks before it hands over what `question` has a question about; `screen_keys` are actions of its screen by key.

    While it asks, enter and `LINES_KEY` answer, and whatever is typed goes on in a new line.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "cursor_left", show=False),
        Binding("right", "cursor_right", show=False),
        Binding("ctrl+left,alt+b", "cursor_word_left", show=False),
        Binding("ctrl+right,alt+f", "cursor_word_right", show=False),
        Binding("home,ctrl+a", "line_edge(0)", show=False),
        Binding("end,ctrl+e", "line_edge(1)", show=False),
        Binding("shift+left", "cursor_left(True)", show=False),
        Binding("shift+right", "cursor_right(True)", show=False),
        Binding("shift+up", "cursor_up(True)", show=False),
        Binding("shift+down", "cursor_down(True)", show=False),
        Binding("shift+home", "cursor_line_start(True)", show=False),
        Binding("shift+end", "cursor_line_end(True)", show=False),
        Binding("backspace", "delete_left", show=False),
        Binding("delete", "delete_right", show=False),
        Binding("ctrl+w,alt+backspace", "delete_word_left", show=False),
        Binding("alt+d,alt+delete", "delete_word_right", show=False),
        Binding("ctrl+u", "delete_to_edge(0)", show=False),
        Binding("ctrl+k", "delete_to_edge(1)", show=False),
        Binding("ctrl+v", "paste", show=False),
        Binding("ctrl+z", "undo", show=False),
    ]

    @dataclass
    class Entered(Message):
        """The user entered `text`; with `line_by_line` each of its lines is meant by itself."""

        text: str
        line_by_line: bool = False

    @dataclass
    class QuestionChanged(Message):
        """The prompt asks something else, or nothing any more."""

        question: EntryQuestion | None

    class Ready(Message):
        """Keys reach the prompt from now on."""

    class EditorWanted(Message):
        """The user wants to edit the text in an editor of this machine."""

    @dataclass
    class Replaced(Message):
        """Of what was to be put in, `count` characters that cannot be shown are others now."""

        count: int

    def __init__(
        self,
        history: History,
        question: Callable[[str], EntryQuestion | None] = lambda text: None,
        screen_keys: Mapping[str, str] = MappingProxyType({}),
        is_remembered: Callable[[], bool] = lambda: True,
    ) -> None:
        """`is_remembered` tells whether what is entered now is to be kept for later."""
        super().__init__(id="prompt", compact=True, highlight_cursor_line=False)
        self._history = history
        self._question_about = question
        self._screen_keys = screen_keys
        self._is_remembered = is_remembered
        self._place = len(history.lines)
        self._draft = ""
        self.question: EntryQuestion | None = None
        self._has_chord_begun = False

    @property
    def value(self) -> str:
        """What is typed."""
        return self.text

    @value.setter
    def value(self, text: str) -> None:
        self.fill(text)

    def fill(self, text: str) -> None:
        """Replace what is typed."""
        self.load_text("")
        self._insert(text)

    @property
    def before_cursor(self) -> str:
        """The text up to the cursor."""
        return self.get_text_range((0, 0), self.cursor_location)

    def replace_before_cursor(self, text: str) -> None:
        """Put other text in place of the text up to the cursor."""
        self._replace(taken(text).text, (0, 0), self.cursor_location)

    def stop_asking(self) -> None:
        """Go back to editing."""
        self._ask(None)

    def on_focus(self) -> None:
        """Tell that keys arrive."""
        self.post_message(self.Ready())

    async def _on_key(self, event: events.Key) -> None:
        event.prevent_default()
        if await self._takes(event):
            event.stop()

    async def _takes(self, event: events.Key) -> bool:
        """Deal with a key; false for one that is none of the prompt's nor of its screen's."""
        key = event.key
        has_chord_begun, self._has_chord_begun = self._has_chord_begun, key == EDITOR_CHORD[0]
        if key == "enter":
            self._enter()
        elif key == LINES_KEY and self.question is not None and self.question.second:
            self._hand_over(line_by_line=True)
        elif has_chord_begun and key == EDITOR_CHORD[1]:
            self.stop_asking()
            self.post_message(self.EditorWanted())
        elif key in NEWLINE_KEYS:
            self.type("\n")
        elif key == "tab" and not self._row_before_cursor.strip():
            self.type("\t")
        elif key in self._screen_keys:
            await self.run_action(f"screen.{self._screen_keys[key]}")
        elif key in {"up", "down"} and self.question is None:
            self._go(-1 if key == "up" else 1)
        elif event.is_printable and event.character is not None:
            self.type(event.character)
        elif key in self._bindings.key_to_bindings:
            self.stop_asking()
            await self.run_action(self._bindings.key_to_bindings[key][0].action)
        else:
            return key == EDITOR_CHORD[0]
        return True

    async def _on_paste(self, event: events.Paste) -> None:
        event.prevent_default()
        event.stop()
        self.type(event.text)

    def action_paste(self) -> None:
        """Put in what the program copied last."""
        self.type(self.app.clipboard)

    def _edge(self, edge: int) -> tuple[int, int]:
        """The begin (0) or the end of the line under the cursor, however many rows it takes on the screen."""
        row = self.cursor_location[0]
        return row, len(self.document.get_line(row)) if edge else 0

    def action_line_edge(self, edge: int) -> None:
        """To the begin or the end of the line."""
        self.move_cursor(self._edge(edge))

    def action_delete_to_edge(self, edge: int) -> None:
        """Delete from the cursor to the begin or the end of the line."""
        start, end = sorted((self.cursor_location, self._edge(edge)))
        self._replace("", start, end)

    @property
    def _row_before_cursor(self) -> str:
        return self.document.get_line(self.cursor_location[0])[: self.cursor_location[1]]

    def type(self, raw: str) -> None:
        """Put text in at the cursor; behind a question, in a line of its own."""
        if self.question is not None:
            self._ask(None)
            self.move_cursor(self.document.end)
            if not self.text.endswith("\n"):
                self._insert("\n")
        self._insert(raw)

    def _insert(self, raw: str) -> None:
        put = taken(raw)
        if put.replaced:
            self.post_message(self.Replaced(put.replaced))
        start, end = sorted(self.selection)
        self._replace(put.text, start, end)

    def _replace(self, text: str, start: tuple[int, int], end: tuple[int, int]) -> None:
        self.move_cursor(self.replace(text, start, end).end_location)

    def _enter(self) -> None:
        if self.question is not None:
            self._hand_over(line_by_line=self.question.enter_means_lines)
            return
        question = self._question_about(self.text) if self.text.strip() else None
        if question is not None:
            self._ask(question)
        else:
            self._hand_over(line_by_line=False)

    def _hand_over(self, *, line_by_line: bool) -> None:
        """The prompt is empty before the next key comes: whatever is typed from now on is another line."""
        text = entered(self.text)
        self._ask(None)
        self.load_text("")
        if self._is_remembered():
            for line in lines_of(text) if line_by_line else (text,):
                self._history.add(line)
            self._place, self._draft = len(self._history.lines), ""
        self.post_message(self.Entered(text, line_by_line))

    def _ask(self, question: EntryQuestion | None) -> None:
        if question != self.question:
            self.question = question
            self.post_message(self.QuestionChanged(question))

    def _go(self, rows: int) -> None:
        """A row up or down in the text, beyond its edges to what was entered before or after."""
        row = self.cursor_location[0] + rows
        if 0 <= row < self.document.line_count:
            (self.action_cursor_up if rows < 0 else self.action_cursor_down)()
            return
        lines = self._history.lines
        if self._place == len(lines):
            self._draft = self.text
        place = min(max(self._place + rows, 0), len(lines))
        if place != self._place:
            self._place = place
            self.fill(lines[place] if place < len(lines) else self._draft)
