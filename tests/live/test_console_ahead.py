"""The folder and the shell that wait in the guest for a console's next command."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
import pytest_asyncio

from tests.live.host_agent import HostAgent, until
from tests.live.test_agent_exec import QUICK, is_alive
from tui.agent import exec_folder, exec_scripts
from tui.agent.exec_ahead import make_ready
from tui.agent.exec_model import End, Finished
from tui.agent.leftovers import sweep_leftovers
from tui.agent.owner import is_abandoned, run_folder_name
from tui.agent.profile import read_profile
from tui.console import shells
from tui.console.session import Session
from tui.console.transcript import OutputLine


@pytest_asyncio.fixture(loop_scope="session")
async def session(agent: HostAgent) -> AsyncIterator[Session]:
    """A console that is open, with a shell that waits."""
    one = Session(agent.line, pace=QUICK)
    one.prepare()
    await until(lambda: bool(waiting(agent)))
    yield one
    await one.close()


def waiting(agent: HostAgent) -> list[int]:
    """The shell that waits for a command, and who holds its FIFOs open; nobody before both are there."""
    found = {number: links for number, links in open_files().items() if any(is_ours(agent, each) for each in links)}
    found.pop(agent.process.pid, None)
    return sorted(found) if any(is_ours(agent, links[0]) for links in found.values()) else []


def is_ours(agent: HostAgent, path: str) -> bool:
    return path.startswith(str(agent.temp)) and path.endswith("/go")


def open_files() -> dict[int, list[str]]:
    """What the processes of this machine have open, first what is their number 3: the waiting shell's is `go`."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*/fd"):
        try:
            found[int(folder.parent.name)] = [
                str((folder / "3").readlink()),
                *(str(e.readlink()) for e in folder.iterdir()),
            ]
        except OSError:
            # It has ended meanwhile, or has not so many.
            continue
    return found


async def ended(session: Session, line: str) -> Finished:
    session.run(line)
    await session.idle()
    assert session.last is not None
    assert session.last.finished is not None
    return session.last.finished


def output(session: Session) -> list[str]:
    return [str(entry.text) for entry in session.scrollback.transcript.since() if isinstance(entry, OutputLine)]


async def test_the_waiting_shell_becomes_the_command(agent: HostAgent, session: Session) -> None:
    before = set(waiting(agent))
    finished = await ended(session, 'echo $$ $#; echo "it\'s" >&2; cat; exit 7')
    assert (finished.end, finished.exit_code) == (End.EXITED, 7)
    assert session.last is not None
    assert session.last.pid in before
    assert sorted(output(session)) == sorted([f"{session.last.pid} 0", "it's"])


@pytest.mark.parametrize(
    ("line", "code", "died_of"), [("exit 125", 125, None), ("kill -KILL $$", None, 9), ("(", 2, None)]
)
async def test_ends_are_the_commands_own(session: Session, line: str, code: int | None, died_of: int | None) -> None:
    finished = await ended(session, line)
    assert (finished.end, finished.exit_code, finished.signal) == (End.EXITED, code, died_of)


async def test_surroundings_go_from_one_waiting_shell_to_the_next(agent: HostAgent, session: Session) -> None:
    await ended(session, 'cd /usr/bin; export A="one\ntwo\'s"')
    await until(lambda: bool(waiting(agent)))
    await ended(session, 'pwd; echo "$A"')
    assert output(session) == ["/usr/bin", "one", "two's"]


async def test_closing_leaves_nothing(agent: HostAgent, session: Session) -> None:
    pids = waiting(agent)
    await ended(session, "true")
    await session.close()
    assert agent.leftovers() == []
    assert waiting(agent) == []
    await until(lambda: not any(map(is_alive, pids)))


async def test_a_folder_that_was_removed_meanwhile_costs_nothing_but_time(agent: HostAgent, session: Session) -> None:
    (folder,) = agent.leftovers()
    shutil.rmtree(folder)
    assert (await ended(session, "echo here; exit 3")).exit_code == 3
    assert output(session) == ["here"]


async def test_a_waiting_shell_that_was_killed_costs_nothing_but_time(agent: HostAgent, session: Session) -> None:
    for pid in waiting(agent):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert (await ended(session, "echo here; exit 3")).exit_code == 3
    assert output(session) == ["here"]


async def test_what_waits_ends_by_itself_with_its_holder(agent: HostAgent, session: Session) -> None:
    """As it does when nobody comes: the holder is a sleep."""
    (folder,) = agent.leftovers()
    pids = waiting(agent)
    os.kill(int((folder / "holder").read_text()), signal.SIGTERM)
    await until(lambda: not folder.exists())
    await until(lambda: not any(map(is_alive, pids)))
    assert (await ended(session, "exit 4")).exit_code == 4


async def test_what_a_crashed_console_left_waiting_is_swept(agent: HostAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = f"-{os.getpid()}-"
    dead = run_folder_name().replace(mine, f"-{2**22 + 1}-")
    assert is_abandoned(f"{dead}.x")
    monkeypatch.setattr(exec_folder, "run_folder_name", lambda: dead)
    ready = await make_ready(agent.line, "")
    await until(lambda: ready.runner in waiting(agent))
    pids = waiting(agent)
    swept = await sweep_leftovers(agent.line, await read_profile(agent.line))
    assert (swept.folders, swept.closed, swept.pinned) == (1, 4, 0)
    assert agent.leftovers() == []
    assert not [link for link in agent.links() if dead in link]
    await until(lambda: not any(map(is_alive, pids)))


@pytest.mark.parametrize("program", ["dash", "bash"])
async def test_every_posix_shell_can_wait(
    agent: HostAgent, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: str
) -> None:
    """Whatever /bin/sh is: here it is a link, as distributions make it. The laboratory's guests have busybox."""
    found = shutil.which(program)
    assert found is not None
    shell = tmp_path / "sh"
    shell.symlink_to(found)
    monkeypatch.setattr(exec_scripts, "SHELL", str(shell))
    monkeypatch.setitem(shells.POSIX_SHELLS, shells.Shell.SH, str(shell))
    session = Session(agent.line, pace=QUICK)
    session.prepare()
    await until(lambda: bool(waiting(agent)))
    is_program = f"readlink /proc/$$/exe; export SEEN='a b'; cd {tmp_path}; echo err >&2; (exit 7)"
    before = set(waiting(agent))
    assert (await ended(session, is_program)).exit_code == 7
    assert session.last is not None
    assert session.last.pid in before
    assert sorted(output(session)) == sorted([str(Path(found).resolve()), "err"])
    await until(lambda: bool(waiting(agent)))
    assert (await ended(session, 'pwd; echo "$SEEN"; kill -9 $$')).signal == signal.SIGKILL
    assert output(session)[2:] == [str(tmp_path), "a b"]
    await session.close()
    assert agent.leftovers() == []
