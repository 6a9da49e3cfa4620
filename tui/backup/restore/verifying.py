"""Verification as part of a restore: how far it is, disk by disk, and whether what it found forbids to go on."""

from __future__ import annotations

from tui.backup.errors import BackupError
from tui.backup.progress import Progress, Step
from tui.backup.proof import Proof, Reading
from tui.backup.restore.plan import RestorePlan

OTHER_FILES = "files"
"""The name by which everything in a backup that is no disk is accepted."""


class BrokenBackupError(BackupError):
    """A backup is not what it was; `names` are to be accepted for a restore all the same."""

    def __init__(self, names: tuple[str, ...], problems: tuple[str, ...]) -> None:
        accept = " ".join(f"--accept {name}" for name in names)
        super().__init__(
            f"The backup is damaged: {', '.join(names)}",
            cause="; ".join(problems),
            next_step=f"Take another backup; to restore what is there all the same, name it: {accept}",
        )
        self.names = names


class VerifyTicks:
    """Turns the reading of a whole folder into progress of the disks in it."""

    def __init__(self, plan: RestorePlan, progress: Progress) -> None:
        self._disks = {disk.file: disk for disk in plan.disks}
        self._progress = progress
        self._file = ""
        self._began = 0

    def tell(self, reading: Reading) -> None:
        """Take in how far the reading is."""
        if reading.file != self._file:
            self._finish()
            self._file, self._began = reading.file, reading.done
        disk = self._disks.get(reading.file)
        if disk is not None:
            self._progress.tick(Step.VERIFY, disk.name, reading.done - self._began, disk.data_bytes)

    def _finish(self) -> None:
        disk = self._disks.get(self._file)
        if disk is not None:
            self._progress.tick(Step.VERIFY, disk.name, disk.data_bytes, disk.data_bytes)


def refuse_broken(plan: RestorePlan, proof: Proof) -> tuple[str, ...]:
    """What is restored though it is broken, in words; raises BrokenBackupError for what was not accepted by its name.

    A disk that is not restored forbids nothing; one that would show the guest another file's bytes is never accepted.
    """
    wanted = {disk.name for disk in plan.disks}
    found = {disk.target: disk.problems for disk in proof.disks if disk.target in wanted and not disk.is_good}
    if proof.beside_disks and plan.defines:
        found[OTHER_FILES] = proof.beside_disks
    foreign = {disk.target for disk in proof.disks if disk.target in wanted and disk.is_foreign}
    if foreign:
        raise BackupError(
            f"The backup reads a file that is none of its own: {', '.join(sorted(foreign))}",
            cause="; ".join(problem for name in sorted(foreign) for problem in found[name]),
            next_step="Take another backup. To see what was done to this one: qemu-img info on the image.",
        )
    refused = {name: problems for name, problems in found.items() if name not in plan.accepted}
    if refused:
        raise BrokenBackupError(tuple(refused), tuple(each for problems in refused.values() for each in problems))
    return tuple(f"restored as accepted: {problem}" for problems in found.values() for problem in problems)
