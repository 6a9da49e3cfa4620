"""Who else uses an image, whatever definitions call it: on libvirt's test driver, with a pool and its volume."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tui.backup import evidence, scan
from tui.backup.plan import DiskKind, ImageFormat, PlannedDisk
from tui.backup.reach_files import FileReach
from tui.backup.users import image_names
from tui.hosts.libvirt_host import LibvirtHost
from tui.model.guest import DomainFacts

GUEST = """<domain type='test'><name>{name}</name><uuid>00000000-0000-4000-8000-00000000000{number}</uuid>
<memory>65536</memory><os><type>hvm</type></os><devices>
<disk type='{kind}' device='disk'><driver name='qemu' type='raw'/><source {source}/><target dev='vda'/></disk>
</devices></domain>"""
POOL = """<pool type='dir'><name>p</name><uuid>00000000-0000-4000-8000-0000000000aa</uuid>
<target><path>/images</path></target>
<volume type='file'><name>web.img</name><capacity unit='bytes'>1048576</capacity><target>
<path>/images/web.img</path></target></volume></pool>"""
PATH, VOLUME = "/images/web.img", "p/web.img"
SOURCES = {
    "by-path": ("file", f"file='{PATH}'"),
    "by-volume": ("volume", "pool='p' volume='web.img'"),
    "by-volume-too": ("volume", "pool='p' volume='web.img'"),
    "elsewhere": ("volume", "pool='gone' volume='web.img'"),
}


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[LibvirtHost]:
    guests = [
        GUEST.format(name=name, number=number, kind=kind, source=source)
        for number, (name, (kind, source)) in enumerate(SOURCES.items())
    ]
    (tmp_path / "node.xml").write_text(f"<node>{''.join(guests)}{POOL}</node>")
    host = LibvirtHost(f"test://{tmp_path}/node.xml", "test")
    await host.open()
    yield host
    await host.close()


async def facts_of(host: LibvirtHost, name: str) -> DomainFacts:
    return next(facts for facts in await host.list_domains() if facts.name == name)


async def test_a_volume_is_known_by_its_name_and_its_path(host: LibvirtHost) -> None:
    names = {facts.name: await image_names(host, facts.disks) for facts in await host.list_domains()}
    assert names == {
        "by-path": {PATH},
        "by-volume": {VOLUME, PATH},
        "by-volume-too": {VOLUME, PATH},
        "elsewhere": {"gone/web.img"},
    }


@pytest.mark.parametrize(
    ("name", "disk", "others"),
    [
        (
            "by-path",
            PlannedDisk("vda", PATH, ImageFormat.RAW, f"{PATH}.overlay"),
            ("by-volume", "by-volume-too"),
        ),
        (
            "by-volume",
            PlannedDisk("vda", PATH, ImageFormat.RAW, f"{PATH}.overlay", DiskKind.VOLUME, VOLUME),
            ("by-path", "by-volume-too"),
        ),
    ],
)
async def test_an_image_shared_under_another_name_is_found(
    host: LibvirtHost, name: str, disk: PlannedDisk, others: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = await facts_of(host, name)

    async def no_job(uuid: str, target: str) -> None:
        """The test driver knows no block jobs."""

    monkeypatch.setattr(host, "block_job", no_job)
    users = await evidence.users_of_images(host, facts.uuid)
    image = await evidence._image(host, FileReach(), facts, disk, {}, users)
    assert sorted(image.shared_with) == list(others)
    domains = await host.list_domains()
    named = {each.name: await image_names(host, each.disks) for each in domains if each.name != name}
    seen = scan._disk_evidence(disk, facts, {}, named, (), overlay_exists=True)
    assert sorted(seen.base_users) == list(others)
