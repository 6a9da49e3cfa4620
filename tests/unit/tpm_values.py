"""A guest with an emulated TPM, and a state of it on the disk, for the tests of what a backup keeps of it."""

import os
from pathlib import Path

from tests.unit.backup_values import domain_xml

EMULATED = "<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>"
CHOSEN = "<tpm><backend type='emulator' version='1.2'><source type='dir' path='/chosen/state/'/></backend></tpm>"
PASSED_THROUGH = "<tpm><backend type='passthrough'><device path='/dev/tpm0'/></backend></tpm>"
EXTERNAL = "<tpm><backend type='external'><source type='unix' mode='connect' path='/run/tpm.sock'/></backend></tpm>"
SECRET = "6dd3e4a5-1d76-44ce-961f-f119f5aad935"
ENCRYPTED = f"<tpm><backend type='emulator' version='2.0'><encryption secret='{SECRET}'/></backend></tpm>"
STATE = {"tpm2-00.permall": b"what only this TPM knows", "tpm2-00.volatilestate": b"and forgets"}


def with_tpm(tpm: str, vda: str = "/images/web.qcow2") -> str:
    return domain_xml(vda).replace("</devices>", f"{tpm}</devices>")


def write_state(folder: Path) -> Path:
    """The state with what swtpm has beside it; returns its folder."""
    folder.mkdir(parents=True, mode=0o700)
    for name, content in (STATE | {".lock": b"", "TMP2-00.permall": b"half"}).items():
        (folder / name).write_bytes(content)
        (folder / name).chmod(0o600)
    return folder


def write_copies(backup: Path) -> Path:
    """The state as it is in the folder of a backup; returns that."""
    (backup / "tpm").mkdir(parents=True)
    for name, content in STATE.items():
        (backup / "tpm" / name).write_bytes(content)
    return backup


def belongs_to_another(folder: Path) -> None:
    """Make a folder that is another user's, as far as this one may give things away: libvirt's, above the states."""
    folder.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        os.chown(folder, 1, 1)
