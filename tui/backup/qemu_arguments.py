"""What a definition hands to QEMU past libvirt (`qemu:commandline`): arguments that name files, folders and devices.

Pure. libvirt knows nothing of them, so neither a snapshot nor a copy takes what they hold.
"""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator

QEMU = "http://libvirt.org/schemas/domain/qemu/1.0"
_PLAIN_FILES = ("hda", "hdb", "hdc", "hdd", "fda", "fdb", "sd", "mtdblock", "pflash", "usbdevice")
"""Options whose value is a file that the guest may write to (qemu(1)); `-cdrom` never writes to its own."""
_PATHS = ("file", "filename", "path", "mem-path", "mempath", "lazy-ref-file", "backing", "data-file", "host_device")
"""The last parts of names that hold a path or an address of storage, in `-drive`, `-blockdev`, `-object`, `-fsdev`."""
_HOST_DEVICES = re.compile(
    r"vfio-.*|usb-host|usb-mtp|scsi-block|scsi-generic|vhost-user-.*|vhost-vdpa-.*|vhost-scsi.*|acpi-erst"
)
_PLACES = ("host", "sysfsdev", "hostbus", "hostaddr", "hostdevice", "vendorid", "productid", "chardev", "vhostdev")
_PLACES_TOO = ("wwpn", "rootdir", "drive", "memdev")
_IN_MEMORY = ("/dev/shm/", "/dev/hugepages", "/run/")  # noqa: S108 - where nothing lasts
_UNKNOWN = "a file of options that is not read"


def named_by_arguments(root: ET.Element) -> Iterator[str]:
    """Each argument that may hold what the guest keeps, in words with the name it has there."""
    arguments = [each.get("value", "") for each in root.findall(f"./{{{QEMU}}}commandline/{{{QEMU}}}arg")]
    for at, argument in enumerate(arguments):
        option = argument.removeprefix("-").removeprefix("-")
        if not argument.startswith("-") or not option:
            continue
        value = arguments[at + 1] if at + 1 < len(arguments) else ""
        for name in dict.fromkeys(_names(option, value)):
            yield f"-{option} {name}"


def _names(option: str, value: str) -> Iterator[str]:
    if option in _PLAIN_FILES:
        yield value
    elif option == "readconfig":
        yield f"{value}, {_UNKNOWN}"
    elif option == "set":
        head, _, path = value.partition("=")
        if head.rpartition(".")[2] in _PATHS:
            yield path
    elif option in ("drive", "blockdev", "fsdev", "virtfs", "object", "tpmdev", "device"):
        keys = _keys(value)
        if option == "device":
            yield from _host_device(keys)
        elif not _is_harmless(option, keys):
            yield from _storage(keys)


def _keys(value: str) -> dict[str, str]:
    """The names and values of an option, in QEMU's two notations; nested names with dots."""
    if value.lstrip().startswith("{"):
        try:
            return dict(_flat(json.loads(value), ""))
        except (ValueError, RecursionError):
            return {"file": value}
    keys: dict[str, str] = {}
    for at, part in enumerate(_parts(value)):
        key, equals, text = part.partition("=")
        if equals:
            keys[key] = text
        elif at == 0:
            keys[""] = part
        else:
            keys[key] = "on"
    return keys


def _parts(value: str) -> Iterator[str]:
    """What stands between commas; one that belongs to a value is doubled."""
    part = ""
    at = 0
    while at < len(value):
        if value[at] != ",":
            part += value[at]
        elif value[at + 1 : at + 2] == ",":
            part += ","
            at += 1
        else:
            yield part
            part = ""
        at += 1
    yield part


def _flat(raw: object, prefix: str) -> Iterator[tuple[str, str]]:
    if isinstance(raw, dict):
        for key, value in raw.items():
            yield from _flat(value, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(raw, list):
        for at, value in enumerate(raw):
            yield from _flat(value, f"{prefix}.{at}")
    else:
        yield prefix, {True: "on", False: "off"}[raw] if isinstance(raw, bool) else str(raw)


def _is_harmless(option: str, keys: dict[str, str]) -> bool:
    """Whether the guest can write nothing that lasts there, or there is nothing."""
    kind = keys.get("qom-type", keys.get("", ""))
    if option == "object":
        path = keys.get("mem-path", "")
        return kind != "memory-backend-file" or path.startswith(_IN_MEMORY)
    if option == "drive" and keys.get("media") == "cdrom":
        return True
    read_only = ("readonly", "read-only", "file.read-only")
    return any(keys.get(key) in ("on", "true", "yes") for key in read_only) and option != "tpmdev"


def _storage(keys: dict[str, str]) -> Iterator[str]:
    """The values that are paths or addresses, a nested `json:` description among them."""
    found = False
    for key, value in keys.items():
        last = key.rpartition(".")[2]
        if last in _PATHS and value and "/" not in key:
            found = True
            yield from _inner(value)
    driver = keys.get("driver", keys.get("file.driver", ""))
    if not found and driver and driver not in ("null-co", "null-aio", "raw", "qcow2", "throttle", "copy-on-read"):
        # Storage without a path: a server, a controller, an exporter.
        where = " ".join(value for key, value in keys.items() if key.rpartition(".")[2] in ("host", "device", "export"))
        yield f"{driver} {where}".strip()


def _inner(value: str) -> Iterator[str]:
    if value.startswith("json:"):
        inner = [path for key, path in _keys(value.removeprefix("json:")).items() if key.rpartition(".")[2] in _PATHS]
        yield from inner or [value]
    else:
        yield value


def _host_device(keys: dict[str, str]) -> Iterator[str]:
    driver = keys.get("driver", keys.get("", ""))
    if _HOST_DEVICES.fullmatch(driver):
        yield " ".join((driver, *(keys[key] for key in (*_PLACES, *_PLACES_TOO) if key in keys)))
