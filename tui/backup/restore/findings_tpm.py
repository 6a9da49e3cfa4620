"""What a restored guest's TPM will be without, and what its restore would cost it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from tui.backup.checks import Verdict
from tui.backup.restore.circumstances import Circumstances
from tui.backup.restore.plan import RestoredFile, RestorePlan, RestoreWay
from tui.backup.restore.saved import SavedBackup
from tui.backup.restore.wishes import Finding
from tui.backup.tpm import tpm_device
from tui.model.guest import PowerState

_SEALED = "Disks sealed to it (BitLocker) ask for their recovery key."


def tpm_findings(saved: SavedBackup, plan: RestorePlan, now: Circumstances) -> Iterator[Finding]:
    """The findings on the TPM but for the place of its state."""
    device = now.needs.tpm
    if device is None:
        return
    in_place = plan.way is RestoreWay.IN_PLACE
    if not device.is_emulated:
        if not in_place:
            yield _warned("the clone is without: it is the first guest's alone", _SEALED)
        return
    if not (in_place and plan.chosen):  # where chosen disks alone come back, the state stays what it is
        yield from _about_state(saved, in_place=in_place)
    guest = now.guest
    if in_place and guest is not None and not guest.persistent and guest.power is not PowerState.OFF:
        why = "once a transient guest is off, libvirt deletes its TPM's state, which could not be put back"
        keep = f"virsh dumpxml {guest.uuid} --security-info >FILE && virsh define FILE"
        yield Finding("TPM", Verdict.FAILED, why, f"Have libvirt keep the guest first: {keep}")


def _about_state(saved: SavedBackup, *, in_place: bool) -> Iterator[Finding]:
    if saved.tpm is None and in_place:
        yield _warned("its state is not in the backup, and stays what it is on this host", _SEALED)
    elif saved.tpm is None:
        yield _warned("the clone's is empty: its state is not in the backup", _SEALED)
    elif saved.tpm.secret:
        yield _warned(f"its state is encrypted with libvirt's secret {saved.tpm.secret}", "See: virsh secret-list")


def is_place_of_state(file: RestoredFile, saved: SavedBackup, definitions: Iterable[str]) -> bool:
    """Whether a definition in the backup names the folder of the state, or it has the name that libvirt gives it."""
    devices = [device for xml in definitions if (device := tpm_device(xml)) is not None]
    named = file.named or file.to
    return named in [each.source for each in devices] or Path(named).parts[-2:] == ("swtpm", saved.uuid)


def _warned(evidence: str, next_step: str) -> Finding:
    return Finding("TPM", Verdict.WARNING, evidence, next_step)
