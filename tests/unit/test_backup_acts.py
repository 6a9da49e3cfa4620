"""Acts whose answers are lost: what is asked for again, and what the guest is found to be, on libvirt's test driver."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.unit.saved_folder import write_backup
from tests.unit.test_restore_plan import a_plan
from tui.backup import acts
from tui.backup.control import Orders
from tui.backup.errors import BackupError, NeedsRescueError
from tui.backup.journal import RunStage, read_journal
from tui.backup.meter import Throttle
from tui.backup.restore import guest
from tui.backup.restore.engine import Restore
from tui.backup.restore.plan import RestoreWay, StopWay
from tui.backup.restore.saved import read_saved
from tui.backup.restore.settle import settle_restore
from tui.backup.restore.turning import Definitions, keep_definitions
from tui.backup.runs import RestoreRun, create_run
from tui.backup.session import HostSession, Patience
from tui.hosts import questions
from tui.hosts.libvirt_host import LibvirtHost
from tui.hosts.port import HostError, HostUnreachableError, PowerWay
from tui.model.guest import DomainFacts, PowerState

URI = "test:///default"
UUID = "7d0b6cde-6a53-4a0e-9d35-5f1f6d1c2b10"
DOMAIN = f"""<domain type='test'><name>acted-on</name><uuid>{UUID}</uuid><memory>65536</memory>
<os><type>hvm</type></os></domain>"""


def shut_down_plainly(domain: Any) -> None:
    domain.shutdown()


def undefine_plainly(domain: Any) -> None:
    domain.undefine()


class FakeLossyHost(LibvirtHost):
    """The test driver, which knows no flags, with the first answers to one kind of request lost after it was done."""

    losing: Callable[..., object] | None = None
    losses = 0

    async def _ask_domain(self, uuid: str, question: Callable[..., Any], *words: Any, **options: Any) -> Any:
        answer = await super()._ask_domain(uuid, question, *words, **options)
        if question is FakeLossyHost.losing and FakeLossyHost.losses > 0:
            FakeLossyHost.losses -= 1
            raise HostUnreachableError("The connection is gone")
        return answer

    async def shut_down(self, uuid: str, way: PowerWay) -> None:
        await self._ask_domain(uuid, shut_down_plainly)

    async def undefine(self, uuid: str, *, with_tpm: bool = False) -> None:
        await self._ask_domain(uuid, undefine_plainly)


class FakeSlowGuestHost(LibvirtHost):
    """The test driver, with a guest that goes off some looks after it was asked to; below 0 it never does."""

    looks_left: int | None = None

    async def shut_down(self, uuid: str, way: PowerWay) -> None:
        self.looks_left = SLOWNESS[0]

    async def read_domain(self, uuid: str) -> DomainFacts:
        if self.looks_left is not None:
            self.looks_left -= 1
            if self.looks_left == 0:
                await self.force_off(uuid)
        return await super().read_domain(uuid)


SLOWNESS = [3]


@pytest.fixture
async def keeper() -> AsyncIterator[LibvirtHost]:
    """Holds the driver's state, which is gone with its last connection, and a running guest in it."""
    host = FakeLossyHost(URI, "keeper")
    await host.open()
    await host.define(DOMAIN)
    await host.start(UUID)
    yield host
    for end in (host.force_off, host.undefine):
        with suppress(HostError):
            await end(UUID)
    await host.close()


def lossy(question: Callable[..., object], losses: int = 1) -> HostSession:
    FakeLossyHost.losing, FakeLossyHost.losses = question, losses
    return HostSession(lambda uri: FakeLossyHost(uri, "lossy"), URI, Patience(reconnect_s=0))


async def power(host: LibvirtHost) -> PowerState:
    return (await host.read_domain(UUID)).power


async def test_an_act_whose_answer_is_lost_is_found_done(keeper: LibvirtHost) -> None:
    for act, question, after in (
        (acts.suspend, questions.suspend, PowerState.PAUSED),
        (acts.resume, questions.resume, PowerState.RUNNING),
        (acts.shut_down, shut_down_plainly, PowerState.OFF),
        (acts.start, questions.start, PowerState.RUNNING),
        (acts.force_off, questions.force_off, PowerState.OFF),
    ):
        session = lossy(question)
        await act(session, UUID)
        await session.close()
        assert FakeLossyHost.losses == 0
        assert await power(keeper) is after
    session = lossy(undefine_plainly)
    await guest.undefine(session, UUID)
    assert await guest.find(session, UUID) is None
    await session.close()


async def test_an_act_is_asked_for_again_where_it_was_not_done(keeper: LibvirtHost) -> None:
    asked: list[str] = []

    async def lost_on_the_way(host: Any) -> None:
        asked.append("")
        if len(asked) < 3:
            raise HostUnreachableError("The connection is gone")
        await host.force_off(UUID)

    session = lossy(questions.versions)
    await session.act(lost_on_the_way, lambda: guest.is_off(session, UUID))
    assert len(asked) == 3
    assert await power(keeper) is PowerState.OFF
    await session.close()


async def test_a_request_that_is_still_worked_on_when_it_is_repeated_is_done(keeper: LibvirtHost) -> None:
    looks: list[bool] = [False, True]

    async def refused_the_second_time(host: Any) -> None:
        if len(looks) == 2:
            raise HostUnreachableError("The connection is gone")
        raise HostError("The domain is not running")

    async def seen() -> bool:
        return looks.pop(0)

    session = lossy(questions.versions)
    await session.act(refused_the_second_time, seen)
    assert looks == []
    await session.close()


async def test_a_refusal_is_a_refusal_and_an_act_is_not_tried_for_ever(keeper: LibvirtHost) -> None:
    session = lossy(questions.versions)
    with pytest.raises(HostError):
        await acts.start(session, UUID)

    async def lost(host: Any) -> None:
        raise HostUnreachableError("The connection is gone")

    async def never() -> bool:
        return False

    with pytest.raises(NeedsRescueError):
        await session.act(lost, never)
    await session.close()


@pytest.fixture
async def restore(keeper: LibvirtHost, tmp_path: Path) -> Restore:
    """A restore in place whose copies are written, and whose guest has no time to go off."""
    saved = read_saved(write_backup(tmp_path / "backup", str(tmp_path)))
    plan = replace(a_plan(saved, RestoreWay.IN_PLACE), uri=URI, uuid=UUID, guest="acted-on", stop=StopWay.SHUT_DOWN)
    run = create_run(plan)
    keep_definitions(run, Definitions(DOMAIN, await keeper.stored_xml(UUID, secrets=True)))
    session = HostSession(lambda uri: FakeSlowGuestHost(uri, "slow"), URI, Patience(stop_s=0, late_off_s=5))
    restore = Restore(session, run, Orders(asyncio.Event(), Throttle()), Patience(stop_s=0, late_off_s=5))
    restore._note(RunStage.COPIED)
    return restore


async def ended(restore: Restore) -> tuple[RestoreRun, list[str]]:
    with pytest.raises(BackupError, match="is not off") as error:
        await restore._put_off()
    await restore._end_badly(error.value)
    await restore._session.close()
    said = read_journal(restore._run.folder)[-1].details["shortfalls"]
    assert isinstance(said, list)
    return restore._run, said


async def test_a_guest_that_goes_off_after_its_restore_was_given_up_runs_again(
    keeper: LibvirtHost, restore: Restore
) -> None:
    SLOWNESS[0] = 4
    _, said = await ended(restore)
    assert await power(keeper) is PowerState.RUNNING
    assert said == []


async def test_a_guest_that_was_asked_to_go_off_and_did_not_is_told(keeper: LibvirtHost, restore: Restore) -> None:
    SLOWNESS[0] = -1
    restore._patience = Patience(stop_s=0, late_off_s=0)
    _, (said,) = await ended(restore)
    assert await power(keeper) is PowerState.RUNNING
    assert said.startswith("acted-on was asked to shut down and still runs")
    assert "virsh -c test:///default start acted-on" in said


async def test_a_restore_that_died_after_it_put_its_guest_off_says_so(keeper: LibvirtHost, restore: Restore) -> None:
    SLOWNESS[0] = 2
    restore._patience = Patience(stop_s=60)
    await restore._put_off()
    assert await power(keeper) is PowerState.OFF
    outcome = await settle_restore(restore._session, restore._run)
    await restore._session.close()
    assert outcome.endswith("was put off for it; to start it: virsh -c test:///default start acted-on")
