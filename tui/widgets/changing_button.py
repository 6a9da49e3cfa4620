"""A button for what changes a guest or a run, which says so where it may not be used."""

from __future__ import annotations

from textual.widgets import Button
from textual.widgets.button import ButtonVariant


class ChangingButton(Button):
    """In read-only mode it is disabled, and its label tells why; it stays so whoever enables it."""

    def __init__(self, label: str, *, id: str, read_only: bool, variant: ButtonVariant = "default") -> None:  # noqa: A002 - the name is Textual's
        super().__init__(f"{label}: not in read-only mode" if read_only else label, variant, id=id, disabled=read_only)
        self._read_only = read_only

    def validate_disabled(self, disabled: bool) -> bool:
        """What may not be used is not enabled by a plan that could begin."""
        return disabled or self._read_only
