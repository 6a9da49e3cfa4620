"""A run asks again, as it acts, whether its images are files of this machine: a plan may be old, or another's."""

import asyncio
import os
import subprocess
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from tests.unit.backup_values import UUID, a_plan, planned
from tests.unit.fake_placed_host import FakePlacedHost
from tui.backup.errors import BackupError
from tui.backup.merge_off import merge_off
from tui.backup.plan import Source
from tui.backup.restore.plan import RestorePlan, RestoreWay
from tui.backup.same_machine import require_here, require_own_overlays, with_proven_source
from tui.backup.session import HostSession
from tui.hosts.port import Host
from tui.model.errors import ExplainedError

HELD_BY_SSH = "its socket is held by ssh"


class FakePlacedSession:
    """Stands for a session with a host that says where its daemon runs."""

    def __init__(self, doubt: str = "") -> None:
        self._host = FakePlacedHost("qemu:///system", doubt).as_host

    async def ask(self, question: Callable[[Host], Awaitable[Any]]) -> Any:
        """The host's answer."""
        return await question(self._host)


def session(doubt: str = "") -> HostSession:
    return cast("HostSession", FakePlacedSession(doubt))


def restore_plan(way: RestoreWay) -> RestorePlan:
    return RestorePlan("0123abcd", "20261122T214300Z", "here", "qemu:///system", way, "/b", "web 1", "web 1", UUID, ())


def test_a_plan_to_open_files_goes_over_streams_once_they_are_not_proven_to_be_ours() -> None:
    plan = replace(a_plan(), source=Source.FILE)
    assert asyncio.run(with_proven_source(session(), plan)) == plan
    now = asyncio.run(with_proven_source(session(HELD_BY_SSH), plan))
    assert (now.source, now.source_reason) == (Source.STREAM, HELD_BY_SSH)
    assert now.disks == plan.disks


def test_no_image_is_merged_by_name_on_a_machine_that_is_not_proven_to_be_the_guests(tmp_path: Path) -> None:
    for name in ("base", "overlay"):
        (tmp_path / name).write_text("decoy")
    disk = replace(planned("vda", str(tmp_path / "base")), overlay=str(tmp_path / "overlay"))
    plan = replace(a_plan(), disks=(disk,), source=Source.FILE)
    with pytest.raises(ExplainedError) as raised:
        asyncio.run(
            merge_off(session(HELD_BY_SSH), plan, [disk], BackupError("It cannot be started"), lambda *_, **__: None)
        )
    assert HELD_BY_SSH in raised.value.cause
    assert {path.read_text() for path in tmp_path.iterdir()} == {"decoy"}


@pytest.mark.parametrize("way", [RestoreWay.IN_PLACE, RestoreWay.CLONE, RestoreWay.BOOT_TEST, RestoreWay.ATTACH])
def test_nothing_is_put_in_place_where_the_places_are_not_proven_to_be_ours(way: RestoreWay) -> None:
    asyncio.run(require_here(session(), restore_plan(way)))
    with pytest.raises(BackupError) as raised:
        asyncio.run(require_here(session(HELD_BY_SSH), restore_plan(way)))
    assert raised.value.cause == HELD_BY_SSH


def test_disks_to_a_path_are_nobodys_but_this_machines() -> None:
    asyncio.run(require_here(session(HELD_BY_SSH), restore_plan(RestoreWay.DISK)))


def test_an_overlay_that_libvirt_made_is_there_and_the_one_that_the_guest_has_open(tmp_path: Path) -> None:
    plan = replace(a_plan(str(tmp_path / "web.qcow2")), source=Source.FILE)
    plan = replace(plan, disks=plan.disks[:1])
    overlay = Path(plan.disks[0].overlay)
    with pytest.raises(BackupError, match="not the files of this machine") as raised:
        asyncio.run(require_own_overlays(session(), plan))
    assert str(overlay) in raised.value.cause
    # Of streams nothing is asked: what libvirt made is on its machine.
    asyncio.run(require_own_overlays(session(), replace(plan, source=Source.STREAM)))
    overlay.touch()
    asyncio.run(require_own_overlays(session(), plan))
    words = ["fake-qemu", "-c", "echo ready; read line", "-uuid", UUID]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, executable="/bin/sh", stdin=pipe, stdout=pipe) as fake_qemu:
        assert fake_qemu.stdout is not None
        assert fake_qemu.stdout.readline() == b"ready\n"
        with pytest.raises(BackupError) as raised:
            asyncio.run(require_own_overlays(session(), plan))
        assert "the guest has another" in raised.value.cause
        fake_qemu.communicate(b"end\n")
    assert os.path.lexists(overlay)
