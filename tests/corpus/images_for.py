"""Makes the images that a definition's disks are on, chains and all, below a folder of the test."""

from __future__ import annotations

import subprocess
import xml.etree.ElementTree as ET
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

_SIZE = "64k"
_CREATED = ("raw", "qcow2")


def with_images(xml: str, folder: Path) -> str:
    """The definition with every image file below `folder`, where it is made, as its disk says it is.

    Drives for media, devices and images on the network stay as they are, and so does a path that is not absolute.
    """
    root = ET.fromstring(xml)
    for disk in root.findall("./devices/disk"):
        driver = disk.find("driver")
        if disk.get("device", "disk") == "disk" and disk.get("type", "file") == "file":
            _make(disk, "raw" if driver is None else driver.get("type", "raw"), folder)
    return ET.tostring(root, encoding="unicode")


def _make(element: ET.Element, image_format: str, folder: Path) -> tuple[str, str]:
    """Make the image of a `<disk>` or `<backingStore>`; returns path and format, both empty where there is none."""
    source, below = element.find("source"), element.find("backingStore")
    path = "" if source is None else source.get("file", "")
    if source is None or not path.startswith("/") or len(path) > 200:
        return "", ""
    backing = _make(below, _format(below), folder) if below is not None else ("", "")
    image = f"{folder}{path}"
    source.set("file", image)
    if image_format in _CREATED and not Path(image).exists():
        Path(image).parent.mkdir(parents=True, exist_ok=True)
        Path(image).write_bytes(_image(image_format, *backing))
    return image, image_format


def _format(below: ET.Element) -> str:
    found = below.find("format")
    return "raw" if found is None else found.get("type", "raw")


@cache
def _image(image_format: str, backing: str, backing_format: str) -> bytes:
    if image_format == "raw":
        return bytes(1 << 16)
    on = ("-b", backing, "-F", backing_format) if backing else ()
    with TemporaryDirectory() as folder:
        image = Path(folder) / "image"
        words = ("qemu-img", "create", "-q", "-u", "-f", image_format, *on, image, _SIZE)
        subprocess.run(words, check=True, capture_output=True)
        return image.read_bytes()
