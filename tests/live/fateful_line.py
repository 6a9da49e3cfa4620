"""A real agent's line on which chosen requests or answers are lost; for tests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import Enum, auto
from typing import TypeAlias

from tests.live.raw_socket import RawSocket
from tui.agent.errors import UnansweredError
from tui.agent.transport import Transport


class Fate(Enum):
    """What becomes of a request."""

    UNSENT = auto()
    """It never reaches the agent."""
    UNHEARD = auto()
    """The agent executes it, and its answer is lost."""


Turn: TypeAlias = "tuple[str, Fate | Callable[[str], Awaitable[object]]]"
"""What a request contains, and its fate, or what is done with it before it is sent."""


class FakeFatefulLine(Transport):
    """Each of `turns` waits for the first request that contains its text, then comes the next one.

    So it is when a guest is saved, or a line breaks, between the agent's deed and our hearing of it.
    """

    def __init__(self, line: RawSocket, *turns: Turn) -> None:
        self._line = line
        self.turns = list(turns)

    async def send(self, request: str, timeout_s: int) -> str:
        if not self.turns or self.turns[0][0] not in request:
            return await self._line.send(request, timeout_s)
        _, fate = self.turns.pop(0)
        if fate is Fate.UNSENT:
            raise UnansweredError("The guest agent gave no answer", cause="the request was lost")
        if callable(fate):
            await fate(request)
        reply = await self._line.send(request, timeout_s)
        if fate is Fate.UNHEARD:
            raise UnansweredError("The guest agent gave no answer", cause="the answer was lost")
        return reply
