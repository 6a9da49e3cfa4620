"""What is left on a guest of which no journal tells: kinds and formats are those of the images."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from tests.unit.backup_values import STAMP, UUID, a_plan
from tui.backup import found_plan, image_names, merge_off, overlays
from tui.backup.chain import Place
from tui.backup.errors import BackupError
from tui.backup.foreign import stray
from tui.backup.found_plan import NO_RUN
from tui.backup.leftovers import DiskEvidence, GuestEvidence
from tui.backup.overlays import look_at_overlays
from tui.backup.plan import DiskKind, ImageFormat, is_own_overlay, overlay_beside
from tui.backup.session import HostSession, Patience
from tui.backup.shared_storage import is_shared_type, shared_here
from tui.hosts.port import Host, HostError
from tui.model.disk import Disk
from tui.model.guest import Channel, DomainFacts, PowerState

PLAN = a_plan()


class FakePoolHost:
    """Stands for a host with one pool."""

    name, uri = "here", "fake:///"

    def __init__(self, volume: str = "") -> None:
        self._volume = volume

    async def volume_path(self, pool: str, volume: str) -> str:
        if not self._volume:
            raise HostError("no such pool")
        return self._volume


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    async def are_here(*words: object) -> bool:
        return True

    async def why_not_here(*words: object) -> str:
        return ""

    monkeypatch.setattr(found_plan, "are_here", are_here)
    monkeypatch.setattr(found_plan, "why_not_here", why_not_here)


def off_guest(disk: Disk) -> DomainFacts:
    return DomainFacts(UUID, "web 1", PowerState.OFF, "", Channel.OPEN, disks=(disk,))


def make_images(base: Path, image_format: str, overlay: str) -> None:
    subprocess.run(["qemu-img", "create", "-q", "-f", image_format, base, "1M"], check=True)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", image_format, overlay], check=True)


@pytest.mark.parametrize("image_format", ["raw", "qcow2"])
async def test_formats_come_from_the_image_of_a_guest_that_is_off(tmp_path: Path, image_format: str) -> None:
    base = tmp_path / "data.img"
    overlay = overlay_beside(str(base), STAMP, "vda")
    make_images(base, image_format, overlay)
    guest = off_guest(Disk("vda", "disk", "file", overlay, "qcow2"))
    plan = await found_plan.found_plan(cast("Host", FakePoolHost()), guest, {}, None)
    assert plan is not None
    (disk,) = plan.disks
    assert (disk.base, disk.format, disk.kind) == (str(base), ImageFormat(image_format), DiskKind.FILE)
    assert (plan.run_id, plan.stamp, is_own_overlay(disk, plan.stamp)) == (NO_RUN, STAMP, True)


async def test_a_device_is_one_whatever_the_definition_calls_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_names, "is_block_device", lambda path: path == "/dev/vg/web")
    overlay = str(tmp_path / f"web.qgatui-{STAMP}.vda.qcow2")
    disk = Disk("vda", "disk", "file", overlay, "qcow2", backing=("/dev/vg/web",), base_format="raw")
    plan = await found_plan.found_plan(cast("Host", FakePoolHost()), off_guest(disk), {}, None)
    assert plan is not None
    (found,) = plan.disks
    assert (found.base, found.kind, found.is_device, found.format) == ("/dev/vg/web", "block", True, "raw")
    assert is_own_overlay(found, plan.stamp)


async def test_a_volume_is_known_by_its_path_and_by_its_name(tmp_path: Path) -> None:
    base = tmp_path / "web.qcow2"
    overlay = overlay_beside(str(base), STAMP, "vda")
    disk = Disk("vda", "disk", "file", overlay, "qcow2", backing=("images/web.qcow2",), base_format="qcow2")
    plan = await found_plan.found_plan(cast("Host", FakePoolHost(str(base))), off_guest(disk), {}, None)
    assert plan is not None
    (found,) = plan.disks
    assert (found.base, found.named, found.kind) == (str(base), "images/web.qcow2", DiskKind.VOLUME)
    assert is_own_overlay(found, plan.stamp)


class FakeNamingHost:
    """A guest that was renamed, and another one that was given its name and its disk."""

    def __init__(self, *uuids: str) -> None:
        self._uuids = uuids

    async def open(self) -> None: ...

    def subscribe(self, listener: object) -> object:
        return lambda: None

    async def list_domains(self) -> tuple[DomainFacts, ...]:
        names = {UUID: "renamed meanwhile"}
        return tuple(
            DomainFacts(uuid, names.get(uuid, PLAN.guest), PowerState.OFF, "", Channel.OPEN) for uuid in self._uuids
        )

    async def live_xml(self, uuid: str) -> str:
        return f"<domain><source file='{PLAN.disks[0].base}'/></domain>"

    stored_xml = live_xml


async def test_a_guest_is_known_by_its_uuid_and_not_by_its_name() -> None:
    def session(*uuids: str) -> HostSession:

        return HostSession(lambda uri: cast("Host", FakeNamingHost(*uuids)), "fake:///", Patience())

    await merge_off._refuse_shared(session(UUID), PLAN, PLAN.disks[0])
    with pytest.raises(BackupError, match="Another guest") as refused:
        await merge_off._refuse_shared(session(UUID, UUID.replace("0", "1")), PLAN, PLAN.disks[0])
    assert PLAN.guest in refused.value.cause


async def test_what_a_look_needed_is_let_go_of_where_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[bool] = []

    class FakeFailingReach:
        async def exists(self, path: str) -> bool:
            raise HostError("the storage does not answer")

        async def close(self) -> None:
            closed.append(True)

    monkeypatch.setattr(overlays, "passing_reach", lambda *words: FakeFailingReach())
    found = await look_at_overlays(cast("Host", FakePoolHost()), PLAN, may_ask=True)
    assert closed == [True]
    assert len(found.there) == len(PLAN.disks)


def test_an_overlay_that_other_hosts_may_use_is_never_called_deletable() -> None:
    evidence = GuestEvidence(
        PLAN,
        PowerState.UNKNOWN,
        "",
        is_ours=True,
        disks=(DiskEvidence(PLAN.disks[0], Place.BASE, Place.BASE, overlay_exists=True, is_proven=True),),
        is_stray=True,
    )
    assert "you may delete it" in stray(evidence).explanation
    on_nfs = stray(replace(evidence, shared="nfs4")).explanation
    assert "you may delete it" not in on_nfs
    assert "nfs4" in on_nfs
    assert [is_shared_type(kind) for kind in ("nfs4", "fuse.glusterfs", "gfs2", "ext4", "xfs", "overlay")] == [
        True,
        True,
        True,
        False,
        False,
        False,
    ]
    assert shared_here("/proc") == ""
