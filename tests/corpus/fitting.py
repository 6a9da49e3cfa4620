"""Makes a definition fit the host of the test: what QEMU it is for cannot be had, everything else stays as it is."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

EMULATOR = "/usr/bin/qemu-system-x86_64"
_NATIVE = ("x86_64", "i686")
_MACHINE = re.compile(r"(pc|q35|pc-q35|pc-i440fx)(-[0-9a-z.]+)?")


def fitted(xml: str, name: str, guest_uuid: str) -> str | None:
    """The definition for this host's QEMU, under a name and a UUID of its own; None where it is for another machine.

    Emulation takes the place of KVM, and the newest machine of its kind that of one which this QEMU may not know.
    """
    root = ET.fromstring(xml)
    kind = root.find("./os/type")
    if root.get("type") not in ("qemu", "kvm") or kind is None or kind.get("arch", "x86_64") not in _NATIVE:
        return None
    root.set("type", "qemu")
    _set(root, "name", name)
    _own_uuid(root, guest_uuid)
    if (machine := kind.get("machine")) is not None and (found := _MACHINE.fullmatch(machine)) is not None:
        kind.set("machine", "q35" if "q35" in found[1] else "pc")
    for emulator in root.findall("./devices/emulator"):
        emulator.text = EMULATOR
    return ET.tostring(root, encoding="unicode")


def _own_uuid(root: ET.Element, guest_uuid: str) -> None:
    """In the SMBIOS tables too: libvirt insists that both are the same."""
    for entry in root.findall("./sysinfo/system/entry[@name='uuid']"):
        entry.text = guest_uuid
    _set(root, "uuid", guest_uuid)


def _set(root: ET.Element, tag: str, text: str) -> None:
    element = root.find(tag)
    if element is None:
        element = ET.Element(tag)
        root.insert(0, element)
    element.text = text
