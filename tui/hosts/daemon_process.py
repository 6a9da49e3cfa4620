"""Which process of this machine answers a libvirt connection: by the socket's other end, as the kernel tells it.

The form of a URI tells nothing: a socket may be forwarded by ssh, or be of a container (unix(7): SO_PEERCRED tells who
listens, SO_PASSCRED who wrote).
"""

from __future__ import annotations

import os
import re
import socket
import stat
import struct
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

ANSWER_S = 5.0
"""Seconds for a daemon that is started by its socket to say its first word."""
FIRMWARE_UUID = Path("/sys/class/dmi/id/product_uuid")
SETTINGS = Path("/etc/libvirt")
_CREDENTIALS = struct.Struct("3i")
_CALL = struct.Struct(">7I")
_AUTH_LIST = _CALL.pack(_CALL.size, 0x20008086, 1, 66, 0, 0, 0)
"""What every client asks first: REMOTE_PROC_AUTH_LIST of the remote protocol (virnetprotocol.x, remote_protocol.x)."""
_DAEMON = re.compile(r"\.?(lt-)?(libvirtd|virt(qemu|proxy|xen|lxc|ch|bhyve|vbox|vz)d)(-wrap.*)?")
_INIT = re.compile(r"systemd|init|runit|s6-.*|dinit")
_NEVER_OURS = "it is not proven that libvirt's daemon runs on this machine"


@dataclass(frozen=True, slots=True)
class Answerer:
    """What a connection says of itself: its URI with aliases resolved, its machine's name and UUID (capabilities)."""

    uri: str
    hostname: str
    host_uuid: str = ""


@dataclass(frozen=True, slots=True)
class DaemonProcess:
    """The process, which runs on this machine; 0 where that is not proven, and `doubt` says why."""

    pid: int = 0
    doubt: str = ""


def find_daemon(answerer: Answerer) -> DaemonProcess:
    """The process that answers; blocks for ANSWER_S at most."""
    parts = urlsplit(answerer.uri)
    driver, _, transport = parts.scheme.partition("+")
    doubt = _doubt_of_uri(answerer.uri) or _doubt_of_name(answerer.hostname)
    if doubt:
        return DaemonProcess(doubt=doubt)
    if driver == "test":
        return DaemonProcess(doubt="the guests of libvirt's test driver have no files")
    if not transport and parts.path == "/embed":
        return DaemonProcess(pid=os.getpid())
    try:
        pid = _other_end(_sockets_of(answerer.uri))
    except OSError as error:
        return DaemonProcess(doubt=f"{_NEVER_OURS}: its socket tells no process ({error.strerror or error})")
    doubt = _doubt_of_process(pid) or _doubt_of_uuid(pid, answerer.host_uuid)
    return DaemonProcess(doubt=doubt) if doubt else DaemonProcess(pid=pid)


def _doubt_of_uri(uri: str) -> str:
    """Why the URI itself leads elsewhere, or nobody knows where; `name` is a URI that the daemon opens in turn."""
    parts = urlsplit(uri)
    transport = parts.scheme.partition("+")[2]
    if parts.hostname:
        return f"the images are on another machine, {parts.hostname}"
    if transport not in ("", "unix"):
        return f"{_NEVER_OURS}: it is reached through {transport}"
    further = parse_qs(parts.query).get("name", [""])[0]
    return _doubt_of_uri(further) if further else ""


def _doubt_of_name(hostname: str) -> str:
    """libvirt tells the whole name where the resolver knows it: where one of two has but a label, that counts."""
    theirs, ours = hostname.rstrip(".").lower(), socket.gethostname().rstrip(".").lower()
    if not ("." in theirs and "." in ours):
        theirs, ours = theirs.partition(".")[0], ours.partition(".")[0]
    return "" if theirs == ours else f"the images are on another machine: its name is {hostname}, this one's {ours}"


def _sockets_of(uri: str) -> tuple[str, ...]:
    """Where the client of a URI without a machine may have found the daemon's socket (remote_sockets.c)."""
    parts = urlsplit(uri)
    named = parse_qs(parts.query).get("socket", [""])[0]
    if named:
        return (named,)
    driver = parts.scheme.partition("+")[0]
    folders: tuple[str, ...] = ("/run/libvirt", "/var/run/libvirt")
    if parts.path == "/session":
        runtime = os.environ.get("XDG_RUNTIME_DIR", "")
        cache = os.environ.get("XDG_CACHE_HOME", "") or str(Path("~/.cache").expanduser())
        folders = tuple(f"{folder}/libvirt" for folder in (runtime, cache) if folder)
    names = (f"virt{driver}d-sock", "libvirt-sock")
    return tuple(f"{folder}/{name}{end}" for name in names for end in ("", "-ro") for folder in folders)


def _other_end(paths: tuple[str, ...]) -> int:
    """The process at the other end of our connection to one of the sockets; raises OSError."""
    found = next(_peers_of_own(paths), None) or _peer_anew(paths)
    path, pid = found
    # What the service manager listens on for a service is answered by another process.
    return _writer(path) if pid == 1 or _INIT.fullmatch(_name_of(pid)) else pid


def _peers_of_own(paths: Iterable[str]) -> Iterator[tuple[str, int]]:
    """The sockets that this process is connected to already, with the process that listens on each."""
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - numbers, not paths
        try:
            found = _peer_among(paths, int(name))
        except OSError:
            continue
        if found is not None:
            yield found


def _peer_among(paths: Iterable[str], descriptor: int) -> tuple[str, int] | None:
    if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
        return None
    # A duplicate: to close it ends nothing.
    with closing(socket.socket(fileno=os.dup(descriptor))) as ours:
        is_one = ours.family == socket.AF_UNIX and ours.getpeername() in paths
        return (str(ours.getpeername()), _listener(ours)) if is_one else None


def _peer_anew(paths: Iterable[str]) -> tuple[str, int]:
    trouble = OSError("there is no socket of libvirt")
    for path in paths:
        with closing(socket.socket(socket.AF_UNIX)) as ours:
            try:
                ours.connect(path)
                return path, _listener(ours)
            except OSError as error:
                trouble = error
    raise trouble


def _listener(ours: socket.socket) -> int:
    pid, _, _ = _CREDENTIALS.unpack(ours.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return int(pid)


def _writer(path: str) -> int:
    """The process that answers on a socket, whoever listens on it; raises OSError."""
    with closing(socket.socket(socket.AF_UNIX)) as ours:
        ours.settimeout(ANSWER_S)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        ours.connect(path)
        ours.sendall(_AUTH_LIST)
        _, told, _, _ = ours.recvmsg(_CALL.size, socket.CMSG_SPACE(_CREDENTIALS.size))
        for level, kind, data in told:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
                return int(_CREDENTIALS.unpack(data)[0])
    raise OSError("it answered without a word")


def _name_of(pid: int) -> str:
    """What the kernel calls a process (proc_pid_comm(5)), empty for one that this user may not see."""
    try:
        return Path(f"/proc/{pid}/comm").read_text("utf-8", "replace").rstrip("\n")
    except OSError:
        return ""


def _doubt_of_process(pid: int) -> str:
    if pid <= 0:
        return f"{_NEVER_OURS}: whoever holds its socket is no process of this machine or container"
    name = _name_of(pid)
    if not name:
        return f"{_NEVER_OURS}: this user cannot see the process that holds its socket ({pid})"
    if not _DAEMON.fullmatch(name):
        return f"{_NEVER_OURS}: its socket is held by {name} (process {pid}), which may lead elsewhere"
    return ""


def _doubt_of_uuid(pid: int, told: str) -> str:
    """libvirt of the system takes the firmware's UUID for its host's, which root alone may read."""
    try:
        is_of_system = Path(f"/proc/{pid}").stat().st_uid == 0
        ours = FIRMWARE_UUID.read_text("ascii").strip().lower()
    except (OSError, ValueError):
        return ""
    digits = set(ours.replace("-", ""))
    # One of equal digits is none to libvirt (virUUIDIsValid), and a chosen one may be any.
    if not is_of_system or not told or len(digits) < 2 or told.lower() == ours or _is_chosen():
        return ""
    return f"the images are on another machine: its UUID is {told}, this one's {ours}"


def _is_chosen() -> bool:
    """Whether the daemon's settings give the host another UUID than its firmware's (host_uuid, host_uuid_source)."""
    for path in SETTINGS.glob("*d.conf"):
        try:
            text = path.read_text("utf-8", "replace")
        except OSError:
            continue
        if re.search(r"^\s*host_uuid", text, re.MULTILINE):
            return True
    return False
