"""What tells a process from a later one with the same number, and whether it still lives."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

_TEXT = re.compile(r"(?P<pid>[0-9]{1,10})-(?P<began>[0-9]{1,20})-(?P<boot>[0-9a-f-]{0,36})")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process of this machine: its number, its start in clock ticks since boot (proc(5), field 22), and that boot."""

    pid: int
    began: int
    boot: str

    def __str__(self) -> str:
        return f"{self.pid}-{self.began}-{self.boot}"

    @property
    def is_gone(self) -> bool:
        """Whether it is proven to have ended; what cannot be read is no proof."""
        if not self.boot or not _boot_id():
            return False
        if self.boot != _boot_id():
            return True
        try:
            return _began(self.pid) != self.began
        except FileNotFoundError:
            return True
        except (OSError, ValueError, IndexError):
            return False


def own_identity() -> ProcessIdentity:
    """This process; raises OSError where /proc does not tell."""
    return ProcessIdentity(os.getpid(), _began(os.getpid()), _boot_id())


def read_identity(text: str) -> ProcessIdentity | None:
    """The identity that `str` made this text of, None for any other."""
    found = _TEXT.fullmatch(text)
    return None if found is None else ProcessIdentity(int(found["pid"]), int(found["began"]), found["boot"])


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def _began(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[19])
