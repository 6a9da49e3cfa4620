"""The script that tells, for an agent which has forgotten it, whether a streamed command runs."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tui.agent.exec_scripts import BOOT_ID, SHELL, STILL_RUNS


@pytest.fixture
def command() -> Iterator[subprocess.Popen[bytes]]:
    """A process that leads its group, as a streamed command does."""
    with subprocess.Popen(["sleep", "1000"], start_new_session=True) as process:
        yield process
        process.kill()


def runs(folder: Path, pid: int) -> bool:
    words = [SHELL, "-c", STILL_RUNS, SHELL, str(folder), str(pid)]
    return subprocess.run(words, check=False, capture_output=True).returncode == 0


def test_a_command_runs_until_it_has_ended(tmp_path: Path, command: subprocess.Popen[bytes]) -> None:
    (tmp_path / "boot").write_text(Path(BOOT_ID).read_text())
    assert runs(tmp_path, command.pid)
    command.kill()
    command.wait()
    assert not runs(tmp_path, command.pid)


def test_the_same_pid_after_a_reboot_is_another_process(tmp_path: Path, command: subprocess.Popen[bytes]) -> None:
    (tmp_path / "boot").write_text("of another run\n")
    assert not runs(tmp_path, command.pid)


def test_a_folder_that_names_no_run_of_the_guest_proves_nothing(
    tmp_path: Path, command: subprocess.Popen[bytes]
) -> None:
    assert not runs(tmp_path, command.pid)


def test_a_process_that_leads_no_group_is_none_of_ours(tmp_path: Path) -> None:
    (tmp_path / "boot").write_text(Path(BOOT_ID).read_text())
    with subprocess.Popen(["sleep", "1000"]) as process:
        assert not runs(tmp_path, process.pid)
        process.kill()
