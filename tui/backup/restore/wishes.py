"""What somebody wants of a restore, before it is known whether that can be had."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tui.backup.checks import Verdict
from tui.backup.restore.plan import Change, RestoreWay, StopWay

MOMENTS = "moments"
"""What is accepted by this name: disks of the backup's moment beside others as they are now."""
USERS = "users"
"""What is accepted by this name: that it is not known of some guests whether their images lie on those replaced."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user asked for; what is empty is proposed.

    `name` is a clone's. `disks` are the targets for the ways of disks alone, which a backup of one disk need not be
    told; for a clone and in place, those that are taken without the others, all with none. `attach` is the name or UUID
    of the guest that gets disks. `to` is the path of one disk's image, the folder of several, or the folder in which a
    clone's own folder is made. `accepted` names disks and files that are to be restored though they fail verification,
    and `MOMENTS` where disks of different moments are wanted, `USERS` where it is not known who uses the images.
    """

    way: RestoreWay = RestoreWay.CLONE
    name: str = ""
    disks: tuple[str, ...] = ()
    to: str = ""
    attach: str = ""
    link_down: bool = True
    stop: StopWay = StopWay.NONE
    changes: tuple[Change, ...] = ()
    accepted: tuple[str, ...] = ()
    limit_bytes_s: int = 0

    def with_change(self, change: Change) -> Wishes:
        """The same with a change of the definition, in place of another one about the same."""
        others = tuple(each for each in self.changes if not each.is_about_same(change))
        return replace(self, changes=(*others, change))


@dataclass(frozen=True, slots=True)
class Fix:
    """A way out of a finding: the wishes to propose anew with, in words, and as an option of the command line."""

    label: str
    option: str
    wishes: Wishes


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: how it is, what to do if it is not well, and the fixes that are offered.

    Only FAILED forbids the restore.
    """

    title: str
    verdict: Verdict
    evidence: str
    next_step: str = ""
    fixes: tuple[Fix, ...] = ()


def passed(title: str, evidence: str) -> Finding:
    """A finding that all is well."""
    return Finding(title, Verdict.PASSED, evidence)


def warned(title: str, evidence: str, next_step: str = "") -> Finding:
    """A finding that is worth a word, and forbids nothing."""
    return Finding(title, Verdict.WARNING, evidence, next_step)


def failed(title: str, evidence: str, next_step: str, *fixes: Fix) -> Finding:
    """A finding that forbids the restore."""
    return Finding(title, Verdict.FAILED, evidence, next_step, fixes)
