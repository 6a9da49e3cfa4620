"""How a request reaches a guest agent: the one thing that differs between libvirt and a raw socket."""

from __future__ import annotations

from typing import Protocol


class Transport(Protocol):
    """A line to one guest's agent. Calls on the same guest are queued by whoever implements it."""

    async def send(self, request: str, timeout_s: int) -> str:
        """Send one JSON request and return the JSON reply text, at most `timeout_s` seconds after it was sent.

        Raises an `AgentError` where no reply came, or where the agent's reply was an error (`CommandFailedError`).
        A timeout never means that the command was not executed. Cancelling drops the answer, not the call.
        """
        ...
