import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tui.lab.remains import LabFolder, end_processes, processes_of, sweep_abandoned

CLAIM = "import sys, pathlib; from tui.lab.remains import LabFolder; f = LabFolder.claim(pathlib.Path(sys.argv[1]))"
DEAF = "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); sys.stdin.read()"


@contextmanager
def member_of(lab: Path, *argv: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process whose HOME is in the laboratory's folder."""
    environment = {**os.environ, "HOME": str(lab / "h")}
    with subprocess.Popen(argv, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def abandoned(labs: Path) -> Path:
    """The folder of a laboratory whose program ended without a word."""
    subprocess.run([sys.executable, "-c", CLAIM, str(labs)], check=True)
    [folder] = labs.iterdir()
    return folder


def test_an_abandoned_laboratory_is_removed_with_its_processes(tmp_path: Path) -> None:
    folder = abandoned(tmp_path)
    with member_of(folder, "sleep", "600") as member:
        reported: list[str] = []
        sweep_abandoned(reported.append, tmp_path)
        assert member.wait() == -signal.SIGTERM
    assert not folder.exists()
    assert reported == [f"removing the abandoned laboratory {folder}"]


def test_a_laboratory_whose_program_lives_is_spared(tmp_path: Path) -> None:
    folder = LabFolder.claim(tmp_path)
    with member_of(folder.path, "sleep", "600") as member:
        sweep_abandoned(lambda line: None, tmp_path)
        assert member.poll() is None
    assert folder.path.exists()
    folder.remove()
    folder.remove()
    assert not folder.path.exists()


def test_folders_without_an_owner_and_links_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "qga.mine").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "target").touch()
    linked = tmp_path / "qga.linked"
    linked.mkdir()
    (linked / "owner").symlink_to(tmp_path / "elsewhere" / "target")
    sweep_abandoned(lambda line: None, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"qga.mine", "qga.linked", "elsewhere"}


def test_a_process_that_ignores_the_request_is_killed(tmp_path: Path) -> None:
    with member_of(tmp_path, sys.executable, "-c", DEAF) as member:
        assert member.stdout is not None
        assert member.stdout.readline() == b"deaf\n"
        end_processes(tmp_path, grace=0.3)
        assert member.wait() == -signal.SIGKILL


def test_only_the_home_makes_a_process_a_member(tmp_path: Path) -> None:
    lab, other = tmp_path / "lab", tmp_path / "lab2"
    with member_of(other, "sleep", "600") as stranger, member_of(lab, "sleep", "600") as member:
        assert processes_of(lab) == (member.pid,)
        assert processes_of(other) == (stranger.pid,)
