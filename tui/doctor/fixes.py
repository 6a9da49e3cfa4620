"""A way to mend a cause: done from here, or by somebody in the guest or on the host."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from shlex import quote

POWER_CYCLE = "needs a full power cycle, a reboot is not enough"


class FixKind(StrEnum):
    """What qga-tui can do by itself."""

    ATTACH = "attach"
    ATTACH_LIVE = "attach-live"
    ATTACH_STORED = "attach-stored"
    INSERT_DRIVERS = "insert-drivers"
    RESUME = "resume"
    THAW = "thaw"
    RELINK = "relink"


@dataclass(frozen=True, slots=True)
class OurFix:
    """Done from here after a preview: `changes` in words and `+`/`-` lines of XML, `virsh` the same by hand.

    `warning` is what the user must know before; `needs_medium` tells that a file's path is asked for.
    """

    kind: FixKind
    title: str
    changes: tuple[str, ...]
    virsh: tuple[str, ...]
    warning: str = ""
    needs_medium: bool = False


@dataclass(frozen=True, slots=True)
class TheirFix:
    """Done by somebody in the guest or on the host: an exact command to copy, or a step with a `note` instead."""

    place: str
    title: str
    command: str = ""
    note: str = ""


Fix = OurFix | TheirFix
IN_GUEST, ON_HOST = "in the guest", "on the host"


def virsh_at(uri: str) -> str:
    """virsh at the guest's connection, as a shell takes it: what follows can be pasted as it is."""
    return f"virsh -c {quote(uri)}"
