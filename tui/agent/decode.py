"""A command's bytes into text as they arrive, whatever the guest's encoding.

UTF-16LE where the stream begins like it (wmic, `cmd /u`). Else UTF-8, with U+FFFD for what is none. Where an OEM code
page is configured each line is one or the other: held from its first byte that is not ASCII, it is UTF-8 where all of
it is valid, and not more likely words of the page. The text does not depend on how the bytes were cut into chunks.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
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


_HELD = 4096
"""Bytes of a line at most that are held until its encoding is decided; the rest of a longer one follows them."""
_FOREIGN = re.compile(rb"[\x80-\xff]+")
_SHORT_RUN = 3


class _Utf8Or(codecs.IncrementalDecoder):
    """Lines in UTF-8 or a code page. A long line that is no UTF-8 behind what was held is the page's from there on."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self._page = page
        self._held = b""
        self._rest: codecs.IncrementalDecoder | None = None
        self._is_utf8 = False

    # The base class calls its first parameter as a builtin is called.
    def decode(self, data: bytes, final: bool = False) -> str:  # type: ignore[override]
        """Line by line, since the encoding is decided for each anew."""
        lines = data.split(b"\n")
        texts = [self._piece(line, ends=True) + "\n" for line in lines[:-1]]
        return "".join(texts) + self._piece(lines[-1], ends=final)

    def _piece(self, data: bytes, *, ends: bool) -> str:
        if self._rest is not None:
            return self._follow(data, ends=ends)
        ascii_end = 0
        if not self._held:
            foreign = _FOREIGN.search(data)
            ascii_end = len(data) if foreign is None else foreign.start()
        text, self._held = data[:ascii_end].decode("ascii"), self._held + data[ascii_end:]
        if len(self._held) >= _HELD:
            head, tail = self._held[:_HELD], self._held[_HELD:]
            self._held = b""
            self._is_utf8 = self._reads_as_utf8(head, ends=False)
            self._rest = codecs.getincrementaldecoder("utf-8" if self._is_utf8 else self._page)(_errors(self._is_utf8))
            return text + self._follow(head, ends=False) + self._follow(tail, ends=ends)
        if ends:
            whole, self._held = self._held, b""
            is_utf8 = self._reads_as_utf8(whole, ends=True)
            text += whole.decode("utf-8" if is_utf8 else self._page, _errors(is_utf8))
        return text

    def _reads_as_utf8(self, line: bytes, *, ends: bool) -> bool:
        try:
            codecs.getincrementaldecoder("utf-8")().decode(line, ends)
        except UnicodeDecodeError:
            return False
        runs = _FOREIGN.findall(line)
        return not runs or not all(len(run) == _SHORT_RUN and self._is_word(run) for run in runs)

    def _is_word(self, run: bytes) -> bool:
        """Whether it looks like a word, or a part of one, in the page: letters of one script and one case."""
        try:
            text = run.decode(self._page)
        except UnicodeDecodeError:
            return False
        scripts = {unicodedata.name(char, "?").partition(" ")[0] for char in text}
        return text.isalpha() and len(scripts) == 1 and (text.islower() or text.isupper())

    def _follow(self, data: bytes, *, ends: bool) -> str:
        """More of a line whose encoding was decided by its begin."""
        decoder = self._rest
        if decoder is None:
            raise RuntimeError("the encoding of the line is not decided")
        text = ""
        if self._is_utf8:
            pending = decoder.getstate()[0] + data
            decoder.reset()
            try:
                text, data = decoder.decode(pending, ends), b""
            except UnicodeDecodeError as error:
                text, data = pending[: error.start].decode("utf-8"), pending[error.start :]
                self._is_utf8 = False
                decoder = self._rest = codecs.getincrementaldecoder(self._page)("replace")
        if not self._is_utf8:
            text += decoder.decode(data, ends)
        if ends:
            self._rest = None
        return text


def _errors(is_utf8: bool) -> str:
    return "strict" if is_utf8 else "replace"
