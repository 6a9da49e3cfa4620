"""A connection to a host that outlives the connections it is made of."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import monotonic, time
from typing import TypeVar

from tui.agent.errors import HostGoneError
from tui.backup.errors import NeedsRescueError
from tui.hosts.port import Host, HostError, HostUnreachableError
from tui.model.events import HostEvent, HostLost
from tui.model.quantities import clock_time

T = TypeVar("T")

ACT_TRIES = 5
"""Answers in a row that may be lost, each with a connection of its own, before that is told."""

Connect = Callable[[str], Host]
"""Makes a host, not yet opened, of a libvirt URI."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a run waits for what, in seconds."""

    write_out_s: float = 120
    """For the guest to write out what it holds in memory, before the freeze."""
    freeze_s: int = 10
    """The guest's freeze; its own timeout, nobody else's."""
    watchdog_s: float = 20
    """From the freeze to the watchdog's thaw."""
    thaw_s: float = 60
    reconnect_s: float = 120
    doubt_s: float = 90
    """For a host to end what it does with a snapshot whose answer was lost."""
    restart_s: float = 20
    """For a guest that is found off to come back, as in a reboot."""
    stall_s: float = 600
    """For a commit that does not move."""
    pivot_s: float = 60
    room_s: float = 600
    """For room on a full target; the copy stands still meanwhile and the guest goes on."""
    target_s: float = 600
    """For a target that does not answer; the copy stands still meanwhile and the guest goes on."""
    last_word_s: float = 15
    """For the same target to take down that a copy is void, once the guest is home: it is void in any case."""
    stop_s: float = 180
    """For a guest that was asked to shut down."""
    late_off_s: float = 60
    """For the same guest once its restore was given up meanwhile: it is started again when it is off."""
    boot_s: float = 300
    """From a guest's start to its agent's first answer."""


class HostSession:
    """Asks a host, on a new connection where the former one is gone."""

    def __init__(self, connect: Connect, uri: str, patience: Patience) -> None:
        self._connect = connect
        self._uri = uri
        self._patience = patience
        self._news = asyncio.Event()
        self._unsubscribe: Callable[[], None] | None = None
        self._host: Host | None = None
        self._lost = False
        self._absent_since: float | None = None
        self._tell_absence: Callable[[str], None] = _unheard
        self._listeners: list[Callable[[HostEvent], None]] = []
        self._connecting = asyncio.Lock()

    def listen(self, listener: Callable[[HostEvent], None]) -> Callable[[], None]:
        """Hand what the host reports to `listener`, over every connection; returns what ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def hear_absence(self, tell: Callable[[str], None]) -> None:
        """Have `tell` called with what is waited for while the host is gone, and with nothing once it is back."""
        self._tell_absence = tell

    @property
    def host(self) -> Host:
        """The host as it is connected now."""
        if self._host is None:
            raise HostUnreachableError("The host is not connected", cause=self._uri)
        return self._host

    async def open(self) -> None:
        """Connect; raises HostUnreachableError."""
        host = self._connect(self._uri)
        try:
            await host.open()
        except BaseException:
            await host.close()
            raise
        self._host = host
        self._lost = False
        self._unsubscribe = host.subscribe(self._hear)

    async def close(self) -> None:
        """Let go of the connection."""
        host, self._host = self._host, None
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        if host is not None:
            await host.close()

    async def ask(self, question: Callable[[Host], Awaitable[T]]) -> T:
        """The answer to a question that may be asked twice.

        Reconnects for a while when the host is gone; raises NeedsRescueError when it does not come back. The while
        begins when the host was first missed: whoever asks again after that is told at once.
        """
        while True:
            try:
                answer = await question(await self._connected())
            except (HostUnreachableError, HostGoneError) as error:
                await self.close()
                if self._absent_since is None:
                    self._absent_since = monotonic()
                if monotonic() >= self._absent_since + self._patience.reconnect_s:
                    raise NeedsRescueError(
                        "The host did not come back",
                        cause=error.one_line(),
                        next_step="Start libvirt's daemon again; the guest itself is not affected by its absence.",
                        original=error.original,
                    ) from error
                self._tell_absence(self._absence_words(self._absent_since))
                await asyncio.sleep(1)
            else:
                if self._absent_since is not None:
                    self._absent_since = None
                    self._tell_absence("")
                return answer

    async def _connected(self) -> Host:
        """The host, on a new connection where the former one is gone; one of several askers connects."""
        async with self._connecting:
            if self._lost:
                await self.close()
            if self._host is None:
                await self.open()
            return self.host

    async def ask_now(self, question: Callable[[Host], Awaitable[T]]) -> T:
        """The answer to a question of somebody who can do without one for now: nothing is waited for.

        Connects once where that is needed; raises HostUnreachableError and HostGoneError.
        """
        try:
            return await question(await self._connected())
        except (HostUnreachableError, HostGoneError):
            self._lost = True
            raise

    def _absence_words(self, since: float) -> str:
        """`since` on the monotonic clock."""
        began = time() - (monotonic() - since)
        until = began + self._patience.reconnect_s
        return f"libvirt does not answer since {clock_time(began)}; tried again until {clock_time(until)}"

    async def act(self, request: Callable[[Host], Awaitable[object]], is_done: Callable[[], Awaitable[bool]]) -> None:
        """Have something done that may not be asked for twice.

        Where an answer was lost, `is_done` reads back whether it was done, and it is asked for again only if not. The
        former request may still be worked on then, so that the word of a refused second one is `is_done`, too.
        Raises what `ask` raises.
        """
        lost: HostError | HostGoneError | None = None
        for _ in range(ACT_TRIES):
            host = await self.ask(_itself)
            try:
                await request(host)
            except (HostUnreachableError, HostGoneError) as error:
                await self.close()
                lost = error
            except HostError:
                if lost is None or not await is_done():
                    raise
                return
            else:
                return
            if await is_done():
                return
        raise NeedsRescueError(
            "The host does not say whether it was done",
            cause="the connection was lost at each of the last tries" if lost is None else lost.one_line(),
            next_step="See how the guest is, then try again.",
        )

    async def ask_once(self, question: Callable[[Host], Awaitable[T]]) -> T:
        """The answer of the host as it is connected now; raises HostUnreachableError where it is not."""
        return await question(self.host)

    async def wait_for_news(self, seconds: float) -> None:
        """Return when the host reported something, or after `seconds`; what it was is read from the host itself."""
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return
        finally:
            self._news.clear()

    def _hear(self, event: HostEvent) -> None:
        self._lost = self._lost or isinstance(event, HostLost)
        self._news.set()
        for listener in tuple(self._listeners):
            listener(event)


def _unheard(_: str) -> None:
    """Nobody wants to know what is waited for."""


async def _itself(host: Host) -> Host:
    return host
