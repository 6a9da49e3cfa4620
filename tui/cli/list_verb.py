"""`qga-tui list`: every guest with the true state of its agent, as a table or as JSON."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from tui.cli.connect import hosts_for, liveness_of
from tui.cli.held import held_by_run
from tui.fleet import words
from tui.fleet.fleet import Fleet
from tui.fleet.liveness import LivenessPolicy
from tui.fleet.survey import survey
from tui.fleet.view import ListView, shown_guests
from tui.model.guest import Guest
from tui.model.text import printable
from tui.settings import load_config


def run_list(uris: Sequence[str], *, as_json: bool) -> int:
    """Print the list; 0, or 2 where a host could not be reached. Raises ExplainedError for a bad config."""
    # No task of the loop may have a large result: asyncio.run has it written out (signal.getsignal, as its handler).
    return asyncio.run(_list(uris, liveness_of(load_config()), as_json=as_json))


async def _list(uris: Sequence[str], policy: LivenessPolicy, *, as_json: bool) -> int:
    fleet = await survey(hosts_for(uris), policy, is_held=lambda each: bool(held_by_run(each.uuid)))
    for host in fleet.hosts:
        if host.is_away:
            print(f"qga-tui: {printable(host.why)}", file=sys.stderr)
    if as_json:
        print(json.dumps([as_fields(guest) for guest in shown_guests(fleet, ListView())], indent=2))
    elif fleet.guests:
        print_table(fleet)
    return 2 if any(host.is_away for host in fleet.hosts) else 0


def as_fields(guest: Guest) -> dict[str, object]:
    """A guest as the JSON that scripts read; `since` is ISO 8601 in UTC."""
    since = guest.agent.since
    return {
        "host": guest.id.host,
        "name": guest.name,
        "uuid": guest.id.uuid,
        "state": str(guest.facts.power),
        "agent": {
            "state": str(guest.agent.state),
            "since": None if since is None else datetime.fromtimestamp(since, UTC).isoformat(),
            "reason": guest.agent.reason,
            "ping_ms": None if guest.agent.ping_ms is None else round(guest.agent.ping_ms, 3),
        },
    }


def print_table(fleet: Fleet) -> None:
    """Aligned columns for a person; the host only where there are several."""
    several = len(fleet.hosts) > 1
    header = (*(["HOST"] if several else []), "GUEST", "POWER", "AGENT", "PING", "REASON")
    rows = [
        (
            *([printable(guest.id.host)] if several else []),
            printable(guest.name, 64),
            str(guest.facts.power),
            f"{words.GLYPHS[guest.agent.state]} {guest.agent.state}",
            words.ping(guest.agent.ping_ms),
            printable(guest.agent.reason),
        )
        for guest in shown_guests(fleet, ListView())
    ]
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    for row in (header, *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
