"""Makes the disk images of a guest."""

from __future__ import annotations

from pathlib import Path

from tui.lab.programs import run_program
from tui.lab.spec import DiskFormat, DiskRole, DiskSpec


async def make_disk(disk: DiskSpec, path: Path, system_disk: Path) -> None:
    """Make the image at `path`: a copy of `system_disk`, a fresh ext4 file system, or nothing but zeros."""
    raw = path if disk.format is DiskFormat.RAW else path.with_suffix(".making")
    match disk.role:
        case DiskRole.SYSTEM:
            await run_program("cp", "--sparse=always", "--reflink=auto", system_disk, raw)
            if disk.size > raw.stat().st_size:
                await run_program("truncate", "-s", str(disk.size), raw)
                await run_program("resize2fs", "-f", raw)
        case DiskRole.DATA:
            await run_program("mkfs.ext4", "-q", "-F", "-m", "0", "-L", "data", raw, f"{disk.size // 1024}k")
        case DiskRole.BLANK:
            await run_program("qemu-img", "create", "-q", "-f", "raw", raw, str(disk.size))
    if raw != path:
        await run_program("qemu-img", "convert", "-f", "raw", "-O", disk.format, raw, path)
        raw.unlink()
