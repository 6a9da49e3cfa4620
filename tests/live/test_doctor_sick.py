"""Sick guests made real, one sickness at a time, and the verdict on each: a clean diagonal, as fine as can be told."""

from __future__ import annotations

import asyncio
from statistics import median

import pytest

from tests.live.sickness import Case, Course, Ward, courses
from tests.live.watched import watched
from tui.doctor.causes import Cause
from tui.doctor.systems import Family
from tui.doctor.verdict import Examination
from tui.fleet.liveness import LivenessPolicy
from tui.lab.laboratory import Laboratory

ON_DEMAND = LivenessPolicy(cycle_s=0)
LOOKS = 5
Rows = list[tuple[Case, list[Examination]]]
"""Each sickness with what was said of it, the last word last."""


async def go_through(ward: Ward, lane: tuple[Course, ...], rows: Rows) -> None:
    """One guest after the other: make it sick, look, and where it is mended see that it is well."""
    for course in lane:
        name = course.spec.name
        await ward.lab.add(course.spec)
        for case in course.cases:
            await case.sicken(ward, name)
            rows.append((case, await ward.see(name)))
            if case.mend is not None:
                await case.mend(ward, name)
                await ward.lab.wait_for_agent(name)
                await becomes_healthy(ward, name, case)
        await ward.lab.virsh("destroy", name)
        await ward.lab.virsh("undefine", name)


async def becomes_healthy(ward: Ward, name: str, case: Case) -> None:
    """Looked at again as the screen does, since an overloaded host can leave a question open."""
    *_, mended = await ward.see(name)
    for _ in range(LOOKS):
        if mended.verdict.cause is Cause.HEALTHY:
            return
        *_, mended = await ward.see(name)
    raise AssertionError((case.what, mended.verdict, mended.facts.agent))


def matrix(rows: Rows) -> str:
    """What each sickness was, what the doctor said at last, and how long the first and the last word took."""
    lines = [f"{'sickness':<28}{'meant':<26}{'said':<26}{'first':>6}{'last':>6}"]
    for case, seen in rows:
        mark = "" if seen[-1].verdict.cause is case.cause else "  <- WRONG"
        times = f"{seen[0].facts.took_s:>6.1f}{seen[-1].facts.took_s:>6.1f}"
        lines.append(f"{case.what:<28}{case.cause:<26}{seen[-1].verdict.cause:<26}{times}{mark}")
    right = sum(1 for case, seen in rows if seen[-1].verdict.cause is case.cause)
    first = [seen[0].facts.took_s for _, seen in rows]
    lines.append(
        f"{right} of {len(rows)} on the diagonal; to a verdict: median {median(first):.2f} s, worst {max(first):.2f} s"
    )
    return "\n".join(lines)


@pytest.mark.long
async def test_every_sickness_gets_its_own_verdict_and_the_healthy_guest_none(lab: Laboratory) -> None:
    rows: Rows = []
    lanes = courses(lab)
    async with watched(lab.uri, policy=ON_DEMAND) as view:
        ward = Ward(lab, view, view.hosts[0])
        async with asyncio.TaskGroup() as going:
            for lane in lanes:
                going.create_task(go_through(ward, lane, rows))
    print(f"\n{matrix(rows)}")
    assert [(case.what, seen[-1].verdict.cause) for case, seen in rows] == [(case.what, case.cause) for case, _ in rows]
    assert {each.verdict.cause for _, seen in rows for each in seen[:-1]} <= {Cause.NO_ANSWER_YET, Cause.UNKNOWN}
    by_case = {case.what: seen[-1] for case, seen in rows}
    assert len(by_case) == sum(len(course.cases) for lane in lanes for course in lane)
    assert not by_case["healthy"].verdict.also
    assert by_case["Windows without the service"].facts.system.family is Family.WINDOWS
    for what in ("not installed", "not started", "just booting"):
        assert len(by_case[what].verdict.others) >= 4, "a class names its members"
        assert "s ago" in by_case[what].verdict.sentence
    assert all(seen[0].verdict.cause is Cause.NO_ANSWER_YET for case, seen in rows if case.cause is Cause.BUSY)
    busy = by_case["busy with a slow freeze"]
    assert "a freeze of its file systems" in busy.verdict.sentence
    assert any("held by agent=" in finding.ruling.original for finding in busy.findings)
