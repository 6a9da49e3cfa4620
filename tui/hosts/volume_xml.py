"""What a storage volume's XML says, and the XML of a pool over a folder."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from tui.hosts.domain_xml import MalformedXmlError, parse_tree
from tui.hosts.storage import Volume


def read_volume(xml: str) -> Volume:
    """Read a `<volume>`; raises MalformedXmlError."""
    root = parse_tree(xml)
    try:
        return _volume(root)
    except ValueError as error:
        raise MalformedXmlError("The volume's XML cannot be read", cause=str(error), original=xml[:2000]) from error


def _volume(root: ET.Element) -> Volume:
    return Volume(
        path=root.findtext("./target/path", ""),
        is_file=root.get("type") == "file",
        is_device=root.get("type") == "block",
        format=_type(root, "./target/format"),
        capacity=_count(root, "capacity"),
        allocation=_count(root, "allocation"),
        physical=_count(root, "physical"),
        backing=root.findtext("./backingStore/path", ""),
        backing_format=_type(root, "./backingStore/format"),
        owner=_count(root, "./target/permissions/owner"),
        group=_count(root, "./target/permissions/group"),
        mode=int(root.findtext("./target/permissions/mode", "0"), 8),
        modified_ns=_nanoseconds(root.findtext("./target/timestamps/mtime", "0")),
    )


def folder_of_pool(xml: str) -> str:
    """Where a pool of files keeps them; empty for a pool of another kind. Raises MalformedXmlError."""
    root = parse_tree(xml)
    return root.findtext("./target/path", "") if root.get("type") in ("dir", "fs", "netfs") else ""


def folder_pool_xml(name: str, folder: str) -> str:
    """A pool of the files in `folder`."""
    pool = ET.Element("pool", type="dir")
    ET.SubElement(pool, "name").text = name
    ET.SubElement(ET.SubElement(pool, "target"), "path").text = folder
    return ET.tostring(pool, encoding="unicode")


def _type(root: ET.Element, path: str) -> str:
    element = root.find(path)
    return element.get("type", "") if element is not None else ""


def _count(root: ET.Element, path: str) -> int:
    """libvirt prints sizes of volumes in bytes, and -1 for an owner it does not know."""
    return int(root.findtext(path, "0"))


def _nanoseconds(text: str) -> int:
    """A timestamp is seconds, with nanoseconds of up to nine digits behind a dot."""
    seconds, _, fraction = text.partition(".")
    return int(seconds) * 10**9 + int(fraction.ljust(9, "0") or 0)
