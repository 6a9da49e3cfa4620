"""A question that waits for an agent: a first verdict does not wait for it, and its end refines what was said."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import TypeVar

import pytest

from tests.tui import sample
from tests.unit.fake_host import FakeHost
from tests.unit.test_doctor import AGENT, CONTROLLER, NAME, RUNNING, definition_xml
from tui.agent import errors
from tui.agent.transport import Transport
from tui.cli import doctor_verb
from tui.doctor import gather
from tui.doctor.causes import Cause
from tui.doctor.examine import AT_ONCE_PER_HOST, examine, examine_all, visit
from tui.doctor.facts import Patient
from tui.doctor.fixes import TheirFix
from tui.doctor.remedies import remedies
from tui.doctor.verdict import Examination
from tui.fleet.attend import Attendance
from tui.model.guest import AgentState, DomainFacts, GuestId, Happening

T = TypeVar("T")
HELD = "Timed out during operation: cannot acquire state change lock (held by agent=remoteDispatchDomainFSFreeze)"
XML = definition_xml(CONTROLLER, AGENT.format(kind="unix", name=NAME))
BUSY, SILENT = errors.AgentBusyError("It is busy", original=HELD), errors.UnansweredError("It is silent", original="86")


class FakeWaitingLine:
    """Stands for an agent's line whose calls end when the test says so, which no real agent does."""

    def __init__(self) -> None:
        self.waiting: list[asyncio.Future[str]] = []
        self.asked = asyncio.Event()

    async def send(self, _request: str, _timeout_s: int) -> str:
        """Wait."""
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.waiting.append(answer)
        self.asked.set()
        return await answer

    async def end(self, error: errors.AgentError) -> None:
        """Have the call that waits, or the next one, fail."""
        await self.asked.wait()
        self.asked.clear()
        self.waiting.pop().set_exception(error)


class FakeWaitingHost(FakeHost):
    """Stands for a host of guests whose agents wait."""

    def __init__(self, *domains: DomainFacts) -> None:
        super().__init__("kvm7", *domains)
        self.lines = {each.uuid: FakeWaitingLine() for each in domains}

    async def live_xml(self, _uuid: str) -> str:
        """With a channel."""
        return XML

    async def stored_xml(self, _uuid: str) -> str:
        """The same."""
        return XML

    async def processor_time_ns(self, _uuid: str) -> int:
        """Idle."""
        return 0

    async def warnings(self, _uuid: str) -> tuple[str, ...]:
        """None."""
        return ()

    async def run_metadata(self, _uuid: str) -> None:
        """No mark."""

    def probe_line(self, uuid: str) -> Transport:  # type: ignore[override]
        """That of the guest."""
        return self.lines[uuid]


@pytest.fixture(autouse=True)
def first_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits until a first verdict is due."""
    monkeypatch.setattr(gather, "FIRST_S", 0.0)
    monkeypatch.setattr(gather, "LEAST_S", 0.0)


@pytest.fixture
def host() -> FakeWaitingHost:
    return FakeWaitingHost(RUNNING)


def patient(name: str = "u1") -> Patient:
    return Patient("kvm7", name, name)


async def soon(answer: AsyncGenerator[T, None]) -> T:
    async with asyncio.timeout(10):
        return await anext(answer)


def evidence(examination: Examination) -> str:
    return "\n".join(each.ruling.original for each in examination.findings)


async def test_the_first_verdict_names_both_causes_and_libvirts_word_then_names_the_holder(
    host: FakeWaitingHost,
) -> None:
    async with contextlib.aclosing(visit(host.as_host, patient())) as verdicts:
        first = await soon(verdicts)
        assert first.verdict.cause is Cause.NO_ANSWER_YET
        assert "silent, or busy with another program's command" in first.verdict.sentence
        assert ["another program's command" in other.what for other in first.verdict.others].count(True) == 1
        assert any(other.what == "the agent is silent" for other in first.verdict.others)
        advice = [fix.command for fix in remedies(first) if isinstance(fix, TheirFix)]
        assert any(command.endswith("doctor u1 --watch") for command in advice)
        assert not any("restart" in command for command in advice), "another program's command may be at work"
        await host.lines["u1"].end(BUSY)
        refined = await soon(verdicts)
        assert refined.verdict.cause is Cause.BUSY
        assert "a freeze of its file systems (agent=remoteDispatchDomainFSFreeze)" in refined.verdict.sentence
        assert HELD in evidence(refined)
        assert refined.facts.agent is not None
        assert not refined.facts.agent.waits
        with pytest.raises(StopAsyncIteration):
            await soon(verdicts)


async def test_a_silent_agent_is_told_so_only_when_libvirt_gave_it_up(host: FakeWaitingHost) -> None:
    async with contextlib.aclosing(visit(host.as_host, patient())) as verdicts:
        assert (await soon(verdicts)).verdict.cause is Cause.NO_ANSWER_YET
        await host.lines["u1"].end(SILENT)
        assert (await soon(verdicts)).verdict.cause is Cause.SILENT


async def test_a_single_look_leaves_the_question_that_waits(host: FakeWaitingHost) -> None:
    async with asyncio.timeout(10):
        assert (await examine(host.as_host, patient())).verdict.cause is Cause.NO_ANSWER_YET


async def test_among_many_a_guest_keeps_its_place_until_its_question_has_ended() -> None:
    names = [f"g{number}" for number in range(AT_ONCE_PER_HOST + 1)]
    host = FakeWaitingHost(*(replace(RUNNING, uuid=name, name=name) for name in names))
    waits = names[:-1]
    async with contextlib.aclosing(examine_all({"kvm7": host.as_host}, map(patient, names))) as verdicts:
        seen = [(await soon(verdicts)) for _ in waits]
        assert {each.facts.patient.name for each in seen} == set(waits)
        assert not host.lines[names[-1]].waiting, "the agents asked at once are as many as the line carries"
        await host.lines["g0"].end(BUSY)
        after = [await soon(verdicts), await soon(verdicts)]
    told = [(each.facts.patient.name, each.verdict.cause) for each in after]
    assert told == [("g0", Cause.BUSY), (names[-1], Cause.NO_ANSWER_YET)]


async def test_the_command_for_all_guests_ends_with_their_first_verdicts(host: FakeWaitingHost) -> None:
    async with asyncio.timeout(10):
        given = [*await doctor_verb._first_verdicts([host.as_host], [patient()])]
    assert [each.verdict.cause for each in given] == [Cause.NO_ANSWER_YET]


@pytest.fixture
def attendance(host: FakeWaitingHost, monkeypatch: pytest.MonkeyPatch) -> Attendance:
    """One that looks again at once."""
    monkeypatch.setattr("tui.fleet.attend.AGAIN_SICK_S", 0.0)
    attendance = Attendance(host.as_host, "u1", lambda _uuid: "")
    guest = replace(sample.guest("web1", AgentState.CONNECTED), id=GuestId("kvm7", "u1"), facts=RUNNING)
    attendance.fleet_changed(sample.fleet(guest))
    return attendance


async def test_who_attends_hears_the_holder_and_does_not_forget_it_at_the_next_look(
    host: FakeWaitingHost, attendance: Attendance
) -> None:
    line = host.lines["u1"]
    async with contextlib.aclosing(attendance.examinations()) as examinations:
        assert (await soon(examinations)).verdict.cause is Cause.NO_ANSWER_YET
        assert attendance.looking
        await line.end(BUSY)
        assert (await soon(examinations)).verdict.cause is Cause.BUSY
        again = asyncio.create_task(soon(examinations))
        await line.end(SILENT)
        assert (await again).verdict.cause is Cause.SILENT


async def test_what_happens_to_the_guest_ends_the_waiting(host: FakeWaitingHost, attendance: Attendance) -> None:
    async with contextlib.aclosing(attendance.examinations()) as examinations:
        assert (await soon(examinations)).verdict.cause is Cause.NO_ANSWER_YET
        host.domains["u1"] = replace(RUNNING, power_reason="unpaused")
        guest = replace(sample.guest("web1", AgentState.CONNECTED), id=GuestId("kvm7", "u1"), facts=RUNNING)
        attendance.fleet_changed(sample.fleet(replace(guest, timeline=(Happening(1.0, "unpaused"),))))
        host.domains["u1"] = replace(RUNNING, power=sample.guest("x", AgentState.OFF).facts.power)
        assert (await soon(examinations)).verdict.cause is Cause.OFF
