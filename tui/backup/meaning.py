"""What a leftover means, and the one safe way on. Pure: evidence in, words and a way out."""

from __future__ import annotations

from tui.backup import by_hand
from tui.backup.away import Absence, away_words
from tui.backup.chain import Place
from tui.backup.foreign import foreign, merge_commands, stray
from tui.backup.leftovers import APPLICABLE, DiskEvidence, GuestEvidence, Leftover, RestoreEvidence, Urgency, Way
from tui.backup.liveness import Standing
from tui.backup.of_others import held, of_another
from tui.backup.restore.plan import RestoreWay


def leftover_of(evidence: GuestEvidence) -> Leftover | None:
    """What the evidence means; None where nothing was left behind."""
    if evidence.worker is not None:
        return _attach(evidence)
    if evidence.is_stray:
        return stray(evidence)
    if evidence.is_gone:
        return _gone(evidence)
    if evidence.standing is Standing.ALIVE:
        return held(evidence)
    found = _ours(evidence) if evidence.is_ours else foreign(evidence)
    is_another_s = found is not None and found.way in APPLICABLE and not evidence.is_own_run
    return of_another(found) if found is not None and is_another_s else found


def restore_leftover(evidence: RestoreEvidence) -> Leftover:
    """What a restore without an end means, and the way on."""
    plan = evidence.plan
    if evidence.worker is not None:
        return _attach(evidence)
    back = evidence.is_turning_back or plan.way in (RestoreWay.BOOT_TEST, RestoreWay.ATTACH)
    if evidence.has_moved and not back:
        return Leftover(
            evidence,
            Way.FINISH,
            Urgency.SOON if plan.way is RestoreWay.IN_PLACE else Urgency.WHENEVER,
            "A restore was left half done: on to the new state",
            f"Every copy of run {plan.run_id} is whole, and their names were being changed. It can be finished; the "
            f"former images are kept. Start {plan.guest} only afterwards.",
        )
    touched = "what it changed is put back" if evidence.has_moved else "nothing that was there was touched"
    return Leftover(
        evidence,
        Way.UNDO,
        Urgency.SOON if evidence.has_moved else Urgency.WHENEVER,
        "A restore was left half done: back to the old state",
        f"Run {plan.run_id} ended before its end; {touched}, and its unfinished copies are removed.",
    )


def _attach(evidence: GuestEvidence | RestoreEvidence) -> Leftover:
    what = "A restore" if isinstance(evidence, RestoreEvidence) else "A backup"
    return Leftover(
        evidence,
        Way.ATTACH,
        Urgency.WHENEVER,
        f"{what} is running",
        f"Run {evidence.plan.run_id} works on this guest in process {evidence.worker}; it ends by itself.",
    )


def _gone(evidence: GuestEvidence) -> Leftover | None:
    there = [each.disk for each in evidence.disks if each.overlay_exists]
    if not there:
        return None
    if evidence.absence:
        return _absent(evidence)
    files = ", ".join(disk.overlay for disk in there)
    start = "start the guest again from the definition that was saved before the backup"
    if evidence.definition:
        start = (
            f"start the guest again from its definition, which was kept in {evidence.definition} (with define instead "
            "of create, if it is to stay)"
        )
    return Leftover(
        evidence,
        Way.EXPLAIN,
        Urgency.SOON,
        "The guest is gone, its overlays are not",
        f"{files} hold what the guest wrote since the snapshot, on top of its disks. Delete nothing. If it was "
        f"migrated to another host, rescue it there. If it runs nowhere: merge them, then {start}. Rescue it "
        "afterwards: what is left of the backup is tidied up.",
        (*(by_hand.merge_file(disk) for disk in there), *by_hand.create(evidence.plan, evidence.definition)),
    )


def _ours(evidence: GuestEvidence) -> Leftover | None:
    """The first meaning that applies, the gravest first."""
    meanings = (
        _absent,
        _changed_since,
        _memory_saved,
        _overlay_deleted,
        _ready_to_pivot,
        _half_merged,
        _frozen,
        _doubtful,
        _untidy,
    )
    return next((found for meaning in meanings if (found := meaning(evidence)) is not None), None)


def _absent(evidence: GuestEvidence) -> Leftover | None:
    """A guest that left: whatever else is amiss, nothing of it is started or merged here."""
    if not evidence.absence or evidence.is_running:
        return None
    if evidence.absence is not Absence.MIGRATED and evidence.managed_save:
        return None
    title, cause, next_step = away_words(evidence.plan, evidence.absence)
    return Leftover(evidence, Way.EXPLAIN, Urgency.SOON, title, f"{cause[:1].upper()}{cause[1:]}. {next_step}")


def _changed_since(evidence: GuestEvidence) -> Leftover | None:
    elsewhere = [each.disk.target for each in evidence.disks if each.place is Place.ELSEWHERE]
    if not elsewhere:
        return None
    return Leftover(
        evidence,
        Way.EXPLAIN,
        Urgency.NOW if evidence.frozen else Urgency.SOON,
        "A backup was left half done, and the definition was changed since",
        f"Disk {', '.join(elsewhere)} is neither on its base nor on the overlay of run {evidence.plan.run_id}. "
        "Delete nothing; compare the definition with the overlay's chain (qemu-img info --backing-chain)."
        f"{_frozen_too(evidence)}",
        _thaw_commands(evidence),
    )


def _memory_saved(evidence: GuestEvidence) -> Leftover | None:
    if not _away(evidence) or evidence.is_running or not evidence.managed_save:
        return None
    return Leftover(
        evidence,
        Way.EXPLAIN,
        Urgency.SOON,
        "A backup was left half done, and the guest's memory is saved",
        "The saved memory fits the overlays alone. Start the guest, then rescue it again.",
        (by_hand.virsh(evidence.plan, "start"),),
    )


def _overlay_deleted(evidence: GuestEvidence) -> Leftover | None:
    away = _away(evidence)
    missing = [each.disk.overlay for each in away if each.place is not Place.BASE and not each.overlay_exists]
    if not missing:
        return None
    if evidence.is_running:
        title = "MERGE NOW, do not stop the guest"
        words = f"{', '.join(missing)} was deleted while the guest writes to it. It can be saved while QEMU runs."
        words += _frozen_too(evidence)
        return Leftover(evidence, Way.MERGE, Urgency.NOW, title, words, merge_commands(evidence, away))
    title = "The guest's overlay is missing"
    words = f"{', '.join(missing)} is gone, with what was written since the snapshot. Look for it; start nothing."
    return Leftover(evidence, Way.EXPLAIN, Urgency.NOW, title, words)


def _ready_to_pivot(evidence: GuestEvidence) -> Leftover | None:
    away = _away(evidence)
    ready = all(each.place in (Place.READY, Place.BASE) for each in evidence.disks)
    if not away or not ready or not evidence.is_running:
        return None
    return Leftover(
        evidence,
        Way.PIVOT,
        _urgency(evidence),
        "A backup died before its last step",
        f"Disk {_names(away)} is merged and waits for the pivot. Every write goes to both files until then."
        f"{_frozen_too(evidence)}",
        merge_commands(evidence, away),
    )


def _half_merged(evidence: GuestEvidence) -> Leftover | None:
    away = _away(evidence)
    if not away:
        return None
    off = (
        " It is off: it is started with its processors stopped, merged, and put off again; where it cannot be started, "
        "qemu-img merges its images."
    )
    full = " It is paused because there was no room for its writes."
    return Leftover(
        evidence,
        Way.MERGE,
        _urgency(evidence),
        "A backup was left half done",
        f"What the guest writes to {_names(away)} goes to an overlay, which grows; nothing is lost as long as nobody "
        f"deletes it.{'' if evidence.is_running else off}{full if _is_out_of_room(evidence) else ''}"
        f"{_frozen_too(evidence)}",
        merge_commands(evidence, away),
    )


def _frozen(evidence: GuestEvidence) -> Leftover | None:
    if not evidence.frozen:
        return None
    return Leftover(
        evidence,
        Way.THAW,
        Urgency.NOW,
        "The guest is frozen",
        "A backup died while the file systems were frozen: every write in the guest waits. Its disks are its own.",
        _thaw_commands(evidence),
    )


def _doubtful(evidence: GuestEvidence) -> Leftover | None:
    doubtful = [each.disk.overlay for each in evidence.disks if each.overlay_exists and not each.is_proven]
    if not doubtful:
        return None
    return Leftover(
        evidence,
        Way.EXPLAIN,
        Urgency.SOON,
        "An overlay is not in use, and nothing proves that it was merged",
        f"{', '.join(doubtful)} may hold writes that the guest's disk lacks. If you merged it by hand, delete "
        "it. If the definition was put back onto the base meanwhile, stop the guest and compare both first.",
    )


def _untidy(evidence: GuestEvidence) -> Leftover | None:
    if not (evidence.is_marked or evidence.is_open or any(each.overlay_exists for each in evidence.disks)):
        return None
    return Leftover(
        evidence,
        Way.TIDY,
        Urgency.WHENEVER,
        "A backup ended without tidying up",
        "The guest is on its own disks. What is proven to be merged is removed, the run is closed.",
    )


def _away(evidence: GuestEvidence) -> list[DiskEvidence]:
    """The disks that are not wholly on their bases."""
    return [each for each in evidence.disks if each.place is not Place.BASE or each.stored_place is Place.OVERLAY]


def _names(disks: list[DiskEvidence]) -> str:
    return ", ".join(each.disk.target for each in disks)


def _is_out_of_room(evidence: GuestEvidence) -> bool:
    return evidence.power_reason == "disk I/O error"


def _urgency(evidence: GuestEvidence) -> Urgency:
    return Urgency.NOW if evidence.frozen or _is_out_of_room(evidence) else Urgency.SOON


def _frozen_too(evidence: GuestEvidence) -> str:
    return " Its file systems are frozen: it stands still until it is thawed." if evidence.frozen else ""


def _thaw_commands(evidence: GuestEvidence) -> tuple[str, ...]:
    if not evidence.frozen:
        return ()
    return (by_hand.virsh(evidence.plan, "domfsthaw"),)
