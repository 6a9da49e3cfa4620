from hypothesis import given
from hypothesis import strategies as st

from tui.agent.exec_model import Stream
from tui.console.transcript import LineAssembler, NoticeLine, OutputLine, Transcript, shown_line
from tui.model.text import SHOWN_LIMIT, printable


def lines_of(*texts: str) -> list[str]:
    assembler = LineAssembler()
    lines = [line for text in texts for line in assembler.feed(text)]
    return lines + assembler.flush()


def test_lines_end_at_newlines_and_the_rest_is_kept_open() -> None:
    assembler = LineAssembler()
    assert assembler.feed("one\r\ntwo\nthr") == ["one", "two"]
    assert assembler.partial == "thr"
    assert assembler.feed("ee") == []
    assert assembler.flush() == ["three"]
    assert assembler.flush() == []


def test_a_lone_return_overwrites_like_a_terminal() -> None:
    assert lines_of("10 %\r20 %\r100 %\n") == ["100 %"]
    assert lines_of("12345\rab\n") == ["ab345"]
    assert lines_of("12345\r", "ab\r", "\n") == ["ab345"]


def test_endless_lines_become_several() -> None:
    lines = lines_of("x" * (2 * SHOWN_LIMIT + 5))
    assert [len(line) for line in lines] == [SHOWN_LIMIT, SHOWN_LIMIT, 5]


@given(st.text(alphabet="ab\r\n", max_size=30), st.integers(0, 30))
def test_where_text_is_cut_does_not_matter(text: str, cut: int) -> None:
    assert lines_of(text[:cut], text[cut:]) == lines_of(text)


def test_tabs_are_expanded_and_controls_lose_their_power() -> None:
    assert shown_line("a\tb\x1b[2J") == "a       b\ufffd[2J"


def test_scrollback_is_bounded_and_keeps_its_numbering() -> None:
    transcript = Transcript(limit=3)
    for number in range(5):
        transcript.append(OutputLine(1, Stream.STDOUT, printable(str(number))))
    assert (transcript.first, transcript.total) == (2, 5)
    assert [entry.text for entry in transcript.since()] == ["2", "3", "4"]
    assert [entry.text for entry in transcript.since(4)] == ["4"]
    transcript.append(NoticeLine(1, printable("n")))
    assert transcript.since(5) == (NoticeLine(1, printable("n")),)
