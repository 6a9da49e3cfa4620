"""The doctor's visit: one guest, or many at once without being a burden to their agents."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterable, Mapping
from dataclasses import replace

from tui.doctor.causes import badness
from tui.doctor.facts import Patient
from tui.doctor.gather import gather
from tui.doctor.verdict import Examination, examination_of
from tui.hosts.port import Host

AT_ONCE_PER_HOST = 3
"""As many agents as a probe connection asks at once; a question's deadline begins when its turn has come."""


async def visit(host: Host, patient: Patient) -> AsyncGenerator[Examination, None]:
    """Look at one guest, and yield the verdict within seconds; one that a waiting question may refine twice.

    Changes nothing and raises nothing.
    """
    async with contextlib.aclosing(gather(host, patient)) as looks:
        async for facts in looks:
            yield examination_of(facts)


async def examine(host: Host, patient: Patient) -> Examination:
    """The first verdict on one guest."""
    async with contextlib.aclosing(visit(host, patient)) as verdicts:
        return await anext(verdicts)


async def examine_all(hosts: Mapping[str, Host], patients: Iterable[Patient]) -> AsyncGenerator[Examination, None]:
    """Examine guests side by side, less thoroughly than one alone, and yield each verdict as it is given.

    `hosts` are by name. A guest has its place until no question to it waits any more, and may come twice: then the
    second verdict is the better.
    """
    places = {name: asyncio.Semaphore(AT_ONCE_PER_HOST) for name in hosts}
    told: asyncio.Queue[Examination | None] = asyncio.Queue()

    async def look(patient: Patient) -> None:
        async with places[patient.host]:
            async for examination in visit(hosts[patient.host], replace(patient, thorough=False)):
                told.put_nowait(examination)

    visits = [asyncio.create_task(look(patient)) for patient in patients]
    end = asyncio.gather(*visits)
    end.add_done_callback(lambda _end: told.put_nowait(None))
    try:
        while (examination := await told.get()) is not None:
            yield examination
        await end
    finally:
        for task in visits:
            task.cancel()
        await asyncio.gather(*visits, return_exceptions=True)


def worst_first(examinations: Iterable[Examination]) -> list[Examination]:
    """Grouped by cause, the worst first, then by name."""
    return sorted(examinations, key=lambda each: (badness(each.verdict.cause), each.facts.patient.name))
