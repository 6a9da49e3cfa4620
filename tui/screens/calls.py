"""How often each function of libvirt was called, by host: for whoever wonders what the program costs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.hosts.port import Host
from tui.model.text import printable

REFRESH_S = 1.0


class CallsScreen(ModalScreen[None]):
    """Counts since the program began."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,f12", "dismiss", "Back")]

    def __init__(self, hosts: Iterable[Host]) -> None:
        super().__init__()
        self._hosts = tuple(hosts)

    def compose(self) -> ComposeResult:
        """One scrolling text."""
        with VerticalScroll(id="dialog"):
            yield Static(id="counts")

    def on_mount(self) -> None:
        """Keep counting."""
        self._draw()
        self.set_interval(REFRESH_S, self._draw)

    def _draw(self) -> None:
        text = Text("libvirt calls since the start; esc leaves\n", "bold")
        for host in self._hosts:
            text.append(f"\n{printable(host.name)}  {host.calls.total()} calls\n", "bold")
            for function, count in host.calls.most_common():
                text.append(f"  {count:>8}  {function}\n")
        self.query_one("#counts", Static).update(text)
