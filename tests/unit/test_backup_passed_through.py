"""What is on no disk of the definition and may hold data all the same is missed by name."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.backup_values import a_plan
from tests.unit.test_backup_preflight import WELL
from tui.backup import passed_through as module
from tui.backup.checks import Verdict
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
HARMLESS = """<filesystem type='ram'><source usage='1'/><target dir='t'/></filesystem>
<hostdev mode='subsystem' type='usb'><source><vendor id='0x1'/></source></hostdev>
<hostdev mode='subsystem' type='mdev'><source><address uuid='x'/></source></hostdev>
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
