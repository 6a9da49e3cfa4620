"""Takes out of a definition, or makes private, all by which a second guest would write to or be taken for the first.

What is told of each is what a user has to know before the second guest starts. Pure.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass

from tui.hosts.domain_xml import parse_tree

_UUID = re.compile(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")
_HARMLESS_OPTIONS = ("-cpu", "-global", "-rtc", "-boot", "-machine", "-device")
_NOT_PRIVATE = re.compile(r"[/@]|chardev|netdev|drive|cid|mac=|addr=|uuid|serial|host|path|file|sock|port|memdev|id=")
"""What an argument for QEMU may refer to, or be known by, outside of the guest."""
_OF_A_PORT = ("model", "address", "boot", "rom")
"""What of an interface tells how it looks from inside; the rest is about the host's end of it."""
_FOREIGN_ENDS = ("vhostuser", "vdpa", "server", "client", "udp", "hostdev")
_BOUND_PORTS = ("802.1Qbg", "802.1Qbh", "midonet")
"""Kinds of `<virtualport>` that are nothing without the first guest's identity."""
_SILENT_AUDIO = ("none", "spice", "dbus")
_ENTROPY = ("/dev/urandom", "/dev/random", "/dev/hwrng")


@dataclass(frozen=True, slots=True)
class Taken:
    """What a second guest is without, or has in another way, and why; `is_missed` where its system may look for it."""

    what: str
    why: str
    is_missed: bool = True


def taken_out(stored: str) -> tuple[Taken, ...]:
    """What a second guest of this definition is without, or has in another way; raises MalformedXmlError."""
    return make_private(parse_tree(stored))


def make_private(root: ET.Element) -> tuple[Taken, ...]:
    """Change a `<domain>`; tells what a user would not expect. Disks, consoles and displays are `clone_xml`'s."""
    taken = [*_identity(root), *_arguments(root)]
    for devices in root.findall("devices"):
        for step in (_folders, _memories, _host_devices, _interfaces, _vsock, _inputs, _smartcards, _rngs, _audio):
            taken += step(devices)
    return tuple(dict.fromkeys(taken))


def _identity(root: ET.Element) -> Iterator[Taken]:
    for group in root.findall("./sysinfo/*"):
        for entry in group.findall("entry"):
            if entry.get("name") == "uuid" or _UUID.search(entry.text or ""):
                group.remove(entry)
                name = f"{group.tag} {entry.get('name', 'entry')}"
                yield Taken(f"without the SMBIOS {name}", "it is the first guest's UUID", is_missed=False)
    for tables in root.findall("sysinfo"):
        # The schema knows no group without an entry.
        for group in [each for each in tables if each.tag != "entry" and len(each) == 0]:
            tables.remove(group)
    for resource in root.findall("resource"):
        _remove(resource, "fibrechannel")
    for loader in root.findall("./os/loader[@readonly='no']"):
        loader.set("readonly", "yes")
        yield Taken("firmware read-only", f"the first guest writes to {loader.text}")
    for store in root.findall("./os/varstore"):
        store.attrib.pop("path", None)


def _arguments(root: ET.Element) -> Iterator[Taken]:
    """Arguments for QEMU that nobody but QEMU understands are kept where they speak of the guest's inside alone."""
    for element in [child for child in root if child.tag.endswith("}commandline")]:
        values = [each.get("value", "") for each in element]
        options = [value for value in values if value.startswith("-")]
        is_private = all(option in _HARMLESS_OPTIONS for option in options)
        if not is_private or any(_NOT_PRIVATE.search(value) or _UUID.search(value) for value in values):
            root.remove(element)
            yield Taken("without the arguments for QEMU", "they can name files and devices of the first guest")


def _folders(devices: ET.Element) -> Iterator[Taken]:
    for folder in devices.findall("filesystem"):
        if folder.get("type") != "ram":
            devices.remove(folder)
            tag = _attribute(folder.find("target"), "dir") or "a folder of the host"
            yield Taken(f"without the shared folder {tag}", "the first guest writes to it")


def _memories(devices: ET.Element) -> Iterator[Taken]:
    for memory in devices.findall("memory"):
        if path := memory.findtext("./source/path"):
            devices.remove(memory)
            yield Taken(f"without the lasting memory on {path}", "the first guest writes to it")
        _remove(memory, "uuid")
    for shmem in devices.findall("shmem"):
        devices.remove(shmem)
        yield Taken(f"without the shared memory {shmem.get('name', '')}", "the first guest writes to it")
    for pstore in devices.findall("pstore"):
        devices.remove(pstore)
        yield Taken("without the store for crash records", "it is a file of the first guest")


def _host_devices(devices: ET.Element) -> Iterator[Taken]:
    if devices.find("hostdev") is not None:
        _remove(devices, "hostdev")
        yield Taken("without the host's devices", "they are the first guest's")
    if devices.find("redirdev") is not None:
        _remove(devices, "redirdev")
        yield Taken("without redirected USB devices", "they are the first guest's", is_missed=False)
    if devices.find("lease") is not None:
        _remove(devices, "lease")
        yield Taken("without leases", "the first guest holds them", is_missed=False)


def _interfaces(devices: ET.Element) -> Iterator[Taken]:
    for interface in devices.findall("interface"):
        for port in interface.findall("virtualport"):
            _keep_profile(port)
        _remove(interface, "portForward")
        for backend in interface.findall("backend"):
            backend.attrib.pop("logFile", None)
        if _ends_elsewhere(interface):
            kind = interface.get("type", "")
            _plug_into_nothing(interface)
            yield Taken(f"an interface of type user, in place of {kind}", "that end of it is the first guest's alone")


def _keep_profile(port: ET.Element) -> None:
    """A profile says how a port is treated; the other parameters say whose it is."""
    for parameters in port.findall("parameters"):
        profile = parameters.get("profileid")
        parameters.attrib.clear()
        if profile is None:
            port.remove(parameters)
        else:
            parameters.set("profileid", profile)


def _ends_elsewhere(interface: ET.Element) -> bool:
    source, port = interface.find("source"), interface.find("virtualport")
    is_exclusive = interface.get("type") == "direct" and _attribute(source, "mode") == "passthrough"
    return interface.get("type") in _FOREIGN_ENDS or is_exclusive or _attribute(port, "type") in _BOUND_PORTS


def _plug_into_nothing(interface: ET.Element) -> None:
    """A private network of QEMU's own, which needs nothing of the host."""
    interface.attrib.clear()
    interface.set("type", "user")
    for part in list(interface):
        if part.tag not in _OF_A_PORT:
            interface.remove(part)


def _vsock(devices: ET.Element) -> Iterator[Taken]:
    for cid in devices.findall("./vsock/cid"):
        if cid.attrib.pop("address", None) is not None:
            yield Taken("a vsock CID of its own", "two guests cannot have one", is_missed=False)
        cid.set("auto", "yes")


def _inputs(devices: ET.Element) -> Iterator[Taken]:
    for each in devices.findall("input"):
        if each.get("type") in ("passthrough", "evdev"):
            devices.remove(each)
            yield Taken("without the host's input devices", "they are the first guest's")


def _smartcards(devices: ET.Element) -> Iterator[Taken]:
    for card in devices.findall("smartcard"):
        if card.get("type") != "spicevmc" or card.get("mode") != "passthrough":
            devices.remove(card)
            yield Taken("without the smart card", "it is the first guest's")


def _rngs(devices: ET.Element) -> Iterator[Taken]:
    """Random numbers come from the kernel, where they came through a socket."""
    for backend in devices.findall("./rng/backend"):
        is_kernel = backend.get("model") == "random" and (backend.text or "").strip() in ("", *_ENTROPY)
        if not is_kernel and backend.get("model") != "builtin":
            backend.attrib.clear()
            backend.set("model", "random")
            for part in list(backend):
                backend.remove(part)
            backend.text = "/dev/urandom"
            yield Taken("random numbers from /dev/urandom", "their source was the first guest's", is_missed=False)


def _audio(devices: ET.Element) -> Iterator[Taken]:
    for audio in devices.findall("audio"):
        if audio.get("type") not in _SILENT_AUDIO:
            number = audio.get("id")
            audio.attrib.clear()
            audio.attrib.update({"id": number or "1", "type": "none"})
            for part in list(audio):
                audio.remove(part)
            yield Taken("no sound", "the host's sound devices are the first guest's", is_missed=False)


def _remove(parent: ET.Element, tag: str) -> None:
    for element in parent.findall(tag):
        parent.remove(element)


def _attribute(element: ET.Element | None, name: str) -> str:
    return "" if element is None else element.get(name, "")
