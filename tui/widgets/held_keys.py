"""Keys that are typed on the way to a prompt are kept for it: none reaches the screen that is being left."""

from __future__ import annotations

from collections import deque

from textual import events, on
from textual.app import App
from textual.dom import DOMNode

from tui.widgets.prompt_input import PromptInput


class HoldsKeys(App[None]):
    """Hands what was typed since `hold_keys` to the next prompt, in order, as soon as that takes keys."""

    def __init__(self) -> None:
        super().__init__()
        self._held_keys: deque[events.Event] | None = None

    def hold_keys(self) -> None:
        """A prompt will be there in a moment; whatever is typed from now on is for it."""
        if self._held_keys is None:
            self._held_keys = deque()

    def release_keys(self) -> None:
        """No prompt comes: what was typed for it is forgotten, as it was meant for nothing else."""
        self._held_keys = None

    async def on_event(self, event: events.Event) -> None:
        """Keep keys and pastes while they are held."""
        is_typed = isinstance(event, events.Key | events.Paste) and not event.is_forwarded
        if is_typed and self._held_keys is not None:
            self.app_focus = True
            self._held_keys.append(event)
        else:
            await super().on_event(event)

    @on(PromptInput.Ready)
    async def _hand_over(self) -> None:
        held = self._held_keys
        while held:
            await super().on_event(held.popleft())
        self._held_keys = None


def hold_keys(node: DOMNode) -> None:
    """Hold keys, where the node's app does that."""
    if isinstance(node.app, HoldsKeys):
        node.app.hold_keys()


def release_keys(node: DOMNode) -> None:
    """Hold none any more."""
    if isinstance(node.app, HoldsKeys):
        node.app.release_keys()
