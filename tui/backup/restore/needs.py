"""What a saved definition needs of the host it is restored on. Pure."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass

from tui.backup.boot_files import boot_paths
from tui.backup.selection import REMOVABLE
from tui.backup.tpm import TpmDevice, tpm_device
from tui.hosts.domain_xml import parse_tree


@dataclass(frozen=True, slots=True)
class Needs:
    """What has to be there: `media` and `volumes` by the disk's target (path, and pool); names else as they stand.

    `boot_files` are the kernel and what goes with it, of a guest that does not start from its disks. `cpu_mode` is
    libvirt's word (`custom` with a `cpu_model`), empty where the definition leaves it to libvirt. `boot_disk` is the
    target of the disk that the guest boots from, empty without disks.
    """

    kind: str
    arch: str
    machine: str
    emulator: str
    cpu_mode: str
    cpu_model: str
    loader: str
    boot_files: tuple[str, ...]
    media: dict[str, str]
    volumes: dict[str, str]
    networks: tuple[str, ...]
    bridges: tuple[str, ...]
    host_interfaces: tuple[str, ...]
    has_nvram: bool
    tpm: TpmDevice | None
    has_hostdev: bool
    boot_disk: str = ""


def needs_of(xml: str) -> Needs:
    """What a definition needs; raises MalformedXmlError."""
    root = parse_tree(xml)
    machine = root.find("./os/type")
    cpu = root.find("cpu")
    model = "" if cpu is None else (cpu.findtext("model") or "").strip()
    return Needs(
        kind=root.get("type", ""),
        arch="" if machine is None else machine.get("arch", ""),
        machine="" if machine is None else machine.get("machine", ""),
        emulator=(root.findtext("./devices/emulator") or "").strip(),
        cpu_mode=(cpu.get("mode") or ("custom" if model else "")) if cpu is not None else "",
        cpu_model=model,
        loader=(root.findtext("./os/loader") or "").strip(),
        boot_files=tuple(boot_paths(xml).values()),
        media=_sources(root, "file", ("cdrom", "floppy")),
        volumes=_sources(root, "pool", ("disk", "lun", "cdrom")),
        networks=_interfaces(root, "network"),
        bridges=_interfaces(root, "bridge"),
        host_interfaces=_interfaces(root, "direct"),
        has_nvram=root.find("./os/nvram") is not None,
        tpm=tpm_device(xml),
        has_hostdev=root.find("./devices/hostdev") is not None,
        boot_disk=_boot_disk(root),
    )


def _boot_disk(root: ET.Element) -> str:
    """The disk with the lowest boot order; the first one where none has any."""
    disks = [each for each in root.findall("./devices/disk") if each.get("device", "disk") not in REMOVABLE]
    ordered = [(int(order), each) for each in disks if (order := _attribute(each, "boot", "order")).isdecimal()]
    first = min(ordered, key=lambda pair: pair[0])[1] if ordered else next(iter(disks), None)
    return "" if first is None else _attribute(first, "target", "dev")


def _attribute(element: ET.Element, tag: str, name: str) -> str:
    child = element.find(tag)
    return "" if child is None else child.get(name, "")


def _sources(root: ET.Element, attribute: str, devices: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for element in root.findall("./devices/disk"):
        source, target = element.find("source"), element.find("target")
        if source is None or target is None or element.get("device", "disk") not in devices:
            continue
        if source.get(attribute):
            found[target.get("dev", "")] = source.get(attribute, "")
    return found


def _interfaces(root: ET.Element, kind: str) -> tuple[str, ...]:
    attribute = "dev" if kind == "direct" else kind
    sources = root.findall(f"./devices/interface[@type='{kind}']/source")
    return tuple(dict.fromkeys(source.get(attribute, "") for source in sources if source.get(attribute)))
