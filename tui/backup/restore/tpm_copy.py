"""Writing a saved TPM state to where a restored guest will have it: one folder, under a name of its own until whole."""

from __future__ import annotations

import os
from pathlib import Path

from tui.backup.copying import copy_file
from tui.backup.durable import sync_folder
from tui.backup.meter import Meter
from tui.backup.restore.plan import RestoredFile
from tui.backup.tpm import STATE_FILE_MODE, state_digest, state_files

PASSAGE_MODE = 0o711
"""Of the folders that libvirt makes above a state: whoever knows a name may pass, for swtpm runs as another user."""


def copy_state(source: str, file: RestoredFile, meter: Meter) -> str:
    """Copy the files of the state and return their sum; on the disk when this returns. Raises OSError and BackupError.

    What is there of an earlier attempt is not written over.
    """
    unit = Path(file.partial)
    unit.parent.mkdir(mode=PASSAGE_MODE, parents=True, exist_ok=True)
    unit.mkdir(mode=PASSAGE_MODE)
    place = _place(file)
    place.mkdir(mode=file.mode, exist_ok=True)
    sums = {name: copy_file(f"{source}/{name}", str(place / name), meter) for name in state_files(source)}
    for folder in dict.fromkeys((place, unit, unit.parent)):
        sync_folder(folder)
    return state_digest(sums)


def give_state(file: RestoredFile) -> list[str]:
    """Give the state the owner and mode of what was saved; returns why not where that is not ours to do.

    The folder above it belongs to libvirt, as does the one that holds it. Raises OSError.
    """
    unit, place = Path(file.partial), _place(file)
    remarks: list[str] = []
    if place != unit:
        unit.chmod(PASSAGE_MODE)
        remarks += _chown(unit, *_owner(unit.parent), file)
    for path, mode in ((place, file.mode), *((each, STATE_FILE_MODE) for each in place.iterdir())):
        path.chmod(mode)
        remarks += _chown(path, file.owner, file.group, file)
    sync_folder(place)
    return remarks[:1]


def _place(file: RestoredFile) -> Path:
    return Path(file.partial) / file.within if file.within else Path(file.partial)


def _owner(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_uid, status.st_gid


def _chown(path: Path, owner: int, group: int, file: RestoredFile) -> list[str]:
    if _owner(path) == (owner, group):
        return []
    try:
        os.chown(path, owner, group, follow_symlinks=False)
    except PermissionError:
        return [f"{file.to} could not be given to user {owner}"]
    return []
