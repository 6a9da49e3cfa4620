"""The backups that can be found: in the folders of this user's runs, of the settings, or one that is typed in."""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import AsyncIterator, Collection, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice
from pathlib import Path

from tui.backup.errors import BackupError
from tui.backup.folder import PARTIAL, VOID
from tui.backup.journal import RunStage, read_journal
from tui.backup.proof_note import ProofNote, read_note
from tui.backup.restore import boot_test
from tui.backup.restore.boot_test import BootNote
from tui.backup.restore.saved import MANIFEST, SUMS, NewerBackupError, SavedBackup, read_saved
from tui.backup.runfold import first_state
from tui.backup.runs import is_active, list_runs
from tui.hosts.lanes import Lane

DEPTH = 3
"""Folders below a target: host, guest, backup."""
NAMES_LIMIT, FOLDERS_LIMIT, TARGETS_LIMIT = 5_000, 3_000, 64
"""Names read of one folder, folders looked into below one target, targets."""
_NAME = re.compile(r"(\d{8}T\d{6}Z)-([0-9a-f]+)")


class BackupWord(StrEnum):
    """What a folder is, in one word."""

    COMPLETE = "complete"
    RUNNING = "running"
    """A backup is being made in it now."""
    PARTIAL = "partial"
    """A backup was begun in it, and not finished."""
    VOID = "void"
    """It is marked as worth nothing."""
    NEWER = "newer"
    """A newer program made it."""
    DAMAGED = "damaged"
    """It cannot be read, lacks a disk, or was found changed when it was verified last."""


@dataclass(frozen=True, slots=True)
class FoundBackup:
    """One backup as it was found; texts are foreign.

    `guest`, `host` and `stamp` come from the folder's path where `saved` is None. `trouble` says why a
    folder is not complete.
    """

    folder: Path
    word: BackupWord
    guest: str
    host: str
    stamp: str = ""
    saved: SavedBackup | None = None
    trouble: str = ""
    verified: ProofNote | None = None
    boot_tested: BootNote | None = None

    @property
    def uuid(self) -> str:
        """The guest's, empty where it is not known."""
        return self.saved.uuid if self.saved is not None else ""

    @property
    def is_foreign(self) -> bool:
        """Whether another machine made it."""
        return self.saved is not None and self.saved.hostname != socket.gethostname()


def look_at(folder: Path) -> FoundBackup:
    """What a folder is that no backup is being made in; blocks."""
    return _described(folder, frozenset(), _given_up())


def known_targets(configured: Path | None) -> tuple[Path, ...]:
    """The folders that backups of this user went to, the configured one first; reads files, so it blocks."""
    used = (Path(run.plan.target) for run in list_runs())
    targets = dict.fromkeys((*((configured,) if configured is not None else ()), *used))
    return tuple(islice(targets, TARGETS_LIMIT))


async def search(targets: Iterable[Path]) -> AsyncIterator[tuple[Path, tuple[FoundBackup, ...]]]:
    """Each target with what is in it, as soon as that is known: one that does not answer keeps back no other."""
    looks = [asyncio.create_task(_search_one(target)) for target in dict.fromkeys(targets)]
    try:
        for look in asyncio.as_completed(looks):
            yield await look
    finally:
        for task in looks:
            task.cancel()


def arranged(found: Iterable[FoundBackup], uuid: str = "") -> tuple[FoundBackup, ...]:
    """Each folder once: those of the guest `uuid` first, then guest by guest, the newest of each first."""
    once = {each.folder: each for each in found}.values()
    newest_first = sorted(once, key=lambda each: (each.stamp, str(each.folder)), reverse=True)
    return tuple(sorted(newest_first, key=lambda each: (not uuid or each.uuid != uuid, each.guest, each.host)))


async def _search_one(target: Path) -> tuple[Path, tuple[FoundBackup, ...]]:
    with closing(Lane("catalogue", 1)) as lane:
        return target, await lane.call(found_in, target)


def found_in(target: Path) -> tuple[FoundBackup, ...]:
    """The backups in a folder, or the one that it is; blocks. Nothing where it cannot be read or is not there."""
    active = {str(first_state(run.plan).result) + PARTIAL for run in list_runs() if is_active(run)}
    given_up = _given_up()
    folders = islice(_candidates(Path(os.path.realpath(target)), DEPTH, iter(range(FOLDERS_LIMIT))), FOLDERS_LIMIT)
    return tuple(_described(folder, active, given_up) for folder in folders)


def _candidates(folder: Path, depth: int, budget: Iterator[int]) -> Iterator[Path]:
    """Folders that are backups, or were to be; links are not followed, and a backup is not looked into."""
    names = _names(folder)
    if MANIFEST in names or SUMS in names or (folder.name.endswith(PARTIAL) and _NAME.match(folder.name)):
        yield folder
        return
    if depth == 0 or next(budget, None) is None:
        return
    for name, is_folder in sorted(names.items()):
        if is_folder and not name.startswith("."):
            yield from _candidates(folder / name, depth - 1, budget)


def _names(folder: Path) -> dict[str, bool]:
    """The names in a folder, and whether they are folders."""
    try:
        with os.scandir(folder) as entries:
            return {entry.name: entry.is_dir(follow_symlinks=False) for entry in islice(entries, NAMES_LIMIT)}
    except OSError:
        return {}


def _given_up() -> frozenset[str]:
    """The names of the folders whose copies this user's journals call void: a target that hung took no mark down."""
    void = (run for run in list_runs() if any(entry.stage is RunStage.VOID for entry in read_journal(run.folder)))
    return frozenset(first_state(run.plan).result.name for run in void)


def _described(folder: Path, active: Collection[str], given_up: Collection[str]) -> FoundBackup:
    match = _NAME.match(folder.name)
    stamp = match[1] if match is not None else ""
    guest, host = folder.parent.name, folder.parent.parent.name
    is_given_up = folder.name.removesuffix(PARTIAL) in given_up
    if is_given_up or (folder.name.endswith(PARTIAL) and not (folder / SUMS).exists()):
        word = BackupWord.RUNNING if str(folder) in active else BackupWord.PARTIAL
        if is_given_up or os.path.lexists(folder / VOID):
            word = BackupWord.VOID
        return FoundBackup(folder, word, guest, host, stamp, trouble=_PARTIAL_WORDS[word])
    try:
        saved = read_saved(folder)
    except NewerBackupError as error:
        return FoundBackup(folder, BackupWord.NEWER, guest, host, stamp, trouble=error.one_line())
    except BackupError as error:
        return FoundBackup(folder, BackupWord.DAMAGED, guest, host, stamp, trouble=error.one_line())
    broken = tuple(f"{disk.target}: {disk.problem}" for disk in saved.disks if disk.problem)
    word = BackupWord.VOID if saved.void else BackupWord.DAMAGED if broken else BackupWord.COMPLETE
    trouble = saved.void or "; ".join(broken)
    found = FoundBackup(folder, word, saved.guest, saved.host, saved.stamp, saved, trouble)
    return _with_note(replace(found, boot_tested=boot_test.read_note(folder)), read_note(folder))


def _with_note(found: FoundBackup, note: ProofNote | None) -> FoundBackup:
    """The backup with what came of its last look."""
    if found.word is BackupWord.COMPLETE and note is not None and not note.good:
        return replace(found, verified=note, word=BackupWord.DAMAGED)
    return replace(found, verified=note)


_PARTIAL_WORDS = {
    BackupWord.RUNNING: "A backup is being made in it now.",
    BackupWord.PARTIAL: "A backup was begun in it, and not finished.",
    BackupWord.VOID: "A backup was begun in it, and given up: it may be deleted.",
}
