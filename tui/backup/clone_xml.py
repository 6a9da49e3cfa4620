"""The definition under which a backup starts as a second guest beside the first."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path

from tui.backup.clone_private import make_private
from tui.backup.nvram import NVRAM_FILE
from tui.backup.selection import REMOVABLE
from tui.hosts.domain_xml import AGENT_PORT, parse_tree

DISKS_WORD = "@DISKS@"
"""Stands in the definition for the folder the copies are put in; sed replaces it."""


def clone_name(guest: str) -> str:
    """The second guest's name."""
    return f"{guest}-restored"


def clone_xml(stored: str, copies: Mapping[str, str], *, has_nvram: bool = False) -> str:
    """A definition without anything that only one guest may have; `copies` names the file of each disk by target.

    With `has_nvram` its UEFI variables are the backup's; without, libvirt makes it new ones of the same template. Disks
    that are not in the backup are left out, media are ejected, and every network link is down: the second guest would
    otherwise answer to the first one's address. Raises MalformedXmlError.
    """
    root = parse_tree(stored)
    name = root.find("name")
    if name is not None:
        name.text = clone_name(name.text or "guest")
    for tag in ("uuid", "genid", "seclabel", "metadata"):
        _remove(root, tag)
    make_private(root)
    _own_nvram(root, has_nvram)
    devices = root.find("devices")
    if devices is not None:
        _own_disks(devices, copies)
        _own_network(devices)
        _own_channels(devices)
        _own_displays(devices)
        _own_tpm(devices)
    for element in root.iter():
        _remove(element, "alias")
    return ET.tostring(root, encoding="unicode") + "\n"


def _remove(parent: ET.Element, tag: str) -> None:
    for element in parent.findall(tag):
        parent.remove(element)


def _own_nvram(root: ET.Element, has_copy: bool) -> None:
    boot = root.find("os")
    nvram = boot.find("nvram") if boot is not None else None
    if boot is None or (nvram is None and not has_copy):
        return
    if nvram is None:
        # Firmware that libvirt chooses at the start leaves no trace in the definitions of old versions.
        nvram = ET.SubElement(boot, "nvram")
    nvram.attrib.pop("type", None)
    _remove(nvram, "source")
    nvram.text = f"{DISKS_WORD}/{Path(NVRAM_FILE).name}" if has_copy else None


def _own_disks(devices: ET.Element, copies: Mapping[str, str]) -> None:
    for disk in devices.findall("disk"):
        target = disk.find("target")
        copy = copies.get(target.get("dev", "")) if target is not None else None
        if copy is not None:
            _empty(disk)
            ET.SubElement(disk, "source", file=f"{DISKS_WORD}/{copy}")
            driver = disk.find("driver")
            if driver is None:
                driver = ET.SubElement(disk, "driver", name="qemu")
            driver.set("type", copy.rpartition(".")[2])
        elif disk.get("device") in REMOVABLE:
            _empty(disk)
            for driver in disk.findall("driver[@type='fat']"):
                driver.set("type", "raw")
        else:
            devices.remove(disk)


def _empty(disk: ET.Element) -> None:
    """Take the image out; without one, libvirt knows drives of files and devices alone."""
    disk.set("type", "file")
    for tag in ("source", "backingStore", "mirror", "auth", "encryption"):
        _remove(disk, tag)


def _own_tpm(devices: ET.Element) -> None:
    """An emulated TPM has its state where libvirt keeps it for the second guest's UUID; another one is the first's."""
    for tpm in devices.findall("tpm"):
        backend = tpm.find("backend")
        if backend is None or backend.get("type") != "emulator":
            devices.remove(tpm)
        else:
            _remove(backend, "source")


def _own_network(devices: ET.Element) -> None:
    for interface in devices.findall("interface"):
        for tag in ("mac", "target", "link"):
            _remove(interface, tag)
        ET.SubElement(interface, "link", state="down")


def _own_channels(devices: ET.Element) -> None:
    """Sockets and files of the first guest are not the second one's."""
    for element in devices.findall("channel"):
        target = element.find("target")
        if target is not None and target.get("name") == AGENT_PORT:
            for part in ("source", "log", "protocol"):
                _remove(element, part)
            element.set("type", "unix")
        elif element.get("type") != "spicevmc":
            devices.remove(element)
    for tag in ("serial", "console", "parallel"):
        for element in devices.findall(tag):
            for part in ("source", "log", "protocol"):
                _remove(element, part)
            element.set("type", "pty")


def _own_displays(devices: ET.Element) -> None:
    for graphics in devices.findall("graphics"):
        for key in ("port", "tlsPort", "websocket", "socket", "address"):
            graphics.attrib.pop(key, None)
        for listen in graphics.findall("listen"):
            listen.attrib.pop("socket", None)
        if graphics.get("type") in ("vnc", "spice"):
            graphics.set("autoport", "yes")
