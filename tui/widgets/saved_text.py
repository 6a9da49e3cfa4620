"""A backup that was found, and what came of looking at it, in words for the list, the wizard and the result."""

from __future__ import annotations

import time

from rich.text import Text

from tui.backup.plan import stamp_words
from tui.backup.proof import Proof
from tui.backup.proof_note import ProofNote
from tui.backup.restore.boot_test import BootNote
from tui.backup.restore.catalogue import BackupWord, FoundBackup
from tui.model.quantities import UNKNOWN, moment, size
from tui.model.text import printable

WORD_SIGNS: dict[BackupWord, tuple[str, str]] = {
    BackupWord.COMPLETE: ("✓", "success"),
    BackupWord.RUNNING: ("▸", "primary"),
    BackupWord.PARTIAL: ("!", "warning"),
    BackupWord.VOID: ("✗", "muted"),
    BackupWord.NEWER: ("!", "warning"),
    BackupWord.DAMAGED: ("✗", "error"),
}


def when(found: FoundBackup) -> str:
    """When it was made, in local time: 2026-11-22 21:43."""
    return stamp_words(found.stamp)


def disks_words(found: FoundBackup) -> str:
    """How many disks and how much data: `2, 1.2 GiB`."""
    return UNKNOWN if found.saved is None else f"{len(found.saved.disks)}, {size(found.saved.data_bytes)}"


def verified_sign(note: ProofNote | None) -> tuple[str, str]:
    """When it was last looked at, short, and the tone."""
    if note is None:
        return "· not yet", "muted"
    if not note.good:
        return f"✗ {', '.join(note.broken) or 'damaged'}", "error"
    return f"✓ {time.strftime('%d %b', time.localtime(note.at))}", "success"


def verified_words(note: ProofNote | None) -> str:
    """What is known of its last look, as a sentence."""
    if note is None:
        return "not verified since it was made"
    at = f"{moment(note.at)} on {note.on}"
    if note.good:
        return f"verified {at}"
    return f"found damaged {at}: {', '.join(note.broken) or 'beside its disks'}"


def boot_words(note: BootNote) -> str:
    """What came of its last boot test, as a sentence."""
    at = f"{moment(note.at)} on {note.on}"
    if note.passed:
        return f"boot tested {at}: {note.answer}, after {note.seconds:.0f} s"
    return f"boot test failed {at}: {note.why}"


def boot_tone(note: BootNote) -> str:
    """The colour of its result."""
    return "success" if note.passed else "error"


def found_text(found: FoundBackup, styles: dict[str, str]) -> Text:
    """What it is, in three or four lines."""
    sign, tone = WORD_SIGNS[found.word]
    text = Text()
    text.append(f"{sign} {found.word}", styles[tone])
    if found.saved is not None:
        saved = found.saved
        targets = ", ".join(disk.target for disk in saved.disks)
        text.append(f", {saved.consistency}, {printable(targets, 60)} with {size(saved.data_bytes)}, ")
        text.append(printable(verified_words(found.verified)))
        if saved.left_out:
            text.append(f"; without {printable(', '.join(saved.left_out), 60)}")
    if found.boot_tested is not None:
        text.append(f"\n{printable(boot_words(found.boot_tested))}", styles[boot_tone(found.boot_tested)])
    if found.is_foreign and found.saved is not None:
        text.append(f"\nmade on another machine: {printable(found.saved.hostname, 60)}", styles["warning"])
    if found.trouble:
        text.append(f"\n{printable(found.trouble)}", styles[tone])
    text.append(f"\n{printable(str(found.folder))}", "dim")
    return text


def proof_text(proof: Proof, styles: dict[str, str]) -> Text:
    """What a look at a backup found: the verdict, each disk, each problem."""
    text = Text()
    if proof.is_good:
        words = f"✓ The backup is whole: {proof.files} files, {size(proof.bytes)}.\n"
        text.append(words, styles["success"])
    elif proof.broken:
        words = f"✗ The backup is damaged: {printable(', '.join(proof.broken))} cannot be trusted.\n"
        text.append(words, styles["error"])
    else:
        text.append("✗ The backup is damaged; its disks are as they were saved.\n", styles["error"])
    for disk in proof.disks:
        sign, tone = ("✓", "success") if disk.is_good else ("✗", "error")
        text.append(f"\n{sign} {printable(disk.target)}", styles[tone])
        text.append(f"  {printable(disk.file)}")
        for problem in disk.problems:
            text.append(f"\n    {printable(problem)}")
    for problem in proof.beside_disks:
        text.append(f"\n✗ {printable(problem)}", styles["error"])
    for remark in proof.remarks:
        text.append(f"\n! {printable(remark)}", styles["warning"])
    return text
