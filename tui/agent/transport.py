"""How a request reaches a guest agent: the one thing that differs between libvirt and a raw socket."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


class Transport(Protocol):
    """A line to one guest's agent. Calls on the same guest are queued by whoever implements it."""

    async def send(self, request: str, timeout_s: int) -> str:
        """Send one JSON request and return the JSON reply text, at most `timeout_s` seconds after it was sent.

        Raises an `AgentError` where no reply came, or where the agent's reply was an error (`CommandFailedError`).
        A timeout never means that the command was not executed. Cancelling drops the answer, not the call.
        """
        ...


@runtime_checkable
class KnowsAgentLife(Protocol):
    """A line whose other end tells when an agent, or its guest, begins anew."""

    @property
    def agent_life(self) -> int:
        """A number that is another one once the agent may have begun anew."""
        ...


def agent_life(transport: Transport) -> int:
    """The present life of the agent behind a line: handles and pids of another one may be somebody else's by now.

    An agent counts its handles from the same number in each boot of its guest (qga/main.c keeps them in its state
    folder, which is in memory). A line that cannot tell has one life.
    """
    return transport.agent_life if isinstance(transport, KnowsAgentLife) else 0
