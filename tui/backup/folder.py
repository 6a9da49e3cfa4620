"""The folder a backup ends up in: its layout, and the names in it."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from tui.backup.durable import sync_folder, write_new
from tui.backup.plan import BackupPlan
from tui.backup.settled import read_settled
from tui.settings import PRIVATE_FILE, PRIVATE_FOLDER, private_folder

PARTIAL = ".partial"
VOID = "VOID"
"""The file that marks a partial folder as worth nothing."""
NAME_LIMIT = 100
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")


def folder_name(text: str) -> str:
    """A name for a folder, made of a host's or guest's name; names that had to be changed stay distinct."""
    clean = _UNSAFE.sub("_", text).lstrip(".-")[:NAME_LIMIT]
    if clean and clean == text:
        return clean
    mark = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return f"{clean}-{mark}" if clean else mark


@dataclass(frozen=True, slots=True)
class ResultFolder:
    """Where one run's result is; `partial` until the copy is proven, `final` from then on."""

    final: Path

    @property
    def partial(self) -> Path:
        """The folder's name while the copy proves nothing."""
        return self.final.with_name(self.final.name + PARTIAL)

    @property
    def disks(self) -> Path:
        """The copies of the disks, while the folder is partial."""
        return self.partial / "disks"

    def create(self) -> None:
        """Make the folder, open to the user alone; raises OSError, also where it exists."""
        private_folder(self.final.parent.parent)
        private_folder(self.final.parent)
        self.partial.mkdir(mode=PRIVATE_FOLDER)
        for name in ("disks", "snapshots"):
            (self.partial / name).mkdir(mode=PRIVATE_FOLDER)
        sync_folder(self.final.parent)

    def write(self, name: str, text: str) -> None:
        """Write a file into the partial folder; raises OSError."""
        write_new(self.partial / name, text)

    def keep_file(self, name: str, source: str) -> None:
        """Copy a small file, which somebody may be writing to, into the partial folder; raises OSError."""
        self.keep_bytes(name, read_settled(Path(source)))

    def keep_bytes(self, name: str, content: bytes) -> None:
        """Write the bytes of a small file into the partial folder; raises OSError."""
        place = self.partial / name
        place.parent.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
        with place.open("xb") as file:
            place.chmod(PRIVATE_FILE)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(place.parent)

    def void(self, why: str) -> None:
        """Say in the folder that it is no backup; without effect where there is none. Raises OSError.

        A name without `.partial` is no proof of the contrary: a seal that hung may have been given afterwards.
        """
        for folder in (self.partial, self.final):
            if folder.is_dir() and not (folder / VOID).exists():
                write_new(folder / VOID, _void_text(why))

    def void_words(self, why: str) -> tuple[str, ...]:
        """A program that marks the partial folder as void.

        A process that did it itself, and hung, could not end before the target answers; nor could who waits for it.
        """
        script = 'umask 077; [ -e "$1" ] || { printf %s "$2" >"$1" && sync "$1"; }'
        return ("sh", "-c", script, "sh", str(self.partial / VOID), _void_text(why))

    def seal(self) -> None:
        """Take `.partial` off the name, durably; raises OSError."""
        for folder in (self.disks, self.partial / "snapshots", self.partial):
            sync_folder(folder)
        self.partial.rename(self.final)
        sync_folder(self.final.parent)


def _void_text(why: str) -> str:
    return f"This is no backup: {why}. It may be deleted.\n"


def result_folder(plan: BackupPlan) -> ResultFolder:
    """Where the result of `plan` belongs: `<target>/<host>/<guest>/<stamp>-<run id>`."""
    parent = Path(plan.target) / folder_name(plan.host) / folder_name(plan.guest)
    return ResultFolder(parent / f"{plan.stamp}-{plan.run_id}")


def checksums(folder: Path, known: dict[str, str]) -> str:
    """A SHA256SUMS of every file in `folder`, sorted; `known` gives the sums of the large ones by relative name."""
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    sums = ((known.get(name) or hashlib.sha256((folder / name).read_bytes()).hexdigest(), name) for name in names)
    return "".join(f"{digest}  {name}\n" for digest, name in sums)
