"""What is believed of a snapshot whose answer was lost, and of a freeze of which nobody could tell."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from tests.unit.backup_values import a_plan, domain_xml
from tui.agent.errors import AgentBusyError, CommandFailedError, CommandUnavailableError, UnansweredError
from tui.backup import freeze_truth, snapshot
from tui.backup.chain import disks_by_target
from tui.backup.claim import GuestTakenError
from tui.backup.errors import BackupError, NeedsRescueError
from tui.backup.manifest import Consistency, FreezeReport
from tui.backup.plan import QuiescePolicy
from tui.backup.runs import Run
from tui.backup.session import HostSession, Patience
from tui.backup.watchdog import Watchdog
from tui.doctor.freezing import passes_by_itself
from tui.hosts.port import Host, HostError, HostUnreachableError
from tui.model.guest import Channel, DomainFacts, PowerState

PLAN = a_plan()
LOST = HostUnreachableError("The connection is gone")
ON_BASE = domain_xml()
ON_OVERLAY = domain_xml(PLAN.disks[0].overlay).replace("/images/data.raw", PLAN.disks[1].overlay)
HALF = domain_xml(PLAN.disks[0].overlay)
BEFORE = disks_by_target(ON_BASE)
BUSY = HostError("cannot acquire state change lock")


class FakeWorkingHost:
    """A daemon that goes on with a snapshot: what its domain looks like and whether a job is seen, look by look."""

    def __init__(self, looks: list[tuple[bool | HostError, str]], line: object = None) -> None:
        self._looks = looks
        self._line = line
        self._xml = ""

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    def subscribe(self, listener: Callable[..., None]) -> Callable[[], None]:
        return lambda: None

    async def domain_job_active(self, uuid: str) -> bool:
        is_busy, self._xml = self._looks.pop(0) if len(self._looks) > 1 else self._looks[0]
        if isinstance(is_busy, HostError):
            raise is_busy
        return is_busy

    async def read_domain(self, uuid: str) -> DomainFacts:
        return DomainFacts(uuid, PLAN.guest, PowerState.RUNNING, "booted", Channel.OPEN)

    async def live_xml(self, uuid: str) -> str:
        return self._xml or ON_BASE

    async def stored_xml(self, uuid: str) -> str:
        return self._xml or ON_BASE

    async def snapshot_disks(self, uuid: str, xml: str) -> None:
        _, self._xml = self._looks[0]

    def work_line(self, uuid: str) -> object:
        return self._line


def session_with(host: FakeWorkingHost, patience: Patience) -> HostSession:
    return HostSession(lambda uri: cast("Host", host), "fake:///", patience)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "POLL_S", 0.001)


async def proven(looks: list[tuple[bool | HostError, str]], patience: Patience | None = None) -> None:
    patience = patience or Patience()
    await snapshot.prove_switched(session_with(FakeWorkingHost(looks), patience), PLAN, LOST, patience)


@pytest.mark.parametrize(
    "looks",
    [
        [(False, ON_OVERLAY)],
        [(True, ON_BASE), (True, ON_BASE), (False, ON_OVERLAY)],
        [(BUSY, ON_BASE), (BUSY, ON_BASE), (True, HALF), (False, ON_OVERLAY)],
        [(False, ON_BASE), (False, HALF), (False, ON_OVERLAY)],
    ],
)
async def test_a_snapshot_that_is_taken_late_is_taken(looks: list[tuple[bool | HostError, str]]) -> None:
    await proven(looks)


async def test_a_snapshot_is_not_taken_once_two_looks_without_a_job_agree() -> None:
    with pytest.raises(BackupError, match="was not taken"):
        await proven([(True, ON_BASE), (False, ON_BASE), (False, ON_BASE), (False, ON_OVERLAY)])
    with pytest.raises(snapshot.IncompleteSnapshotError):
        await proven([(False, HALF), (False, HALF)])


async def test_a_daemon_that_stays_at_it_leaves_the_question_open() -> None:
    with pytest.raises(NeedsRescueError, match="does not tell"):
        await proven([(BUSY, ON_BASE)], Patience(doubt_s=0.05))


async def held() -> None:
    """The guest is this run's."""


class FakeForgetfulLine:
    """An agent that freezes and thaws, and does not answer the first question whether it is frozen."""

    def __init__(self, answers: list[str | None]) -> None:
        self._answers = answers

    async def send(self, request: str, timeout_s: int) -> str:
        if json.loads(request)["execute"] != "guest-fsfreeze-status":
            return json.dumps({"return": 2})
        answer = self._answers.pop(0)
        if answer is None:
            raise UnansweredError("The agent does not answer")
        return json.dumps({"return": answer})


@pytest.mark.parametrize(
    ("answers", "consistency", "remark"),
    [
        (["frozen", "thawed"], Consistency.QUIESCED, ""),
        (["thawed", "thawed"], Consistency.CRASH, freeze_truth.THAWED_ITSELF),
        ([None, "thawed"], Consistency.CRASH, freeze_truth.UNKNOWN_THAW),
    ],
)
async def test_a_freeze_is_told_for_what_is_known_of_it(
    answers: list[Any], consistency: Consistency, remark: str
) -> None:
    patience = Patience()
    session = session_with(FakeWorkingHost([(False, ON_OVERLAY)], FakeForgetfulLine(answers)), patience)
    await session.open()
    tried = await snapshot._while_frozen(snapshot._Switch(session, PLAN, BEFORE, held), patience)
    assert tried.thawed
    assert (tried.report.consistency, tried.report.remark) == (consistency, remark)


async def test_a_guest_that_another_took_while_it_froze_is_thawed_and_not_switched() -> None:
    async def taken() -> None:
        raise GuestTakenError("Somebody else works on this guest")

    patience = Patience()
    host = FakeWorkingHost([(False, ON_OVERLAY)], FakeForgetfulLine(["thawed"]))
    session = session_with(host, patience)
    await session.open()
    tried = await snapshot._while_frozen(snapshot._Switch(session, PLAN, BEFORE, taken), patience)
    assert (isinstance(tried.changed, GuestTakenError), tried.thawed) == (True, True)
    assert await host.live_xml(PLAN.uuid) == ON_BASE


class FakeRefusingLine:
    """An agent whose freezes fail with the given words, one after the other, and then succeed."""

    def __init__(self, words: list[str]) -> None:
        self._words = words
        self._frozen = False
        self.freezes = 0

    async def send(self, request: str, timeout_s: int) -> str:
        command = json.loads(request)["execute"]
        if command == "guest-fsfreeze-status":
            return json.dumps({"return": "frozen" if self._frozen else "thawed"})
        if command == "guest-fsfreeze-freeze":
            self.freezes += 1
            if self._words:
                return json.dumps({"error": {"class": "GenericError", "desc": self._words.pop(0)}})
        self._frozen = command == "guest-fsfreeze-freeze"
        return json.dumps({"return": 2})


class FakeWatchdog:
    """Stands for the process that thaws in our place: says how many were told of a freeze and of its end."""

    def __init__(self) -> None:
        self.freezes, self.thaws = 0, 0

    def freezing(self, deadline_s: float) -> None:
        self.freezes += 1

    async def dismiss(self) -> None:
        self.thaws += 1


async def snapshot_with(
    line: FakeRefusingLine, monkeypatch: pytest.MonkeyPatch, policy: QuiescePolicy
) -> tuple[FreezeReport, FakeWatchdog]:
    dog = FakeWatchdog()

    async def start(argv: object, run: object) -> FakeWatchdog:
        return dog

    monkeypatch.setattr(Watchdog, "start", start)
    monkeypatch.setattr(snapshot, "SECOND_TRY_S", 0)
    patience = Patience()
    host = FakeWorkingHost([(False, ON_OVERLAY)], line)
    session = session_with(host, patience)
    await session.open()
    run = Run(Path("/no/run"), replace(PLAN, quiesce=policy))
    return await snapshot.take_snapshot(session, run, (), BEFORE, patience, held), dog


async def test_a_freeze_that_fails_for_a_passing_reason_is_tried_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    line = FakeRefusingLine(["couldn't hold writes: fsfreeze is limited up to 10 seconds"])
    report, dog = await snapshot_with(line, monkeypatch, QuiescePolicy.REQUIRED)
    assert (report.consistency, report.file_systems, report.remark) == (Consistency.QUIESCED, 2, "")
    assert (line.freezes, dog.freezes, dog.thaws) == (2, 2, 2)


async def test_a_freeze_is_not_tried_a_third_time(monkeypatch: pytest.MonkeyPatch) -> None:
    line = FakeRefusingLine(["VSS is busy"] * 3)
    with pytest.raises(BackupError, match="could not be frozen") as raised:
        await snapshot_with(line, monkeypatch, QuiescePolicy.REQUIRED)
    assert line.freezes == 2
    assert "VSS is busy" in raised.value.cause
    assert raised.value.next_step == snapshot.MEND_OR_DO_WITHOUT


async def test_a_denied_freeze_is_not_repeated_and_tells_of_selinux(monkeypatch: pytest.MonkeyPatch) -> None:
    denied = "failed to open /var/lib/mysql: Permission denied"
    line = FakeRefusingLine([denied])
    with pytest.raises(BackupError, match="could not be frozen") as raised:
        await snapshot_with(line, monkeypatch, QuiescePolicy.REQUIRED)
    assert line.freezes == 1
    assert "virt_qemu_ga_read_nonsecurity_files" in raised.value.next_step
    report, _ = await snapshot_with(FakeRefusingLine([denied]), monkeypatch, QuiescePolicy.PREFERRED)
    assert report.consistency is Consistency.CRASH
    assert denied in report.remark
    assert "virt_qemu_ga_read_nonsecurity_files" in report.remark


def test_only_what_may_pass_is_worth_a_second_try() -> None:
    assert passes_by_itself(AgentBusyError("Busy"))
    assert passes_by_itself(CommandFailedError("Failed", original="VSS is busy"))
    for error in (
        CommandUnavailableError("Blocked", original="disabled"),
        UnansweredError("No answer"),
        CommandFailedError("Failed", original="failed to open /x: Permission denied"),
        BackupError("The guest froze nothing"),
    ):
        assert not passes_by_itself(error)
