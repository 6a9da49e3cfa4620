"""Every `<disk>` of a definition is in the plan or named as left out, whatever it looks like: nothing is dropped."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui.backup.plan import DiskKind
from tui.backup.selection import REMOVABLE, choices_of
from tui.hosts.domain_xml import read_definition
from tui.model.disk import Disk

WORDS = st.text("abcdefghij", min_size=1, max_size=8)
TYPES = st.sampled_from(("file", "block", "volume", "network", "nvme", "vhostuser", "vhostvdpa", "dir")) | WORDS
DEVICES = st.sampled_from(("disk", "lun", "cdrom", "floppy", ""))
FORMATS = st.sampled_from(("raw", "qcow2", "vmdk", "fat", "luks", ""))
NAMES = st.sampled_from(
    (
        {"file": "/i/a.raw"},
        {"file": "/i//a.raw"},
        {"dev": "/dev/vg/a"},
        {"pool": "p", "volume": "v"},
        {"pool": "p", "volume": "v", "mode": "direct"},
        {"protocol": "rbd", "name": "pool/img"},
        {"protocol": "nbd"},
        {"dir": "/i/dir"},
        {"type": "pci", "namespace": "1"},
        {"type": "unix", "path": "/run/s.sock"},
        {"startupPolicy": "optional"},
        {"file": ""},
        {},
    )
)
INSIDE = st.sampled_from(("slices", "encryption", "reservations", "dataStore", "auth", "host", ""))
BESIDE = st.sampled_from(("readonly", "shareable", "transient", "encryption", "throttlefilters", "iotune", "mirror"))


@st.composite
def disks(draw: st.DrawFn, target: str) -> ET.Element:
    disk = ET.Element("disk", type=draw(TYPES))
    if device := draw(DEVICES):
        disk.set("device", device)
    if image_format := draw(FORMATS):
        ET.SubElement(disk, "driver", name="qemu", type=image_format)
    below = disk
    for level in range(draw(st.integers(0, 3))):
        if level:
            below = ET.SubElement(below, "backingStore", type=draw(TYPES))
        source = ET.SubElement(below, "source", dict(draw(NAMES)))
        if inside := draw(INSIDE):
            ET.SubElement(source, inside)
    for beside in draw(st.sets(BESIDE, max_size=2)):
        ET.SubElement(disk, beside)
    ET.SubElement(disk, "target", dev=target, bus=draw(st.sampled_from(("virtio", "sd", "usb"))))
    return disk


def read(*elements: ET.Element) -> tuple[Disk, ...]:
    root = ET.Element("domain", type="kvm")
    ET.SubElement(root, "devices").extend(elements)
    return read_definition(ET.tostring(root, encoding="unicode")).disks


@settings(max_examples=400)
@given(st.data(), st.booleans())
def test_a_disk_is_possible_or_has_its_reason_and_only_one_without_a_source_is_empty(
    data: st.DataObject, is_off: bool
) -> None:
    elements = [data.draw(disks(target)) for target in ("vda", "vdb")]
    found = choices_of(read(*elements), is_off=is_off)
    assert [choice.disk.target for choice in found] == ["vda", "vdb"]
    for element, choice in zip(elements, found, strict=True):
        has_source = element.find("source") is not None
        assert choice.disk.is_empty is not has_source
        if choice.possible:
            assert _is_plain(element, is_off=is_off)
        elif has_source and element.get("device") not in REMOVABLE:
            assert choice.worth_a_warning, ET.tostring(element)


def _is_plain(element: ET.Element, *, is_off: bool) -> bool:
    """Whether nothing of what a definition says speaks against a copy of one image, or a chain of local ones."""
    strange = ("readonly", "shareable", "transient", ".//encryption", ".//slices", ".//dataStore")
    driver, source = element.find("driver"), element.find("source")
    types = [element.get("type", ""), *(below.get("type", "") for below in element.iter("backingStore"))]
    return (
        all(element.find(path) is None for path in strange)
        and (is_off or element.find("throttlefilters") is None)
        and driver is not None
        and driver.get("type") in ("raw", "qcow2")
        and source is not None
        and source.get("mode") is None
        and all(each in list(DiskKind) for each in types)
        and element.get("device", "disk") == "disk"
    )


@pytest.mark.parametrize(
    ("xml", "reason"),
    [
        (
            (
                "<disk type='network' device='disk'><driver type='raw'/><source protocol='nbd'>"
                "<host transport='unix' socket='/run/d.sock'/></source><target dev='vdb'/></disk>"
            ),
            "a disk of type network is not supported yet",
        ),
        (
            (
                "<disk type='nvme' device='disk'><driver type='raw'/><source type='pci' namespace='1'>"
                "<address domain='0' bus='1' slot='0' function='0'/></source><target dev='vdb'/></disk>"
            ),
            "a disk of type nvme is not supported yet",
        ),
        (
            (
                "<disk type='vhostuser' device='disk'><driver type='raw'/><source type='unix' path='/run/v.sock'/>"
                "<target dev='vdb'/></disk>"
            ),
            "a disk of type vhostuser is not supported yet",
        ),
        (
            (
                "<disk type='vhostvdpa' device='disk'><driver type='raw'/><source dev='/dev/vhost-vdpa-0'/>"
                "<target dev='vdb'/></disk>"
            ),
            "a disk of type vhostvdpa is not supported yet",
        ),
        (
            (
                "<disk type='file' device='disk'><driver type='raw'/><source file='/d/s.raw'><slices>"
                "<slice type='storage' offset='1048576' size='8388608'/></slices></source><target dev='vdb'/></disk>"
            ),
            "a slice of a file is not supported yet",
        ),
        (
            (
                "<disk type='file' device='disk'><driver type='qcow2'/><source file='/d/o.qcow2'/><backingStore "
                "type='network'><format type='raw'/><source protocol='nbd'/></backingStore><target dev='vdb'/></disk>"
            ),
            "it lies on an image on the network, which is not supported yet",
        ),
        (
            (
                "<disk type='file' device='disk'><driver type='qcow2'/><source file='/d/o.qcow2'/><backingStore "
                "type='file'><format type='qcow2'/><source file='/d/b'><encryption format='luks'/></source>"
                "</backingStore><target dev='vdb'/></disk>"
            ),
            "encrypted images are not supported yet",
        ),
        (
            "<disk type='file' device='floppy'><driver type='raw'/><source file='/d/f.img'/><target dev='vdb'/></disk>",
            "a floppy that the guest may write to",
        ),
    ],
)
def test_what_cannot_be_saved_is_named_with_its_reason(xml: str, reason: str) -> None:
    (choice,) = choices_of(read(ET.fromstring(xml)))
    assert (choice.possible, choice.reason, choice.worth_a_warning) == (False, reason, True)


def test_throttle_filters_forbid_the_block_jobs_of_a_guest_that_runs_alone() -> None:
    element = ET.fromstring(
        "<disk type='file' device='disk'><driver type='raw'/><source file='/d/a.raw'/><target dev='vdb'/>"
        "<throttlefilters><throttlefilter group='g'/></throttlefilters></disk>"
    )
    assert not choices_of(read(element))[0].possible
    assert choices_of(read(element), is_off=True)[0].possible


def test_only_a_drive_without_a_source_is_an_empty_one() -> None:
    empty = ET.fromstring("<disk type='file' device='disk'><driver type='raw'/><target dev='vdb'/></disk>")
    (choice,) = choices_of(read(empty))
    assert (choice.possible, choice.reason, choice.worth_a_warning) == (False, "no medium in it", False)
