"""Whatever an agent sends, nothing of it crashes us, steers the terminal or grows without bound."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.agent.errors import AgentError
from tui.agent.protocol import MAX_REPLY, Fields, parse_reply
from tui.console import clixml
from tui.console.charset import CHOICES, Charset, page_of
from tui.console.completion import completed
from tui.console.textstream import TextStream
from tui.model.text import SGR, SHOWN_LIMIT, Shown, coloured, printable, without_colours

REPLIES = STREAMS = 100_000
SEEDS = (
    '{"return": {"exited": true, "exitcode": 0, "out-data": "aGk=", "err-data": "", "out-truncated": false}}',
    '{"error": {"class": "CommandNotFound", "desc": "no"}}',
    '{"return": {"count": 3, "buf-b64": "YWJj", "eof": false}}',
    '{"return": 1234}',
    '{"return": {"version": "7.2", "supported_commands": [{"name": "guest-ping", "enabled": true}]}}',
)
HOSTILE = (
    b"\x1b]0;title\x07",
    b"\x1b]52;c;ZXZpbA==\x1b\\",
    b"\x1b[2J\x1b[31mred\x1b[",
    b"\x9b31m\x9d0;t\x9c",
    "\x9b2J\x9d0;t\x9c".encode(),
    b"\x1bc\x1bP+q\x1b\\",
    b"\r\n\r\r\x08\x08\x07",
    "\u202e\u200d\ufeff後".encode(),
    b"\xff\xfea\0\x1b\0[\0",
    b'#< CLIXML\r\n<Objs><S S="Error">_x001B_[2J_xD800_&#27;</S></Objs>',
    b"\xed\xa0\x80\xf4\x90\x80\x80",
    b"\x1b[" + b"9;" * 50 + b"m",
    b"plain text\n",
)


def hostile_json(dice: random.Random) -> str:
    text = dice.choice(SEEDS)
    match dice.randrange(7):
        case 0:
            return text[: dice.randrange(len(text))]
        case 1:
            place = dice.randrange(len(text))
            return text[:place] + chr(dice.randrange(0x11_0000)) + text[place + 1 :]
        case 2:
            depth = dice.randrange(1, 3000)
            return '{"return": ' + dice.choice("[{")[0] * depth
        case 3:
            return json.dumps({"return": {"exited": dice.choice([1, "yes", None, [], 1e400])}})
        case 4:
            return '{"return": ' + "9" * dice.randrange(1, 6000) + "}"
        case 5:
            return dice.randbytes(dice.randrange(40)).decode("latin-1")
        case _:
            return json.dumps({"return": {"out-data": dice.choice(["!", "YQ", "é", "A" * 5, 3])}})


def test_hostile_replies_end_in_an_agent_error_or_a_value() -> None:
    dice = random.Random(20)
    for _ in range(REPLIES):
        reply = hostile_json(dice)
        try:
            fields = Fields(parse_reply(reply, "guest-exec-status"), "guest-exec-status")
            for take in (fields.data, fields.integer, fields.flag, fields.text):
                read(take, dice.choice(("out-data", "exitcode", "exited", "version")))
        except AgentError as error:
            told = error
        else:
            continue
        assert printable(told.one_line()).isprintable()
        assert len(told.original) < 1000


@pytest.mark.parametrize(
    "reply",
    [
        '{"return": ' + "[" * 1_000_000,
        '{"return": ' + '{"a":' * 1_000_000 + "1" + "}" * 1_000_001,
        '{"return": {"out-data": "' + "A" * 50_000_001 + '"}}',
        '{"return": "' + "\\u0000" * 5_000_000,
        "9" * 10_000_000,
        " " * (MAX_REPLY + 1),
    ],
    ids=["deep", "deep and closed", "huge base64", "huge and cut", "huge number", "longer than any reply"],
)
def test_a_deep_or_huge_reply_is_refused_in_bounded_words(reply: str) -> None:
    with pytest.raises(AgentError) as refused:
        Fields(parse_reply(reply, "guest-exec-status"), "guest-exec-status").data("out-data")
    assert len(refused.value.original) < 1000


def read(take: Callable[[str], object], name: str) -> None:
    try:
        take(name)
    except AgentError as error:
        told = error
    else:
        return
    assert len(told.original) < 1000


def assert_harmless(line: Shown) -> None:
    assert without_colours(line).isprintable(), line
    assert SGR.sub("", line).isprintable()
    assert len(without_colours(line)) <= 8 * SHOWN_LIMIT


def test_hostile_output_gives_printable_lines_whatever_the_encoding_and_the_cuts() -> None:
    dice = random.Random(21)
    for _ in range(STREAMS):
        data = b"".join(dice.choice(HOSTILE) for _ in range(dice.randrange(1, 6))) + dice.randbytes(dice.randrange(8))
        stream = TextStream(Charset(dice.choice(CHOICES), dice.choice(("", "cp866", "cp932"))))
        cut = dice.randrange(len(data) + 1)
        for line in (*stream.feed(data[:cut]), stream.partial, *stream.feed(data[cut:]), *stream.flush()):
            assert_harmless(line)


def read_in(pieces: Iterable[bytes], charset: Charset) -> tuple[list[Shown], bool]:
    """What a stream reads of these pieces, and whether it takes them for no text."""
    stream = TextStream(charset)
    lines = [line for piece in pieces for line in stream.feed(piece)]
    return lines + stream.flush(), stream.is_binary


HEADS = st.lists(st.sampled_from((*HOSTILE, b"\0", b"\x01\x02\x03\n", b"a\0b\0", b"line\n" * 60)), max_size=20)


@given(HEADS.map(b"".join), st.lists(st.integers(0, 1500), max_size=6), st.sampled_from(("", "cp866")))
def test_what_is_read_does_not_depend_on_the_cuts(data: bytes, cuts: list[int], page: str) -> None:
    places = [0, *sorted(cuts), len(data)]
    pieces = [data[begin:end] for begin, end in pairwise(places)]
    assert read_in(pieces, Charset(oem_page=page)) == read_in([data], Charset(oem_page=page))


def test_text_is_shown_as_it_comes_and_a_program_from_its_first_odd_byte_on_is_not() -> None:
    stream = TextStream(Charset())
    assert stream.feed(b"name: x\n") == ["name: x"]
    assert stream.feed(b"\x7fELF\2\1\n") == []
    assert stream.feed(bytes(2000)) == []
    assert stream.is_binary
    assert stream.flush() == []


def test_a_few_odd_bytes_in_text_are_waited_over_and_shown() -> None:
    stream = TextStream(Charset())
    assert stream.feed(b"a\x01\n") == []
    assert stream.feed(b"b" * 2000 + b"\n") == ["a\ufffd", "b" * 2000]
    assert not stream.is_binary
    assert read_in([b"a\x01", b"bcdefghijkl\n"], Charset()) == (["a\ufffdbcdefghijkl"], False)


def test_endless_lines_and_endless_clixml_stay_bounded() -> None:
    stream = TextStream(Charset())
    lines = [line for _ in range(64) for line in stream.feed(b"\x1b]0;" + b"x" * 100_000)]
    assert all(len(line) <= SHOWN_LIMIT for line in lines)
    assert len(stream.partial) <= SHOWN_LIMIT
    errors = TextStream(Charset())
    fed = errors.feed(b"#< CLIXML\r\n") + [line for _ in range(30) for line in errors.feed(b"<S" * 50_000)]
    assert fed
    assert sum(map(len, fed)) >= clixml.LIMIT


def test_powershell_errors_are_read_as_text() -> None:
    stream = TextStream(Charset())
    head = '#< CLIXML\r\n<Objs Version="1.1.0.1">'
    said = head + '<S S="Error">a &lt;b&gt;_x000D__x000A_</S><S S="Error">c_x000A_</S></Objs>'
    assert stream.feed(said.encode()[:20]) == []
    assert stream.feed(said.encode()[20:]) == []
    assert stream.flush() == ["a <b>", "c"]


@pytest.mark.parametrize(
    ("said", "page"),
    [
        (b"Active code page: 866\r\n", "cp866"),
        ("Текущая кодовая страница: 866\r\n".encode("cp866"), "cp866"),
        (b"Aktive Codepage: 850.", "cp850"),
        (b"Active code page: 65001", ""),
        (b"Active code page: 99999", ""),
        (b"", ""),
    ],
)
def test_the_code_page_is_read_in_any_language(said: bytes, page: str) -> None:
    assert page_of(said) == page


def test_colours_go_on_in_the_next_line_until_they_are_reset() -> None:
    stream = TextStream(Charset())
    assert stream.feed(b"\x1b[31ma\nb\x1b[0m\nc\n") == ["\x1b[31ma", "\x1b[31mb\x1b[0m", "c"]
    assert coloured("x\x08y\x1b[1;1Hz") == "yz"


def test_completion_trusts_no_candidate() -> None:
    answer = completed("cat /tm", b"/tmp/\n")
    assert (answer.line, answer.candidates) == ("cat /tmp/", ())
    assert completed("cat a", b"a b\na c\n").line == "cat a\\ "
    assert completed("cat a", b"a\x1b[2J\n").line == "cat a"
    assert completed("x", b"").line == "x"
