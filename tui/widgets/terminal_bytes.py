"""What a terminal sends, made safe before Textual parses it: bytes that are no UTF-8, escapes in a paste, alt+enter."""

from __future__ import annotations

import codecs

from textual import _ansi_sequences
from textual.drivers import linux_driver

from tui.model.text import REPLACEMENT

PASTE_BEGIN, PASTE_END = "\x1b[200~", "\x1b[201~"
"""What a terminal puts around text that was pasted (xterm's bracketed paste, mode 2004)."""
_ESC = "\x1b"
ALT_ENTER = "\x1b\r"
"""What most terminals send for alt+enter; Textual reads it as a plain enter."""


class ForgivingDecoder(codecs.IncrementalDecoder):
    """Decodes what a terminal sends; what is no UTF-8 becomes U+FFFD, and so does an escape within a paste.

    Textual takes an escape sequence in a paste out of it and types its characters, line ends included, as keys.
    """

    def __init__(self, errors: str = "replace") -> None:
        super().__init__("replace" if errors == "strict" else errors)
        self._bytes = codecs.getincrementaldecoder("utf-8")("replace")
        self._is_pasting = False
        self._held = ""
        self._passed = ""

    def decode(self, data: bytes, final: bool = False) -> str:  # type: ignore[override]
        """The text of the next bytes. In a paste, what may be the head of its end waits for the rest of it.

        Elsewhere nothing waits, as an escape may be a key: what may be the head of a paste's begin is remembered.
        """
        passed, text = self._passed, self._passed + self._held + self._bytes.decode(data, final)
        self._held = self._passed = ""
        done: list[str] = []
        while text:
            mark = PASTE_END if self._is_pasting else PASTE_BEGIN
            before, found, text = text.partition(mark)
            if not found and not final:
                head = _head_at_end(before, mark)
                if self._is_pasting:
                    before, self._held = before.removesuffix(head), head
                else:
                    self._passed = head
            done += (before.replace(_ESC, REPLACEMENT) if self._is_pasting else before, found)
            if found:
                self._is_pasting = not self._is_pasting
        return "".join(done)[len(passed) :]


def _head_at_end(text: str, mark: str) -> str:
    """What the text ends in, where a mark begins so."""
    heads = (mark[:length] for length in range(min(len(mark) - 1, len(text)), 0, -1))
    return next((head for head in heads if text.endswith(head)), "")


def take_any_bytes() -> None:
    """Let Textual's driver read what a terminal sends by a `ForgivingDecoder`, and tell alt+enter from enter.

    Its driver asks `getincrementaldecoder` of its own module for a decoder that raises, and the program ends with that.
    """
    setattr(linux_driver, "getincrementaldecoder", lambda _name: ForgivingDecoder)  # noqa: B010 - it is no public name
    keys: dict[str, object] = _ansi_sequences.ANSI_SEQUENCES_KEYS  # type: ignore[assignment]
    keys[ALT_ENTER] = (_NamedKey("alt+enter"),)


class _NamedKey(str):
    """A key by its name, as Textual's table has it: it asks its values for `value`."""

    __slots__ = ()

    @property
    def value(self) -> str:
        """The name."""
        return str(self)
