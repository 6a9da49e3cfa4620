"""Property: in read-only mode no request leaves that could change a guest, whatever the agent may know."""

from __future__ import annotations

import json

import pytest

from tui.agent.errors import CommandUnavailableError
from tui.hosts.looking_line import LookingLine

CHANGING = [
    "guest-exec",
    "guest-file-open",
    "guest-file-read",
    "guest-file-write",
    "guest-file-flush",
    "guest-file-close",
    "guest-fsfreeze-freeze",
    "guest-fsfreeze-freeze-list",
    "guest-fsfreeze-thaw",
    "guest-fstrim",
    "guest-set-time",
    "guest-set-vcpus",
    "guest-set-memory-blocks",
    "guest-set-user-password",
    "guest-shutdown",
    "guest-suspend-disk",
    "guest-suspend-ram",
    "guest-suspend-hybrid",
    "guest-ssh-add-authorized-keys",
    "guest-ssh-remove-authorized-keys",
    "guest-something-of-tomorrow",
    "GUEST-PING ",
    "",
]
ASKING = ["guest-ping", "guest-info", "guest-get-osinfo", "guest-network-get-interfaces", "guest-fsfreeze-status"]


class Wire:
    def __init__(self) -> None:
        self.sent: list[str] = []

    async def send(self, request: str, timeout_s: int) -> str:
        self.sent.append(request)
        return f"{timeout_s}"


@pytest.mark.parametrize("command", CHANGING)
async def test_what_changes_a_guest_is_not_sent(command: str) -> None:
    wire = Wire()
    with pytest.raises(CommandUnavailableError, match="read-only mode"):
        await LookingLine(wire).send(json.dumps({"execute": command, "arguments": {"path": "sh"}}), 5)
    assert wire.sent == []


@pytest.mark.parametrize("command", ASKING)
async def test_questions_pass(command: str) -> None:
    wire, request = Wire(), json.dumps({"execute": command})
    assert await LookingLine(wire).send(request, 7) == "7"
    assert wire.sent == [request]
