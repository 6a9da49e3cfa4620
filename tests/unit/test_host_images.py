"""Which domains use a file, by whatever name and however deep: real images, libvirt's test driver."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tui.backup import host_images
from tui.backup.host_images import ImageUsers, find_image_users
from tui.backup.image_references import references_of
from tui.hosts.libvirt_host import LibvirtHost
from tui.hosts.port import Host

DOMAIN = """<domain type='test'><name>{name}</name><uuid>{uuid}</uuid><memory>65536</memory>
<os><type>hvm</type></os><devices>{disks}</devices></domain>"""
DISK = """<disk type='file' device='{device}'>{driver}<source file='{path}'/>
<target dev='{target}' bus='virtio'/></disk>"""


def qcow2(path: Path, *options: str) -> Path:
    subprocess.run(["qemu-img", "create", "-q", "-u", "-f", "qcow2", *options, path, "1M"], check=True, cwd=path.parent)
    return path


def uuid_of(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012}"


def a_disk(path: Path | str, image_format: str = "qcow2", device: str = "disk", target: str = "vda") -> str:
    driver = f"<driver name='qemu' type='{image_format}'/>" if image_format else ""
    return DISK.format(driver=driver, path=path, device=device, target=target)


async def users(folder: Path, guests: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> ImageUsers:
    """What is found on a host whose domains, all off, have these disks; its files are taken for this machine's."""

    async def here(host: Host, paths: object = ()) -> str:
        return ""

    monkeypatch.setattr(host_images, "why_not_here", here)
    xml = "".join(
        DOMAIN.format(name=name, uuid=uuid_of(number), disks=disks)
        for number, (name, disks) in enumerate(guests.items())
    )
    state = "xmlns:test='http://libvirt.org/schemas/domain/test/1.0'"
    xml = xml.replace("<domain ", f"<domain {state} ").replace(
        "</devices>", "</devices><test:runstate>5</test:runstate>"
    )
    (folder / "node.xml").write_text(f"<node>{xml}</node>")
    host = LibvirtHost(f"test://{folder}/node.xml", "test")
    await host.open()
    try:
        return await find_image_users(host)
    finally:
        await host.close()


CHAINS: Mapping[str, Callable[[Path], tuple[str, ...]]] = {
    "by its path": lambda base: ("-F", "qcow2", "-b", str(base)),
    "by a relative name": lambda base: ("-F", "qcow2", "-b", base.name),
    "by a name with detours": lambda base: ("-F", "qcow2", "-b", f"{base.parent}//./{base.name}"),
    "as file:": lambda base: ("-F", "qcow2", "-b", f"file:{base}"),
    "as json:": lambda base: (
        *("-F", "qcow2", "-b"),
        f'json:{{"driver":"qcow2","file":{{"driver":"file","filename":"{base}"}}}}',
    ),
    "as flat json:": lambda base: ("-F", "qcow2", "-b", f'json:{{"driver":"qcow2","file.filename":"{base}"}}'),
    "of no stated format": lambda base: ("-F", "qcow2", "-b", str(base)),
    "as its data file": lambda base: ("-o", f"data_file={base},data_file_raw=on"),
    "in an old header": lambda base: ("-o", "compat=0.10", "-F", "qcow2", "-b", str(base)),
    "by a link": lambda base: ("-F", "qcow2", "-b", str(base.parent / "link.qcow2")),
    "by a hard link": lambda base: ("-F", "qcow2", "-b", str(base.parent / "hard.qcow2")),
}


@pytest.mark.parametrize("how", CHAINS)
async def test_a_guest_that_is_off_uses_what_its_image_lies_on(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = qcow2(tmp_path / "base.qcow2")
    (tmp_path / "link.qcow2").symlink_to(base)
    (tmp_path / "hard.qcow2").hardlink_to(base)
    below = base
    if how == "as its data file":
        below = tmp_path / "data.raw"
    middle = qcow2(tmp_path / "middle.qcow2", *CHAINS[how](below))
    if how == "of no stated format":
        middle.write_bytes(middle.read_bytes().replace(b"\xe2\x79\x2a\xca", b"\x12\x34\x56\x78"))
        assert references_of(str(middle)).backing_format == ""
    top = qcow2(tmp_path / "top.qcow2", "-F", "qcow2", "-b", str(middle))
    found = await users(tmp_path, {"first": a_disk(below), "clone": a_disk(top)}, monkeypatch)
    assert found.others_of(str(below), uuid_of(0)) == ("clone",)
    assert found.others_of(f"{tmp_path}/./{below.name}", uuid_of(0)) == ("clone",)
    assert found.above(str(below), uuid_of(1)) == ("vda",)
    assert found.above(str(below), uuid_of(0)) == ()
    assert found.unknown == ()


async def test_what_cannot_be_followed_is_not_known_and_never_unused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "torn").write_bytes(b"QFI\xfb\0\0\0\3\0\0\0\0\0\xff\0\0\0\0\0\xff" + bytes(100))
    loop = qcow2(tmp_path / "loop", "-F", "qcow2", "-b", "loop")
    (tmp_path / "own").symlink_to(tmp_path / "own")
    guests = {
        "gone": a_disk(tmp_path / "gone.qcow2"),
        "orphan": a_disk(qcow2(tmp_path / "orphan", "-F", "qcow2", "-b", "/nowhere/base")),
        "pipe": a_disk(tmp_path / "pipe"),
        "torn": a_disk(tmp_path / "torn"),
        "loop": a_disk(loop),
        "own": a_disk(tmp_path / "own"),
        "vmdk": a_disk(tmp_path / "x.vmdk", "vmdk"),
        "volume": "<disk type='volume'><driver type='qcow2'/><source pool='no' volume='v'/><target dev='vda'/></disk>",
    }
    known = {
        "raw": a_disk(tmp_path / "gone.raw", "raw"),
        "network": a_disk(qcow2(tmp_path / "net", "-F", "raw", "-b", "nbd+unix:///x?socket=/s")),
        "vdi": a_disk(tmp_path / "gone.vdi", "vdi"),
        "drive": a_disk(tmp_path / "gone.iso", "", "cdrom", "sda"),
        "empty": "<disk type='file' device='cdrom'><target dev='sda' bus='sata'/></disk>",
    }
    found = await users(tmp_path, {**guests, **known}, monkeypatch)
    assert {each.guest for each in found.unknown} == set(guests)
    assert all(each.why and each.target == "vda" for each in found.unknown)


async def test_images_of_another_machine_are_not_followed_here(tmp_path: Path) -> None:
    base = qcow2(tmp_path / "base.qcow2")
    top = qcow2(tmp_path / "top.qcow2", "-F", "qcow2", "-b", str(base))
    with pytest.MonkeyPatch.context() as patch:
        found = await users(tmp_path, {"clone": a_disk(top)}, patch)
        assert found.unknown == ()

        async def elsewhere(host: Host, paths: object = ()) -> str:
            return "its daemon is on another machine"

        host = LibvirtHost(f"test://{tmp_path}/node.xml", "test")
        await host.open()
        patch.setattr(host_images, "why_not_here", elsewhere)
        found = await find_image_users(host)
        await host.close()
    assert found.uses_of(str(top))[0].guest == "clone"
    (unknown,) = found.unknown
    assert "another machine" in unknown.words


def test_a_header_names_what_qemu_img_says_it_does(tmp_path: Path) -> None:
    qcow2(tmp_path / "base.qcow2")
    image = qcow2(tmp_path / "top.qcow2", "-F", "qcow2", "-b", "base.qcow2")
    named = references_of(str(image))
    assert (named.backing, named.backing_format, named.data_file) == (str(tmp_path / "base.qcow2"), "qcow2", "")
