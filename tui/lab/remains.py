"""What a laboratory keeps on the host - one folder, and processes whose HOME is in it - and how all of it is removed.

A folder is claimed by a lock on its file `owner`, held for as long as its program lives; the kernel gives the lock back
however the program ends. A folder whose lock is free is abandoned, and the next laboratory removes it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import pwd
import select
import shutil
import signal
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tui.lab.programs import LabError, Report

LABS = Path("/var/tmp")  # noqa: S108  # folders are made by mkdtemp
PREFIX = "qga."
"""Short: the path of an agent's socket below the folder must stay under the 108 bytes of sun_path."""
GRACE = 5.0
"""Seconds a process has to end by itself."""
UNPRIVILEGED = "nobody"
"""Whom the daemon runs as when we are root: libvirtd as root would be the system's."""


@dataclass(frozen=True, slots=True)
class LabUser:
    """Whom the daemon and the guests run as."""

    uid: int
    gid: int


def lab_user() -> LabUser:
    """Us, or for root an unprivileged user."""
    if os.geteuid() != 0:
        return LabUser(os.geteuid(), os.getegid())
    entry = pwd.getpwnam(UNPRIVILEGED)
    return LabUser(entry.pw_uid, entry.pw_gid)


class LabFolder:
    """A claimed folder, open to the laboratory's user and to root alone."""

    def __init__(self, path: Path, user: LabUser, lock: int) -> None:
        self.path = path
        self.user = user
        self._lock = lock

    @classmethod
    def claim(cls, labs: Path = LABS) -> LabFolder:
        """Make a fresh folder with its subfolders and lock it."""
        user = lab_user()
        path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=labs))
        # Nobody sees an owner file that is not locked yet.
        nascent = path / "owner.new"
        lock = os.open(nascent, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(lock, f"{os.getpid()}\n".encode())
        nascent.rename(path / "owner")
        folder = cls(path, user, lock)
        for part in (folder.home, folder.runtime, folder.config, folder.guests):
            part.mkdir(mode=0o700)
            folder.give(part)
        folder.give(path)
        return folder

    @property
    def home(self) -> Path:
        """HOME, cache and data of the daemon; the mark by which its processes are known."""
        return home_of(self.path)

    @property
    def runtime(self) -> Path:
        """XDG_RUNTIME_DIR: sockets and pid files."""
        return self.path / "r"

    @property
    def config(self) -> Path:
        """XDG_CONFIG_HOME: definitions, and the sockets of agents."""
        return self.path / "c"

    @property
    def guests(self) -> Path:
        """Kernels, ramdisks and disks of the guests."""
        return self.path / "g"

    def give(self, path: Path) -> None:
        """Hand a file that we made to the laboratory's user."""
        if os.geteuid() == 0:
            os.chown(path, self.user.uid, self.user.gid)

    def remove(self) -> None:
        """End the processes, remove the folder, let the lock go. Without effect when done before; raises LabError."""
        if self._lock < 0:
            return
        clear(self.path)
        os.close(self._lock)
        self._lock = -1


def home_of(lab: Path) -> Path:
    """The HOME that the processes of a laboratory have."""
    return lab / "h"


def processes_of(lab: Path) -> tuple[int, ...]:
    """The processes that the laboratory's daemon, its guests or their helpers are: their HOME is in its folder."""
    return tuple(int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and _lives_in(entry, lab))


def _lives_in(process: Path, lab: Path) -> bool:
    try:
        environment = (process / "environ").read_bytes()
    except OSError:  # it ended, or is another user's
        return False
    return f"HOME={home_of(lab)}".encode() in environment.split(b"\0")


def end_processes(lab: Path, grace: float = GRACE) -> None:
    """End every process of a laboratory: asked first, killed after `grace` seconds; raises LabError if one remains."""
    begun = time.monotonic()
    held: dict[int, int] = {}
    try:
        while True:
            for pid in processes_of(lab):
                if pid not in held and (handle := _handle(pid, lab)) is not None:
                    held[pid] = handle
                    _send(handle, signal.SIGTERM)
            if not held:
                return
            waited = time.monotonic() - begun
            if waited > 2 * grace:
                raise LabError("The laboratory could not be ended", cause=f"processes {list(held)} cannot be killed")
            if waited > grace:
                for handle in held.values():
                    _send(handle, signal.SIGKILL)
            for pid in _ended(held, seconds=0.2):
                os.close(held.pop(pid))
    finally:
        for handle in held.values():
            os.close(handle)


def _handle(pid: int, lab: Path) -> int | None:
    """A pidfd, proven to mean a process of this laboratory; numbers are reused, pidfds are not."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    if _lives_in(Path("/proc", str(pid)), lab):
        return handle
    os.close(handle)
    return None


def _send(handle: int, number: signal.Signals) -> None:
    try:
        signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        pass  # it has ended meanwhile; its pidfd says so


def _ended(held: dict[int, int], seconds: float) -> list[int]:
    """Those of the processes that have ended; waits for the first, at most so long."""
    by_handle = {handle: pid for pid, handle in held.items()}
    poll = select.poll()
    for handle in by_handle:
        poll.register(handle, select.POLLIN)
    return [by_handle[handle] for handle, _ in poll.poll(seconds * 1000)]


def clear(lab: Path) -> None:
    """Remove a laboratory: processes first, then files, the owner file last; raises LabError."""
    end_processes(lab)
    try:
        for path in lab.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name != "owner":
                path.unlink()
        shutil.rmtree(lab)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise LabError("The laboratory's folder could not be removed", cause=f"{lab}: {error.strerror}") from error


def sweep_abandoned(report: Report, labs: Path = LABS) -> None:
    """Remove the laboratories whose programs are gone; what cannot be removed is reported and left."""
    ours = {0, os.geteuid(), lab_user().uid}
    for lab in sorted(labs.glob(f"{PREFIX}*")):
        try:
            if lab.stat().st_uid not in ours:
                continue
            lock = os.open(lab / "owner", os.O_RDWR | os.O_NOFOLLOW)
        except OSError as error:  # not a laboratory of ours, still being made, or just removed
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ELOOP):
                continue
            raise
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            report(f"removing the abandoned laboratory {lab}")
            clear(lab)
        except BlockingIOError:
            pass  # its program lives
        except LabError as error:
            report(error.one_line())
        finally:
            os.close(lock)
