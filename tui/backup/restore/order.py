"""Which of two restores of the same images came later: by what each found when it began, not by the clock. Blocks."""

from __future__ import annotations

import os

from tui.backup.journal import RunStage, read_journal
from tui.backup.restore.plan import RestorePlan
from tui.backup.runs import RestoreRun, list_restores

FOUND = "found"
"""The word of a journal's first entry under which a restore tells the earlier ones whose images it found in place."""


def restores_found(plan: RestorePlan) -> tuple[str, ...]:
    """The ids of the restores that have put images in the places of `plan` before it."""
    places = {file.to for file in plan.files}
    return tuple(
        run.plan.run_id
        for run in list_restores()
        if run.plan.run_id != plan.run_id
        and not places.isdisjoint(file.to for file in run.plan.files)
        and any(entry.stage is RunStage.MOVING for entry in read_journal(run.folder))
    )


def keeps_aside_what_is_of(other: RestoreRun, run: RestoreRun) -> bool:
    """Whether `other` has moved files aside that lay in places of `run`, and they are still aside."""
    places = {file.to for file in run.plan.files}
    return any(file.to in places and file.aside and os.path.lexists(file.aside) for file in other.plan.files)


def came_after(later: RestoreRun, earlier: RestoreRun) -> bool:
    """Whether `later` began when `earlier` had put its images in place.

    Where neither journal tells, as of a program that wrote no such word, the times of their ends decide.
    """
    if earlier.plan.run_id in _found_by(later):
        return True
    if later.plan.run_id in _found_by(earlier):
        return False
    return _ended_at(later) > _ended_at(earlier)


def _found_by(run: RestoreRun) -> frozenset[str]:
    words = [entry.details.get(FOUND) for entry in read_journal(run.folder)]
    return frozenset(str(each) for word in words if isinstance(word, list) for each in word)


def _ended_at(run: RestoreRun) -> float:
    """When the journal's last word was written, in Unix seconds; 0 without one."""
    entries = read_journal(run.folder)
    return entries[-1].at if entries else 0.0
