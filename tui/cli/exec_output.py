"""What `qga-tui exec` says for itself, and where it is logged."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from functools import partial

from tui.hosts.lanes import apart
from tui.hosts.port import Host
from tui.model.guest import DomainFacts
from tui.model.text import printable
from tui.system.audit_log import AuditTarget, audit_is_wanted


def say(text: str) -> None:
    """One line on standard error."""
    print(f"qga-tui: {printable(text)}", file=sys.stderr)


async def print_json(told: Mapping[str, object]) -> None:
    """One object on a line of standard output, whose reader may be slow."""
    await apart(partial(print, json.dumps(told), flush=True))


def audit_target(host: Host, facts: DomainFacts) -> AuditTarget | None:
    """The guest as the log of commands names it, None where no log is wanted."""
    return AuditTarget(host.uri, facts.name, facts.uuid) if audit_is_wanted() else None
