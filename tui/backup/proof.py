"""Whether a backup's folder is what it says: every file there, every sum right, every image sound."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from tui.backup.copying import Meter, data_bytes, hash_file
from tui.backup.errors import BackupError, explained
from tui.backup.folder import VOID
from tui.backup.images import ImageError, check_image
from tui.backup.plan import ImageFormat

SUMS = "SHA256SUMS"
_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")
SMALL = 16 * 1024 * 1024
"""Bytes below which a file is read at once."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What came of looking at a folder: `problems` in words, empty where all is well; `files` and `bytes` read."""

    folder: Path
    files: int = 0
    bytes: int = 0
    problems: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def is_good(self) -> bool:
        """Whether the folder holds a whole backup."""
        return not self.problems


async def prove(folder: Path) -> Proof:
    """Read everything in a backup's folder anew; raises BackupError where it is no backup's folder at all."""
    try:
        sums = _sums((folder / SUMS).read_text("utf-8"))
        manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
        disks = {str(disk["file"]): str(disk["format"]) for disk in manifest["disks"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BackupError(
            "This is no finished backup",
            cause=f"{folder}: {error}",
            next_step="A folder that ends in .partial is a copy that was given up; look beside it.",
        ) from error
    problems = [f"{name} is not in {SUMS}" for name in disks if name not in sums]
    if (folder / VOID).exists():
        problems.append("it is marked as void")
    remarks: list[str] = []
    read = 0
    for name, wanted in sums.items():
        path = folder / name
        try:
            found = hash_file(str(path), Meter()) if path.stat().st_size > SMALL else _small(path)
            read += data_bytes(str(path))
        except OSError as error:
            problems.append(f"{name}: {error.strerror}")
            continue
        if found != wanted:
            problems.append(f"{name} was changed: its sum is {found}, not {wanted}")
    for name, image_format in disks.items():
        try:
            remarks.append(await check_image(str(folder / name), ImageFormat(image_format)))
        except (ImageError, ValueError) as error:
            words = explained(error)
            problems.append(f"{name}: {words.title} {words.original}".strip())
    return Proof(folder, len(sums), read, tuple(problems), tuple(filter(None, remarks)))


def _small(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _sums(text: str) -> dict[str, str]:
    """The names below the folder and their sums; raises ValueError for a line that is none, or leads out of it."""
    sums: dict[str, str] = {}
    for line in text.splitlines():
        found = _LINE.fullmatch(line)
        if found is None or found[2].startswith("/") or ".." in Path(found[2]).parts:
            raise ValueError(f"not a line of sums: {line!r:.80}")
        sums[found[2]] = found[1]
    if not sums:
        raise ValueError("no sums")
    return sums
