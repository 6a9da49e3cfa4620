"""A file of this machine as a command's input, and the clipboard: what may block is not done on the event loop."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import IO, Any

import pyperclip
import pytest
from textual.app import App

from tui.console.local_file import file_at, files_beginning, pieces_of
from tui.model.errors import ExplainedError
from tui.widgets import clipboard


def test_files_are_offered_by_how_their_paths_begin(tmp_path: Path) -> None:
    for name in ("one", "other", "three"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "on").mkdir()
    assert files_beginning(f"{tmp_path}/o") == [f"{tmp_path}/one", f"{tmp_path}/other"]
    assert len(files_beginning(f"{tmp_path}/")) == 3


@pytest.mark.parametrize("typed", ["", "~nobody-is-called-so", "~nobody-is-called-so/x", "/no such folder/x", "/a\0/b"])
def test_nothing_is_offered_for_a_path_that_leads_nowhere(typed: str) -> None:
    assert files_beginning(typed) == []


def test_a_file_is_found_from_wherever_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    assert file_at("here") == tmp_path / "here"


@pytest.mark.parametrize("typed", ["~nobody-is-called-so/x", "/no such file", "/", "/a\0b"])
def test_what_is_no_file_is_refused_in_words(typed: str) -> None:
    with pytest.raises(ExplainedError):
        file_at(typed)


async def test_the_disk_and_the_desktop_are_waited_for_in_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []
    really_open = Path.open

    def noted_open(self: Path, mode: str) -> IO[Any]:
        threads.append(threading.current_thread())
        return really_open(self, mode)

    (tmp_path / "input").write_bytes(b"abc")
    monkeypatch.setattr(Path, "open", noted_open)
    assert [piece async for piece in pieces_of(tmp_path / "input")] == [b"abc"]
    monkeypatch.setattr(pyperclip, "copy", lambda text: threads.append(threading.current_thread()))
    said = await clipboard.copy(App[object](), "abc", {"DISPLAY": ":0"})
    assert said == "Copied 3 characters to the desktop's clipboard."
    assert len(threads) == 2
    assert threading.main_thread() not in threads
