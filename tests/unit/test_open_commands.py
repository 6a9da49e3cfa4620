"""Commands whose program died before them are found by the next one, once; those of living programs are not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tui import settings
from tui.console.open_commands import OpenCommand, take_abandoned
from tui.system.process_identity import ProcessIdentity, own_identity, read_identity

NOTE = "from tui.console.open_commands import OpenCommand; OpenCommand({'command': 'sleep 9'})"


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return settings.state_folder() / "open-commands"


def test_a_command_of_a_process_that_is_gone_is_handed_out_once(state: Path) -> None:
    subprocess.run([sys.executable, "-c", NOTE], check=True)
    assert [path.stat().st_mode & 0o777 for path in state.iterdir()] == [0o600]
    assert take_abandoned() == [{"command": "sleep 9"}]
    assert take_abandoned() == []
    assert list(state.iterdir()) == []


def test_a_command_that_runs_is_left_alone_and_one_that_ended_leaves_nothing(state: Path) -> None:
    mine = OpenCommand({"command": "mine"})
    assert take_abandoned() == []
    mine.close()
    assert list(state.iterdir()) == []
    mine.close()


@pytest.mark.parametrize("content", ["", "{", "[1]", "[" * 100_000])
def test_a_note_that_is_none_is_put_away(state: Path, content: str) -> None:
    gone = ProcessIdentity(1, 1, "00000000-0000-0000-0000-000000000000")
    settings.append_private(state / f"{gone}.abcd", content)
    assert take_abandoned() == []
    assert list(state.iterdir()) == []


def test_names_that_are_no_identity_are_nobodys(state: Path) -> None:
    settings.append_private(state / "notes.txt", "mine")
    assert take_abandoned() == []
    assert (state / "notes.txt").read_text() == "mine"


def test_a_process_is_gone_only_where_that_is_proven() -> None:
    mine = own_identity()
    assert read_identity(str(mine)) == mine
    assert not mine.is_gone
    assert ProcessIdentity(mine.pid, mine.began + 1, mine.boot).is_gone
    assert not ProcessIdentity(mine.pid, mine.began, "").is_gone
    assert read_identity("1-2") is None
    assert read_identity("x") is None


def test_what_is_appended_is_whole_or_not_there(tmp_path: Path) -> None:
    script = (
        f"from pathlib import Path; from tui.settings import append_private as a; p = Path({str(tmp_path / 'log')!r})"
    )
    fill = "; a(p, 'first\\n'); a(p, 'x' * 5000)"
    run = subprocess.run(
        ["prlimit", "--fsize=4096", sys.executable, "-c", script + fill], capture_output=True, check=False
    )
    assert b"File too large" in run.stderr
    assert (tmp_path / "log").read_text() == "first\n"
