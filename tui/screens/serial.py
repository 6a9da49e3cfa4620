"""A guest's serial console through virsh, with the program out of the way meanwhile."""

from __future__ import annotations

import shutil
import subprocess

from textual.app import App, SuspendNotSupported

from tui.model.guest import Guest
from tui.model.text import printable


def open_serial(app: App[None], uri: str, guest: Guest) -> None:
    """Hand the terminal to `virsh console` until the user leaves it with ctrl+]."""
    virsh = shutil.which("virsh")
    if virsh is None:
        app.notify("virsh is missing: install libvirt-clients.", severity="error", markup=False)
        return
    failure: OSError | None = None
    try:
        with app.suspend():
            print(f"Serial console of {printable(guest.name)}; ctrl+] comes back.", flush=True)  # noqa: T201
            try:
                subprocess.run([virsh, "-c", uri, "console", guest.id.uuid], check=False)
            except OSError as error:
                failure = error  # an exception inside would leave the terminal suspended
    except SuspendNotSupported:
        app.notify("This terminal cannot be handed over.", severity="error", markup=False)
    if failure is not None:
        app.notify(printable(f"virsh could not be run: {failure}"), severity="error", markup=False)
