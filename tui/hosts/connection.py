"""One connection to a hypervisor and the lane its calls run on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from tui.hosts.lanes import Lane

T = TypeVar("T")


class Connection:
    """Opened at its first use by a blocking `opener`, and opened anew after `drop`.

    `width` bounds the calls in flight: libvirt's daemon serves five requests of one client at once and queues the
    rest, so that five hung ones would block the connection (`max_client_requests` in libvirtd.conf). `let_go` takes
    leave of a dropped handle; it blocks and raises nothing.
    """

    def __init__(self, opener: Callable[[], Any], let_go: Callable[[Any], None], name: str, width: int) -> None:
        self._opener = opener
        self._let_go = let_go
        self._lane = Lane(name, width)
        self._opening = asyncio.Lock()
        self._handle: Any = None

    async def call(self, question: Callable[[Any], T]) -> T:
        """`question(handle)` on the lane; what it or the opener raises passes through."""
        async with self._opening:
            if self._handle is None:
                self._handle = await self._lane.call(self._opener)
            handle = self._handle
        return await self._lane.call(question, handle)

    def drop(self, handle: Any = None) -> None:
        """Forget the handle, or do nothing where it is not `handle` any more.

        It is closed on the lane, when the last call that uses it has returned: to close it is a call too.
        """
        dropped = self._handle
        if dropped is None or handle not in (None, dropped):
            return
        self._handle = None
        let_go = self._let_go
        self._lane.put(lambda: let_go(dropped))

    def close(self) -> None:
        """Drop the handle and let the lane's threads end; a later call begins anew."""
        self.drop()
        self._lane.close()
