"""A second guest shares nothing that the first one writes to, and is not taken for it."""

import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from tests.corpus.definitions import OWN
from tests.corpus.shared import shared_by
from tests.unit.saved_folder import write_backup
from tui.backup.checks import Verdict
from tui.backup.clone_private import taken_out
from tui.backup.clone_xml import clone_xml
from tui.backup.restore.findings_private import DEVICES, private_findings
from tui.backup.restore.plan import RestorePlan, RestoreWay
from tui.backup.restore.saved import read_saved
from tui.backup.restore.wishes import Wishes

QEMU = "http://libvirt.org/schemas/domain/qemu/1.0"


def domain(devices: str = "", more: str = "") -> str:
    return f"<domain type='qemu' xmlns:qemu='{QEMU}'><name>a</name>{more}<devices>{devices}</devices></domain>"


@pytest.mark.parametrize("path", sorted(OWN.glob("*.xml")), ids=lambda path: path.stem)
def test_a_clone_shares_nothing_with_its_original(path: Path) -> None:
    original = path.read_text("utf-8")

    assert shared_by(original, clone_xml(original, {"vda": "vda.qcow2"})) == ()


@pytest.mark.parametrize(
    ("devices", "what"),
    [
        ("<filesystem><source dir='/srv/pg'/><target dir='pg'/></filesystem>", "without the shared folder pg"),
        (
            "<memory model='nvdimm'><source><path>/srv/pmem</path></source></memory>",
            "without the lasting memory on /srv/pmem",
        ),
        ("<shmem name='ring'><model type='ivshmem-plain'/></shmem>", "without the shared memory ring"),
        ("<input type='evdev'><source dev='/dev/input/event1'/></input>", "without the host's input devices"),
        ("<smartcard mode='host'/>", "without the smart card"),
        ("<smartcard mode='host-certificates' type='spicevmc'/>", "without the smart card"),
        ("<hostdev mode='subsystem' type='pci'/>", "without the host's devices"),
        (
            "<interface type='vhostuser'><source type='unix' path='/run/v.sock'/></interface>",
            "an interface of type user, in place of vhostuser",
        ),
        ("<vsock><cid auto='no' address='4'/></vsock>", "a vsock CID of its own"),
    ],
)
def test_what_is_taken_out_is_told(devices: str, what: str) -> None:
    assert what in [taken.what for taken in taken_out(domain(devices))]


def test_an_ordinary_guest_loses_nothing() -> None:
    devices = """<interface type='network'><source network='default'/><model type='virtio'/></interface>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng><audio id='1' type='none'/>
    <input type='tablet' bus='usb'/><memballoon model='virtio'/>"""

    assert taken_out(domain(devices)) == ()


def test_arguments_about_the_inside_of_a_guest_are_kept() -> None:
    kept = "<qemu:commandline><qemu:arg value='-cpu'/><qemu:arg value='Haswell,+avx2'/></qemu:commandline>"
    taken = "<qemu:commandline><qemu:arg value='-drive'/><qemu:arg value='file=/a.raw,if=none'/></qemu:commandline>"

    assert "Haswell" in clone_xml(domain(more=kept), {})
    assert "a.raw" not in clone_xml(domain(more=taken), {})


def test_a_port_keeps_its_profile_and_not_its_identity() -> None:
    port = "<virtualport type='openvswitch'><parameters interfaceid='09b11c53' profileid='web'/></virtualport>"
    interface = f"<interface type='bridge'><source bridge='br0'/>{port}</interface>"

    parameters = ET.fromstring(clone_xml(domain(interface), {})).find("./devices/interface/virtualport/parameters")

    assert parameters is not None
    assert parameters.attrib == {"profileid": "web"}


def test_an_empty_drive_is_of_a_kind_that_may_be_empty() -> None:
    drive = """<disk type='network' device='cdrom'><driver name='qemu' type='raw'/>
    <source protocol='https' name='a.iso'>
    <host name='mirror'/></source><target dev='sda' bus='sata'/><readonly/></disk>"""

    disk = ET.fromstring(clone_xml(domain(drive), {})).find("./devices/disk")

    assert disk is not None
    assert disk.get("type") == "file"
    assert disk.find("source") is None


def test_a_boot_test_without_a_folder_asks_first(tmp_path: Path) -> None:
    saved = read_saved(write_backup(tmp_path / "backup"))
    folder = "<devices><filesystem><source dir='/srv/pg'/><target dir='pg'/></filesystem>"
    saved = replace(saved, stored_xml=saved.stored_xml.replace("<devices>", folder))
    wishes = Wishes(RestoreWay.BOOT_TEST)
    plan = RestorePlan("0123abcd", "", "", "", RestoreWay.BOOT_TEST, "", "web 1", "web 1-boot-test", saved.uuid, ())

    (asked,) = private_findings(saved, plan, wishes)
    (accepted,) = private_findings(saved, replace(plan, accepted=(DEVICES,)), wishes)

    assert asked.verdict is Verdict.FAILED
    assert "without the shared folder pg" in asked.evidence
    assert accepted.verdict is Verdict.WARNING
    assert list(private_findings(saved, replace(plan, way=RestoreWay.CLONE), wishes)) == []
