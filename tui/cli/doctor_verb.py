"""`qga-tui doctor`: why a guest's agent does not answer, and what mends it; once or while it changes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from enum import StrEnum

from tui.cli.connect import find_guest, hosts_for, list_all
from tui.cli.held import held_by_run
from tui.doctor.causes import Cause
from tui.doctor.examine import examine, examine_all, worst_first
from tui.doctor.facts import Patient
from tui.doctor.report import as_fields, as_lines, as_markdown
from tui.doctor.verdict import Examination
from tui.fleet.attend import Attendance
from tui.fleet.watch import FleetWatch
from tui.hosts.port import Host
from tui.model.guest import DomainFacts, GuestId
from tui.model.text import printable
from tui.system.signals import on_signals

logger = logging.getLogger(__name__)

HEALTHY, FINDINGS, COULD_NOT_LOOK = 0, 1, 2
_NOT_SEEN = frozenset({Cause.HOST_UNREACHABLE, Cause.GUEST_GONE, Cause.NOT_ALLOWED})


class Shape(StrEnum):
    """How it is told."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"


def run_doctor(uris: Sequence[str], guest: str | None, shape_name: str, *, watch: bool, read_only: bool = False) -> int:
    """Examine one guest, or all for None; 0 healthy, 1 findings, 2 could not look.

    With `read_only` no program is run in any guest.
    """
    hosts, shape = hosts_for(uris, only_looks=read_only), Shape(shape_name)
    if guest is None:
        return asyncio.run(_all(hosts, shape))
    if watch:
        return asyncio.run(_watch(hosts, guest, shape, read_only=read_only))
    return asyncio.run(_one(hosts, guest, shape, read_only=read_only))


def exit_code(examinations: Sequence[Examination]) -> int:
    """The worst: a guest that could not be looked at outweighs findings. Guests that are off are no finding of many."""
    causes = {each.verdict.cause for each in examinations if not each.verdict.is_healthy}
    if len(examinations) != 1:
        causes.discard(Cause.OFF)
    if causes & _NOT_SEEN:
        return COULD_NOT_LOOK
    return FINDINGS if causes else HEALTHY


async def _one(hosts: Sequence[Host], wanted: str, shape: Shape, *, read_only: bool) -> int:
    host, facts = await find_guest(hosts, wanted)
    examination = await examine(host, replace(_unwatched(host, facts), read_only=read_only))
    _tell(examination, shape)
    return exit_code((examination,))


def _unwatched(host: Host, facts: DomainFacts) -> Patient:
    return Patient(host.name, facts.uuid, facts.name, held=held_by_run(facts.uuid))


async def _all(hosts: Sequence[Host], shape: Shape) -> int:
    found, failures = await list_all(hosts)
    patients = [_unwatched(host, facts) for host, facts in found]
    ordered = worst_first(await _first_verdicts(hosts, patients))
    match shape:
        case Shape.JSON:
            print(json.dumps([as_fields(each) for each in ordered], indent=2))
        case Shape.MARKDOWN:
            print("\n".join(as_markdown(each) for each in ordered), end="")
        case Shape.TEXT:
            _print_groups(ordered)
    for error in failures:
        print(f"qga-tui: {printable(error.one_line())}", file=sys.stderr)
    return COULD_NOT_LOOK if failures else exit_code(ordered)


async def _first_verdicts(hosts: Sequence[Host], patients: Sequence[Patient]) -> Iterable[Examination]:
    """One on each; a question that still waits when all are given is not waited for."""
    given: dict[GuestId, Examination] = {}
    async with contextlib.aclosing(examine_all({host.name: host for host in hosts}, patients)) as examinations:
        async for each in examinations:
            given[GuestId(each.facts.patient.host, each.facts.patient.uuid)] = each
            if len(given) == len(patients):
                break
    return given.values()


def _print_groups(examinations: Sequence[Examination]) -> None:
    before = None
    for each in examinations:
        if each.verdict.cause is not before:
            count = sum(1 for other in examinations if other.verdict.cause is each.verdict.cause)
            print(f"{each.verdict.cause} ({count})")
            before = each.verdict.cause
        print(f"  {printable(each.facts.patient.name, 64)}: {printable(each.verdict.sentence)}")


async def _watch(hosts: Sequence[Host], wanted: str, shape: Shape, *, read_only: bool) -> int:
    """Tell every change until interrupted; the exit code is that of the last look."""
    found, facts = await find_guest(hosts, wanted)
    await found.close()
    (host,) = hosts_for((found.uri,), only_looks=read_only)
    attendance = Attendance(host, facts.uuid, held_by_run, read_only=read_only)
    last: Examination | None = None
    watching = asyncio.create_task(FleetWatch((host,), attendance.fleet_changed).run())
    current = asyncio.current_task()
    ended = current or watching
    on_signals((signal.SIGINT, signal.SIGTERM), lambda _number: ended.cancel())
    try:
        async with contextlib.aclosing(attendance.examinations()) as examinations:
            async for examination in examinations:
                if last is None or _differs(last, examination):
                    _tell(examination, shape, in_stream=True)
                last = examination
    except asyncio.CancelledError:
        logger.info("the watch was ended by a signal")
    finally:
        watching.cancel()
    return COULD_NOT_LOOK if last is None else exit_code((last,))


def _differs(before: Examination, now: Examination) -> bool:
    return [each.outcome for each in before.findings] != [each.outcome for each in now.findings] or (
        before.verdict.cause is not now.verdict.cause
    )


def _tell(examination: Examination, shape: Shape, *, in_stream: bool = False) -> None:
    match shape:
        case Shape.JSON:
            print(json.dumps(as_fields(examination), indent=None if in_stream else 2), flush=True)
        case Shape.MARKDOWN:
            print(as_markdown(examination), end="", flush=True)
        case Shape.TEXT:
            for line in as_lines(examination):
                print(printable(line), flush=True)
