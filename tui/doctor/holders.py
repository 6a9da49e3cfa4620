"""Whose command has an agent's turn, by what libvirt says of the lock it waited for in vain (error 68)."""

from __future__ import annotations

import re

_HOLDER = re.compile(r"held by ([^)]+)")
_CALL = re.compile(r"agent=(?:remote|qemu)Dispatch(?:Domain)?(\w+)")
_WORDS = {
    "AgentCommand": "a command of the agent, as by virsh qemu-agent-command",
    "FSFreeze": "a freeze of its file systems",
    "FSThaw": "a thaw of its file systems",
    "FSTrim": "a trim of its file systems",
    "GetGuestInfo": "questions, as by virsh guestinfo",
    "GetFSInfo": "a question for its file systems",
    "InterfaceAddresses": "a question for its addresses",
    "SetUserPassword": "a change of a password",
    "Shutdown": "a shutdown",
    "ShutdownFlags": "a shutdown",
    "Reboot": "a reboot",
    "SnapshotCreateXML": "a snapshot",
}


def holder_words(original: str) -> str:
    """What holds the turn, in our words and libvirt's own."""
    held = _HOLDER.search(original)
    if held is None:
        return "which libvirt does not name"
    call = _CALL.search(held[1])
    what = _WORDS.get(call[1]) if call is not None else None
    return f"{what} ({held[1]})" if what is not None else held[1]
