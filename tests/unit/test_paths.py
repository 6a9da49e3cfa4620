"""Paths as they are typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tui.model.errors import ExplainedError
from tui.model.paths import typed_path


def test_a_tilde_is_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/here")
    assert [typed_path(each) for each in ("~", "~/a", "/~/a", "/a/../b")] == [
        Path("/home/here"),
        Path("/home/here/a"),
        Path("/~/a"),
        Path("/a/../b"),
    ]


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("~nobody-is-called-so/x", "No home folder of nobody-is-called-so is known"),
        ("here", "must begin with / or ~"),
        ("", "must begin with / or ~"),
        ("/a\0b", "no path can hold"),
        ("~\0", "no path can hold"),
        ("/a\ud800b", "no path can hold"),
    ],
)
def test_what_cannot_be_a_path_is_refused_in_words(typed: str, words: str) -> None:
    with pytest.raises(ExplainedError) as caught:
        typed_path(typed)
    assert words in caught.value.one_line()


def test_a_relative_path_is_taken_where_it_may_be_one() -> None:
    assert typed_path("a/b", may_be_relative=True) == Path("a/b")
    with pytest.raises(ExplainedError):
        typed_path("~nobody-is-called-so", may_be_relative=True)
