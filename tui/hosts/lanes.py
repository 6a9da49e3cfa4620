"""Blocking calls behind an async face, on daemon threads that no exit waits for."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

Jobs = queue.SimpleQueue[Callable[[], None] | None]


class Lane:
    """Daemon threads, `width` at most, that run blocking calls in the order in which they were asked for.

    A thread begins with a call, so that a lane that is never asked has none. Cancelling the awaiting task drops the
    answer, never the call: a thread inside libvirt cannot be interrupted.
    """

    def __init__(self, name: str, width: int) -> None:
        self._name = name
        self._width = width
        self._jobs: Jobs = queue.SimpleQueue()
        self._threads = 0

    def close(self) -> None:
        """Let the threads end once they have done what was asked for; who asks afterwards begins others."""
        for _ in range(self._threads):
            self._jobs.put(None)
        self._jobs, self._threads = queue.SimpleQueue(), 0

    def put(self, job: Callable[[], None]) -> None:
        """Have `job`, which raises nothing, run without waiting for it."""
        if self._threads < self._width:
            name = f"{self._name}-{self._threads}"
            threading.Thread(target=_serve, args=(self._jobs,), name=name, daemon=True).start()
            self._threads += 1
        self._jobs.put(job)

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

        self.put(job)
        return await answer


async def apart(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `function` on a daemon thread of its own: for looks at folders whose server may never answer."""
    lane = Lane(getattr(function, "__name__", "apart"), 1)
    try:
        return await lane.call(function, *args, **kwargs)
    finally:
        lane.close()


def _serve(jobs: Jobs) -> None:
    while (job := jobs.get()) is not None:
        job()
        del job  # an idle thread holds on to nothing that the last call used
