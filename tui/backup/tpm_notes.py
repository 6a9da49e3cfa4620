"""What the notes on restoring by hand say of a TPM's state, and the commands that copy it."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

from tui.backup.tpm import STATE_FILE_MODE, TPM_FOLDER, Tpm
from tui.backup.tpm_place import default_folder


def state_commands(unit: str, within: str, owner: int, group: int, mode: str) -> tuple[str, ...]:
    """The commands that copy a state into `unit`, which is quoted already; to be run in the backup's folder."""
    place = f"{unit}/{within}" if within else unit
    return (
        # The folder above is libvirt's own, which otherwise could not delete what is in it.
        *((f"mkdir -p -m 711 {unit}", f"chown --reference={unit}/.. {unit}") if within else ()),
        f"mkdir -m {mode} {place}",
        f"cp {TPM_FOLDER}/* {place}/",
        f"chmod {STATE_FILE_MODE:o} {place}/*",
        f"chown -R {owner}:{group} {place}",
    )


def words_of(tpm: Tpm | None) -> tuple[str, ...]:
    """What has to be known of it beforehand."""
    if tpm is None:
        return ()
    where = (
        "Set `STATES` to where the libvirt of this host keeps the states of TPMs: `/var/lib/libvirt/swtpm` for the",
        "system's, `~/.config/libvirt/qemu/swtpm` for that of your own session.",
    )
    secret = f"The state is encrypted with libvirt's secret {tpm.secret}: the guest does not start without it."
    return (*where, secret) if tpm.secret else where


def states_setting(tpm: Tpm | None, uuid: str, uri: str) -> tuple[str, ...]:
    """Where the second guest's state will be, as a variable of the shell."""
    if tpm is None:
        return ()
    unit, within = unit_of(tpm, uuid)
    return (f"STATES={quote(str(Path(unit).parent if within else default_folder(uri)))}",)


def second_state(tpm: Tpm | None, ask_uuid: str) -> tuple[str, ...]:
    """Give the second guest its state: libvirt keeps it by the UUID, which is known once the guest is defined."""
    if tpm is None:
        return ()
    unit = '"$STATES/$UUID"'
    copy = state_commands(unit, tpm.layout, tpm.owner, tpm.group, tpm.mode)
    return (f'UUID="$({ask_uuid})"', f"[ ! -e {unit} ]", *copy)


def nothing_aside(tpm: Tpm | None, uuid: str, aside: str) -> tuple[str, ...]:
    """A folder moved to a name that is taken would end up inside of it."""
    return () if tpm is None else (f"[ ! -e {quote(unit_of(tpm, uuid)[0] + aside)} ]",)


def state_put_back(tpm: Tpm | None, uuid: str, aside: str) -> tuple[str, ...]:
    """Move the present state aside and the saved one in; the present one may be gone with the guest's definition."""
    if tpm is None:
        return ()
    unit, within = unit_of(tpm, uuid)
    moved = f"if [ -e {quote(unit)} ]; then mv {quote(unit)} {quote(unit + aside)}; fi"
    return moved, *state_commands(quote(unit), within, tpm.owner, tpm.group, tpm.mode)


def unit_of(tpm: Tpm, uuid: str) -> tuple[str, str]:
    """What of a state is moved as one, and the folder within it that has the files.

    libvirt's own is named by the guest's UUID and holds a folder of the TPM's version; a chosen one has the files.
    """
    path = Path(tpm.path)
    return (str(path.parent), path.name) if path.parts[-2:] == (uuid, tpm.layout) else (tpm.path, "")
