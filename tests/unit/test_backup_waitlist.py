import os
import subprocess
import sys
from pathlib import Path

import pytest

from tui.backup.waitlist import Waiting, Waitlist, lists_folder, waiting_guests


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def test_guests_wait_until_their_turn_and_nobody_waits_afterwards() -> None:
    assert waiting_guests() == ()
    with Waitlist(("web1", "db 1", "web2")) as waitlist:
        waitlist.begin("web1")
        assert waiting_guests() == (Waiting(os.getpid(), ("db 1", "web2")),)
        waitlist.begin("db 1")
        waitlist.begin("web2")
        assert waiting_guests() == ()
    assert list(lists_folder().iterdir()) == []


def test_nobody_waits_for_a_process_that_is_gone() -> None:
    words = "from tui.backup.waitlist import Waitlist; import os; Waitlist(('web1',)).__enter__(); os._exit(0)"
    subprocess.run([sys.executable, "-c", words], check=True)
    assert len(list(lists_folder().iterdir())) == 1
    assert waiting_guests() == ()
    with Waitlist(("web2",)):
        assert [path.name for path in lists_folder().iterdir()] == [f"{os.getpid()}.json"]


def test_what_is_no_list_is_passed_over() -> None:
    lists_folder().mkdir(parents=True)
    for number, text in enumerate(("", "[]", '{"pid": 1}', '{"pid": "x", "guests": ["a"]}')):
        (lists_folder() / f"{number}.json").write_text(text)
    assert waiting_guests() == ()
