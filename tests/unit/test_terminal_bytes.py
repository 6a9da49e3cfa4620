"""What a terminal sends, cut at every place, reaches the program as keys and pastes, and a paste never as keys."""

from __future__ import annotations

import codecs

from hypothesis import given
from hypothesis import strategies as st
from textual._xterm_parser import XTermParser
from textual.events import Key, Paste
from textual.message import Message

from tui.widgets.terminal_bytes import ALT_ENTER, PASTE_BEGIN, PASTE_END, ForgivingDecoder, take_any_bytes

IN_A_PASTE = st.text(st.sampled_from("ab \r\n\t\x1b[]0123;~mOé\u200b"), max_size=80)
CUTS = st.lists(st.integers(1, 9), min_size=1, max_size=8)


def events_of(data: bytes, cuts: list[int]) -> list[Message]:
    """What Textual makes of bytes that come in pieces of these lengths, over and over."""
    decoder, parser = ForgivingDecoder(), XTermParser()
    events: list[Message] = []
    place = number = 0
    while place < len(data):
        size = cuts[number % len(cuts)]
        # Textual's driver feeds nothing where there is nothing: to its parser that is the end of the file.
        if text := decoder.decode(data[place : place + size]):
            events += parser.feed(text)
        place, number = place + size, number + 1
    return [*events, *parser.feed(decoder.decode(b"", final=True)), *parser.tick()]


@given(pasted=IN_A_PASTE, cuts=CUTS)
def test_a_paste_is_one_paste_whatever_is_in_it_and_however_it_comes(pasted: str, cuts: list[int]) -> None:
    pasted = pasted.replace(PASTE_END, "").replace(PASTE_BEGIN, "")
    events = events_of(f"x{PASTE_BEGIN}{pasted}{PASTE_END}\r".encode(), cuts)
    keys = [event.key for event in events if isinstance(event, Key)]
    texts = [event.text for event in events if isinstance(event, Paste)]
    assert keys == ["x", "enter"]
    assert "".join(texts) == pasted.replace("\x1b", "\ufffd")


@given(sent=st.binary(max_size=60))
def test_any_bytes_are_decoded(sent: bytes) -> None:
    decoder = ForgivingDecoder()
    text = decoder.decode(sent) + decoder.decode(b"", final=True)
    assert text or not sent


def test_keys_outside_a_paste_pass_as_they_are() -> None:
    text = "a\x1b[A\x1bOP\x1b[<0;1;1M"
    assert ForgivingDecoder().decode(text.encode()) == text
    assert codecs.lookup("utf-8").name == "utf-8"


def test_alt_enter_is_not_enter() -> None:
    take_any_bytes()
    (event,) = events_of(ALT_ENTER.encode(), [2])
    assert isinstance(event, Key)
    assert event.key == "alt+enter"
