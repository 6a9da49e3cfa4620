"""The console on real guests through libvirt: what happens to the guest meanwhile, Windows' encodings, many at once."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable

import pytest_asyncio

from tests.live.watched import PATIENCE_S
from tui.agent.exec_model import ExecPace, Stream
from tui.agent.transport import Transport
from tui.console.many import ManyGuest, ManyRun
from tui.console.many_rows import RunState
from tui.console.running import RunningCommands
from tui.console.session import Session
from tui.console.session_facts import CommandStarted, OutputArrived, SessionFact
from tui.console.shells import Shell
from tui.console.transcript import EndLine, NoticeLine, OutputLine
from tui.hosts.libvirt_host import LibvirtHost
from tui.lab.laboratory import Laboratory
from tui.lab.spec import GuestSpec
from tui.model.guest import GuestId
from tui.model.text import without_colours
from tui.system.audit_log import AuditTarget, audit_path

QUICK = ExecPace(poll_max=0.1, grace=1.0, kill=2.0, patience=20.0)
EIGHT_AT_ONCE = 8


@pytest_asyncio.fixture(loop_scope="session")
async def host(lab: Laboratory) -> AsyncIterator[LibvirtHost]:
    one = LibvirtHost(lab.uri, "lab")
    await one.open()
    yield one
    await one.close()


def one_of_many(line: Transport, name: str) -> ManyGuest:
    return ManyGuest(GuestId("lab", name), line, AuditTarget("lab", name, name))


async def line_to(host: LibvirtHost, name: str) -> Transport:
    uuid = next(facts.uuid for facts in await host.list_domains() if facts.name == name)
    return host.work_line(uuid)


@pytest_asyncio.fixture(loop_scope="session")
async def session(host: LibvirtHost, web1: str) -> AsyncIterator[Session]:
    target = AuditTarget(host.uri, web1, "00000000-0000-0000-0000-000000000000")
    one = Session(await line_to(host, web1), target=target, pace=QUICK)
    yield one
    await one.close()


def output(session: Session) -> list[str]:
    return [
        str(without_colours(each.text))
        for each in session.scrollback.transcript.since()
        if isinstance(each, OutputLine)
    ]


def told(session: Session) -> str:
    return "\n".join(
        each.text for each in session.scrollback.transcript.since() if isinstance(each, (NoticeLine, EndLine))
    )


async def ran(session: Session, line: str) -> list[str]:
    before = len(output(session))
    session.run(line)
    async with asyncio.timeout(PATIENCE_S):
        await session.idle()
    return output(session)[before:]


async def first(session: Session, wanted: type[SessionFact], begin: Callable[[], None]) -> None:
    """Wait for the first fact of a kind after `begin`."""
    seen = asyncio.Event()
    stop = session.subscribe(lambda fact: seen.set() if isinstance(fact, wanted) else None)
    begin()
    async with asyncio.timeout(PATIENCE_S):
        await seen.wait()
    stop()


async def until_told(session: Session, words: str) -> None:
    """Wait for a notice with these words; one that is there already is as good."""
    happened = asyncio.Event()
    stop = session.subscribe(lambda fact: happened.set())
    async with asyncio.timeout(PATIENCE_S):
        while words not in told(session):
            await happened.wait()
            happened.clear()
    stop()


async def test_cd_and_export_last_and_commands_are_logged(session: Session) -> None:
    await ran(session, "cd /etc && export GREETING='good day'")
    assert session.cwd == "/etc"
    assert await ran(session, 'pwd; echo "$GREETING"; exit 4') == ["/etc", "good day"]
    logged = [json.loads(line) for line in audit_path().read_text().splitlines()]
    assert [(each["event"], each["guest"]) for each in logged[-2:]] == [("started", "web1"), ("ended", "web1")]
    assert logged[-1]["exit_code"] == 4
    assert audit_path().stat().st_mode & 0o777 == 0o600


async def test_input_is_typed_while_the_command_runs(session: Session) -> None:
    await first(session, OutputArrived, lambda: session.run("echo ready; read -r a; echo got $a", takes_input=True))
    session.type_in("this\n")
    async with asyncio.timeout(PATIENCE_S):
        await session.idle()
    assert output(session) == ["ready", "got this"]


async def test_a_pause_is_told_and_the_command_goes_on(lab: Laboratory, session: Session, web1: str) -> None:
    await first(session, OutputArrived, lambda: session.run("echo one; sleep 2; echo two"))
    await lab.virsh("suspend", web1)
    try:
        await until_told(session, "The agent says no more of the command")
    finally:
        await lab.virsh("resume", web1)
    async with asyncio.timeout(PATIENCE_S):
        await session.idle()
    assert output(session) == ["one", "two"]
    assert "The agent says no more of the command, which may run on" in told(session)
    assert "The agent answers again." in told(session)
    assert "exit 0 after" in told(session)


async def test_a_freeze_is_told_and_the_command_goes_on(lab: Laboratory, session: Session, web1: str) -> None:
    await first(session, OutputArrived, lambda: session.run("echo one; sleep 2; echo two"))
    await lab.agent_command(web1, "guest-fsfreeze-freeze", timeout=20)
    try:
        await until_told(session, "The agent says no more of the command")
    finally:
        await lab.agent_command(web1, "guest-fsfreeze-thaw", timeout=20)
    async with asyncio.timeout(PATIENCE_S):
        await session.idle()
    assert output(session) == ["one", "two"]
    assert "frozen" in told(session)
    assert "exit 0 after" in told(session)


async def test_a_command_is_followed_to_its_end_over_a_restart_of_its_agent(
    lab: Laboratory, session: Session, web1: str
) -> None:
    await first(session, OutputArrived, lambda: session.run("echo one; sleep 8; echo two; exit 7"))
    await lab.shell(web1, "kill $(pidof qemu-ga)")
    async with asyncio.timeout(PATIENCE_S):
        await session.idle()
    assert "two" in output(session)
    assert "exit 7" in told(session)
    await session.look_again()
    assert "nothing of it is left in the guest" in told(session)


async def test_a_reset_of_the_guest_ends_in_a_clear_line(lab: Laboratory, session: Session, web1: str) -> None:
    await first(session, OutputArrived, lambda: session.run("echo one; exec sleep 1000"))
    await lab.virsh("reset", web1)
    async with asyncio.timeout(PATIENCE_S * 2):
        await session.idle()
    assert "the agent no longer knows it: the agent or the guest was restarted" in told(session)
    assert "may still run" not in told(session)
    await lab.wait_for_agent(web1)


async def test_windows_code_page_is_detected_and_output_is_read_anew(lab: Laboratory, host: LibvirtHost) -> None:
    await lab.add(GuestSpec("win7", windows_lookalike=True))
    await lab.wait_for_agent("win7")
    session = Session(await line_to(host, "win7"), pace=QUICK)
    changed = asyncio.Event()
    session.subscribe(lambda fact: changed.set())
    session.prepare()
    async with asyncio.timeout(PATIENCE_S):
        await changed.wait()
    assert (session.shell, session.scrollback.charset.label) == (Shell.CMD, "auto: cp866")
    assert any("Системa".rstrip("a") in line for line in await ran(session, "dir"))
    assert await ran(session, "nonsense")
    assert await ran(session, r"cd /d C:\Users") == [r"C:\Users"]
    assert await ran(session, "cd") == [r"C:\Users"]
    assert await ran(session, "set COLOUR=deep red") == []
    assert await ran(session, "echo %COLOUR% in %COLOUR%") == ["deep red in deep red"]
    assert await ran(session, "cd") == [r"C:\Users"]
    session.use_shell(Shell.POWERSHELL)
    assert await ran(session, "$env:SIZE = 'very large'") == []
    assert await ran(session, "$env:SIZE") == ["very large"]
    assert any("ноября 2026" in line for line in await ran(session, "Get-Date"))
    await session.scrollback.use_charset("latin-1")
    assert not any("Систем" in line for line in output(session))
    await session.scrollback.use_charset("auto")
    assert any("Систем" in line for line in output(session))
    await session.close()


async def test_two_consoles_eight_runs_and_a_stranger_each_get_their_own_output(
    lab: Laboratory, host: LibvirtHost, session: Session, web1: str
) -> None:
    line = await line_to(host, web1)
    other = Session(line, pace=QUICK)
    counted = "i=0; while [ $i -lt 40 ]; do echo $TAG-$i; i=$((i+1)); done"

    async def stranger() -> list[str]:
        answers = []
        for number in range(10):
            started = await lab.agent_command(
                web1, "guest-exec", path="/bin/echo", arg=[f"stranger-{number}"], **{"capture-output": True}
            )
            status: dict[str, object] = {"exited": False}
            while not status["exited"]:
                status = await lab.agent_command(web1, "guest-exec-status", pid=started["pid"])
            answers.append(str(status["out-data"]))
        return answers

    many = ManyRun("TAG=m; " + counted, [one_of_many(line, f"g{n}") for n in range(EIGHT_AT_ONCE)], logs=False)
    async with asyncio.timeout(PATIENCE_S * 2):
        first_lines, second_lines, answers, _ = await asyncio.gather(
            ran(session, "TAG=a; " + counted), ran(other, "TAG=b; " + counted), stranger(), many.run()
        )
    assert first_lines == [f"a-{n}" for n in range(40)]
    assert second_lines == [f"b-{n}" for n in range(40)]
    assert len(set(answers)) == 10
    assert {row.state for row in many.rows} == {RunState.DONE}
    assert len(many.groups()) == 1
    for scrollback in many.scrollbacks:
        lines = [each.text for each in scrollback.transcript.since() if isinstance(each, OutputLine)]
        assert lines == [f"m-{n}" for n in range(40)]
    await other.close()


async def test_many_guests_hide_no_failure(host: LibvirtHost, web1: str) -> None:
    good = await line_to(host, web1)
    silent = host.work_line("11111111-2222-3333-4444-555555555555")
    targets = [one_of_many(good, "one"), one_of_many(silent, "gone"), one_of_many(good, "two")]
    many = ManyRun('[ "$(cat /proc/self/stat | wc -l)" = 1 ] && echo fine', targets, logs=False, pace=QUICK)
    async with asyncio.timeout(PATIENCE_S):
        await many.run()
    assert [row.state for row in many.rows] == [RunState.DONE, RunState.FAILED, RunState.DONE]
    assert [group.names for group in many.groups()] == [("gone",), ("one", "two")]
    assert [row.name for row in many.failures] == ["gone"]


async def test_cancelling_ends_all(host: LibvirtHost, web1: str) -> None:
    line = await line_to(host, web1)
    many: ManyRun
    begun: list[int] = []

    def changed(place: int) -> None:
        if many.rows[place].last_line and place not in begun:
            begun.append(place)
            if len(begun) == 2:
                many.cancel()

    shown: list[dict[str, str]] = []
    running = RunningCommands(lambda commands: shown.append({key.uuid: line for key, line in commands.items()}))
    targets = [one_of_many(line, str(n)) for n in range(2)]
    command = "echo up; exec sleep 1000"
    many = ManyRun(command, targets, logs=False, changed=changed, running=running, pace=QUICK)
    async with asyncio.timeout(PATIENCE_S):
        await many.run()
    assert {"0": command, "1": command} in shown
    assert shown[-1] == {}
    assert {row.signal for row in many.rows} == {15}
    assert len(many.failures) == 2


async def test_bytes_are_kept_as_they_came(session: Session) -> None:
    await ran(session, "head -c 300000 /dev/urandom | tee /tmp/r; sha256sum /tmp/r >&2; rm /tmp/r")
    record = session.last
    assert record is not None
    assert record.is_binary
    assert "is no text and is not shown" in told(session)
    pieces = b"".join([piece async for piece in session.scrollback.output_of(record, Stream.STDOUT)])
    (line,) = (each.encode() + b"\n" for each in output(session) if each.endswith(" /tmp/r"))
    assert hashlib.sha256(pieces).hexdigest().encode() == line.split()[0]
    assert b"".join([piece async for piece in session.scrollback.output_of(record, Stream.STDERR)]) == line


async def test_a_command_is_known_by_its_pid(session: Session) -> None:
    await first(session, CommandStarted, lambda: session.run("echo $$; exec true"))
    async with asyncio.timeout(PATIENCE_S):
        await session.idle()
    assert session.last is not None
    assert output(session) == [str(session.last.pid)]
