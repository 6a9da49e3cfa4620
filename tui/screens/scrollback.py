"""What can be done with output that stands on a screen: search it, copy it, save it as a file."""

from __future__ import annotations

from textual import work
from textual.notifications import SeverityLevel
from textual.screen import Screen

from tui.agent.exec_model import Stream
from tui.console import saving, search
from tui.console.scrollback import Scrollback
from tui.model.text import printable
from tui.screens.pick import PickScreen, among
from tui.widgets import clipboard
from tui.widgets.leaving import EndsWorkersFirst
from tui.widgets.output_view import OutputView

LAST_OUTPUT, EVERYTHING = "the last command's output", "everything"
AS_IT_CAME = {
    "the last command's standard output, bytes as they came": Stream.STDOUT,
    "the last command's standard error, bytes as they came": Stream.STDERR,
}


class ScrollbackScreen(Screen[None], EndsWorkersFirst):
    """A screen with a scrollback in an OutputView."""

    def __init__(self, scrollback: Scrollback, name_in_files: str) -> None:
        """`name_in_files` says in the names of saved files whose output it is."""
        super().__init__()
        self.take(scrollback, name_in_files)

    def take(self, scrollback: Scrollback, name_in_files: str) -> None:
        """Have another one from now on; it is the caller's to show it."""
        self.scrollback = scrollback
        self._name_in_files = name_in_files
        self._hit: int | None = None

    @property
    def view(self) -> OutputView:
        """Where the output stands."""
        return self.query_one(OutputView)

    def say(self, text: str, severity: SeverityLevel = "warning") -> None:
        """Tell the user something in passing."""
        self.notify(printable(text), severity=severity, markup=False)

    async def copied(self, selected: str) -> bool:
        """Copy selected text and forget the selection; false where there is none."""
        if selected:
            self.clear_selection()
            self.say(await clipboard.copy(self.app, selected), "information")
        return bool(selected)

    @work
    async def action_search(self) -> None:
        """Search upwards from the end."""
        view = self.view
        term = await self.app.push_screen_wait(PickScreen("Search in the output", lambda typed: [], free=True))
        view.term = (term or "").casefold()
        self._hit = None
        view.refresh()
        await self._search_on()

    @work(exclusive=True, group="search")
    async def action_search_on(self) -> None:
        """The next hit upwards."""
        await self._search_on()

    async def _search_on(self) -> None:
        view, transcript = self.view, self.scrollback.transcript
        if not view.term:
            return
        start = transcript.total if self._hit is None else self._hit - 1
        hit = await search.find(transcript, view.term, start, backwards=True) if start >= 0 else None
        if transcript is not self.scrollback.transcript:
            # Read in another encoding meanwhile: there, the same place holds something else.
            self._hit = None
            await self._search_on()
            return
        self._hit = hit
        if self._hit is None:
            self.say(f"No more {view.term!r}; F3 starts at the end again.")
        else:
            view.go_to(self._hit)

    @work
    async def action_copy(self) -> None:
        """Copy output."""
        chosen = await self.app.push_screen_wait(PickScreen("Copy", among([LAST_OUTPUT, EVERYTHING])))
        if chosen is None:
            return
        last = self.scrollback.last.number if self.scrollback.last is not None else 0
        try:
            text = await saving.text_to_copy(self.scrollback.transcript, last if chosen == LAST_OUTPUT else None)
        except saving.TooMuchToCopyError as error:
            self.say(error.one_line(), "error")
            return
        self.say(await clipboard.copy(self.app, text), "information")

    @work
    async def action_save(self) -> None:
        """Save output as a file."""
        record = self.scrollback.last
        streams = [words for words, stream in AS_IT_CAME.items() if record is not None and record.has_written(stream)]
        chosen = await self.app.push_screen_wait(PickScreen("Save", among([EVERYTHING, *streams])))
        lost = 0
        try:
            if chosen == EVERYTHING:
                path = await saving.save_transcript(self.scrollback.transcript, self._name_in_files)
            elif chosen in AS_IT_CAME and record is not None:
                stream = AS_IT_CAME[chosen]
                output = self.scrollback.output_of(record, stream)
                path = await saving.save_bytes(output, self._name_in_files, f"{stream}.bin")
                lost = output.lost
            else:
                return
        except OSError as error:
            self.say(f"Not saved: {error}", "error")
            return
        saved = f"Saved {path.stat().st_size:,} bytes as {path}"
        if lost:
            self.say(f"{saved}. The file is not whole: the oldest {lost:,} bytes were no longer kept.", "warning")
        else:
            self.say(saved, "information")
