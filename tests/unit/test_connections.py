"""Connections come and go: they leave no thread behind, and one that is dead is told from a question that failed."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import libvirt
import pytest

from tui.backup.errors import NeedsRescueError
from tui.backup.session import HostSession, Patience
from tui.hosts import events, faults, losses, questions
from tui.hosts.connection import Connection
from tui.hosts.counting import Counted
from tui.hosts.lanes import Lane
from tui.hosts.libvirt_host import LibvirtHost
from tui.hosts.port import HostError
from tui.model.events import DomainChanged, HostEvent
from tui.model.guest import Channel, PowerState


def threads_of(name: str) -> list[str]:
    """The living threads whose names begin so."""
    return [each.name for each in threading.enumerate() if each.name.startswith(f"{name}-")]


async def until(condition: Callable[[], bool]) -> None:
    """Wait for other threads; raises TimeoutError."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_attempts_to_connect_leave_no_thread_behind(tmp_path: Path) -> None:
    most = 0

    def connect(uri: str) -> LibvirtHost:
        nonlocal most
        most = max(most, len(threads_of("nowhere")))
        return LibvirtHost(uri, "nowhere")

    session = HostSession(connect, f"qemu:///session?socket={tmp_path}/none", Patience(reconnect_s=0))
    for _ in range(20):
        with pytest.raises(NeedsRescueError):
            await session.ask(lambda host: host.versions())
        await until(lambda: not threads_of("nowhere"))
    assert most <= 1


async def test_a_host_has_no_thread_before_it_is_asked_and_none_after_it_is_closed() -> None:
    host = LibvirtHost("test:///default", "lazy")
    assert not threads_of("lazy")
    await host.open()
    assert {each.rpartition("-")[0] for each in threads_of("lazy")} == {"lazy-control"}
    await host.close()
    await until(lambda: not threads_of("lazy"))
    assert await host.list_domains(), "who asks a closed host connects anew"
    await host.close()


async def test_an_idle_lane_holds_on_to_nothing_of_its_last_call() -> None:
    class Thing:
        """Tells of its end."""

    thing, ended = Thing(), threading.Event()
    lane = Lane("keeper", 1)
    await lane.call(lambda held: None, thing)
    weakref.finalize(thing, ended.set)
    del thing
    gc.collect()
    await until(ended.is_set)
    lane.close()


async def test_a_host_that_is_opened_again_is_registered_for_events_once() -> None:
    host, other = LibvirtHost("test:///default", "twice"), LibvirtHost("test:///default", "other")
    for _ in range(3):
        await host.open()
    (facts,) = await host.list_domains()
    seen: list[HostEvent] = []
    host.subscribe(seen.append)
    await other.suspend(facts.uuid)
    await until(lambda: bool(seen))
    await other.resume(facts.uuid)
    await until(lambda: isinstance(seen[-1], DomainChanged) and seen[-1].what == "resumed")
    assert [each.what for each in seen if isinstance(each, DomainChanged)] == ["paused", "resumed"]
    await host.close()
    await other.close()


async def test_a_closed_host_has_no_callbacks_registered_that_would_hold_its_connection() -> None:
    before = [each for each in gc.get_objects() if isinstance(each, libvirt.virConnect)]
    host = LibvirtHost("test:///default", "leaver")
    await host.open()
    (connection,) = (
        each
        for each in gc.get_objects()
        if isinstance(each, libvirt.virConnect) and not any(each is older for older in before)
    )
    assert len(connection.domainEventCallbackID) > 1
    await host.close()
    await until(lambda: not connection.domainEventCallbackID)


@pytest.mark.parametrize(
    "text",
    [
        "internal error: connection closed due to keepalive timeout",
        "internal error: received hangup event on socket",
        "internal error: error event on socket",
    ],
)
def test_words_of_a_lost_connection_are_believed_where_the_connection_is_gone(text: str) -> None:
    error = libvirt_error(1, faults.FROM_RPC, text)
    assert losses.is_lost(error, Counted(FakeConnection(alive=False), Counter()))
    # A modular daemon hands on what it met on its own connection to another daemon.
    assert not losses.is_lost(error, Counted(FakeConnection(alive=True), Counter()))
    assert type(faults.host_error(1, text)) is HostError


class FakeConnection:
    """Stands for libvirt's connection: a real one cannot be made to fail with a chosen error."""

    def __init__(self, *, alive: bool) -> None:
        self._alive = alive

    def isAlive(self) -> int:  # noqa: N802 - libvirt's name
        """As libvirt's client would say."""
        return int(self._alive)


def libvirt_error(code: int, domain: int, text: str) -> libvirt.libvirtError:
    """An error as the binding raises it."""
    error = libvirt.libvirtError(text)
    error.err = (code, domain, text, 2, "", "", "", 0, 0)
    return error


class FakeOldDomain:
    """Stands for a domain of a libvirt that knows some flags of undefineFlags and refuses the others."""

    def __init__(self, known: int) -> None:
        self._known = known
        self.undefined: list[int] = []

    def undefineFlags(self, flags: int) -> None:  # noqa: N802 - libvirt's name
        """As libvirt's server would."""
        if flags & ~self._known:
            raise libvirt_error(faults.INVALID_ARG, 10, f"unsupported flags (0x{flags & ~self._known:x})")
        self.undefined.append(flags)


@pytest.mark.parametrize(
    ("known", "with_tpm", "flags"), [(0x7F, False, 0x48), (0x7F, True, 0x28), (0x1F, False, 0x08), (0x1F, True, 0x08)]
)
def test_a_guest_is_forgotten_with_or_without_its_tpm_as_far_as_libvirt_can(
    known: int, with_tpm: bool, flags: int
) -> None:
    domain = FakeOldDomain(known)
    questions.undefine(domain, with_tpm=with_tpm)
    assert domain.undefined == [flags]
    with pytest.raises(libvirt.libvirtError):
        questions.undefine(FakeOldDomain(0), with_tpm=with_tpm)


@pytest.mark.parametrize(
    ("code", "domain", "alive", "lost"),
    [
        (1, faults.FROM_RPC, False, True),
        (38, faults.FROM_RPC, False, True),
        (1, 10, False, True),
        (1, faults.FROM_RPC, True, False),
        (faults.NO_DOMAIN, 10, False, False),
    ],
)
def test_an_error_of_unknown_words_is_a_loss_where_the_connection_says_so(
    code: int, domain: int, alive: bool, lost: bool
) -> None:
    handle = Counted(FakeConnection(alive=alive), Counter())
    assert losses.is_lost(libvirt_error(code, domain, "words of a later libvirt"), handle) is lost


def test_nothing_is_asked_on_a_connection_that_is_known_to_be_dead() -> None:
    asked: list[object] = []
    with pytest.raises(losses.ConnectionLostError) as caught:
        losses.ask(Counted(FakeConnection(alive=False), Counter()), asked.append)
    assert not caught.value.sent
    assert not asked


async def test_a_dropped_handle_is_forgotten_once_and_its_successor_stays() -> None:
    handles, let_go = iter(("first", "second")), list[object]()
    connection = Connection(lambda: next(handles), let_go.append, "dropped", 1)
    assert await connection.call(lambda handle: handle) == "first"
    connection.drop("first")
    assert await connection.call(lambda handle: handle) == "second"
    connection.drop("first")
    assert await connection.call(lambda handle: handle) == "second"
    assert let_go == ["first"]
    connection.close()


def test_a_registration_that_fails_midway_leaves_nothing_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_words: object) -> None:
        raise libvirt.libvirtError("A close callback is already registered")

    events.start_event_loop()
    connection = libvirt.open("test:///default")
    monkeypatch.setattr(connection, "registerCloseCallback", refuse)
    with pytest.raises(libvirt.libvirtError):
        events.watch(connection, "h", lambda _event: None)
    assert not connection.domainEventCallbackID


class FakeDomain:
    """Stands for a domain whose definition is ill: libvirt itself makes no such definition."""

    def __init__(self, uuid: str, xml: str | Exception) -> None:
        self._uuid = uuid
        self._xml = xml

    def UUIDString(self) -> str:  # noqa: N802 - libvirt's name
        """Its UUID."""
        return self._uuid

    def name(self) -> str:
        """Its name."""
        return f"name of {self._uuid}"

    def XMLDesc(self, _flags: int) -> str:  # noqa: N802 - libvirt's name
        """Its definition, or what the binding raises."""
        if isinstance(self._xml, Exception):
            raise self._xml
        return self._xml


class FakeListing(FakeConnection):
    """Stands for the connection that lists such domains, all of them running."""

    def __init__(self, *domains: FakeDomain, alive: bool = True) -> None:
        super().__init__(alive=alive)
        self._domains = domains
        self.raw = self

    def listAllDomains(self, _flags: int) -> list[FakeDomain]:  # noqa: N802 - libvirt's name
        """All."""
        return list(self._domains)

    def getAllDomainStats(self, _stats: int, _flags: int) -> list[tuple[FakeDomain, dict[str, int]]]:  # noqa: N802
        """All, running since their boot."""
        return [(each, {"state.state": 1, "state.reason": 1}) for each in self._domains]


HEALTHY = "<domain><name>web1</name><uuid>healthy</uuid><devices/></domain>"
NOT_UTF_8 = UnicodeDecodeError("utf-8", b"/images/\xff", 8, 9, "invalid start byte")


@pytest.mark.parametrize(
    ("ill", "why"),
    [
        ("<domain><name>", "The domain's XML cannot be read"),
        (NOT_UTF_8, "invalid start byte"),
        (libvirt_error(39, faults.FROM_RPC, "Unable to encode message payload"), "Unable to encode"),
    ],
)
def test_a_definition_that_cannot_be_read_spoils_no_other(ill: str | Exception, why: str) -> None:
    listing = FakeListing(FakeDomain("ill", ill), FakeDomain("healthy", HEALTHY))
    sick, healthy = questions.list_facts(listing)
    assert (healthy.name, healthy.unread, healthy.channel) == ("web1", "", Channel.ABSENT)
    assert (sick.uuid, sick.name, sick.power, sick.channel) == (
        "ill",
        "name of ill",
        PowerState.RUNNING,
        Channel.UNKNOWN,
    )
    assert sick.unread.startswith("its definition cannot be read: ")
    assert why in sick.unread


def test_a_domain_that_vanished_is_left_out_and_a_lost_connection_is_no_ill_definition() -> None:
    vanished = FakeDomain("gone", libvirt_error(faults.NO_DOMAIN, 10, "Domain not found"))
    assert questions.list_facts(FakeListing(vanished)) == ()
    cut = FakeDomain("cut", libvirt_error(38, faults.FROM_RPC, "Cannot recv data: Connection reset by peer"))
    with pytest.raises(libvirt.libvirtError):
        questions.list_facts(FakeListing(cut, alive=False))
