"""Looks at a guest from its host's own side: its process, who holds the agent's socket, and what the logs say.

Works where the host is this machine, as far as this user may read; everything it cannot see stays unknown. Who is
connected to a socket is what ss(8) of iproute2 says.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import re
import time
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path

from tui.doctor.facts import HostLook, SocketClient
from tui.hosts.children import running
from tui.hosts.lanes import Lane
from tui.hosts.process_list import processes_of_guest

SS_DEADLINE_S = 2.0
LOOKS_AT_ONCE = 3
LOG_TAIL = 64 * 1024
"""Bytes at the end of a log that are searched."""
LOG_LINES = 3
_DENIAL_LOGS = (Path("/var/log/audit/audit.log"), Path("/var/log/kern.log"))
_QEMU_LOG = "/var/log/libvirt/qemu/{}.log"
_PEER = re.compile(r'users:\(\("([^"]+)",pid=(\d+)')
_TELLING = re.compile(r"error|fail|denied|terminat|crash|tainted", re.IGNORECASE)


async def look(name: str, uuid: str, socket_path: str) -> HostLook:
    """What can be seen of a guest; never raises for what cannot."""
    seen = await _lane().call(_read_all, name, uuid, socket_path)
    return replace(seen, clients=await _clients(socket_path)) if socket_path else seen


@cache
def _lane() -> Lane:
    """Threads for /proc and logs: a process in trouble can hold up whoever reads its command line."""
    return Lane("host-look", LOOKS_AT_ONCE)


def _read_all(name: str, uuid: str, socket_path: str) -> HostLook:
    """What the files of the host say; who is connected they do not."""
    pid = next(processes_of_guest(uuid), None)
    return HostLook(
        pid=pid,
        started_at=None if pid is None else _start_of(pid),
        label=_read(Path(f"/proc/{pid}/attr/current")) if pid is not None else "",
        socket_owner=_owner(socket_path) if socket_path else "",
        waiting=_waiting(socket_path) if socket_path else 0,
        denials=_denials(uuid, pid),
        log=_log_lines(name, pid),
    )


def _start_of(pid: int) -> float | None:
    """Unix time of a process' start (proc(5): field 22 of stat in clock ticks since boot)."""
    try:
        ticks = int(Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[19])
        uptime = float(Path("/proc/uptime").read_text("ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return None
    return time.time() - uptime + ticks / os.sysconf("SC_CLK_TCK")


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip("\0\n ")
    except OSError:
        return ""


def _owner(path: str) -> str:
    try:
        stat = Path(path).stat()
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    try:
        user = pwd.getpwuid(stat.st_uid).pw_name
    except KeyError:
        user = str(stat.st_uid)
    return f"{user}, mode {stat.st_mode & 0o7777:04o}"


def _waiting(path: str) -> int:
    """Connections that were not accepted yet: state 02 (SS_CONNECTING) of the path in /proc/net/unix."""
    lines = _read(Path("/proc/net/unix")).splitlines()
    return sum(1 for line in lines if line.endswith(f" {path}") and line.split()[5] == "02")


async def _clients(path: str) -> tuple[SocketClient, ...] | None:
    try:
        async with running("ss", "-xpnH") as child, asyncio.timeout(SS_DEADLINE_S):
            out = await child.output.read()
    except (TimeoutError, OSError):
        return None
    return parse_ss(out.decode("utf-8", "replace"), path)


def parse_ss(text: str, path: str) -> tuple[SocketClient, ...] | None:
    """The processes at the other end of the connections to `path`, from `ss -xpnH`; None where ss may not name them.

    A line is: netid, state, two queues, local address and inode, peer address and inode, users.
    """
    lines = [words for line in text.splitlines() if len(words := line.split()) >= 8]
    peers = {words[7] for words in lines if words[4] == path and words[1] == "ESTAB"}
    found: list[SocketClient] = []
    for words in lines:
        if words[5] in peers and words[4] != path:
            users = _PEER.search(" ".join(words[8:]))
            if users is None:
                return None
            found.append(SocketClient(users[1], int(users[2])))
    return tuple(found)


def _denials(uuid: str, pid: int | None) -> tuple[str, ...]:
    """Lines of AppArmor and SELinux that refuse this guest's process something."""
    marks = (f"libvirt-{uuid}", f"pid={pid} ")
    found: list[str] = []
    for log in _DENIAL_LOGS:
        lines = _tail(log)
        found += [
            line for line in lines if ("DENIED" in line or "denied" in line) and any(mark in line for mark in marks)
        ]
    return tuple(found[-LOG_LINES:])


def _log_lines(name: str, pid: int | None) -> tuple[str, ...]:
    """The telling lines of the guest's QEMU log: the file behind its process' standard error, if it is one."""
    candidates = [_QEMU_LOG.format(name)]
    if pid is not None:
        try:
            candidates.insert(0, str(Path(f"/proc/{pid}/fd/2").readlink()))
        except OSError:
            pass
    for candidate in candidates:
        if candidate.endswith(".log") and "/" not in name and (lines := _tail(Path(candidate))):
            return tuple(line for line in lines if _TELLING.search(line) and not line.startswith("-"))[-LOG_LINES:]
    return ()


def _tail(path: Path) -> Iterable[str]:
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - LOG_TAIL, 0))
            return file.read(LOG_TAIL).decode("utf-8", "replace").splitlines()
    except OSError:
        return ()
