"""The files of a restore on their way: each step may be repeated, and none loses a file that was there before.

A file is at first `to` (the former one) and `partial` (the copy); then `aside` and `partial`; then `aside` and `to`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from tui.backup.durable import sync_folder
from tui.backup.errors import BackupError
from tui.backup.restore.plan import RestoredFile, RestorePlan, undone_of

FOLDER_MODE = 0o711
"""Whoever knows a name may pass: QEMU runs as another user."""


def make_folder(plan: RestorePlan) -> None:
    """Make the folder of a clone, durably; raises OSError, also where it exists."""
    if plan.own_folder:
        folder = Path(plan.own_folder)
        folder.mkdir(mode=FOLDER_MODE)
        folder.chmod(FOLDER_MODE)
        sync_folder(folder.parent)


def put_in(file: RestoredFile) -> None:
    """Move the former file aside and give the copy its name; without effect where that is done.

    Raises OSError, and BackupError where somebody else has changed something meanwhile.
    """
    if not os.path.lexists(file.partial):
        if not os.path.lexists(file.to) or (file.aside and not os.path.lexists(file.aside)):
            raise _changed(file, "the copy is gone")
        return
    there, moved = os.path.lexists(file.to), bool(file.aside) and os.path.lexists(file.aside)
    if there and (moved or not file.aside):
        raise _changed(file, f"{file.to} is there, too")
    if file.aside and not there and not moved:
        raise _changed(file, f"{file.to} is gone")
    if there:
        _rename(file.to, file.aside)
    _rename(file.partial, file.to)


def take_back(file: RestoredFile, run_id: str, *, keep: bool) -> None:
    """Put the former file back under its name; `keep` the restored one under a third name, for it may have been used.

    Without effect where that is done. Raises OSError.
    """
    is_in = os.path.lexists(file.to) and not os.path.lexists(file.partial)
    has_former = bool(file.aside) and os.path.lexists(file.aside)
    if is_in and (has_former or not file.aside):
        _rename(file.to, undone_of(file.to, run_id) if keep else file.partial)
    if has_former and not os.path.lexists(file.to):
        _rename(file.aside, file.to)


def remove_partials(files: Iterable[RestoredFile]) -> None:
    """Delete the copies that have no other name yet; raises OSError."""
    for file in files:
        path = Path(file.partial)
        if os.path.lexists(path):
            if file.is_folder and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
            sync_folder(path.parent)


def remove_folder(plan: RestorePlan) -> None:
    """Remove the folder of a clone where it is empty; what others put into it stays, and so does it. Raises OSError."""
    if plan.own_folder and os.path.lexists(plan.own_folder) and not any(Path(plan.own_folder).iterdir()):
        folder = Path(plan.own_folder)
        folder.rmdir()
        sync_folder(folder.parent)


def are_back(plan: RestorePlan) -> bool:
    """Whether no file of the restore is in the place of a former one, or beside it."""
    return not any(os.path.lexists(name) for file in plan.files for name in (file.partial, file.aside) if name)


def can_be_undone(plan: RestorePlan) -> bool:
    """Whether every file that was moved aside is still there."""
    return all(os.path.lexists(file.aside) for file in plan.files if file.aside)


def _rename(source: str, target: str) -> None:
    if os.path.lexists(target):
        raise BackupError("A file is in the way", cause=target, next_step="Move it away, then try again.")
    Path(source).rename(target)
    sync_folder(Path(target).parent)


def _changed(file: RestoredFile, why: str) -> BackupError:
    return BackupError(
        "Somebody changed the files of the restore meanwhile",
        cause=f"{file.name}: {why}",
        next_step="Delete nothing; see which of the names are there.",
    )
