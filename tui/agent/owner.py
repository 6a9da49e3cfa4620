"""Whose run a folder in a guest belongs to: its name says it, so that others can tell whether the owner still lives."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from functools import cache
from pathlib import Path

from tui import settings

PREFIX = "qga-tui"
_WORD_LENGTH = 32
_NAME = re.compile(
    rf"{PREFIX}\.(?P<machine>[0-9a-f]{{8}})-(?P<boot>[0-9a-f]{{8}})-(?P<pid>\d+)-(?P<began>\d+)\.[^/&|<>^()%]+"
)


def run_folder_name() -> str:
    """`qga-tui.INSTALLATION-BOOT-PID-START`, for a folder of this process; mktemp(1) adds its own letters."""
    return f"{PREFIX}.{_installation()}-{_boot()}-{os.getpid()}-{_began(os.getpid())}"


def is_abandoned(folder_name: str) -> bool:
    """Whether the owner is proven to be a process of this installation, in this boot of its machine, that is gone.

    Of another boot nothing is known: a machine that was copied with its state folder may run beside this one.
    """
    name = _NAME.fullmatch(folder_name)
    if name is None or (name["machine"], name["boot"]) != (_installation(), _boot()):
        return False
    return not _lives(int(name["pid"]), name["began"])


def _installation() -> str:
    return _installation_of(settings.state_folder())


@cache
def _installation_of(state_folder: Path) -> str:
    """Who keeps this state folder, as its processes see each other: a random word, and the PID namespace.

    What machines that were made from one template share (machine-id(5)) is not looked at.
    """
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        namespace = ""
    return hashlib.sha256(f"{_random_word(state_folder)} {namespace}".encode()).hexdigest()[:8]


def _random_word(state_folder: Path) -> str:
    """Made once for a state folder; where that cannot be written, this process has one that nobody else has."""
    mine = secrets.token_hex(16)
    try:
        folder = settings.private_folder(state_folder)
        path, draft = folder / "installation-id", folder / f"installation-id.{mine}"
        if path.exists():
            return _word_in(path) or mine
        settings.append_private(draft, mine)
        try:
            # Of several processes that begin at once, one makes it, and no other sees a part of it.
            os.link(draft, path)
        except FileExistsError:
            return _word_in(path) or mine
        finally:
            draft.unlink()
    except OSError:
        return mine
    return mine


def _word_in(path: Path) -> str:
    word = path.read_text(encoding="ascii", errors="replace")[:_WORD_LENGTH]
    return word if len(word) == _WORD_LENGTH and word.isalnum() else ""


@cache
def _boot() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        boot = ""
    return hashlib.sha256(boot.encode()).hexdigest()[:8]


def _began(pid: int) -> str:
    """When a process was started, in clock ticks since boot (proc(5), field 22); `0` where that cannot be read."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "0"
    return stat.rpartition(")")[2].split()[19]


def _lives(pid: int, began: str) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return began == "0" or _began(pid) in {began, "0"}
