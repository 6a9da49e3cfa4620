"""The libvirt adapter against libvirt's own test driver, and the pure parts beside it."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tui.agent import errors as agent
from tui.agent.protocol import encode
from tui.hosts import agent_line, faults
from tui.hosts.agent_line import AgentLine, AgentTurn
from tui.hosts.connect_faults import connect_error
from tui.hosts.lanes import Lane
from tui.hosts.libvirt_host import LibvirtHost
from tui.hosts.names import name_hosts
from tui.hosts.port import HostError, HostUnreachableError, NoSuchDomainError
from tui.model.events import DomainChanged, HostEvent
from tui.model.guest import Channel, PowerState


async def test_the_test_drivers_domain_is_listed_and_read() -> None:
    host = LibvirtHost("test:///default", "test")
    await host.open()
    (facts,) = await host.list_domains()
    assert (facts.name, facts.power, facts.channel) == ("test", PowerState.RUNNING, Channel.ABSENT)
    assert await host.read_domain(facts.uuid) == facts
    assert facts.name in await host.live_xml(facts.uuid)
    with pytest.raises(NoSuchDomainError):
        await host.read_domain("00000000-0000-4000-8000-000000000000")


async def test_a_resumed_domain_is_reported_as_an_event() -> None:
    host = LibvirtHost("test:///default", "test")
    await host.open()
    (facts,) = await host.list_domains()
    seen: asyncio.Queue[HostEvent] = asyncio.Queue()
    unsubscribe = host.subscribe(seen.put_nowait)
    pausing = LibvirtHost("test:///default", "other")
    await pausing.suspend(facts.uuid)
    event = await asyncio.wait_for(seen.get(), 5)
    assert isinstance(event, DomainChanged)
    assert (event.host, event.uuid, event.what) == ("test", facts.uuid, "paused")
    assert (await host.read_domain(facts.uuid)).power is PowerState.PAUSED
    unsubscribe()
    await pausing.resume(facts.uuid)
    assert (await host.read_domain(facts.uuid)).power is PowerState.RUNNING
    assert seen.empty()


async def test_agent_calls_of_a_driver_without_agents_fail_as_agent_errors() -> None:
    host = LibvirtHost("test:///default", "test")
    await host.open()
    (facts,) = await host.list_domains()
    with pytest.raises(agent.AgentError):
        await host.work_line(facts.uuid).send('{"execute":"guest-ping"}', 1)


async def test_no_pool_is_ever_made_over_devices() -> None:
    host = LibvirtHost("test:///default", "test")
    await host.open()
    for path in ("/dev/vg/lv", "/dev/sda"):
        with pytest.raises(HostError) as caught:
            await host.storage("qga-tui-0").volume(path)
        assert "No storage pool holds the devices" in caught.value.title
    await host.storage("qga-tui-0").close()


async def test_a_uri_nobody_listens_on_is_explained(tmp_path: Path) -> None:
    host = LibvirtHost(f"qemu:///session?socket={tmp_path}/none", "gone")
    with pytest.raises(HostUnreachableError) as caught:
        await host.open()
    assert "no libvirt daemon listens there" in caught.value.one_line()


async def test_a_lane_neither_waits_for_its_threads_nor_loses_errors() -> None:
    lane = Lane("test", 2)
    release = threading.Event()
    hung = asyncio.create_task(lane.call(release.wait))
    assert await lane.call(lambda: 41 + 1) == 42
    with pytest.raises(ZeroDivisionError):
        await lane.call(lambda: 1 // 0)
    hung.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hung
    release.set()


async def test_a_call_whose_caller_left_keeps_its_turn_and_a_waiting_one_is_dropped() -> None:
    turn, answer, asked = AgentTurn(), asyncio.Event(), list[str]()

    async def ask(request: str, _timeout_s: int, handed_over: Callable[[], None]) -> str:
        handed_over()
        asked.append(request)
        await answer.wait()
        return "{}"

    line = AgentLine(ask, turn)
    first = asyncio.create_task(line.send("first", 1))
    second = asyncio.create_task(line.send("second", 1))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    for task in (first, second):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert turn.locked()
    answer.set()
    assert await line.send("third", 1) == "{}"
    assert asked == ["first", "third"]


async def test_a_question_that_waited_behind_a_silence_shares_it_and_a_command_does_not() -> None:
    turn, answers, asked = AgentTurn(), asyncio.Queue[agent.AgentError | None](), list[str]()

    async def ask(request: str, _timeout_s: int, handed_over: Callable[[], None]) -> str:
        handed_over()
        asked.append(request)
        trouble = await answers.get()
        if trouble is not None:
            raise trouble
        return "{}"

    probes, work = AgentLine(ask, turn, shares_silence=True), AgentLine(ask, turn)

    async def behind(line: AgentLine, *troubles: agent.AgentError | None) -> str | BaseException:
        """What a request on `line` comes to that is sent while another is in flight."""
        before = len(asked)
        first = asyncio.create_task(work.send("first", 1))
        while len(asked) == before:  # noqa: ASYNC110
            await asyncio.sleep(0)
        second = asyncio.create_task(line.send("second", 1))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for trouble in troubles:
            await answers.put(trouble)
        return (await asyncio.gather(first, second, return_exceptions=True))[1]

    silence = agent.UnansweredError("It is silent", cause="nothing came", original="86")
    shared = await behind(probes, silence)
    assert isinstance(shared, agent.UnansweredError)
    assert (shared.title, shared.cause, shared.original) == ("It is silent", "nothing came", "86")
    assert asked == ["first"]
    busy = await behind(probes, agent.AgentBusyError("It is busy", original="68"))
    assert isinstance(busy, agent.AgentBusyError)
    assert busy.original == "68"
    assert asked == ["first", "first"]
    assert await behind(work, silence, None) == "{}"
    assert await behind(probes, agent.NotConnectedError("It is gone"), None) == "{}"
    assert await behind(probes, None, None) == "{}"
    assert asked == ["first", "first", *["first", "second"] * 3]


@pytest.mark.parametrize(
    ("code", "text", "kind"),
    [
        (55, "Requested operation is not valid: domain is not running", agent.GuestNotRunningError),
        (74, "argument unsupported: QEMU guest agent is not configured", agent.NoChannelError),
        (86, "Guest agent is not responding: QEMU guest agent is not connected", agent.NotConnectedError),
        (86, "... QEMU guest agent is not available due to an error", agent.LinkBrokenError),
        (86, "Guest agent is not responding: Guest agent not available for now", agent.UnansweredError),
        (112, "Guest agent command timed out", agent.UnansweredError),
        (38, "No complete agent response found in 10485760 bytes", agent.LinkBrokenError),
        (39, "Unable to encode message payload", agent.ReplyTooLargeError),
        (68, "cannot acquire state change lock (held by agent=remoteDispatch)", agent.AgentBusyError),
        (29, "operation forbidden: read only access prevents this", agent.AccessDeniedError),
        (1, "unable to execute QEMU agent command 'guest-exec': Failed to execute", agent.CommandFailedError),
        (
            1,
            "unable to execute QEMU agent command 'guest-file-close': handle '1001' has not been found",
            agent.CommandFailedError,
        ),
    ],
)
def test_agent_errors_are_told_apart_by_code_then_text(code: int, text: str, kind: type[agent.AgentError]) -> None:
    error = faults.agent_error(code, text)
    assert type(error) is kind
    assert error.original == text


@pytest.mark.parametrize(
    "own",
    [
        "Command guest-exec has been disabled",
        "Command guest-exec has been disabled: the command is not allowed",
        "Command guest-exec has been disabled: the agent is in frozen state",
        "The command guest-x has not been found",
    ],
)
def test_an_unavailable_command_keeps_the_agents_own_words(own: str) -> None:
    text = f"internal error: unable to execute QEMU agent command 'guest-exec': {own}"
    error = faults.agent_error(1, text)
    assert isinstance(error, agent.CommandUnavailableError)
    assert error.cause == own


@pytest.mark.parametrize(
    ("code", "text", "may_have_acted"),
    [
        (86, "Guest agent is not responding: Guest agent not available for now", True),
        (86, "Guest agent is not responding: Guest agent disappeared while executing command", True),
        (86, "... QEMU guest agent is not available due to an error", True),
        (112, "Guest agent command timed out", True),
        (39, "Unable to encode message payload", True),
        (38, "Cannot recv data: Connection reset by peer", True),
        (86, "Guest agent is not responding: QEMU guest agent is not connected", False),
        (55, "domain is not running", False),
        (68, "cannot acquire state change lock (held by agent=remoteDispatch)", False),
        (1, "unable to execute QEMU agent command 'guest-exec': Failed to execute", False),
    ],
)
def test_a_lost_answer_says_what_may_have_been_executed_all_the_same(
    code: int, text: str, may_have_acted: bool
) -> None:
    for command in ("guest-exec", "guest-file-write"):
        told = faults.with_its_doubt(faults.agent_error(code, text), encode(command)).one_line()
        assert (f"{command} may have been executed all the same" in told) is may_have_acted
    for command in ("guest-ping", "guest-exec-status", "guest-file-read"):
        told = faults.with_its_doubt(faults.agent_error(code, text), encode(command)).one_line()
        assert "may have been executed" not in told


FAR = "qemu+ssh://root@kvm7:2222/system"


@pytest.mark.parametrize(
    ("uri", "text", "words"),
    [
        (
            "qemu:///system",
            "Failed to connect socket to '/r/libvirt-sock': Permission denied",
            "group libvirt (usermod",
        ),
        (
            "qemu:///system",
            "Failed to connect socket to '/r/libvirt-sock': No such file or directory",
            "systemctl start",
        ),
        ("qemu:///system", "authentication unavailable: no polkit agent available", "group libvirt"),
        (FAR, "Cannot recv data: Host key verification failed.: Connection reset by peer", "ssh -p 2222 root@kvm7"),
        (FAR, "WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! Host key verification failed.", "ssh-keygen -R"),
        (FAR, "Cannot recv data: ssh: Could not resolve hostname x: Name or service not known", "name in the URI"),
        (FAR, "Cannot recv data: root@h: Permission denied (publickey,password).", "ssh-copy-id -p 2222 root@kvm7"),
        (FAR, "Cannot recv data: ssh: connect to host x port 22: Connection refused", "sshd runs there"),
        (FAR, "Cannot recv data: ssh: connect to host x port 22: Connection timed out", "firewall"),
        (FAR, "End of file while reading data: sh: 1: nc: not found: Input/output error", "Install netcat there"),
        (FAR, "Failed to connect socket to '/r/libvirt-sock': No such file or directory", "Start it on that host"),
        (FAR, "Failed to connect socket to '/r/libvirt-sock': Permission denied", "group libvirt on that host"),
    ],
)
def test_the_classic_connection_failures_come_with_their_fix(uri: str, text: str, words: str) -> None:
    assert words in connect_error(uri, 38, text).one_line()


def test_a_socket_that_may_not_be_opened_is_a_denial_and_a_login_that_ssh_refused_is_none() -> None:
    assert faults.is_denial(38, "Failed to connect socket to '/run/libvirt/libvirt-sock': Permission denied")
    assert faults.is_denial(94, "authentication unavailable: no polkit agent available")
    assert not faults.is_denial(38, "Cannot recv data: root@h: Permission denied (publickey,password).")
    assert not faults.is_denial(38, "Failed to connect socket to '/run/libvirt/libvirt-sock': Connection refused")


def test_hosts_are_named_after_their_uri_and_never_twice_the_same() -> None:
    local, remote, again, test = name_hosts(
        ("qemu:///system", "qemu+ssh://root@kvm7.example.org/system", "qemu+ssh://kvm7/session", "test:///default")
    )
    assert local
    assert (remote, again, test) == ("kvm7", "kvm7-2", "test")


async def test_only_a_call_that_the_hypervisor_has_is_late_and_its_answer_is_not_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(agent_line, "SYNC_S", 0)
    turn, may_begin, answer = AgentTurn(), asyncio.Event(), asyncio.Event()

    async def ask(request: str, _timeout_s: int, handed_over: Callable[[], None]) -> str:
        await may_begin.wait()
        handed_over()
        await answer.wait()
        return f'"{request}"'

    line = AgentLine(ask, turn, tells_late=True)
    first, second = (asyncio.create_task(line.send(each, 0)) for each in ("first", "second"))
    await asyncio.sleep(1.5)
    assert not first.done()  # it waits in our own queue: that is nobody's silence
    may_begin.set()
    with pytest.raises(agent.NotReturnedError) as late:
        await first
    assert not second.done()
    assert turn.locked()
    answer.set()
    assert await late.value.returned == '"first"'
    assert await second == '"second"'
