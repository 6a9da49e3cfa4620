"""A button for what changes a guest or a run, which says so where it may not or cannot be used."""

from __future__ import annotations

from textual.content import Content
from textual.geometry import Size
from textual.widgets import Button
from textual.widgets.button import ButtonVariant


class ChangingButton(Button):
    """In read-only mode it is disabled, and its label tells why; it stays so whoever enables it.

    Brackets tell that it is disabled, for its colour alone would be lost where there are no colours.
    """

    def __init__(self, label: str, *, id: str, read_only: bool, variant: ButtonVariant = "default") -> None:  # noqa: A002 - the name is Textual's
        super().__init__(f"{label}: not in read-only mode" if read_only else label, variant, id=id, disabled=read_only)
        self._read_only = read_only

    def render(self) -> Content:
        """The label, in brackets while it is of no use."""
        label = Content.from_text(self.label)
        return Content.assemble("(", label, ")") if self.disabled else label

    def get_content_width(self, container: Size, viewport: Size) -> int:
        """With room for the brackets."""
        return super().get_content_width(container, viewport) + 2 * self.disabled

    def watch_disabled(self, disabled: bool) -> None:
        """Make room for the brackets, or take it back."""
        super().watch_disabled(disabled)
        self.refresh(layout=True)

    def validate_disabled(self, disabled: bool) -> bool:
        """What may not be used is not enabled by a plan that could begin."""
        return disabled or self._read_only
