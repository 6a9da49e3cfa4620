"""What a domain's XML says that bears on the agent: its channels, controllers, drives and hints of its system."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass

from tui.hosts.domain_xml import AGENT_PORT, parse_tree

CHANNEL_XML = f"<channel type='unix'><target type='virtio' name='{AGENT_PORT}'/></channel>"
"""The channel as a user would write it; libvirt chooses path and address."""


@dataclass(frozen=True, slots=True)
class PortDevice:
    """A `<channel>` or `<serial>`: what it leads to on the host, and `xml`, its own words."""

    element: str
    source: str
    target: str
    name: str
    state: str
    path: str
    alias: str
    xml: str


@dataclass(frozen=True, slots=True)
class Definition:
    """One definition of a domain, the running or the stored one.

    `os_url` is libosinfo's name of the system, as virt-install and virt-manager leave it; `looks_windows` a guess from
    Hyper-V features and drives.
    """

    ports: tuple[PortDevice, ...]
    has_controller: bool
    has_panic_device: bool
    cdroms: tuple[tuple[str, str], ...]
    os_url: str
    looks_windows: bool

    @property
    def agent_channels(self) -> tuple[PortDevice, ...]:
        """The virtio channels of the agent's name."""
        return tuple(port for port in self.ports if port.target == "virtio" and port.name == AGENT_PORT)

    @property
    def misnamed_channels(self) -> tuple[PortDevice, ...]:
        """Virtio channels whose name was meant to be the agent's."""
        return tuple(
            port
            for port in self.ports
            if port.element == "channel" and port.name != AGENT_PORT and _meant_for_agent(port.name)
        )

    @property
    def serial_sockets(self) -> tuple[PortDevice, ...]:
        """Serial ports behind which a program on the host can sit."""
        return tuple(port for port in self.ports if port.element == "serial" and port.source in {"unix", "tcp", "udp"})


def _meant_for_agent(name: str) -> bool:
    plain = name.lower().replace("-", "_")
    return any(word in plain for word in ("guest_agent", "guestagent", "qemu_ga", "qga"))


def read_definition(xml: str) -> Definition:
    """Read a `<domain>`; raises MalformedXmlError."""
    root = parse_tree(xml)
    devices = root.findall("./devices/channel") + root.findall("./devices/serial")
    disks = root.findall("./devices/disk[@device='cdrom']")
    cdroms = tuple((_attribute(disk.find("target"), "dev"), _medium(disk)) for disk in disks)
    windows = root.find("./features/hyperv") is not None or any("virtio-win" in medium for _, medium in cdroms)
    return Definition(
        ports=tuple(_port(element) for element in devices),
        has_controller=root.find("./devices/controller[@type='virtio-serial']") is not None,
        has_panic_device=root.find("./devices/panic") is not None,
        cdroms=cdroms,
        os_url=_os_url(root),
        looks_windows=windows,
    )


def _port(element: ET.Element) -> PortDevice:
    target, source = element.find("target"), element.find("source")
    fragment = ET.tostring(element, encoding="unicode").strip()
    return PortDevice(
        element=element.tag,
        source=element.get("type", ""),
        target=_attribute(target, "type"),
        name=_attribute(target, "name"),
        state=_attribute(target, "state"),
        path=_attribute(source, "path"),
        alias=_attribute(element.find("alias"), "name"),
        xml=" ".join(fragment.split()),
    )


def _medium(disk: ET.Element) -> str:
    source = disk.find("source")
    return "" if source is None else source.get("file") or source.get("dev") or source.get("volume") or ""


def _os_url(root: ET.Element) -> str:
    metadata = root.find("metadata")
    if metadata is None:
        return ""
    named = [element for element in metadata.iter() if "libosinfo" in element.tag and element.tag.endswith("}os")]
    return named[0].get("id", "") if named else ""


def _attribute(element: ET.Element | None, name: str) -> str:
    return "" if element is None else element.get(name, "")
