"""Blocking calls behind an async face, on daemon threads that no exit waits for."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Lane:
    """A fixed number of daemon threads that run blocking calls in the order in which they were asked for.

    Cancelling the awaiting task drops the answer, never the call: a thread inside libvirt cannot be interrupted.
    """

    def __init__(self, name: str, width: int) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._width = width
        for number in range(width):
            threading.Thread(target=self._serve, name=f"{name}-{number}", daemon=True).start()

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()

    def close(self) -> None:
        """Let the threads end once they have done what was asked for; nothing may be asked for afterwards."""
        for _ in range(self._width):
            self._jobs.put(None)

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `function` on the lane and return its result, or raise what it raised."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()

        def settle(setter: Callable[[Any], None], value: object) -> None:
            if not answer.done():
                setter(value)

        def job() -> None:
            if answer.cancelled():
                return
            setter: Callable[[Any], None]
            value: object
            try:
                setter, value = answer.set_result, function(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - handed to the caller, whatever it is
                setter, value = answer.set_exception, error
            try:
                loop.call_soon_threadsafe(settle, setter, value)
            except RuntimeError:
                # The loop is closed: the program has quit and nobody is left to hear the answer.
                return

        self._jobs.put(job)
        return await answer
