"""Builds what all guests share - kernel, initial ramdisk, system disk - once, into the cache."""

from __future__ import annotations

import asyncio
import fcntl
import gzip
import hashlib
import lzma
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tui import settings
from tui.lab.cpio import GuestFile, pack
from tui.lab.packages import fetch_packages
from tui.lab.programs import LabError, Report, run_program
from tui.lab.seed import files_below
from tui.lab.spec import SYSTEM_DISK_SIZE

MODULES = ("virtio_pci", "virtio_blk", "virtio_console", "button", "evdev", "pvpanic-mmio", "efivarfs")
"""Drivers of a guest's disks and ports, of the power button, of the panic device and of UEFI where a guest has them."""
KEPT_IMAGES = 3
"""Images of older recipes that stay in the cache; another checkout may use them."""

_HERE = Path(__file__).parent
_RECIPE = ("cpio.py", "image.py", "packages.py", "initrd", "rootfs")
_FOLDERS = (
    "dev",
    "proc",
    "sys",
    "run",
    "tmp",
    "root",
    "etc/lab",
    "var/tmp",
    "usr/bin",
    "usr/sbin",
    "usr/lib",
    "usr/lib64",
)


@dataclass(frozen=True, slots=True)
class GuestImage:
    """Files in the cache: to be copied, never to be written."""

    kernel: Path
    initrd: Path
    system_disk: Path


def lab_cache() -> Path:
    """The laboratory's part of the cache."""
    return settings.cache_folder() / "lab"


def recipe_hash() -> str:
    """Names an image after everything in this package that it is made from."""
    digest = hashlib.sha256(str(SYSTEM_DISK_SIZE).encode())
    for name in _RECIPE:
        source = _HERE / name
        for path in [source] if source.is_file() else sorted(path for path in source.rglob("*") if path.is_file()):
            digest.update(f"\0{path.relative_to(_HERE)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def parse_show_depends(text: str) -> tuple[Path, ...]:
    """The module files of `modprobe --show-depends`, in the order in which they must be loaded."""
    words = [line.split() for line in text.splitlines()]
    return tuple(dict.fromkeys(Path(word[1]) for word in words if len(word) > 1 and word[0] == "insmod"))


async def guest_image(report: Report) -> GuestImage:
    """The image of the present recipe, built first when the cache lacks it; raises LabError."""
    folder = lab_cache() / recipe_hash()
    image = GuestImage(folder / "vmlinuz", folder / "initrd", folder / "system.ext4")
    if not folder.is_dir():
        settings.private_folder(folder.parent)
        async with _only_builder(folder.parent, report):
            if not folder.is_dir():
                await _build(folder, report)
                _forget_old_images(folder.parent)
    return image


@asynccontextmanager
async def _only_builder(cache: Path, report: Report) -> AsyncIterator[None]:
    with (cache / "lock").open("w") as lock:
        told = False
        while not _locked(lock.fileno()):
            if not told:
                report("waiting for another program that builds the guest image")
                told = True
            await asyncio.sleep(0.2)
        yield


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _forget_old_images(cache: Path) -> None:
    images = sorted((file.parent for file in cache.glob("*/system.ext4")), key=lambda path: path.stat().st_mtime)
    for folder in images[:-KEPT_IMAGES]:
        shutil.rmtree(folder)


async def _build(target: Path, report: Report) -> None:
    with tempfile.TemporaryDirectory(prefix="build.", dir=target.parent) as name:
        work = Path(name)
        kernel, userland = await fetch_packages(settings.private_folder(target.parent / "archives"), work, report)
        report("building the guest image")
        made = work / "made"
        made.mkdir()
        shutil.copyfile(_only(kernel, "boot/vmlinuz-*"), made / "vmlinuz")
        shell = _only(userland, "**/bin/busybox").read_bytes()
        (made / "initrd").write_bytes(gzip.compress(await _initrd(kernel, shell), mtime=0))
        await _system_disk(userland, work / "system", made / "system.ext4")
        made.rename(target)


async def _initrd(kernel: Path, shell: bytes) -> bytes:
    modules = await _module_files(kernel)
    names = [f"/modules/{number:02}-{path.name.partition('.')[0]}.ko" for number, path in enumerate(modules)]
    files = [GuestFile(name, _module(path)) for name, path in zip(names, modules, strict=True)]
    files.append(GuestFile("/modules.list", "".join(f"{name}\n" for name in names).encode()))
    files.append(GuestFile("/bin/busybox", shell, 0o755))
    return pack([*files, *files_below(_HERE / "initrd")], ["/proc", "/sys", "/dev", "/system", "/seed"])


async def _module_files(kernel: Path) -> tuple[Path, ...]:
    """The files of MODULES and of what they need, as kmod orders them."""
    release = _only(kernel, "**/lib/modules/*").name
    # Debian moved the modules to /usr/lib; kmod looks below /lib.
    if not (kernel / "lib").exists():
        (kernel / "lib").symlink_to("usr/lib")
    await run_program("depmod", "-b", kernel, release)
    shown = await run_program("modprobe", "-d", kernel, "-S", release, "--show-depends", "-a", *MODULES)
    return parse_show_depends(shown)


def _module(path: Path) -> bytes:
    content = path.read_bytes()
    return lzma.decompress(content) if path.suffix == ".xz" else content


async def _system_disk(userland: Path, tree: Path, image: Path) -> None:
    for folder in _FOLDERS:
        (tree / folder).mkdir(parents=True, exist_ok=True)
    for top in ("bin", "sbin", "lib", "lib64"):
        (tree / top).symlink_to(f"usr/{top}")
    _lay_programs(userland, tree)
    for applet in (await run_program(tree / "usr/bin/busybox", "--list")).split():
        link = tree / "usr/bin" / applet
        if not link.exists():
            link.symlink_to("busybox")
    (tree / "usr/sbin/init").symlink_to("../bin/busybox")
    for file in files_below(_HERE / "rootfs"):
        path = tree / file.path.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(file.content)
        path.chmod(file.mode)
    await run_program(
        "mkfs.ext4", "-q", "-F", "-m", "0", "-L", "system", "-d", tree, image, f"{SYSTEM_DISK_SIZE // 1024}k"
    )


def _lay_programs(userland: Path, tree: Path) -> None:
    """Copy the agent, the shell and the shared libraries, without the character set converters of libc."""
    for path in sorted(userland.rglob("*")):
        inside = path.relative_to(userland)
        wanted = path.name in ("busybox", "qemu-ga") or (".so" in path.name and "gconv" not in inside.parts)
        if not wanted or (path.is_dir() and not path.is_symlink()):
            continue
        target = tree / (inside if inside.parts[0] == "usr" else Path("usr", inside))
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target, follow_symlinks=False)
    if not os.access(tree / "usr/sbin/qemu-ga", os.X_OK):
        raise LabError("The guest image could not be built", cause="the package of the agent holds no qemu-ga")


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(path for path in folder.glob(pattern) if not path.is_symlink())
    if not found:
        raise LabError("The guest image could not be built", cause=f"a package holds no {pattern}")
    return found[0]
