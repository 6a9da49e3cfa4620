"""The console's session and the command line's exec, each on a real guest agent."""

from __future__ import annotations

import asyncio
import io
import os
import platform
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest

from tests.live.host_agent import HostAgent, running
from tests.live.test_agent_exec import QUICK, is_alive, line
from tui.agent.exec_model import CommandLine, ExecRequest, Stream
from tui.console.cli_exec import Job, exec_to_streams
from tui.console.local_file import pieces_of
from tui.console.many import ManyGuest, ManyRun
from tui.console.many_rows import RunState
from tui.console.session import Session, SessionBusyError
from tui.console.session_facts import CommandEnded, CommandStarted, OutputArrived, SessionFact
from tui.console.shells import Shell
from tui.console.transcript import EndLine, OutputLine, PromptLine
from tui.doctor.systems import CARE, family_of
from tui.model.guest import GuestId
from tui.system.audit_log import AuditTarget


class TerminalInMemory(io.BytesIO):
    def isatty(self) -> bool:
        return True


async def test_a_session_keeps_prompt_output_and_end(agent: HostAgent) -> None:
    session = Session(agent.line, pace=QUICK)
    facts: list[SessionFact] = []
    stop = session.subscribe(facts.append)
    session.run("printf 'one\\ttab\\nlast'; printf 'e\\033[2J\\n' >&2; exit 7")
    with pytest.raises(SessionBusyError):
        session.run("true")
    await session.idle()
    prompt, *output, end = session.scrollback.transcript.since()
    assert isinstance(prompt, PromptLine)
    assert sorted((entry.stream, entry.text) for entry in output if isinstance(entry, OutputLine)) == [
        (Stream.STDERR, "e"),
        (Stream.STDOUT, "last"),
        (Stream.STDOUT, "one     tab"),
    ]
    assert isinstance(end, EndLine)
    assert end.text.startswith("exit 7 after ")
    assert not end.is_good
    assert isinstance(facts[0], CommandStarted)
    (ended,) = (fact for fact in facts if isinstance(fact, CommandEnded))
    assert ended.finished is not None
    stop()
    heard = len(facts)
    session.run("true")
    await session.idle()
    assert len(facts) == heard
    last = list(session.scrollback.transcript.since())[-1]
    assert isinstance(last, EndLine)
    assert last.is_good


async def test_an_incomplete_line_is_open_and_cancelling_ends_the_command(agent: HostAgent) -> None:
    session = Session(agent.line, pace=QUICK)
    seen: list[tuple[OutputLine, ...]] = []

    def listen(fact: SessionFact) -> None:
        if isinstance(fact, OutputArrived):
            seen.append(session.scrollback.open_lines)
            session.cancel()

    session.subscribe(listen)
    session.run("printf 'password: '; sleep 1000")
    await session.idle()
    assert [(open_line.stream, open_line.text) for open_line in seen[0]] == [(Stream.STDOUT, "password: ")]
    assert session.scrollback.open_lines == ()
    last = list(session.scrollback.transcript.since())[-1]
    assert isinstance(last, EndLine)
    assert last.text.startswith("cancelled after ")
    assert last.text.endswith("killed by SIGTERM")


async def test_a_command_that_cannot_start_ends_in_words(qemu_ga: Path) -> None:
    with running(qemu_ga, "guest-exec") as agent:
        session = Session(agent.line)
        facts: list[SessionFact] = []
        session.subscribe(facts.append)
        session.run("true")
        await session.idle()
        code, _, told = await exec_in_memory(agent, line("true"))
        await agent.line.close()
    assert facts == [CommandEnded(1, None)]
    last = list(session.scrollback.transcript.since())[-1]
    assert isinstance(last, EndLine)
    family = family_of(platform.freedesktop_os_release()["ID"])
    assert family is not None
    for words in (last.text, told.decode()):
        assert "guest-exec is blocked by the guest's policy" in words
        assert CARE[family].policy.where in words, "it is the policy of the system that this agent runs on"
    assert code == 255


async def exec_in_memory(agent: HostAgent, request: ExecRequest, *, terminal: bool = False) -> tuple[int, bytes, bytes]:
    stdout, stderr = (TerminalInMemory(), TerminalInMemory()) if terminal else (io.BytesIO(), io.BytesIO())
    code = await exec_to_streams(agent.line, Job(request, pace=QUICK), stdout, stderr)
    return code, stdout.getvalue(), stderr.getvalue()


async def test_exec_hands_bytes_and_codes_through(agent: HostAgent) -> None:
    request = line(r"printf 'a\0\377\033[2J\r\n'; printf 'e\r' >&2; exit 3")
    assert await exec_in_memory(agent, request) == (3, b"a\0\xff\x1b[2J\r\n", b"e\r")


async def test_exec_to_a_terminal_cannot_steer_it(agent: HostAgent) -> None:
    request = line(r"printf 'a\tb\033[2J\r\nbar\rbaz \377'")
    code, out, _ = await exec_in_memory(agent, request, terminal=True)
    assert (code, out.decode()) == (0, "a\tb\nbar\nbaz \ufffd")


@pytest.mark.parametrize(
    ("no_color", "seen"),
    [("", b"\x1b[31mred\x1b[0m\r\n\x1b[31mstill\x1b[0m\r\n"), ("1", b"red\r\nstill\r\n")],
)
async def test_a_terminal_gets_colours_and_nothing_of_them_leaks(
    agent: HostAgent, monkeypatch: pytest.MonkeyPatch, no_color: str, seen: bytes
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    master, slave = os.openpty()
    job = Job(line(r"printf '\033[31mred\033]0;title\007\n\033[2Jstill\n'; exit 3"), pace=QUICK)
    with os.fdopen(slave, "wb", buffering=0) as raw:
        terminal = cast("BinaryIO", raw)
        code = await exec_to_streams(agent.line, job, terminal, terminal)
        assert (code, os.read(master, 4096)) == (3, seen)
    os.close(master)


async def test_exec_codes_for_signals_time_and_failure(agent: HostAgent) -> None:
    code, _, said = await exec_in_memory(agent, line("kill -SEGV $$"))
    assert (code, said) == (128 + 11, b"")
    code, _, said = await exec_in_memory(agent, line("sleep 1000", timeout_s=0.2))
    assert code == 124
    assert said.startswith(b"qga-tui: timed out after ")
    code, _, said = await exec_in_memory(agent, line("true", cwd="/no/where"))
    assert (code, said) == (255, b"qga-tui: The command was not started: the guest has no folder '/no/where'\n")


def reader_that_left() -> BinaryIO:
    reading, writing = os.pipe()
    os.close(reading)
    return cast("BinaryIO", os.fdopen(writing, "wb", buffering=0))


async def test_a_reader_that_is_gone_ends_the_command(agent: HostAgent) -> None:
    stdout = reader_that_left()
    pid_file = agent.folder / "pid-of-command"
    request = ExecRequest(CommandLine('echo $$ >"$F"; yes'), env={"F": str(pid_file)})
    code = await exec_to_streams(agent.line, Job(request, pace=QUICK), stdout, io.BytesIO())
    stdout.close()
    assert code == 141
    assert not is_alive(int(pid_file.read_text()))
    assert agent.leftovers() == []


async def test_cancelling_exec_ends_the_command(agent: HostAgent) -> None:
    pid_file = agent.folder / "pid-of-command"
    request = ExecRequest(CommandLine('echo $$ >"$F"; echo up; exec sleep 1000'), env={"F": str(pid_file)})
    is_up = asyncio.Event()

    class Watched(io.BytesIO):
        def write(self, data: Any) -> int:
            is_up.set()
            return super().write(data)

    task = asyncio.create_task(exec_to_streams(agent.line, Job(request, pace=QUICK), Watched(), io.BytesIO()))
    await is_up.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not is_alive(int(pid_file.read_text()))


def end_of(session: Session) -> EndLine:
    """How the last command ended."""
    last = list(session.scrollback.transcript.since())[-1]
    assert isinstance(last, EndLine)
    return last


async def test_a_line_that_no_guest_can_be_given_ends_in_words(agent: HostAgent) -> None:
    session = Session(agent.line, pace=QUICK)
    session.use_shell(Shell.PROGRAM)
    for typed, words in (('""', "a command needs a program"), ("'", "cannot be split into words")):
        session.run(typed)
        await session.idle()
        assert words in end_of(session).text
        assert not end_of(session).is_good


async def test_input_that_cannot_be_read_ends_in_words_where_it_is_gathered_first(qemu_ga: Path) -> None:
    with running(qemu_ga, windows=True) as agent:
        session = Session(agent.line, pace=QUICK)
        session.run("more", stdin=pieces_of(agent.folder / "no such file"))
        await session.idle()
        assert "No such file or directory" in end_of(session).text
        assert "no such file" in end_of(session).text
        assert not session.is_running
        assert agent.windows_leftovers() == []
        (agent.folder / "file").write_bytes(b"of this machine")
        session.run("sort", stdin=pieces_of(agent.folder / "file"))
        await session.idle()
        assert end_of(session).is_good
        assert session.scrollback.last_line == "of this machine"
        await agent.line.close()


async def test_a_state_folder_that_takes_nothing_loses_no_command(
    agent: HostAgent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    session = Session(agent.line, pace=QUICK)
    session.run("seq 5000")
    await session.idle()
    assert end_of(session).is_good
    texts = [str(entry.text) for entry in session.scrollback.transcript.since()]
    assert {str(number) for number in range(1, 5001)} < set(texts)
    guests = [ManyGuest(GuestId("here", "u1"), agent.line, AuditTarget("here", "web1", "u1"))]
    run = ManyRun("seq 5000", guests, pace=QUICK)
    await run.run()
    (row,) = run.rows
    assert (row.state, row.last_line) == (RunState.DONE, "5000")
    assert any("no longer kept" in entry.text for entry in run.scrollbacks[0].transcript.since())
    assert any("no longer kept" in text for text in texts)


async def test_an_error_of_our_own_ends_the_command_in_words_and_not_the_program(
    agent: HostAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_args: object, **_kwargs: object) -> Any:
        raise RuntimeError("of our own")

    for module in ("lasting", "many"):
        monkeypatch.setattr(f"tui.console.{module}.request_for_line", broken)
    session = Session(agent.line, pace=QUICK)
    session.run("true")
    await session.idle()
    assert "RuntimeError: of our own" in end_of(session).text
    run = ManyRun("true", [ManyGuest(GuestId("here", "u1"), agent.line, AuditTarget("here", "web1", "u1"))], pace=QUICK)
    await run.run()
    assert run.rows[0].state is RunState.FAILED
    assert "RuntimeError: of our own" in run.rows[0].words


async def test_a_program_that_may_not_be_executed_leads_to_the_doctor(agent: HostAgent) -> None:
    session = Session(agent.line, pace=QUICK)
    session.run("/etc/passwd")
    await session.idle()
    *_, end, advice = session.scrollback.transcript.since()
    assert end.text.startswith("exit 126 after ")
    assert "D in the guest list tells" in advice.text


async def test_a_ready_made_question_is_read_by_a_shell_though_lines_are_run_as_programs(agent: HostAgent) -> None:
    session = Session(agent.line, pace=QUICK)
    session.use_shell(Shell.PROGRAM)
    session.run("echo one; echo two")
    await session.idle()
    session.run("echo one; echo two", by_guests_shell=True)
    await session.idle()
    texts = [str(entry.text) for entry in session.scrollback.transcript.since() if isinstance(entry, OutputLine)]
    assert texts == ["one; echo two", "one", "two"]
    assert session.shell is Shell.PROGRAM
