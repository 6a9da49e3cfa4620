"""What a domain's XML says, as values of the model."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass

from tui.model.disk import Disk, DiskTrait
from tui.model.errors import ExplainedError
from tui.model.guest import Channel

AGENT_PORT = "org.qemu.guest_agent.0"
"""The one channel name libvirt takes for the agent's (src/conf/domain_conf.c)."""

LIBOSINFO = "http://libosinfo.org/xmlns/libvirt/domain/1.0"
_LOCAL = ("file", "block", "volume")
"""The types of images that are a file, a device or a volume of this host."""
XML_LIMIT = 4 * 1024 * 1024
"""Characters; libvirt's RPC carries no longer string (VIR_NET_MESSAGE_STRING_MAX)."""


class MalformedXmlError(ExplainedError):
    """A definition could not be read as XML."""


@dataclass(frozen=True, slots=True)
class Definition:
    """The part of a domain's definition that the program uses; `memory_bytes` is the current balloon's target."""

    name: str
    uuid: str
    channel: Channel
    has_virtio_serial: bool
    disks: tuple[Disk, ...]
    memory_bytes: int = 0
    vcpus: int = 0
    os_hint: str = ""


def parse_tree(xml: str) -> ET.Element:
    """The root element; raises MalformedXmlError. Entity bombs are bounded by expat itself (2.4.1 and newer)."""
    if len(xml) > XML_LIMIT:
        raise MalformedXmlError("The domain's XML is too long", cause=f"{len(xml)} characters")
    try:
        return ET.fromstring(xml)  # noqa: S314 - bounded above and by expat
    except ET.ParseError as error:
        raise MalformedXmlError("The domain's XML cannot be read", cause=str(error), original=xml[:2000]) from error


def read_definition(xml: str) -> Definition:
    """Read a `<domain>`; raises MalformedXmlError where there is none."""
    root = parse_tree(xml)
    if root.tag != "domain":
        raise MalformedXmlError("The XML describes no domain", cause=f"its root is <{root.tag}>", original=xml[:2000])
    return Definition(
        name=root.findtext("name", ""),
        uuid=root.findtext("uuid", ""),
        channel=_channel(root),
        has_virtio_serial=root.find("./devices/controller[@type='virtio-serial']") is not None,
        disks=tuple(_disk(element) for element in root.findall("./devices/disk")),
        memory_bytes=_bytes(root.find("currentMemory")) or _bytes(root.find("memory")),
        vcpus=_vcpus(root.find("vcpu")),
        os_hint=_attribute(root.find(f"./metadata//{{{LIBOSINFO}}}os"), "id"),
    )


def channel_elements(xml: str) -> tuple[str, ...]:
    """The lines of a definition's `<channel>` elements, the outermost ones not indented."""
    lines: list[str] = []
    for element in parse_tree(xml).findall("./devices/channel"):
        ET.indent(element)
        lines.extend(line.rstrip() for line in ET.tostring(element, encoding="unicode").splitlines() if line.strip())
    return tuple(lines)


def _channel(root: ET.Element) -> Channel:
    target = root.find(f"./devices/channel/target[@type='virtio'][@name='{AGENT_PORT}']")
    if target is None:
        return Channel.ABSENT
    states = {"connected": Channel.OPEN, "disconnected": Channel.CLOSED}
    return states.get(target.get("state", ""), Channel.UNKNOWN)


def _disk(element: ET.Element) -> Disk:
    target, driver, mirror = element.find("target"), element.find("driver"), element.find("mirror")
    return Disk(
        target=_attribute(target, "dev"),
        bus=_attribute(target, "bus"),
        device=element.get("device", "disk"),
        source_type=element.get("type", ""),
        source=_source_name(element),
        format=_attribute(driver, "type"),
        readonly=element.find("readonly") is not None,
        shareable=element.find("shareable") is not None,
        transient=element.find("transient") is not None,
        encrypted=_is_encrypted(element),
        backing=_backing(element),
        base_format=_attribute(element.find("backingStore/format"), "type"),
        mirror_job=_attribute(mirror, "job"),
        mirror_ready=_attribute(mirror, "ready") == "yes",
        is_empty=element.find("source") is None,
        traits=frozenset(_traits(element)),
    )


def _images(element: ET.Element) -> Iterator[ET.Element]:
    """A disk and the images below it, each as the element that has its `<source>`; a mirror is none of them."""
    image: ET.Element | None = element
    while image is not None:
        yield image
        image = image.find("backingStore")


def _is_encrypted(element: ET.Element) -> bool:
    """libvirt takes the element below the disk (old) or below any image's source."""
    return any(
        image.find(path) is not None for image in _images(element) for path in ("encryption", "source/encryption")
    )


def _traits(element: ET.Element) -> Iterator[DiskTrait]:
    images = tuple(_images(element))
    if any(image.find("source/slices") is not None for image in images):
        yield DiskTrait.SLICE
    if any(image.find("dataStore") is not None or image.find("source/dataStore") is not None for image in images):
        yield DiskTrait.DATA_FILE
    if any(below.find("source") is not None and below.get("type") not in _LOCAL for below in images[1:]):
        yield DiskTrait.NETWORK_BELOW
    if element.find("throttlefilters") is not None:
        yield DiskTrait.THROTTLED
    if _attribute(element.find("source"), "mode") == "direct":
        yield DiskTrait.OVER_NETWORK


def _backing(element: ET.Element) -> tuple[str, ...]:
    names: list[str] = []
    below = element.find("backingStore")
    while below is not None and below.find("source") is not None:
        names.append(_source_name(below))
        below = below.find("backingStore")
    return tuple(names)


def _source_name(element: ET.Element) -> str:
    source = element.find("source")
    if source is None:
        return ""
    if source.get("pool") is not None:
        return f"{source.get('pool', '')}/{source.get('volume', '')}"
    return source.get("file") or source.get("dev") or source.get("name") or source.get("dir") or ""


def _attribute(element: ET.Element | None, name: str) -> str:
    return "" if element is None else element.get(name, "")


UNITS = {"b": 1, "bytes": 1, "k": 2**10, "kib": 2**10, "kb": 10**3, "m": 2**20, "mib": 2**20, "mb": 10**6}
UNITS |= {"g": 2**30, "gib": 2**30, "gb": 10**9, "t": 2**40, "tib": 2**40, "tb": 10**12}


def _bytes(element: ET.Element | None) -> int:
    if element is None or not (element.text or "").strip().isdecimal():
        return 0
    return int((element.text or "").strip()) * UNITS.get(element.get("unit", "KiB").lower(), 2**10)


def _vcpus(element: ET.Element | None) -> int:
    if element is None:
        return 0
    count = element.get("current") or (element.text or "").strip()
    return int(count) if count.isdecimal() else 0
