"""A small file system on a disk of its own: what lies in the host's memory is no place for images."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tui.lab.spec import MIB


@contextmanager
def small_disk(place: Path, mib: int) -> Iterator[None]:
    """Lay an ext4 of that size over a folder, with what is in it, and of the same owner and mode."""
    owner, inside = place.stat(), [(path.name, path.read_bytes()) for path in place.iterdir()]
    image = place.with_name(f"{place.name}.disk")
    with image.open("wb") as file:
        file.truncate(mib * MIB)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", image], check=True)
    mounted = subprocess.run(["mount", "-o", "loop", image, place], capture_output=True, check=False, text=True)
    if mounted.returncode != 0:
        image.unlink()
        pytest.skip(f"no loop mount here: {mounted.stderr}")
    try:
        (place / "lost+found").rmdir()
        shutil.chown(place, owner.st_uid, owner.st_gid)
        place.chmod(owner.st_mode & 0o777)
        for name, content in inside:
            (place / name).write_bytes(content)
            shutil.chown(place / name, owner.st_uid, owner.st_gid)
        yield
    finally:
        subprocess.run(["umount", "-l", place], check=True)
        image.unlink()


def fill_up_to(place: Path, mib: int) -> Path:
    """A file that leaves so much room and no more."""
    space = os.statvfs(place)
    filler = place / "filler"
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, space.f_bavail * space.f_frsize - mib * MIB)
    return filler
