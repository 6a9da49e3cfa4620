"""What is believed of a snapshot whose answer was lost, and of a freeze of which nobody could tell."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, cast

import pytest

from tests.unit.backup_values import a_plan, domain_xml
from tui.agent.errors import UnansweredError
from tui.backup import snapshot
from tui.backup.errors import BackupError, NeedsRescueError
from tui.backup.manifest import Consistency
from tui.backup.session import HostSession, Patience
from tui.hosts.port import Host, HostError, HostUnreachableError
from tui.model.guest import Channel, DomainFacts, PowerState

PLAN = a_plan()
LOST = HostUnreachableError("The connection is gone")
ON_BASE = domain_xml()
ON_OVERLAY = domain_xml(PLAN.disks[0].overlay).replace("/images/data.raw", PLAN.disks[1].overlay)
HALF = domain_xml(PLAN.disks[0].overlay)
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
        return self._xml

    async def stored_xml(self, uuid: str) -> str:
        return self._xml

    async def snapshot_disks(self, uuid: str, xml: str) -> None: ...

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
        (["thawed", "thawed"], Consistency.CRASH, snapshot.THAWED_ITSELF),
        ([None, "thawed"], Consistency.CRASH, snapshot.UNKNOWN_THAW),
    ],
)
async def test_a_freeze_is_told_for_what_is_known_of_it(
    answers: list[Any], consistency: Consistency, remark: str
) -> None:
    patience = Patience()
    session = session_with(FakeWorkingHost([(False, ON_OVERLAY)], FakeForgetfulLine(answers)), patience)
    await session.open()
    report, _, _, thawed = await snapshot._while_frozen(session, PLAN, patience)
    assert thawed
    assert (report.consistency, report.remark) == (consistency, remark)
