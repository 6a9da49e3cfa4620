from pathlib import Path
from xml.etree.ElementTree import Element, fromstring

import pytest

from tui.lab.domain import GuestPlace, console_pty, domain_xml
from tui.lab.spec import MIB, UEFI_MEMORY_MIB, DiskFormat, DiskRole, DiskSpec, GuestSpec, data_folders

UUID = "6a0d7a7c-7f54-4d5e-9d0e-0f5a2c3f8a11"
DATA = DiskSpec(DiskFormat.RAW, 16 * MIB, DiskRole.DATA)


def made(spec: GuestSpec, *, with_channel: bool = True) -> Element:
    disks = tuple(Path(f"/lab/{number}") for number in range(len(spec.disks)))
    place = GuestPlace(UUID, Path("/lab/vmlinuz"), Path("/lab/initrd"), Path("/lab/console"), disks, Path("/lab/vars"))
    return fromstring(domain_xml(spec, place, with_channel=with_channel))


def test_disks_are_named_in_order_with_their_formats_and_files() -> None:
    disks = made(GuestSpec("db1", disks=(DiskSpec(), DATA))).findall("./devices/disk")
    seen = [[disk.find(tag).get(name) for tag, name in WHERE] for disk in disks]  # type: ignore[union-attr]
    assert seen == [["vda", "qcow2", "/lab/0"], ["vdb", "raw", "/lab/1"]]


WHERE = (("target", "dev"), ("driver", "type"), ("source", "file"))


def test_the_channel_is_there_only_where_wanted_and_the_controller_by_itself() -> None:
    spec = GuestSpec("bare")
    assert made(spec).find("./devices/channel/target[@name='org.qemu.guest_agent.0']") is not None
    without = made(spec, with_channel=False)
    assert without.find("./devices/channel") is None
    assert without.find("./devices/controller[@type='virtio-serial']") is not None
    neither = made(GuestSpec("old", virtio_serial_controller=False), with_channel=False)
    assert neither.find("./devices/controller[@type='virtio-serial']") is None


def test_emulation_is_asked_for_and_the_timer_checks_are_off() -> None:
    domain = made(GuestSpec("web1", kernel_args=("panic=0",)))
    words = domain.findtext("./os/cmdline", "").split()
    assert domain.get("type") == "qemu"
    assert domain.findtext("uuid") == UUID
    assert {"no_timer_check", "tsc=reliable"} <= set(words)
    assert words[-1] == "panic=0"


def test_extra_devices_are_kept_as_they_are() -> None:
    assert (
        made(GuestSpec("web1", extra_devices=("<panic model='isa'/>",))).find("./devices/panic[@model='isa']")
        is not None
    )


def test_the_console_is_found_in_the_live_xml_alone() -> None:
    live = "<domain><devices><serial type='pty'><source path='/dev/pts/7'/></serial></devices></domain>"
    assert console_pty(live) == "/dev/pts/7"
    assert console_pty("<domain><devices><serial type='pty'/></devices></domain>") == ""


def test_data_disks_are_mounted_in_order_and_blank_ones_are_not() -> None:
    blank = DiskSpec(DiskFormat.RAW, MIB, DiskRole.BLANK)
    assert data_folders(GuestSpec("x", disks=(DiskSpec(), DATA, blank, DATA))) == {"vdb": "/data", "vdd": "/data2"}


@pytest.mark.parametrize("disks", [(), (DATA,), (DiskSpec(), DiskSpec()), (DiskSpec(size=MIB),)])
def test_a_guest_has_one_system_disk_of_sufficient_size_and_it_is_the_first(disks: tuple[DiskSpec, ...]) -> None:
    with pytest.raises(ValueError, match="system disk"):
        GuestSpec("x", disks=disks)


def test_a_name_that_cannot_be_a_host_name_is_refused() -> None:
    with pytest.raises(ValueError, match="host name"):
        GuestSpec("../x")


def test_a_guest_with_uefi_has_variables_of_its_own() -> None:
    nvram = made(GuestSpec("uefi1", memory_mib=UEFI_MEMORY_MIB, uefi=True)).find("./os/nvram")
    assert nvram is not None
    assert nvram.text == "/lab/vars"
    assert nvram.get("template", "").endswith(".fd")
    assert made(GuestSpec("web1")).find("./os/nvram") is None
    with pytest.raises(ValueError, match="UEFI"):
        GuestSpec("uefi1", memory_mib=128, uefi=True)
