"""Two questions' worth of text over the doctor's screen: a check in full, and a fix before it is done."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label, Static

from tui.doctor.fixes import OurFix
from tui.model.text import Shown
from tui.widgets.examination_text import preview_text
from tui.widgets.tones import styles_of


class EvidenceScreen(ModalScreen[None]):
    """Text to read; any of the usual keys closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,enter,q,space", "dismiss(None)", "Close")]

    def __init__(self, text: Text) -> None:
        super().__init__()
        self._text = text

    def compose(self) -> ComposeResult:
        """The text, scrolled where it is long."""
        with VerticalScroll(id="details"):
            yield Static(self._text)
            yield Static(Text("\nesc closes", "dim"))


class FixScreen(ModalScreen[str | None]):
    """Shows what a fix changes and asks; the answer is None for no, else the path of the medium, which may be empty."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,n", "no", "No"),
        Binding("y", "yes", "Yes"),
        Binding("left,right", "app.focus_next", show=False),
    ]

    def __init__(self, fix: OurFix, guest: Shown, media: tuple[str, ...] = (), *, here: bool = True) -> None:
        """`media` were found on this machine, which is the guest's host where it is `here`."""
        super().__init__()
        self._here = here
        self.fix = fix
        self._guest = guest
        self._media = media

    def compose(self) -> ComposeResult:
        """The preview, the path where one is wanted, and the answers, the safe one first."""
        with Vertical(id="fix"):
            yield Static(Text(self._guest, "bold"))
            with VerticalScroll(id="preview"):
                yield Static(preview_text(self.fix, styles_of(self.app.theme_variables)))
            if self.fix.needs_medium:
                found = "found on this machine" if self._media else "not found in the usual places of this machine"
                if not self._here:
                    found = "another machine: not looked for"
                yield Label(Text(f"Path of virtio-win.iso on the host ({found})"))
                yield Input(self._media[0] if self._media else "", placeholder="/…/virtio-win.iso", id="medium")
            with Horizontal(id="answers"):
                yield Button("Leave it (n)", id="no", variant="primary")
                yield Button("Do it (y)", id="yes")

    def on_mount(self) -> None:
        """A path is to be typed or confirmed first; else the safe answer is the one that enter gives."""
        self.query_one("#medium" if self.fix.needs_medium else "#no").focus()

    @on(Button.Pressed, "#no")
    def action_no(self) -> None:
        """Leave all as it is."""
        self.dismiss(None)

    @on(Button.Pressed, "#yes")
    @on(Input.Submitted, "#medium")
    def action_yes(self) -> None:
        """Do it."""
        self.dismiss(self.query_one("#medium", Input).value.strip() if self.fix.needs_medium else "")
