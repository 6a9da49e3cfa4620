"""`qga-tui rescue`: what backups left behind on the hosts, what it means, and the one safe way on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass

from tui.backup.ending import say_in_log
from tui.backup.errand import DOING
from tui.backup.errors import explained
from tui.backup.leftovers import APPLICABLE, RUNNING, Leftover, RestoreEvidence, Urgency, Way
from tui.backup.proof import Reading
from tui.backup.rescue import RESCUE_PATIENCE, Rescued, rescue
from tui.backup.runstate import EXIT_DONE, EXIT_RESCUE
from tui.backup.scan import find_leftovers
from tui.backup.session import HostSession
from tui.cli.connect import hosts_for
from tui.cli.workers import connect
from tui.hosts.port import Host
from tui.model.errors import ExplainedError
from tui.model.text import printable


@dataclass(frozen=True, slots=True)
class RescueWish:
    """What the user asked for: guests by name or UUID (none: all), whether to act, and a typed confirmation."""

    guests: tuple[str, ...] = ()
    apply: bool = False
    confirm: str = ""
    as_json: bool = False


def run_rescue(uris: Sequence[str], wish: RescueWish) -> int:
    """Tell what was left behind, set it right where that is wanted; 0 where nothing is left, 3 where something is."""
    return asyncio.run(_run(uris, wish))


async def _run(uris: Sequence[str], wish: RescueWish) -> int:
    told: list[dict[str, object]] = []
    hosts = hosts_for(uris)
    for host in hosts:
        try:
            await host.open()
            for leftover in await find_leftovers(host, wish.guests):
                # One by one: what was done is told, whatever the next one meets.
                told.append(await _handle(host, leftover, wish))  # noqa: PERF401
        except ExplainedError as error:
            if len(hosts) == 1 and not told:
                raise
            told.append({"host": host.name, "open": True, "error": error.one_line()})
            if not wish.as_json:
                print(printable(f"{host.name}: {error.one_line()}"))
        finally:
            await host.close()
    if wish.as_json:
        print(json.dumps(told, indent=1))
    elif not told:
        print("Nothing was left behind.")
    return EXIT_RESCUE if any(each["open"] for each in told) else EXIT_DONE


async def _handle(host: Host, leftover: Leftover, wish: RescueWish) -> dict[str, object]:
    if not wish.as_json:
        _tell(leftover)
    fields = leftover_fields(host, leftover)
    confirmed = wish.confirm if leftover.way is Way.MERGE_CONFIRMED else ""
    if not wish.apply or (leftover.way not in APPLICABLE and not confirmed):
        # What may well be a clone of the user's own counts only where an image was deleted under it.
        is_doubtful = leftover.way is Way.MERGE_CONFIRMED and leftover.urgency is Urgency.WHENEVER
        return fields | {"open": leftover.way not in RUNNING and not is_doubtful}
    try:
        done = await _apply(host, leftover, confirmed, quiet=wish.as_json)
    except (ExplainedError, OSError) as error:
        line = error.one_line() if isinstance(error, ExplainedError) else explained(error).title
        if not wish.as_json:
            print(f"  ✗ {printable(line)}")
        return fields | {"open": True, "error": line}
    if not wish.as_json:
        print(printable(f"  ✓ {done.words}"))
        for remark in done.remarks:
            print(printable(f"  ! {remark}"))
    return fields | {"open": False, "copy": done.copy, "outcome": done.words, "remarks": list(done.remarks)}


async def _apply(host: Host, leftover: Leftover, confirmed: str, *, quiet: bool) -> Rescued:
    teller = _Teller(quiet=quiet)
    session = HostSession(connect, host.uri, RESCUE_PATIENCE)
    try:
        return await rescue(session, leftover, teller.tick, confirmed=confirmed, hear_proof=teller.read)
    finally:
        await session.close()


class _Teller:
    """How far a rescue is: now and then a line; in quiet each percent in the log, for whoever sent us on the errand."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._told: dict[str, tuple[int, str]] = {}

    def tick(self, target: str, done: int, total: int, waiting: str) -> None:
        """How far the merge of a disk is, and what it waits for."""
        self._tell(f"merging {target}", done * 100 // total if total else 0, waiting)

    def read(self, reading: Reading) -> None:
        """How far the proof of the copy is."""
        self._tell(f"reading {reading.file}", reading.done * 100 // reading.total if reading.total else 0, "")

    def _tell(self, what: str, percent: int, waiting: str) -> None:
        now = (percent if self._quiet else percent // 10, waiting)
        if now == self._told.get(what):
            return
        self._told[what] = now
        words = f"{what}: {percent} %{f', waiting: {waiting}' if waiting else ''}"
        if self._quiet:
            say_in_log(f"{DOING}{words}")
        else:
            print(printable(f"  {words}"), flush=True)


def leftover_fields(host: Host, leftover: Leftover) -> dict[str, object]:
    """A leftover as plain values for JSON."""
    evidence = leftover.evidence
    fields: dict[str, object] = {
        "host": host.name,
        "guest": evidence.plan.guest,
        "uuid": evidence.plan.uuid,
        "stage": evidence.stage,
        "way": str(leftover.way),
        "urgency": str(leftover.urgency),
        "title": leftover.title,
        "explanation": leftover.explanation,
        "commands": list(leftover.commands),
    }
    if isinstance(evidence, RestoreEvidence):
        return fields | {"kind": "restore", "run": evidence.plan.run_id, "places": list(evidence.places)}
    return fields | {
        "kind": "backup",
        "run": evidence.plan.run_id if evidence.is_ours else None,
        "frozen": evidence.frozen,
        "disks": [
            {
                "target": each.disk.target,
                "base": each.disk.base,
                "overlay": each.disk.overlay,
                "place": str(each.place),
                "overlay_exists": each.overlay_exists,
            }
            for each in evidence.disks
        ],
    }


def _tell(leftover: Leftover) -> None:
    print(printable(f"{leftover.guest}: {leftover.title} [{leftover.urgency}]"))
    print(printable(f"  {leftover.explanation}"))
    if isinstance(leftover.evidence, RestoreEvidence):
        for place in leftover.evidence.places:
            print(printable(f"    {place}"))
    for command in leftover.commands:
        print(printable(f"    {command}"))
    words = {
        Way.MERGE_CONFIRMED: f"To merge it: qga-tui rescue {leftover.guest} --apply --confirm {leftover.guest}",
        Way.ATTACH: "To watch it: qga-tui jobs",
        Way.EXPLAIN: "",
        Way.HELD: "",
    }
    hint = words.get(leftover.way, f"To set it right: qga-tui rescue {leftover.guest} --apply")
    if hint:
        print(printable(f"  {hint}"))
