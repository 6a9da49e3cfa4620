"""A guest's serial console through virsh, with the program out of the way meanwhile."""

from __future__ import annotations

import asyncio
import shutil

from textual.app import App, SuspendNotSupported

from tui.model.guest import Guest
from tui.model.text import printable


async def open_serial(app: App[None], uri: str, guest: Guest) -> None:
    """Hand the terminal to `virsh console` until the user leaves it with ctrl+].

    The program works on meanwhile and draws nothing: a terminal that is handed over takes no more output, and who
    writes to it all the same is held up once its queue is full.
    """
    virsh = shutil.which("virsh")
    if virsh is None:
        app.notify("virsh is missing: install libvirt-clients.", severity="error", markup=False)
        return
    failure: OSError | None = None
    try:
        with app.batch_update(), app.suspend():
            print(f"Serial console of {printable(guest.name)}; ctrl+] comes back.", flush=True)  # noqa: T201
            try:
                process = await asyncio.create_subprocess_exec(virsh, "-c", uri, "console", guest.id.uuid)
                await process.wait()
            except OSError as error:
                failure = error  # an exception inside would leave the terminal suspended
    except SuspendNotSupported:
        app.notify("This terminal cannot be handed over.", severity="error", markup=False)
    if failure is not None:
        app.notify(printable(f"virsh could not be run: {failure}"), severity="error", markup=False)
