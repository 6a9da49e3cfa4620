"""The doctor's visit: one guest, or many at once without being a burden to their agents."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping
from dataclasses import replace

from tui.doctor.causes import badness
from tui.doctor.facts import Patient
from tui.doctor.gather import gather
from tui.doctor.verdict import Examination, examination_of
from tui.hosts.port import Host

AT_ONCE_PER_HOST = 3
"""As many agents as a probe connection asks at once; a question's deadline begins when its turn has come."""


async def examine(host: Host, patient: Patient) -> Examination:
    """Look at one guest; changes nothing and raises nothing."""
    return examination_of(await gather(host, patient))


async def examine_all(hosts: Mapping[str, Host], patients: Iterable[Patient]) -> AsyncGenerator[Examination, None]:
    """Examine guests side by side, less thoroughly than one alone, and yield each as it is done.

    `hosts` are by name.
    """
    places = {name: asyncio.Semaphore(AT_ONCE_PER_HOST) for name in hosts}

    async def visit(patient: Patient) -> Examination:
        async with places[patient.host]:
            return await examine(hosts[patient.host], replace(patient, thorough=False))

    visits = [asyncio.create_task(visit(patient)) for patient in patients]
    try:
        for done in asyncio.as_completed(visits):
            yield await done
    finally:
        for task in visits:
            task.cancel()
        await asyncio.gather(*visits, return_exceptions=True)


def worst_first(examinations: Iterable[Examination]) -> list[Examination]:
    """Grouped by cause, the worst first, then by name."""
    return sorted(examinations, key=lambda each: (badness(each.verdict.cause), each.facts.patient.name))
