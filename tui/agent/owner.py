"""Whose run a folder in a guest belongs to: its name says it, so that others can tell whether the owner still lives."""

from __future__ import annotations

import hashlib
import os
import re
from functools import cache
from pathlib import Path

PREFIX = "qga-tui"
_NAME = re.compile(
    rf"{PREFIX}\.(?P<machine>[0-9a-f]{{8}})-(?P<boot>[0-9a-f]{{8}})-(?P<pid>\d+)-(?P<began>\d+)\.[^/&|<>^()%]+"
)


def run_folder_name() -> str:
    """`qga-tui.MACHINE-BOOT-PID-START`, for a folder of this process; mktemp(1) adds its own letters."""
    return f"{PREFIX}.{_machine()}-{_boot()}-{os.getpid()}-{_began(os.getpid())}"


def is_abandoned(folder_name: str) -> bool:
    """Whether the owner was a process of this machine that is gone. Of other machines nothing is known here."""
    name = _NAME.fullmatch(folder_name)
    if name is None or name["machine"] != _machine():
        return False
    return name["boot"] != _boot() or not _lives(int(name["pid"]), name["began"])


@cache
def _machine() -> str:
    """This machine as its processes see each other: its id and the PID namespace (machine-id(5), namespaces(7))."""
    try:
        machine = Path("/etc/machine-id").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        machine = os.uname().nodename
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        namespace = ""
    return hashlib.sha256(f"{machine} {namespace}".encode()).hexdigest()[:8]


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
