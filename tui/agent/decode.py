"""A command's bytes into text as they arrive, whatever the guest's encoding.

UTF-8 where it is valid; UTF-16LE where the stream begins like it (wmic, `cmd /u`); else the configured OEM code page
from the first invalid byte to the end of its line, or U+FFFD where none is configured. The text does not depend on
how the bytes were cut into chunks.
"""

from __future__ import annotations

import codecs
from enum import Enum

_UTF16_BOM = codecs.BOM_UTF16_LE
_UTF8_BOM = codecs.BOM_UTF8


class _Kind(Enum):
    UNDECIDED = 0
    UTF8 = 1
    UTF16 = 2


class Decoder:
    """An incremental decoder of one stream. Bytes are not kept: a new decoder reads kept bytes another way."""

    def __init__(self, oem_page: str = "", *, only: str = "") -> None:
        """`oem_page` is a Python codec name that holds ASCII, such as cp866; `only` is one to use in any case.

        Raises LookupError for unknown ones, and for codecs of Python's that do not turn bytes into text.
        """
        self._oem_page = _text_codec(oem_page) if oem_page else ""
        self._kind = _Kind.UTF8 if only else _Kind.UNDECIDED
        self._head = b""
        if only:
            self._text = codecs.getincrementaldecoder(_text_codec(only))("replace")
        else:
            self._text = _Utf8Or(self._oem_page) if self._oem_page else codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, data: bytes) -> str:
        """The text of all characters that are complete by now."""
        return self._decode(data, final=False)

    def flush(self) -> str:
        """The text of what was left incomplete at the end of the stream."""
        return self._decode(b"", final=True)

    def _decode(self, data: bytes, *, final: bool) -> str:
        if self._kind is _Kind.UNDECIDED:
            self._head += data
            self._kind = _kind_of(self._head, final=final)
            if self._kind is _Kind.UNDECIDED:
                return ""
            if self._kind is _Kind.UTF16:
                self._text = codecs.getincrementaldecoder("utf-16-le")("replace")
            data = self._head.removeprefix(_UTF16_BOM if self._kind is _Kind.UTF16 else _UTF8_BOM)
            self._head = b""
        return self._text.decode(data, final)


def _text_codec(name: str) -> str:
    info = codecs.lookup(name)
    # codecs.CodecInfo tells text encodings from rot13 and base64 by this mark alone.
    if not getattr(info, "_is_text_encoding", True) or info.incrementaldecoder is None:
        raise LookupError(f"not a text encoding: {name}")
    return info.name


def _kind_of(head: bytes, *, final: bool) -> _Kind:
    """Decide by the first bytes alone; undecided only while more bytes could change the answer."""
    if head.startswith(_UTF16_BOM):
        return _Kind.UTF16
    if len(head) >= 4 and head[0] and not head[1] and head[2] and not head[3]:
        return _Kind.UTF16
    open_questions = (
        head in {b"", _UTF16_BOM[:1], _UTF8_BOM[:1], _UTF8_BOM[:2]}
        or len(head) == 1
        or (len(head) in {2, 3} and head[0] != 0 and head[1] == 0)
    )
    return _Kind.UNDECIDED if open_questions and not final else _Kind.UTF8


class _Utf8Or(codecs.IncrementalDecoder):
    """UTF-8; from the first invalid byte of a line to the line's end a code page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self._page = codecs.getincrementaldecoder(page)
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self._other: codecs.IncrementalDecoder | None = None

    # The base class calls its first parameter as a builtin is called.
    def decode(self, data: bytes, final: bool = False) -> str:  # type: ignore[override]
        """Line by line, since the encoding is decided for each anew."""
        lines = data.split(b"\n")
        texts = [self._piece(line, ends=True) + "\n" for line in lines[:-1]]
        return "".join(texts) + self._piece(lines[-1], ends=final)

    def _piece(self, data: bytes, *, ends: bool) -> str:
        head = ""
        if self._other is None:
            pending = self._utf8.getstate()[0] + data
            self._utf8.reset()
            try:
                return self._utf8.decode(pending, ends)
            except UnicodeDecodeError as error:
                self._utf8.reset()
                self._other = self._page("replace")
                head, data = pending[: error.start].decode("utf-8"), pending[error.start :]
        text = head + self._other.decode(data, ends)
        if ends:
            self._other = None
        return text
