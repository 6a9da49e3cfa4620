"""What is on no disk of the definition and may hold data all the same is missed by name."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.backup_values import a_plan
from tests.unit.test_backup_preflight import WELL
from tui.backup import passed_through as module
from tui.backup.checks import Verdict
from tui.backup.nvram import nvram_path
from tui.backup.passed_through import PassedThrough, passed_through
from tui.backup.preflight import RED_TITLE, checks_of, red_list

SCSI = """<hostdev mode='subsystem' type='scsi'><source><adapter name='scsi_host0'/>
<address bus='0' target='1' unit='2'/></source></hostdev>"""
ISCSI = """<hostdev mode='subsystem' type='scsi'><source protocol='iscsi' name='iqn.2014-08.example:t/1'/></hostdev>"""
VHOST = "<hostdev mode='subsystem' type='scsi_host'><source protocol='vhost' wwpn='naa.5123'/></hostdev>"
PCI = """<hostdev mode='subsystem' type='pci' managed='yes'><source>
<address domain='0x0000' bus='0x3b' slot='0x00' function='0x1'/></source></hostdev>"""
SHARE = "<filesystem type='mount'><driver type='virtiofs'/><source dir='/srv/www'/><target dir='www'/></filesystem>"
NVDIMM = "<memory model='nvdimm'><source><path>/nv/web.img</path></source><target><size>1</size></target></memory>"
USB = """<hostdev mode='subsystem' type='usb'><source><vendor id='0x0951'/><product id='0x1666'/></source></hostdev>"""
USB_PLACE = "<hostdev mode='subsystem' type='usb'><source><address bus='2' device='9'/></source></hostdev>"
CHANNEL = "<hostdev mode='subsystem' type='mdev' model='vfio-ccw'><source><address uuid='a-b'/></source></hostdev>"
STORAGE = "<hostdev mode='capabilities' type='storage'><source><block>/dev/sdf1</block></source></hostdev>"
NEW = "<hostdev mode='subsystem' type='cxl'><source/></hostdev>"
PSTORE = "<pstore backend='acpi-erst'><path>/erst/web</path></pstore>"
HARMLESS = """<filesystem type='ram'><source usage='1'/><target dir='t'/></filesystem>
<hostdev mode='capabilities' type='net'><source><interface>eth0</interface></source></hostdev>
<memory model='dimm'><target><size>1</size></target></memory>"""


def of(*devices: str, is_local: bool = True) -> list[tuple[str, str]]:
    xml = f"<domain><devices>{''.join(devices)}</devices></domain>"
    return [(each.name, each.reason) for each in passed_through(xml, is_local=is_local)]


@pytest.mark.parametrize(
    ("device", "name", "words"),
    [
        (SHARE, "filesystem", "the host's /srv/www, which the guest sees as www"),
        (SCSI, "hostdev", "the host's SCSI device scsi_host0:0:1:2, with whatever is on it"),
        (ISCSI, "hostdev", "the host's SCSI device iqn.2014-08.example:t/1, with whatever is on it"),
        (VHOST, "hostdev", "the host's SCSI device naa.5123, with whatever is on it"),
        (NVDIMM, "nvdimm", "what the guest keeps in lasting memory: /nv/web.img"),
        (USB, "hostdev", "the host's USB device 0951:1666, with whatever is on it"),
        (USB_PLACE, "hostdev", "the host's USB device bus 2, device 9, with whatever is on it"),
        (CHANNEL, "hostdev", "the host's mediated device a-b (vfio-ccw), with whatever is on it"),
        (STORAGE, "hostdev", "the host's storage device /dev/sdf1, with whatever is on it"),
        (NEW, "hostdev", "the host's cxl device , with whatever is on it"),
        (PSTORE, "pstore", "what the guest's kernel keeps of its last messages: /erst/web"),
        (NVDIMM.replace("nvdimm", "virtio-pmem"), "virtio-pmem", "what the guest keeps in lasting memory: /nv/web.img"),
    ],
)
def test_each_is_named_with_where_its_data_is(device: str, name: str, words: str) -> None:
    assert of(device) == [(name, words)]
    assert of(HARMLESS) == []


def test_several_of_a_kind_are_told_apart() -> None:
    assert [name for name, _ in of(SHARE, SCSI, SHARE, VHOST, HARMLESS)] == [
        "filesystem",
        "filesystem-2",
        "hostdev",
        "hostdev-2",
    ]


@pytest.mark.parametrize(
    ("pci_class", "words"),
    [
        ("0x010802\n", "the host's storage controller 0000:3b:00.1, with whatever is on it"),
        ("0x030000\n", ""),
        ("rubbish", "the host's PCI device 0000:3b:00.1, with whatever is on it"),
        (None, "the host's PCI device 0000:3b:00.1, with whatever is on it"),
    ],
)
def test_of_pci_devices_only_those_that_store_nothing_are_no_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pci_class: str | None, words: str
) -> None:
    monkeypatch.setattr(module, "PCI_DEVICES", tmp_path)
    if pci_class is not None:
        (tmp_path / "0000:3b:00.1").mkdir()
        (tmp_path / "0000:3b:00.1" / "class").write_text(pci_class)
    assert of(PCI) == ([("hostdev", words)] if words else [])
    # The classes of this machine say nothing of another one's devices.
    assert of(PCI, is_local=False) == [("hostdev", "the host's PCI device 0000:3b:00.1, with whatever is on it")]


def test_a_backup_goes_without_them_only_where_each_is_accepted() -> None:
    evidence = replace(WELL, passed_through=(PassedThrough("filesystem", "a folder"), PassedThrough("nvdimm", "some")))
    assert red_list(a_plan(), evidence) == {"filesystem": "a folder", "nvdimm": "some"}
    plan = replace(a_plan(), accepted=("filesystem",))
    checks = [check for check in checks_of(plan, evidence) if check.title == RED_TITLE]
    assert [check.verdict for check in checks] == [Verdict.WARNING, Verdict.FAILED]
    assert checks[1].next_step.endswith("--accept nvdimm")


@pytest.mark.parametrize(
    ("interfaces", "holds_data"),
    [(("08",), True), (("03", "08"), True), (("03",), False), (("03", "01"), False), (("ff",), True), ((), True)],
)
def test_a_usb_device_that_is_seen_to_store_nothing_is_no_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interfaces: tuple[str, ...], holds_data: bool
) -> None:
    monkeypatch.setattr(module, "USB_DEVICES", tmp_path)
    device = tmp_path / "2-1"
    for number, usb_class in enumerate(interfaces):
        (device / f"2-1:1.{number}").mkdir(parents=True)
        (device / f"2-1:1.{number}" / "bInterfaceClass").write_text(f"{usb_class}\n")
    device.mkdir(exist_ok=True)
    for name, said in (("idVendor", "0951"), ("idProduct", "1666"), ("busnum", "2"), ("devnum", "9")):
        (device / name).write_text(f"{said}\n")
    assert bool(of(USB)) is bool(of(USB_PLACE)) is holds_data
    assert of(USB.replace("1666", "1667"))
    assert of(USB, is_local=False)


@pytest.mark.parametrize("kind", ["network", "block", "volume"])
def test_uefi_variables_that_are_no_file_are_missed_by_name(kind: str) -> None:
    xml = f"<domain><os><nvram type='{kind}'><source dev='/dev/vg/vars' name='a/b'/></nvram></os></domain>"
    assert [each.name for each in passed_through(xml, is_local=True)] == ["nvram"]
    assert nvram_path(xml) == ""
