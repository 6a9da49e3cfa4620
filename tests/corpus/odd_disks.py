"""Disks that somebody may well have beside ordinary ones, each with the image it is on made for real."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import quoteattr

TARGET = "vdz"
_BACKING_FORMAT = b"\xe2\x79\x2a\xca"
"""The extension of a qcow2 header that tells the format of what it lies on (docs/interop/qcow2.txt)."""
LUKS_SECRET = "secret,id=sec0,data=x"


@dataclass(frozen=True, slots=True)
class OddDisk:
    """One such disk: `made` writes its image into a folder and gives its `<disk>`; `takes` are disks it spoils.

    A disk may spoil another only where both are on one image.
    """

    name: str
    made: Callable[[Path], str]
    takes: tuple[str, ...] = ()


def disk(kind: str, source: str, image_format: str = "raw", more: str = "", device: str = "disk") -> str:
    """A `<disk>` element with TARGET."""
    driver = f"<driver name='qemu' type='{image_format}'/>" if image_format else ""
    return f"<disk type='{kind}' device='{device}'>{driver}{source}<target dev='{TARGET}' bus='virtio'/>{more}</disk>"


def plain_guest(folder: Path) -> str:
    """A definition with `@ODD@` for another disk beside a qcow2 image vda and a raw one vdb, which are made."""
    qemu_img("create", "-q", "-f", "qcow2", folder / "vda.qcow2", "1M")
    (folder / "vdb.raw").write_bytes(bytes(1 << 20))
    vda = disk("file", f"<source file='{folder}/vda.qcow2'/>", "qcow2").replace(TARGET, "vda")
    vdb = disk("file", f"<source file='{folder}/vdb.raw'/>").replace(TARGET, "vdb")
    return f"<domain type='qemu'><name>odd</name><devices>{vda}{vdb}@ODD@</devices></domain>"


def qemu_img(*words: str | Path) -> None:
    """Run qemu-img; once more where it could not measure how fast this busy machine counts for LUKS."""
    for tries_left in range(4, -1, -1):
        made = subprocess.run(["qemu-img", *map(str, words)], check=False, capture_output=True)
        if b"Unable to get accurate CPU usage" not in made.stderr or not tries_left:
            made.check_returncode()
            return


def _file(path: str | Path, image_format: str = "raw", more: str = "") -> str:
    return disk("file", f"<source file={quoteattr(str(path))}/>", image_format, more)


def _raw(folder: Path, name: str) -> str:
    (folder / name).write_bytes(bytes(1 << 20))
    return _file(folder / name)


def _spelled(spelling: str) -> Callable[[Path], str]:
    def made(folder: Path) -> str:
        (folder / "sub").mkdir(exist_ok=True)
        (folder / "odd.raw").write_bytes(bytes(1 << 20))
        return _file(spelling.replace("@", str(folder)))

    return made


def _same(spelling: str) -> Callable[[Path], str]:
    def made(folder: Path) -> str:
        (folder / "link.raw").unlink(missing_ok=True)
        (folder / "link.raw").symlink_to("vdb.raw")
        return _file(spelling.replace("@", str(folder)))

    return made


def _qcow2_on(backing: str, backing_format: str = "raw") -> Callable[[Path], str]:
    def made(folder: Path) -> str:
        (folder / "base.raw").write_bytes(bytes(1 << 20))
        image = folder / "odd.qcow2"
        named = ("-b", backing.replace("@", str(folder)), "-F", backing_format or "raw")
        qemu_img("create", "-q", "-u", "-f", "qcow2", *named, image, "1M")
        if not backing_format:
            # qemu-img leaves it out no more: older ones wrote no such extension of the header.
            image.write_bytes(image.read_bytes().replace(_BACKING_FORMAT, b"none", 1))
        return _file(image, "qcow2")

    return made


def _in_a_circle(folder: Path) -> str:
    for one, other in (("a", "b"), ("b", "a")):
        qemu_img("create", "-q", "-u", "-f", "qcow2", "-F", "qcow2", "-b", folder / other, folder / one, "1M")
    return _file(folder / "a", "qcow2")


def _with_data_file(folder: Path) -> str:
    options = f"data_file={folder}/odd.data,data_file_raw=on"
    qemu_img("create", "-q", "-f", "qcow2", "-o", options, folder / "odd.qcow2", "1M")
    return _file(folder / "odd.qcow2", "qcow2")


def _encrypted(folder: Path) -> str:
    options = "encrypt.format=luks,encrypt.key-secret=sec0,encrypt.iter-time=10"
    qemu_img("create", "-q", "--object", LUKS_SECRET, "-f", "qcow2", "-o", options, folder / "odd.qcow2", "1M")
    return _file(folder / "odd.qcow2", "qcow2")


def _no_image(folder: Path) -> str:
    (folder / "odd.qcow2").write_bytes(b"no image")
    return _file(folder / "odd.qcow2", "qcow2")


def _pipe(folder: Path) -> str:
    os.mkfifo(folder / "odd.pipe")
    return _file(folder / "odd.pipe")


def _unreadable_loop(folder: Path) -> str:
    (folder / "loop.raw").symlink_to("loop.raw")
    return _file(folder / "loop.raw")


def _always(xml: str) -> Callable[[Path], str]:
    return lambda _folder: xml


_NBD = "<source protocol='nbd'><host transport='unix' socket='/run/nbd.sock'/></source>"
_CHAIN = (
    "<backingStore type='network'><format type='raw'/><source protocol='nbd'>"
    "<host transport='unix' socket='/run/d.sock'/></source><backingStore/></backingStore>"
)
_SLICE = "<slices><slice type='storage' offset='4096' size='65536'/></slices>"

ODD_DISKS = (
    OddDisk("no source", _always(disk("file", ""))),
    OddDisk("an empty source", _always(disk("file", "<source/>"))),
    OddDisk("an empty path", _always(_file(""))),
    OddDisk("a network disk without a name", _always(disk("network", _NBD))),
    OddDisk("a network disk", _always(disk("network", "<source protocol='rbd' name='p/i'/>"))),
    OddDisk("nvme", _always(disk("nvme", "<source type='pci' namespace='1'><address bus='1'/></source>"))),
    OddDisk("vhost-user", _always(disk("vhostuser", "<source type='unix' path='/run/v.sock'/>"))),
    OddDisk("vhost-vdpa", _always(disk("vhostvdpa", "<source dev='/dev/vhost-vdpa-0'/>"))),
    OddDisk("a kind to come", _always(disk("tape", "<source reel='4'/>"))),
    OddDisk("a folder", _always(disk("dir", "<source dir='/tmp'/>", "fat"))),
    OddDisk("a volume of no pool", _always(disk("volume", "<source pool='no-such-pool' volume='a.qcow2'/>"))),
    OddDisk("a volume without a name", _always(disk("volume", "<source pool='no-such-pool'/>"))),
    OddDisk("a device that is gone", _always(disk("block", "<source dev='/dev/no-such-vg/lv'/>"))),
    OddDisk("a block disk that is none", _always(disk("block", "<source dev='/dev/null'/>"))),
    OddDisk("a file disk in /dev", _always(_file("/dev/null"))),
    OddDisk("a file disk that is a folder", _always(_file("/"))),
    OddDisk("a pipe", _pipe),
    OddDisk("a link to itself", _unreadable_loop),
    OddDisk("a file that is gone", _always(_file("/no/such/folder/a.raw"))),
    OddDisk("a long name", _always(_file("/" + "a" * 300))),
    OddDisk("a long path", _always(_file("/abcdefg" * 700))),
    OddDisk("a relative path", _always(_file("images/a.raw"))),
    OddDisk("a path of Windows", _always(_file("X:\\a.vhdx"))),
    OddDisk("a name with a newline", lambda folder: _raw(folder, "odd\nname.raw")),
    OddDisk("a name with quotes and commas", lambda folder: _raw(folder, 'o\'d,d "name".raw')),
    OddDisk("a name that is no ASCII", lambda folder: _raw(folder, "диск.raw")),
    OddDisk("doubled slashes", _spelled("@//odd.raw")),
    OddDisk("slashes at the beginning", _spelled("//@/odd.raw")),
    OddDisk("a way through its parent", _spelled("@/sub/../odd.raw")),
    OddDisk("a dot in the path", _spelled("@/./odd.raw")),
    OddDisk("the same image", _same("@/vdb.raw"), takes=("vdb",)),
    OddDisk("the same image by a link", _same("@/link.raw"), takes=("vdb",)),
    OddDisk("the same image with two slashes", _same("@//vdb.raw"), takes=("vdb",)),
    OddDisk("a slice of a file", lambda f: _raw(f, "s.raw").replace("/><target", f">{_SLICE}</source><target")),
    OddDisk("the overlay of a backup", _always(_file("/a.qgatui-20261122T214300Z.vdz.qcow2", "qcow2"))),
    OddDisk("a format to come", _always(_file("/images/a.vmdk", "vmdk"))),
    OddDisk("no format", _always(_file("/images/a.img", ""))),
    OddDisk("no image of its format", _no_image),
    OddDisk(
        "LUKS in the definition", lambda f: _raw(f, "l.raw").replace("</disk>", "<encryption format='luks'/></disk>")
    ),
    OddDisk("LUKS in the image", _encrypted),
    OddDisk("an external data file", _with_data_file),
    OddDisk(
        "a chain to the network in the definition", lambda f: _raw(f, "c.raw").replace("</disk>", f"{_CHAIN}</disk>")
    ),
    OddDisk("a chain to the network", _qcow2_on("nbd+unix:///?socket=/run/d.sock")),
    OddDisk("a chain to json", _qcow2_on('json:{"driver":"null-co","size":1048576}')),
    OddDisk("a chain without a format", _qcow2_on("@/base.raw", "")),
    OddDisk("a relative chain", _qcow2_on("base.raw")),
    OddDisk("a chain through the parent", _qcow2_on("sub/../base.raw")),
    OddDisk("a chain to nothing", _qcow2_on("/no/such/base.raw")),
    OddDisk("a chain to another disk", _qcow2_on("@/vdb.raw"), takes=("vdb",)),
    OddDisk("a chain in a circle", _in_a_circle),
    OddDisk("read-only", lambda f: _raw(f, "r.raw").replace("</disk>", "<readonly/></disk>")),
    OddDisk("shared", lambda f: _raw(f, "s.raw").replace("</disk>", "<shareable/></disk>")),
    OddDisk("transient", lambda f: _raw(f, "t.raw").replace("</disk>", "<transient/></disk>")),
    OddDisk(
        "throttled by filters",
        lambda f: _raw(f, "f.raw").replace(
            "</disk>", "<throttlefilters><throttlefilter group='g'/></throttlefilters></disk>"
        ),
    ),
)
