"""What somebody wants of a restore, before it is known whether that can be had."""

from __future__ import annotations

from dataclasses import dataclass

from tui.backup.checks import Verdict
from tui.backup.restore.plan import Change, RestoreWay, StopWay


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user asked for; what is empty is proposed.

    `name` is a clone's; `disks` are the targets for the ways of disks alone, which a backup of one disk need not be
    told; `attach` the name or UUID of the guest that gets them. `to` is the path of one disk's image, the folder of
    several, or the folder in which a clone's own folder is made. `accepted` names disks and files that are to be
    restored though they fail verification.
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
