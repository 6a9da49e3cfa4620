"""Which group a process is in, and when it is not moved into another one."""

import os
import subprocess
from pathlib import Path

import pytest

from tui.backup import own_scope
from tui.backup.own_scope import group_in, own_group, scope_words

FAKE_SYSTEMD_RUN = """\
#!/bin/sh
while [ "$1" != -- ]; do shift; done
shift
{answer}
"""
"""Stands where systemd-run does not do what it should; what it does is tried with a real systemd."""


@pytest.mark.parametrize(
    ("text", "group"),
    [
        ("0::/user.slice/user-1000.slice/session-3.scope\n", "/user.slice/user-1000.slice/session-3.scope"),
        ("9:name=systemd:/a.scope\n8:pids:/b\n0::/\n", "/a.scope"),
        ("9:name=systemd:/\n0::/system.slice/x.scope\n", "/system.slice/x.scope"),
        ("0::/with:colon.scope\n", "/with:colon.scope"),
        ("0::/\n", ""),
        ("", ""),
        ("nonsense", ""),
    ],
)
def test_the_group_is_read_from_systemds_hierarchy(text: str, group: str) -> None:
    assert group_in(text) == group


def test_a_process_that_is_gone_has_no_group() -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert own_group(gone.pid) == ""


def test_without_systemd_nothing_goes_before_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_scope, "BOOTED", tmp_path / "none")
    assert scope_words() == ()


@pytest.mark.parametrize(
    "answer",
    [
        "exit 1",
        "echo '0::/user.slice/session-3.scope'; exit 1",
        "echo '0::/system.slice/cron.service'",
        "cat /proc/self/cgroup",
        "exec sleep 60",
    ],
)
def test_a_systemd_run_that_does_not_do_it_spoils_no_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    program = tmp_path / "systemd-run"
    program.write_text(FAKE_SYSTEMD_RUN.format(answer=answer))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(own_scope, "BOOTED", tmp_path)
    monkeypatch.setattr(own_scope, "LINGER", tmp_path)
    monkeypatch.setattr(own_scope, "ANSWER_S", 0.5)
    assert scope_words() == ()


def test_who_has_no_lingering_manager_is_left_where_he_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The manager would end with the last session, and all in it: worse than the session's own group."""
    program = tmp_path / "systemd-run"
    program.write_text(FAKE_SYSTEMD_RUN.format(answer="echo 0::/user.slice/run-1.scope"))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(own_scope, "BOOTED", tmp_path)
    monkeypatch.setattr(own_scope, "LINGER", tmp_path)
    monkeypatch.setattr("os.geteuid", lambda: 65534)
    assert scope_words() == ()
    (tmp_path / "nobody").touch()
    assert scope_words()[:3] == ("systemd-run", "--user", "--scope")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert scope_words()[:2] == ("systemd-run", "--scope")
