"""Which way a run goes to the guest's images: asked for, or found out from what this user may do."""

from __future__ import annotations

import errno
import os
from collections.abc import Awaitable, Callable, Collection
from enum import StrEnum
from typing import TypeVar

from tui.backup.plan import BackupPlan, PlannedDisk, Source, pool_name
from tui.backup.reach import Reach
from tui.backup.reach_files import FileReach
from tui.backup.reach_stream import StreamReach
from tui.backup.session import HostSession
from tui.hosts.port import Host

T = TypeVar("T")


class SourceWish(StrEnum):
    """What the user may ask for."""

    AUTO = "auto"
    FILE = "file"
    STREAM = "stream"


def choose_source(wish: SourceWish, elsewhere: str, disks: Collection[PlannedDisk]) -> tuple[Source, str]:
    """The source and why: files where they can be read and their folders are this user's to write in.

    `elsewhere` says why it is not proven that these files are the ones that libvirt's daemon sees; empty where it is.
    """
    if wish is not SourceWish.AUTO:
        return Source(wish), "as asked"
    if elsewhere:
        return Source.STREAM, elsewhere
    for disk in disks:
        for path in (disk.base, *disk.below):
            if _is_refused(path, os.R_OK):
                return Source.STREAM, f"this user may not read {path}"
        folder = os.path.dirname(disk.overlay)  # noqa: PTH120 - a plain string
        if _is_refused(folder, os.W_OK | os.X_OK):
            return Source.STREAM, f"this user may not write into {folder}"
    return Source.FILE, "this user may read the images and write into their folder"


NO_FILE = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP)
"""What the system says of a path under which there can be no file."""


def _is_refused(path: str, mode: int) -> bool:
    """Whether it is a right that is missing; what is not there at all is no matter of rights."""
    if os.access(path, mode):
        return False
    try:
        os.lstat(path)
    except OSError as error:
        return error.errno not in NO_FILE
    return True


def reach_of(session: HostSession, plan: BackupPlan) -> Reach:
    """The way of a run to its images, over a session that outlives connections."""
    if plan.source is Source.FILE:
        return FileReach()
    return StreamReach(session.ask, session.ask_once, plan, pool_name(plan))


def passing_reach(host: Host, plan: BackupPlan, suffix: str = "") -> Reach:
    """The same for a look at a plan; `suffix` keeps the pools of a look apart from those of a run."""
    if plan.source is Source.FILE:
        return FileReach()

    async def ask(question: Callable[[Host], Awaitable[T]]) -> T:
        return await question(host)

    return StreamReach(ask, ask, plan, f"{pool_name(plan)}{suffix}")
