"""An agent's line in read-only mode: questions pass, what would run, write or change anything in the guest does not."""

from __future__ import annotations

import json

from tui.agent.errors import CommandUnavailableError
from tui.agent.transport import Transport, agent_life

_QUESTIONS = frozenset(
    {"guest-ping", "guest-sync", "guest-sync-delimited", "guest-info", "guest-fsfreeze-status", "guest-exec-status"}
)
_QUESTION = "guest-get-"
"""What the names of all other questions begin with (QEMU's qga/qapi-schema.json)."""
_MORE_QUESTIONS = frozenset({"guest-network-get-interfaces", "guest-network-get-route"})


class LookingLine:
    """See `agent.transport.Transport`."""

    def __init__(self, line: Transport) -> None:
        self._line = line

    @property
    def agent_life(self) -> int:
        """That of the line behind it."""
        return agent_life(self._line)

    async def send(self, request: str, timeout_s: int) -> str:
        """Hand a question on; raises CommandUnavailableError for anything else, which is not sent."""
        command = json.loads(request)["execute"]
        if command in _QUESTIONS or command in _MORE_QUESTIONS or command.startswith(_QUESTION):
            return await self._line.send(request, timeout_s)
        raise CommandUnavailableError(
            f"{command} was not sent: this is read-only mode",
            next_step="Start qga-tui without --read-only, and without read_only in its config.toml.",
        )
