"""The one base of errors that a user may see: what happened, why, and what to do next."""

from __future__ import annotations


class ExplainedError(Exception):
    """An error in words for the user, with the original text kept for those who want it.

    `title` says what failed, `cause` why, `next_step` what to do now; `original` is the untouched text of
    whoever reported it first. Foreign text in them is raw: it passes `printable` where it is shown.
    """

    def __init__(self, title: str, *, cause: str = "", next_step: str = "", original: str = "") -> None:
        super().__init__(title)
        self.title = title
        self.cause = cause
        self.next_step = next_step
        self.original = original

    def __str__(self) -> str:
        return self.one_line()

    def one_line(self) -> str:
        """Title, cause and next step as one sentence group, for a terminal line or a log."""
        head = f"{self.title}: {self.cause}" if self.cause else self.title
        return f"{head.rstrip('.')}. {self.next_step}" if self.next_step else head
