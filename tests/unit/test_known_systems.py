"""Which system an agent named is remembered for the day on which it names nothing, by whoever hears it."""

from __future__ import annotations

import asyncio
import json
import threading

import pytest

from tests.unit.fake_host import FakeHost
from tests.unit.test_fleet import OPEN
from tests.unit.test_watch import NEVER, watching
from tui import settings
from tui.doctor.known_systems import KnownSystem, recall, remember_soon
from tui.model.guest import AgentFacts, GuestId

DEBIAN = AgentFacts(os_id="debian", os_name="Debian GNU/Linux 12")


async def kept(uuid: str) -> KnownSystem:
    async with asyncio.timeout(10):
        while (known := recall(uuid)) is None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return known


async def test_it_is_remembered_for_its_owner_alone_under_no_name_but_a_uuid() -> None:
    remember_soon("../x", "debian", "Debian")
    remember_soon("11-22", "debian", "Debian GNU/Linux 12")
    known = await kept("11-22")
    assert (known.id, known.name) == ("debian", "Debian GNU/Linux 12")
    (file,) = settings.state_folder().rglob("*.json")
    assert file.stat().st_mode & 0o777 == 0o600
    assert recall("../x") is None
    assert recall("../../etc/passwd") is None


async def test_what_the_list_heard_is_remembered_off_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[threading.Thread] = []
    dump = json.dump

    def fake_dump(*words: object) -> None:
        threads.append(threading.current_thread())
        dump(*words)  # type: ignore[arg-type]

    monkeypatch.setattr(json, "dump", fake_dump)
    host = FakeHost("kvm7", OPEN)
    async with watching(host, policy=NEVER) as watch:
        guest_id = GuestId("kvm7", OPEN.uuid)
        async with asyncio.timeout(10):
            while guest_id not in watch.fleet.guests:  # noqa: ASYNC110
                await asyncio.sleep(0)
        watch._watches["kvm7"]._introduced(guest_id, DEBIAN)
        assert (await kept(OPEN.uuid)).name == "Debian GNU/Linux 12"
    assert len(threads) == 1
    assert threading.main_thread() not in threads
