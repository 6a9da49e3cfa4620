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
    rest, so that five hung ones would block the connection (`max_client_requests` in libvirtd.conf).
    """

    def __init__(self, opener: Callable[[], Any], name: str, width: int) -> None:
        self._opener = opener
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

    def drop(self) -> None:
        """Forget the handle; it is closed when the last call that uses it has returned."""
        self._handle = None
