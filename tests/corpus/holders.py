"""What a guest keeps data on besides its disks, as the test reads it from a definition."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from itertools import pairwise

_QEMU = "{http://libvirt.org/schemas/domain/qemu/1.0}"
_LASTING = ("nvdimm", "virtio-pmem")
_FILE = re.compile(r"(?:^|,)(?:file|filename|mem-path|path)=(/[^,]+)")


def holders_in(xml: str) -> Iterator[tuple[str, str]]:
    """Each kind of thing, and the word by which a reader would know it."""
    root = ET.fromstring(xml)
    for folder in root.findall("./devices/filesystem"):
        source = folder.find("source")
        if folder.get("type", "mount") != "ram" and source is not None and source.attrib:
            yield "a folder of the host", next(iter(source.attrib.values()))
    for memory in root.findall("./devices/memory"):
        path = memory.findtext("./source/path", "")
        if path and memory.get("model") in _LASTING:
            yield "lasting memory", path
    for path in (each.text or "" for each in root.findall("./devices/pstore/path")):
        yield "the kernel's store", path
    arguments = [each.get("value", "") for each in root.findall(f"./{_QEMU}commandline/{_QEMU}arg")]
    for option, value in pairwise(arguments):
        if option in ("-drive", "-blockdev", "-object") and "readonly=on" not in value:
            yield from (("a file in QEMU's arguments", path) for path in _FILE.findall(value))
