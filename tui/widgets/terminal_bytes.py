"""What a terminal sends that is no UTF-8 is shown as such, in place of ending the program."""

from __future__ import annotations

import codecs
from functools import partial

from textual.drivers import linux_driver


def take_any_bytes() -> None:
    """Let Textual's input decoder replace bytes that are no UTF-8, such as those of a binary that was pasted.

    Its driver asks `getincrementaldecoder` of its own module for one that raises, and the program ends with that.
    """
    forgiving = partial(codecs.getincrementaldecoder("utf-8"), errors="replace")
    setattr(linux_driver, "getincrementaldecoder", lambda _name: forgiving)  # noqa: B010 - it is no public name
