"""What a clone shares with its original: all that both definitions have counts, but for what is known as harmless.

It knows nothing of what the program removes from a clone.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass

_PATH = re.compile(r"(?<![\w.@/-])/[^\s,;:'\"]+")
_UUID = re.compile(r"\b[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}\b")
_MAC = re.compile(r"\b[0-9a-fA-F]{1,2}(?::[0-9a-fA-F]{1,2}){5}\b")
_QEMU = "{http://libvirt.org/schemas/domain/qemu/1.0}"

_READ_ONLY = (
    # Programs and firmware: nobody writes to them through a guest.
    "devices/emulator",
    "os/loader",
    "os/kernel",
    "os/initrd",
    "os/dtb",
    "os/shim",
    "os/acpi/table",
    "os/cmdline",
    "os/initdir",
    "domain/bootloader",
    "os/nvram@template",
    "sysinfo/entry@file",
    "rom@file",
    "interface/script@path",
    "interface/downscript@path",
    "graphics@xauth",
    # What only a running guest's definition says, and libvirt does not read back.
    "console@tty",
    "privateData/qom@name",
    # A tag that the guest mounts by, and bounds of what a guest may take from a device.
    "filesystem/target@dir",
    "blkiotune/device/path",
    # The kernel's own doors and grouping, which all guests of a host go through.
    "resource/partition",
    "backend@tap",
    "backend@vhost",
    "gl@rendernode",
    "acceleration@rendernode",
)
_ENTROPY = ("/dev/random", "/dev/urandom", "/dev/hwrng")


@dataclass(frozen=True, slots=True)
class Shared:
    """One thing that both have: what kind, where it stands in the clone, and what it is."""

    kind: str
    where: str
    value: str

    @property
    def cause(self) -> str:
        """What has to change in the clone, whatever its value."""
        return f"{self.kind} in {self.where}"


def shared_by(original: str, clone: str) -> tuple[Shared, ...]:
    """Everything in the clone by which it touches, or is taken for, its original."""
    first, second = ET.fromstring(original), ET.fromstring(clone)
    theirs = {(kind, value) for kind, _, value in _words(first)}
    words = (Shared(kind, where, value) for kind, where, value in _words(second) if (kind, value) in theirs)
    return tuple(dict.fromkeys((*words, *_names(first, second), *_held_alone(second), *_in_pools(first, second))))


def _words(root: ET.Element) -> Iterator[tuple[str, str, str]]:
    """Paths, UUIDs and MAC addresses by where they stand, but for the harmless ones."""
    for where, text, is_read_only in _texts(root, "", read_only=False):
        if not is_read_only and not where.endswith(_READ_ONLY):
            whole = [text] if text.startswith("/") else _PATH.findall(text)
            yield from (("path", where, path) for path in whole if path not in _ENTROPY)
        # A secret is a key that both may use; it is not written to.
        if not where.endswith(("secret@uuid", "secret@usage", "encryption@secret")):
            yield from (("UUID", where, found.lower()) for found in _UUID.findall(text))
        yield from (("MAC", where, found.lower()) for found in _MAC.findall(text))


def _texts(element: ET.Element, above: str, *, read_only: bool) -> Iterator[tuple[str, str, bool]]:
    where = f"{above}/{element.tag.rpartition('}')[2]}" if above else element.tag
    read_only = read_only or element.find("readonly") is not None or element.get("device") == "cdrom"
    if element.text and element.text.strip():
        yield where, element.text.strip(), read_only
    yield from ((f"{where}@{name}", value, read_only) for name, value in element.attrib.items())
    for child in element:
        yield from _texts(child, where, read_only=read_only)


def _names(first: ET.Element, second: ET.Element) -> Iterator[Shared]:
    """The names by which a host tells guests, their taps and their listening ports apart."""
    if first.findtext("name") == second.findtext("name"):
        yield Shared("name", "domain/name", first.findtext("name", ""))
    for where, key in (("./devices/interface/target", "dev"), ("./devices/interface/virtualport/parameters", None)):
        taken = {tuple(sorted(each.attrib.items())) for each in first.findall(where)}
        for each in second.findall(where):
            names = tuple(sorted(each.attrib.items())) if key is None else each.get(key)
            if names and (names in taken if key is None else any((key, names) in one for one in taken)):
                yield Shared("port id" if key is None else "device", where[2:], str(names))
    taken_ports = set(_ports(first))
    yield from (Shared("port", where, port) for where, port in _ports(second) if (where, port) in taken_ports)


def _ports(root: ET.Element) -> Iterator[tuple[str, str]]:
    for device in root.findall("./devices/*"):
        for source in device.iter("source"):
            if source.get("service") is not None:
                yield f"{device.tag}/source@service", str(source.get("service"))
        if device.tag == "interface" and device.get("type") in ("server", "client", "udp"):
            yield from (("interface/source@port", s.get("port", "")) for s in device.iter("source") if s.get("port"))
        if device.tag == "graphics":
            keys = (key for key in ("port", "tlsPort", "websocket") if int(device.get(key, "-1")) > 0)
            yield from ((f"graphics@{key}", device.get(key, "")) for key in keys)


def _held_alone(second: ET.Element) -> Iterator[Shared]:
    """What only one guest can have, whatever it is called."""
    for tag in ("hostdev", "redirdev", "lease"):
        for each in second.findall(f"./devices/{tag}"):
            # A channel of SPICE for redirected USB devices is nobody's before somebody connects.
            if each.get("type") != "spicevmc":
                yield Shared("device of the first guest", f"devices/{tag}", str(sorted(each.attrib.items())))
    for shmem in second.findall("./devices/shmem"):
        yield Shared("shared memory", "devices/shmem", shmem.get("name", ""))
    for cid in second.findall("./devices/vsock/cid"):
        if cid.get("address") is not None and cid.get("auto") != "yes":
            yield Shared("CID", "devices/vsock/cid", cid.get("address", ""))
    for arg in second.findall(f"./{_QEMU}commandline/{_QEMU}arg"):
        if re.search(r"guest-cid|hostfwd|(?:tcp|udp|unix|vsock):|socket", arg.get("value", "")):
            yield Shared("socket", "qemu:commandline", arg.get("value", ""))
    for source in second.findall("./devices/disk/source"):
        if source.get("type") == "pci":
            yield Shared("device of the first guest", "disk/source", "NVMe")


def _in_pools(first: ET.Element, second: ET.Element) -> Iterator[Shared]:
    """Images that are named without a path: volumes, and those on the network."""
    taken = set(_remote_images(first))
    yield from (Shared("image", "disk/source", image) for image in _remote_images(second) if image in taken)


def _remote_images(root: ET.Element) -> Iterator[str]:
    for disk in root.findall("./devices/disk"):
        if disk.get("device") == "cdrom" or disk.find("readonly") is not None:
            continue
        for source in disk.iter("source"):
            if source.get("pool") is not None:
                yield f"{source.get('pool')}/{source.get('volume')}"
            elif source.get("protocol") is not None:
                hosts = "".join(str(sorted(host.attrib.items())) for host in source.findall("host"))
                yield f"{source.get('protocol')}:{source.get('name')}{hosts}"
