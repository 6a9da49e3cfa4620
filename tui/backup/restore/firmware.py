"""What a restore puts beside the disks: a guest's UEFI variables, and the state of its emulated TPM."""

from __future__ import annotations

import os
from pathlib import Path

from tui.backup.nvram import NVRAM_FILE, Nvram
from tui.backup.restore.plan import NVRAM_NAME, TPM_NAME, RestoredFile, RestoreWay, partial_of
from tui.backup.restore.saved import SavedBackup
from tui.backup.tpm import TPM_FOLDER, Tpm, state_digest, tpm_device
from tui.backup.tpm_place import default_folder


def nvram_file(saved: SavedBackup, nvram: Nvram, run_id: str, to: str) -> RestoredFile:
    """The variables as a file of a plan."""
    return RestoredFile(
        name=NVRAM_NAME,
        file=NVRAM_FILE,
        sha256=saved.sums[NVRAM_FILE],
        to=to,
        partial=partial_of(to, run_id),
        data_bytes=_size(saved.path(NVRAM_FILE)),
        owner=nvram.owner,
        group=nvram.group,
        mode=int(nvram.mode, 8),
    )


def tpm_files(saved: SavedBackup, run_id: str, way: RestoreWay, uri: str, uuid: str) -> tuple[RestoredFile, ...]:
    """The state for the guest of that UUID on the libvirt of `uri`, as one folder of a plan; none without one.

    A guest restored in place has it where its definition says. Every other one has it where libvirt keeps states: a
    clone must not share the first guest's folder. Raises MalformedXmlError.
    """
    device = tpm_device(saved.stored_xml)
    if saved.tpm is None or device is None or not device.is_emulated:
        return ()
    if way is RestoreWay.IN_PLACE and device.source:
        return (_tpm_file(saved, saved.tpm, run_id, device.source, ""),)
    folder = _states_folder(saved, saved.tpm, uri)
    return (_tpm_file(saved, saved.tpm, run_id, str(folder / uuid), device.layout),)


def _tpm_file(saved: SavedBackup, tpm: Tpm, run_id: str, to: str, within: str) -> RestoredFile:
    return RestoredFile(
        name=TPM_NAME,
        file=TPM_FOLDER,
        sha256=state_digest({name: saved.sums[f"{TPM_FOLDER}/{name}"] for name in tpm.files}),
        to=to,
        within=within,
        partial=partial_of(to, run_id),
        data_bytes=sum(_size(saved.path(f"{TPM_FOLDER}/{name}")) for name in tpm.files),
        owner=tpm.owner,
        group=tpm.group,
        mode=int(tpm.mode, 8),
    )


def _states_folder(saved: SavedBackup, tpm: Tpm, uri: str) -> Path:
    """The folder of all states: the one it came from, where it is the same libvirt's and may be written to.

    A session's libvirt may keep it elsewhere than expected. A manifest may say what it likes, so its word counts only
    for a folder of libvirt's form.
    """
    recorded = Path(tpm.path)
    folder = recorded.parent.parent
    has_its_form = recorded.parts[-3:] == ("swtpm", saved.uuid, tpm.layout)
    is_ours = saved.uri == uri and has_its_form and os.access(folder, os.W_OK | os.X_OK)
    return folder if is_ours else default_folder(uri)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
