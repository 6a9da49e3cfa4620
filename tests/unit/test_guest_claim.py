"""Who holds a guest: what a mark tells, whether who left it lives, and that one of two steps back."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from tests.unit.backup_values import UUID, a_plan
from tui.backup import claim, liveness
from tui.backup.claim import Claim, GuestTakenError, held_by
from tui.backup.errors import BackupError
from tui.backup.journal import RunStage
from tui.backup.liveness import Standing, beaten, is_abandoned, own_owner, refuse_living, standing_of
from tui.backup.mark import Kind, Owner, mark_xml, owner_words, read_mark, run_id_of
from tui.backup.session import HostSession, Patience
from tui.hosts.port import Host
from tui.system.process_identity import own_identity

PLAN = a_plan()
OLD = f'<run id="{PLAN.run_id}" host="here" stage="copied"/>'


def an_owner(run_id: str = PLAN.run_id) -> Owner:
    return own_owner(run_id, "here", Kind.BACKUP)


class FakeMetadataHost:
    """Holds one domain's mark and gives way to others at every call, as a daemon does."""

    def __init__(self, mark: str | None = None) -> None:
        self.mark = mark
        self.writes = 0

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    def subscribe(self, listener: Callable[..., None]) -> Callable[[], None]:
        return lambda: None

    async def run_metadata(self, uuid: str) -> str | None:
        await asyncio.sleep(0)
        return self.mark

    async def set_run_metadata(self, uuid: str, xml: str | None) -> None:
        await asyncio.sleep(0)
        self.mark = xml
        self.writes += 1
        await asyncio.sleep(0)


def session_with(host: FakeMetadataHost) -> HostSession:
    return HostSession(lambda uri: cast("Host", host), "fake:///", Patience())


def mark_of(host: FakeMetadataHost) -> str | None:
    return host.mark


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - what is waited for is a call on the fake host
            await asyncio.sleep(0.001)


def test_a_mark_tells_who_left_it_and_goes_through_xml() -> None:
    owner = replace(an_owner(), user="a<b", at=12.0, beat=7)
    xml = mark_xml(owner, RunStage.COMMITTING)
    assert read_mark(xml) == owner
    assert run_id_of(xml) == PLAN.run_id
    assert 'stage="committing"' in xml
    assert UUID not in xml
    words = owner_words(owner, 24.0)
    assert f"backup by a<b on {owner.node} (run {PLAN.run_id}), last sign of life 12 s ago" in words
    assert "ahead" in owner_words(owner, 2.0)


def test_a_mark_of_an_earlier_version_is_read_and_no_process_is_known_of_it() -> None:
    owner = read_mark(OLD)
    assert owner is not None
    assert (owner.run_id, owner.host, owner.is_signed) == (PLAN.run_id, "here", False)
    assert standing_of(owner) is Standing.UNKNOWN
    assert not is_abandoned(OLD)


LONG = f"<run id='{'x' * 9999}'/>"


@pytest.mark.parametrize("text", ["", "<run", "<other/>", '<run beat="-" at="1e999" process="1"/>', LONG])
def test_what_anybody_may_write_as_a_mark_is_bounded_and_no_error(text: str) -> None:
    owner = read_mark(text)
    assert owner is not None
    assert len(owner.run_id) < 300
    assert standing_of(owner) is Standing.UNKNOWN


def test_a_process_of_this_machine_is_looked_for() -> None:
    mine = an_owner()
    assert standing_of(None) is Standing.NONE
    assert standing_of(mine) is Standing.ALIVE
    with subprocess.Popen(["sleep", "60"]) as child:
        began = int(Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[19])
        there = replace(mine, process=f"{child.pid}-{began}-{own_identity().boot}")
        assert standing_of(there) is Standing.ALIVE
        assert standing_of(replace(there, process=f"{child.pid}-{began + 1}-{own_identity().boot}")) is Standing.GONE
        child.kill()
        # Not waited for yet: a zombie does nothing any more.
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert standing_of(there) is Standing.GONE
    assert standing_of(there) is Standing.GONE
    assert is_abandoned(mark_xml(there, RunStage.COPIED))


def test_a_process_of_another_machine_boot_or_container_is_not_called_dead() -> None:
    mine = an_owner()
    other_boot = replace(mine, process=f"{os.getpid()}-1-{'0' * 8}-{'0' * 4}-{'0' * 4}-{'0' * 4}-{'0' * 12}")
    assert standing_of(replace(other_boot, machine="elsewhere")) is Standing.UNKNOWN
    # The clone of a system has its machine-id, and another name.
    assert standing_of(replace(other_boot, node="elsewhere")) is Standing.UNKNOWN
    assert standing_of(other_boot) is (Standing.GONE if mine.machine else Standing.UNKNOWN)
    assert standing_of(replace(mine, processes="pid:[1]")) is Standing.UNKNOWN


@pytest.mark.parametrize("seed", range(60))
async def test_of_several_that_begin_together_at_most_one_has_the_guest_when_it_acts(seed: int) -> None:
    """In any order of their calls: who looks directly before its act and finds its mark is alone with the guest."""
    host = FakeMetadataHost()
    dice = random.Random(seed)
    acting: list[str] = []

    async def begin(run_id: str) -> str:
        mine = Claim(session_with(host), UUID, an_owner(run_id))
        for _ in range(dice.randrange(4)):
            await asyncio.sleep(0)
        try:
            await mine.take()
            for _ in range(dice.randrange(4, 9)):
                await asyncio.sleep(0)
            await mine.confirm()
        except GuestTakenError:
            await mine.release()
            return ""
        acting.append(run_id)
        return run_id

    ended = await asyncio.gather(*(begin(f"0000000{number}") for number in range(3)))
    assert len(acting) == 1
    assert run_id_of(host.mark or "") == acting[0]
    assert sorted(filter(None, ended)) == acting


async def test_a_sign_of_life_never_takes_a_guest_back_from_who_has_it_by_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim, "BEAT_S", 0.001)
    host = FakeMetadataHost()
    mine = Claim(session_with(host), UUID, an_owner())
    await mine.take()
    async with mine.renewing():
        before = read_mark(host.mark)
        assert before is not None
        first = before.beat
        await until(lambda: (now := read_mark(host.mark)) is not None and now.beat >= first + 3)
        theirs = mark_xml(an_owner("ffffffff"), RunStage.PLANNED)
        host.mark = theirs
        writes = host.writes
        await asyncio.sleep(0.05)
        assert (host.mark, host.writes) == (theirs, writes)
        with pytest.raises(GuestTakenError, match="Somebody else"):
            await mine.confirm()
        await mine.release()
        assert host.mark == theirs
        # Removed by hand: before the snapshot it steps back, from there on it stays, and its mark with it.
        host.mark = None
        with pytest.raises(GuestTakenError, match="taken off"):
            await mine.confirm()
        mine.hold_on()
        await until(lambda: mark_of(host) is not None)
    assert run_id_of(mark_of(host) or "") == PLAN.run_id


async def test_a_mark_that_was_taken_off_by_its_holder_is_not_left_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim, "BEAT_S", 0.001)
    host = FakeMetadataHost()
    mine = Claim(session_with(host), UUID, an_owner())
    await mine.take()
    mine.hold_on()
    async with mine.renewing():
        await mine.release()
        writes = host.writes
        await asyncio.sleep(0.1)
        assert (mark_of(host), host.writes) == (None, writes)


async def test_a_mark_is_replaced_where_it_is_there_word_for_word_alone() -> None:
    dead = mark_xml(an_owner(), RunStage.COPIED)
    host = FakeMetadataHost(mark_xml(beaten(an_owner()), RunStage.COPIED))
    with pytest.raises(GuestTakenError):
        await Claim(session_with(host), UUID, an_owner()).take(dead)
    host.mark = dead
    await Claim(session_with(host), UUID, an_owner()).take(dead)


async def test_who_shows_a_sign_of_life_while_it_is_watched_is_alive() -> None:
    away = replace(an_owner(), machine="elsewhere", node="kvm3", process="7-7-0f7ab5a4-9a3c-4a35-8d0a-6b7c4a5b2c11")
    host = FakeMetadataHost(mark_xml(away, RunStage.COPIED))
    assert await refuse_living(session_with(host), UUID, silence_s=0.02) == host.mark

    async def live() -> None:
        for _ in itertools.repeat(None, 3):
            await asyncio.sleep(0.2)
            host.mark = mark_xml(beaten(away), RunStage.COPIED)

    living = asyncio.create_task(live())
    with pytest.raises(BackupError, match="Somebody else works") as refused:
        await refuse_living(session_with(host), UUID, silence_s=2)
    assert "kvm3" in refused.value.cause
    await living
    host.mark = mark_xml(an_owner(), RunStage.COPIED)
    with pytest.raises(BackupError, match="Somebody else works"):
        await refuse_living(session_with(host), UUID, silence_s=0)


async def test_a_mark_that_was_removed_and_comes_back_is_a_sign_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(liveness, "_LOOK_S", 0.001)
    host = FakeMetadataHost()

    async def left_again() -> None:
        await asyncio.sleep(0.01)
        host.mark = mark_xml(an_owner(), RunStage.COPIED)

    living = asyncio.create_task(left_again())
    with pytest.raises(BackupError, match="Somebody else works"):
        await refuse_living(session_with(host), UUID, silence_s=2)
    await living


async def test_two_acts_on_one_guest_keep_each_other_off() -> None:
    host = FakeMetadataHost()
    async with held_by(session_with(host), UUID, an_owner()):
        with pytest.raises(GuestTakenError):
            async with held_by(session_with(host), UUID, an_owner("ffffffff")):
                raise AssertionError
        assert run_id_of(host.mark or "") == PLAN.run_id
    assert host.mark is None
