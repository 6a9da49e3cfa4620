"""The way to one libvirt: four connections, each with its own lane, what became of each call, and what it tells."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Concatenate, ParamSpec, TypeVar

import libvirt

from tui.agent.errors import HostGoneError
from tui.agent.transport import Transport
from tui.hosts import faults, losses, questions
from tui.hosts.agent_line import AgentLine, AgentTurns
from tui.hosts.connect_faults import connect_error
from tui.hosts.connection import Connection
from tui.hosts.counting import Counted
from tui.hosts.events import start_event_loop, unwatch, watch
from tui.hosts.looking_line import LookingLine
from tui.hosts.losses import ConnectionLostError
from tui.hosts.port import HostSilentError, HostUnreachableError
from tui.hosts.uri_aliases import resolved
from tui.hosts.uris import is_remote, without_prompts
from tui.model.events import AgentPortClosed, AgentPortOpened, DomainChanged, HostEvent, HostLost
from tui.model.guest import REBOOTED, REVERTED

P = ParamSpec("P")
T = TypeVar("T")

CONTROL_WIDTH, PROBE_WIDTH, WORK_WIDTH, STREAM_WIDTH = 2, 3, 4, 2
"""Calls at once per connection; five hung ones would block it (max_client_requests in libvirtd.conf)."""

KEEPALIVE_INTERVAL_S, KEEPALIVE_COUNT = 10, 3
"""Seconds between libvirt's keepalive messages, and how many may go unanswered before a connection counts as lost."""
LOCAL_KEEPALIVE_INTERVAL_S = 5
"""The same for a daemon of this machine, which has no network to wait for."""
ANSWER_S = 20.0
"""Seconds for a local daemon to accept a connection, and for any to list its domains."""
REMOTE_OPEN_S = 90.0
"""Seconds for a connection by way of a network, with the logins of ssh."""

BEGUN_ANEW = frozenset({"started", REBOOTED, REVERTED})
"""What happens to a domain whose agent is another one afterwards, or the same at an earlier time."""
TEXT_LIMIT = 16_384
"""Characters that are kept of an error's text."""

_LOST = "The connection to libvirt was lost"


def _open(uri: str, calls: Counter[str], note_read_only: Callable[[bool], None]) -> Counted:
    """Connect with write access, or read-only where only that is allowed; raises HostUnreachableError."""
    start_event_loop()
    known = resolved(uri)
    address = without_prompts(known)
    try:
        try:
            connection, read_only = libvirt.open(address), False
        except libvirt.libvirtError as error:
            connection, read_only = _open_to_look(address, error), True
        interval_s = KEEPALIVE_INTERVAL_S if is_remote(connection.getURI()) else LOCAL_KEEPALIVE_INTERVAL_S
        _keep_alive(connection, interval_s)
    except libvirt.libvirtError as error:
        raise connect_error(known, error.get_error_code() or 0, _text(error)) from error
    note_read_only(read_only)
    return Counted(connection, calls)


def _keep_alive(connection: Any, interval_s: int) -> None:
    """Have a daemon that hangs noticed, as virsh does; a driver within this process has none (VIR_ERR_NO_SUPPORT)."""
    try:
        connection.setKeepAlive(interval_s, KEEPALIVE_COUNT)
    except libvirt.libvirtError as error:
        if error.get_error_code() != faults.NO_SUPPORT:
            raise


def _open_to_look(address: str, refusal: libvirt.libvirtError) -> Any:
    """A read-only connection after write access was refused; raises the refusal where that is refused too."""
    if not faults.is_denial(refusal.get_error_code() or 0, _text(refusal)):
        raise refusal
    try:
        return libvirt.openReadOnly(address)
    except libvirt.libvirtError:
        raise refusal from None


def _let_go(handle: Counted) -> None:
    """Without this, libvirt would hold a connection open for the callbacks that are registered on it."""
    unwatch(handle.raw)


def _text(error: libvirt.libvirtError) -> str:
    """What libvirt says, in bounds: its words may carry a guest's."""
    return (error.get_error_message() or str(error))[:TEXT_LIMIT]


class LibvirtLink:
    """Connections that open at their first use, are let go when they are lost, and hand libvirt's events on."""

    def __init__(self, uri: str, name: str, *, only_looks: bool = False) -> None:
        """With `only_looks` no line to an agent takes what would change its guest."""
        self._only_looks = only_looks
        self._uri = uri
        self._name = name
        self.calls: Counter[str] = Counter()
        self._read_only = False
        opener = partial(_open, uri, self.calls, self._note_read_only)
        self._control = Connection(opener, _let_go, f"{name}-control", CONTROL_WIDTH)
        self._probes = Connection(opener, _let_go, f"{name}-probes", PROBE_WIDTH)
        self._work = Connection(opener, _let_go, f"{name}-work", WORK_WIDTH)
        self._streams = Connection(opener, _let_go, f"{name}-streams", STREAM_WIDTH)
        self._watched: Counted | None = None
        self._turns = AgentTurns()
        self._listeners: list[Callable[[HostEvent], None]] = []

    @property
    def _connections(self) -> tuple[Connection, ...]:
        return self._control, self._probes, self._work, self._streams

    @property
    def name(self) -> str:
        """Short and unique among the hosts of this run."""
        return self._name

    @property
    def uri(self) -> str:
        """The libvirt URI."""
        return self._uri

    @property
    def read_only(self) -> bool:
        """Whether the connection may change nothing."""
        return self._read_only

    def _note_read_only(self, read_only: bool) -> None:
        self._read_only = read_only

    async def open(self) -> None:
        """Connect the control connection and register for events, once on each connection."""
        loop = asyncio.get_running_loop()

        def register(handle: Counted) -> Counted:
            def sink(event: HostEvent) -> None:
                with contextlib.suppress(RuntimeError):  # the loop is closed: the program has quit
                    loop.call_soon_threadsafe(self._dispatch, event, handle)

            if handle is not self._watched:
                watch(handle.raw, self._name, sink)
            return handle

        within_s = REMOTE_OPEN_S if is_remote(resolved(self._uri)) else ANSWER_S
        self._watched = await self._answered(self._ask(register), within_s)

    async def _answered(self, answer: Awaitable[T], within_s: float) -> T:
        """The answer of the daemon; raises HostSilentError where none came in time."""
        try:
            async with asyncio.timeout(within_s):
                return await answer
        except TimeoutError as error:
            raise HostSilentError(
                f"libvirt does not answer on {self._name}",
                cause=f"its daemon took the connection and said nothing for {within_s:g} s; its guests may run on",
                next_step="See what the daemon does: systemctl status virtqemud libvirtd; restarting it ends no guest.",
            ) from error

    async def close(self) -> None:
        """Let go of the connections and their threads without waiting for calls in flight."""
        self._watched = None
        for connection in self._connections:
            connection.close()

    def _dispatch(self, event: HostEvent, handle: Counted) -> None:
        if handle is not self._watched:
            return  # from a connection without events, or one that was given up already
        match event:
            case AgentPortOpened(uuid=uuid) | AgentPortClosed(uuid=uuid):
                self._turns.began_anew(uuid)
            case DomainChanged(uuid=uuid, what=what) if what in BEGUN_ANEW:
                self._turns.began_anew(uuid)
            case _:
                pass
        if isinstance(event, HostLost):
            self._turns.lost_sight()
            self._watched = None
            for connection in self._connections:
                connection.drop()
        for listener in tuple(self._listeners):
            listener(event)

    def subscribe(self, listener: Callable[[HostEvent], None]) -> Callable[[], None]:
        """Hand later events to `listener`; returns what ends it."""
        self._listeners.append(listener)

        def unsubscribe() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return unsubscribe

    async def _ask(self, question: Callable[Concatenate[Any, P], T], *words: P.args, **options: P.kwargs) -> T:
        """`question(virConnect, ...)` on the control connection, with libvirt's errors classified."""
        return await self._ask_on(self._control, lambda connection: question(connection, *words, **options))

    async def _ask_streams(self, question: Callable[Concatenate[Any, P], T], *words: P.args, **options: P.kwargs) -> T:
        return await self._ask_on(self._streams, lambda connection: question(connection, *words, **options))

    async def _ask_on(self, line: Connection, question: Callable[[Any], T]) -> T:
        try:
            return await self._call(line, question)
        except ConnectionLostError as lost:
            raise HostUnreachableError(_LOST, original=lost.text, code=lost.code) from lost
        except libvirt.libvirtError as error:
            raise faults.host_error(error.get_error_code() or 0, _text(error)) from error

    async def _ask_agent(
        self, line: Connection, uuid: str, request: str, timeout_s: int, handed_over: Callable[[], None]
    ) -> str:
        """One request to a domain's agent, told by `handed_over` when libvirt has it; raises an AgentError."""
        loop = asyncio.get_running_loop()

        def ask(handle: Any) -> str:
            loop.call_soon_threadsafe(handed_over)
            return questions.ask_agent(handle, uuid, request, timeout_s)

        try:
            return await self._call(line, ask)
        except ConnectionLostError as lost:
            raise faults.with_its_doubt(HostGoneError(_LOST, original=lost.text), request) from lost
        except HostUnreachableError as error:
            raise HostGoneError(error.title, cause=error.cause, next_step=error.next_step) from error
        except libvirt.libvirtError as error:
            fault = faults.agent_error(error.get_error_code() or 0, _text(error))
            raise faults.with_its_doubt(fault, request) from error

    async def _call(self, line: Connection, question: Callable[[Any], T]) -> T:
        """Ask on `line`, once anew on a new connection where the former one was closed before anything was sent."""
        try:
            return await self._call_once(line, question)
        except ConnectionLostError as lost:
            if lost.sent:
                raise
            return await self._call_once(line, question)

    async def _call_once(self, line: Connection, question: Callable[[Any], T]) -> T:
        try:
            return await line.call(lambda handle: losses.ask(handle, question))
        except ConnectionLostError as lost:
            line.drop(lost.handle)
            self._dispatch(HostLost(self._name, lost.text, time.time()), lost.handle)
            raise

    async def _ask_domain(
        self, uuid: str, question: Callable[Concatenate[Any, P], T], *words: P.args, **options: P.kwargs
    ) -> T:
        return await self._ask(lambda connection: question(connection.lookupByUUIDString(uuid), *words, **options))

    def probe_line(self, uuid: str) -> Transport:
        """A line for pings and questions."""
        return self._line(self._probes, uuid, is_for_questions=True)

    def work_line(self, uuid: str) -> Transport:
        """A line for exec, files and freezing."""
        return self._line(self._work, uuid)

    def _line(self, connection: Connection, uuid: str, *, is_for_questions: bool = False) -> Transport:
        ask = partial(self._ask_agent, connection, uuid)
        life = partial(self._turns.life_of, uuid)
        turn = self._turns.of(uuid)
        line = AgentLine(ask, turn, life, shares_silence=is_for_questions, tells_late=is_for_questions)
        return LookingLine(line) if self._only_looks else line
