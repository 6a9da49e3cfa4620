from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.agent.decode import Decoder

SAMPLES = [
    "plain ascii\nüml€ 𝄞\n".encode(),
    b"\xef\xbb\xbfwith a mark\n",
    "Файл не найден\r\n".encode("cp866") + "後 utf-8\n".encode() + b"\xff\xfe\n",
    "\ufeffNode, ö 𝄞\r\n".encode("utf-16-le"),
    "NoMark\r\n".encode("utf-16-le"),
    "日本語 テキスト\nabc\n".encode("cp932"),
    b"\xff",
    b"\xff\xfe",
    b"\xe2\x82",
    b"a\0",
    b"\0\0\0\0",
    b"",
]


def decoded(*chunks: bytes, page: str = "") -> str:
    decoder = Decoder(page)
    return "".join(decoder.feed(chunk) for chunk in chunks) + decoder.flush()


@pytest.mark.parametrize("page", ["", "cp866", "cp932"])
@pytest.mark.parametrize("sample", SAMPLES, ids=range(len(SAMPLES)))
def test_a_split_anywhere_changes_nothing(sample: bytes, page: str) -> None:
    whole = decoded(sample, page=page)
    assert {decoded(sample[:at], sample[at:], page=page) for at in range(len(sample) + 1)} == {whole}
    assert decoded(*(sample[at : at + 1] for at in range(len(sample))), page=page) == whole


@given(st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=4), st.sampled_from(["", "cp866", "cp932"]))
def test_splits_of_any_bytes_change_nothing(data: bytes, cuts: list[int], page: str) -> None:
    edges = [0, *sorted(cuts), len(data)]
    chunks = [data[start:end] for start, end in pairwise(edges)]
    assert decoded(*chunks, page=page) == decoded(data, page=page)


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0\ufeff")))
def test_valid_utf8_is_left_alone(text: str) -> None:
    assert decoded(text.encode(), page="cp437") == text


def test_the_code_page_serves_the_lines_that_are_no_utf8() -> None:
    data = "Файл\r\n".encode("cp866") + "後\n".encode()
    assert decoded(data, page="cp866") == "Файл\r\n後\n"
    assert decoded(b"caf\xe9\n") == "caf\ufffd\n"


@pytest.mark.parametrize("text", ["               1 файлов", "хай", "рай и май", "файл", "Имя"])
def test_words_of_the_page_are_read_in_it_even_where_their_bytes_are_valid_utf8(text: str) -> None:
    assert decoded(f"{text}\r\n".encode("cp866"), page="cp866") == f"{text}\r\n"


@pytest.mark.parametrize("text", ["5 €", "“quoted” – so", "後", "Файл", "naïve", "日本語"])
@pytest.mark.parametrize("page", ["cp866", "cp437", "cp850", "cp932"])
def test_utf8_stays_utf8_beside_a_page(text: str, page: str) -> None:
    assert decoded(f"{text}\n".encode(), page=page) == f"{text}\n"


def test_a_line_is_decided_as_a_whole_as_far_as_it_is_held() -> None:
    page = "ф" * 5000 + "\n"
    assert decoded(page.encode("cp866"), page="cp866") == page
    late = "й" * 3000
    held = decoded(late.encode(), b"\xff\n", page="cp866")
    assert held == late + "\xa0\n"
    whole = late.encode() + b"\xff\n" + page.encode("cp866")
    assert decoded(*(whole[at : at + 7] for at in range(0, len(whole), 7)), page="cp866") == held + page
    decoder = Decoder("cp866")
    assert decoder.feed(b"C:\\> \xd4") == "C:\\> "


def test_utf16_is_known_by_its_mark_or_by_its_zeros() -> None:
    assert decoded("\ufeffaä\n".encode("utf-16-le")) == "aä\n"
    assert decoded("ab\n".encode("utf-16-le")) == "ab\n"


def test_text_is_not_held_back_longer_than_its_meaning_is_open() -> None:
    decoder = Decoder()
    assert decoder.feed(b"$ ") == "$ "
    assert decoder.feed(b"\xe2\x82") == ""
    assert decoder.feed(b"\xac") == "€"


def test_an_unknown_code_page_is_refused() -> None:
    with pytest.raises(LookupError):
        Decoder("no-such-page")
