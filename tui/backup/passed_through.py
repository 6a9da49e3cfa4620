"""What a guest keeps its data on that is no disk of its definition: folders, devices and memory of its host."""

from __future__ import annotations

import os
import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tui.backup.qemu_arguments import named_by_arguments
from tui.hosts.domain_xml import parse_tree

USB_DEVICES = Path("/sys/bus/usb/devices")
_HARMLESS_USB = frozenset({"01", "03", "09", "0b", "0e", "e0"})
"""Classes of USB interfaces without storage: sound, input, hub, smart card, video, radio (usb.org, defined classes)."""
MEDIATED_DEVICES = Path("/sys/bus/mdev/devices")
PCI_DEVICES = Path("/sys/bus/pci/devices")
_STORAGE_CLASS = 0x01
"""The upper byte of a PCI class: mass storage controllers."""
_PLACE = ("domain", "bus", "slot", "function")


@dataclass(frozen=True, slots=True)
class PassedThrough:
    """Something that may hold data and is not copied; `name` is what it is accepted by."""

    name: str
    reason: str


def passed_through(xml: str, *, is_local: bool) -> tuple[PassedThrough, ...]:
    """All of a definition, in its order; blocks for a look at PCI devices of this host. Raises MalformedXmlError."""
    root, seen, found = parse_tree(xml), Counter[str](), list[PassedThrough]()
    for kind, reason in (
        *_folders(root),
        *_devices(root, is_local=is_local),
        *_memories(root),
        *_stores(root),
        *(("commandline", f"what QEMU is given past libvirt: {words}") for words in named_by_arguments(root)),
    ):
        seen[kind] += 1
        found.append(PassedThrough(kind if seen[kind] == 1 else f"{kind}-{seen[kind]}", reason))
    return tuple(found)


def _folders(root: ET.Element) -> Iterator[tuple[str, str]]:
    for element in root.findall("./devices/filesystem"):
        if element.get("type", "mount") != "ram":
            where = _first_word(element.find("source"))
            tag = _first_word(element.find("target"))
            yield "filesystem", f"the host's {where or 'folder'}, which the guest sees as {tag or 'a file system'}"


def _devices(root: ET.Element, *, is_local: bool) -> Iterator[tuple[str, str]]:
    for element in root.findall("./devices/hostdev"):
        kind = element.get("type", "")
        source = element.find("source")
        if kind in ("scsi", "scsi_host"):
            yield "hostdev", f"the host's SCSI device {_scsi_words(source)}, with whatever is on it"
        elif kind == "pci":
            place = _pci_place(source.find("address") if source is not None else None)
            is_storage = _is_storage(place) if is_local else None
            if is_storage is not False:
                what = "storage controller" if is_storage else "PCI device"
                yield "hostdev", f"the host's {what} {place or 'of an unknown place'}, with whatever is on it"
        elif kind == "usb":
            where, holds_data = _usb_device(source, is_local=is_local)
            if holds_data:
                yield "hostdev", f"the host's USB device {where}, with whatever is on it"
        elif kind == "mdev":
            uuid = _address(source, "uuid")
            if is_local and element.get("model") == "vfio-pci" and _is_storage(_mediated_by(uuid)) is False:
                continue
            yield "hostdev", f"the host's mediated device {uuid} ({element.get('model', '')}), with whatever is on it"
        elif kind not in ("net", ""):
            yield "hostdev", f"the host's {kind} device {_text_below(source)}, with whatever is on it"
        elif kind == "":
            yield "hostdev", f"a device of the host, of a kind that is not known: {element.get('mode', '')}"


def _address(source: ET.Element | None, name: str) -> str:
    address = source.find("address") if source is not None else None
    return address.get(name, "") if address is not None else ""


def _mediated_by(uuid: str) -> str:
    """The PCI device of this host that a mediated device is a part of, as the kernel names it."""
    return Path(os.path.realpath(MEDIATED_DEVICES / uuid)).parent.name if uuid else ""


def _text_below(source: ET.Element | None) -> str:
    """The path of a device that a container is given, as an element's text."""
    texts = (each.text or "" for each in source) if source is not None else ()
    return next((text.strip() for text in texts if text.strip()), "")


def _usb_device(source: ET.Element | None, *, is_local: bool) -> tuple[str, bool]:
    """How a definition names a USB device, and whether it may hold data: one that is seen to be none of storage not."""
    vendor, product = (_element_id(source, tag) for tag in ("vendor", "product"))
    bus, device = _address(source, "bus"), _address(source, "device")
    where = f"{vendor}:{product}" if vendor or product else f"bus {bus or '?'}, device {device or '?'}"
    classes = _usb_classes(vendor, product, bus, device) if is_local else frozenset[str]()
    return where, not classes or not classes <= _HARMLESS_USB


def _element_id(source: ET.Element | None, tag: str) -> str:
    element = source.find(tag) if source is not None else None
    return element.get("id", "").lower().removeprefix("0x") if element is not None else ""


def _usb_classes(vendor: str, product: str, bus: str, device: str) -> frozenset[str]:
    """The classes of the interfaces of a USB device of this host; none where it is not plugged in (sysfs)."""
    found: set[str] = set()
    for place in USB_DEVICES.glob("*/idVendor"):
        folder = place.parent
        names = {"idVendor": vendor, "idProduct": product, "busnum": bus, "devnum": device}
        if all(_same_number(_said(folder / name), wanted) for name, wanted in names.items() if wanted):
            found |= {_said(each) for each in folder.glob("*/bInterfaceClass")}
    return frozenset(found)


def _same_number(one: str, other: str) -> bool:
    return one.lower().lstrip("0") == other.lower().lstrip("0")


def _said(path: Path) -> str:
    try:
        return path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _memories(root: ET.Element) -> Iterator[tuple[str, str]]:
    for element in root.findall("./devices/memory"):
        path = element.findtext("./source/path", "")
        model = element.get("model", "")
        if path:
            yield model or "memory", f"what the guest keeps in lasting memory: {path}"


def _stores(root: ET.Element) -> Iterator[tuple[str, str]]:
    """What firmware and kernels keep: a store of the last messages, and UEFI variables that are no file."""
    for element in root.findall("./devices/pstore"):
        yield "pstore", f"what the guest's kernel keeps of its last messages: {element.findtext('./path', '')}"
    for element in root.findall("./os/varstore"):
        yield "varstore", f"the UEFI variables in {element.get('path', '') or 'a store of libvirt'}"
    nvram = root.find("./os/nvram")
    kind = nvram.get("type", "file") if nvram is not None else "file"
    if kind != "file":
        yield "nvram", f"the UEFI variables, which are no file of the host but of type {kind}"


def _first_word(element: ET.Element | None) -> str:
    return next(iter(element.attrib.values()), "") if element is not None else ""


def _scsi_words(source: ET.Element | None) -> str:
    """How a definition names a device behind an adapter, a target on the network, or a vhost port."""
    if source is None:
        return "of an unknown place"
    adapter, address = source.find("adapter"), source.find("address")
    if adapter is not None and address is not None:
        place = ":".join(address.get(word, "0") for word in ("bus", "target", "unit"))
        return f"{adapter.get('name', '')}:{place}"
    return source.get("name") or source.get("wwpn") or "of an unknown place"


def _pci_place(address: ET.Element | None) -> str:
    """As the kernel names it, such as 0000:01:00.0; empty where the definition tells none."""
    try:
        numbers = [int(address.get(word, "0"), 0) for word in _PLACE] if address is not None else []
    except ValueError:
        return ""
    return "{:04x}:{:02x}:{:02x}.{:x}".format(*numbers) if numbers else ""


def _is_storage(place: str) -> bool | None:
    """Whether a PCI device of this host is a storage controller, None where the kernel does not tell."""
    try:
        said = (PCI_DEVICES / place / "class").read_text("ascii").strip() if place else ""
    except OSError:
        return None
    return int(said, 16) >> 16 == _STORAGE_CLASS if re.fullmatch(r"0x[0-9a-f]{6}", said) else None
