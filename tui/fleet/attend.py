"""Stays with one guest: examines it anew whenever something happens to it, and remembers what changed when."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace

from tui.doctor.causes import Cause
from tui.doctor.examine import visit
from tui.doctor.facts import Patient
from tui.doctor.systems import Family
from tui.doctor.verdict import Examination
from tui.fleet.fleet import Fleet, Link
from tui.hosts.port import Host
from tui.model.guest import Guest, GuestId, Happening

SETTLE_S = 0.15
"""Seconds for which happenings are gathered before the next look: one act often brings several."""
AGAIN_SICK_S, AGAIN_WELL_S = 4.0, 30.0
"""Seconds after which the doctor looks again without a happening: a process that is stopped or goes on tells nobody."""
_UNANSWERED = frozenset({Cause.NO_ANSWER_YET, Cause.SILENT, Cause.BUSY})
"""What becomes of a question that waits: a new one that waits is no news after them."""


def patient_of(fleet: Fleet, guest: Guest, held: str = "", system: Family | None = None) -> Patient:
    """A guest of the fleet with its history, for the doctor."""
    host = fleet.host(guest.id.host)
    since = host.since if host.link is Link.CONNECTED else None
    return Patient(guest.id.host, guest.id.uuid, guest.name, guest.timeline, since, held, system, guest.agent_facts)


class Attendance:
    """The doctor at one guest's bed. `held_by` tells in words who of ours works on the guest, empty for nobody.

    `changes` are the checks whose outcome changed while it was attended, oldest first.
    """

    def __init__(self, host: Host, uuid: str, held_by: Callable[[str], str], *, read_only: bool = False) -> None:
        """In `read_only` mode no program is run in the guest."""
        self._read_only = read_only
        self._host = host
        self._id = GuestId(host.name, uuid)
        self._held_by = held_by
        self._fleet: Fleet | None = None
        self._something = asyncio.Event()
        self._latest: Examination | None = None
        self._system: Family | None = None
        self.changes: list[Happening] = []
        self.looking = False

    def fleet_changed(self, fleet: Fleet) -> None:
        """Take the next fleet; look again where it tells something new of the guest."""
        before = None if self._fleet is None else self._fleet.guests.get(self._id)
        self._fleet = fleet
        now = fleet.guests.get(self._id)
        if _told(before) != _told(now):
            self._something.set()

    def look_soon(self) -> None:
        """Look before the next turn."""
        self._something.set()

    def say_system(self, family: Family) -> None:
        """What the user says the guest runs."""
        self._system = family
        self._something.set()

    async def examinations(self) -> AsyncGenerator[Examination, None]:
        """Each examination as it is complete, until the guest is gone from the fleet or the task is cancelled."""
        while self._fleet is None or self._id not in self._fleet.guests:
            await self._something.wait()
            self._something.clear()
        while (guest := self._fleet.guests.get(self._id)) is not None:
            self._something.clear()
            patient = patient_of(self._fleet, guest, self._held_by(guest.id.uuid), self._system)
            patient = replace(patient, read_only=self._read_only)
            self.looking = True
            async with contextlib.aclosing(self._verdicts(patient)) as verdicts:
                async for examination in verdicts:
                    self._note_changes(examination)
                    self._latest = examination
                    self.looking = examination.facts.agent is not None and examination.facts.agent.waits
                    yield examination
            self.looking = False
            is_well = self._latest is not None and self._latest.verdict.is_healthy
            await self._next_turn(AGAIN_WELL_S if is_well else AGAIN_SICK_S)

    async def _verdicts(self, patient: Patient) -> AsyncGenerator[Examination, None]:
        """The first verdict, and the one that refines it, unless something happens before a waiting question ends."""
        async with contextlib.aclosing(visit(self._host, patient)) as verdicts:
            first = await anext(verdicts)
            if first.verdict.cause is not Cause.NO_ANSWER_YET or not self._knows_unanswered:
                yield first
            refining = asyncio.create_task(_next(verdicts))
            happening = asyncio.create_task(self._something.wait())
            try:
                await asyncio.wait((refining, happening), return_when=asyncio.FIRST_COMPLETED)
                refined = refining.result() if refining.done() else None
                if refined is not None:
                    yield refined
            finally:
                refining.cancel()
                happening.cancel()
                await asyncio.gather(refining, happening, return_exceptions=True)

    @property
    def _knows_unanswered(self) -> bool:
        return self._latest is not None and self._latest.verdict.cause in _UNANSWERED

    def _note_changes(self, now: Examination) -> None:
        if self._latest is None:
            return
        for before, after in zip(self._latest.findings, now.findings, strict=True):
            if before.outcome is not after.outcome:
                what = f"{after.title}: {before.outcome} → {after.outcome}"
                self.changes.append(Happening(now.facts.at, what))

    async def _next_turn(self, within_s: float) -> None:
        try:
            async with asyncio.timeout(within_s):
                await self._something.wait()
        except TimeoutError:
            return
        await asyncio.sleep(SETTLE_S)


async def _next(verdicts: AsyncGenerator[Examination, None]) -> Examination | None:
    return await anext(verdicts, None)


def _told(guest: Guest | None) -> object:
    return None if guest is None else (guest.facts, guest.timeline, guest.agent.state)
