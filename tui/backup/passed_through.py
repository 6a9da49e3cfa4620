"""What a guest keeps its data on that is no disk of its definition: folders, devices and memory of its host."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tui.hosts.domain_xml import parse_tree

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
    for kind, reason in (*_folders(root), *_devices(root, is_local=is_local), *_memories(root)):
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


def _memories(root: ET.Element) -> Iterator[tuple[str, str]]:
    for element in root.findall("./devices/memory"):
        path = element.findtext("./source/path", "")
        model = element.get("model", "")
        if path and model in ("nvdimm", "virtio-pmem"):
            yield model, f"what the guest keeps in lasting memory: {path}"


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
