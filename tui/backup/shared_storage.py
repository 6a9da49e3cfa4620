"""Whether other hosts may have a folder's files open, of which nothing is seen here: by the kind of its file system."""

from __future__ import annotations

import os
from pathlib import Path

from tui.backup.volatile import mounts_here

SHARED = frozenset(
    {
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "ceph",
        "gfs2",
        "ocfs2",
        "lustre",
        "beegfs",
        "gpfs",
        "9p",
        "virtiofs",
        "afs",
    }
)
"""File systems that several hosts mount; those of FUSE are added by their prefix (gluster, sshfs, mfs and others)."""


def is_shared_type(kind: str) -> bool:
    """Whether a file system of this type may be mounted by other hosts, too."""
    return kind in SHARED or kind == "fuse" or kind.startswith("fuse.")


def shared_here(folder: str) -> str:
    """The type of the file system of a folder of this machine where other hosts may use it, too, else empty.

    Blocks. By the kernel's word for the device on which the folder lies (proc(5), mountinfo).
    """
    try:
        device = Path(folder).stat().st_dev
    except (OSError, ValueError):
        return ""
    number = f"{os.major(device)}:{os.minor(device)}"
    return next((kind for at, kind, _ in mounts_here() if at == number and is_shared_type(kind)), "")
