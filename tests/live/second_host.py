"""A second libvirtd that takes itself for another host, for guests that are migrated to it: same images, other name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tui.lab.daemon import Daemon
from tui.lab.laboratory import Laboratory
from tui.lab.remains import LabFolder

NAME = "kvm2"
PORT = 49_931
"""Where its QEMU waits for a guest's memory, on the loopback device."""


class SecondDaemon(Daemon):
    """In a UTS namespace of its own: libvirt migrates no guest to a host of the same name."""

    def _argv(self) -> list[str]:
        return ["unshare", "--uts", "sh", "-c", f'hostname {NAME} && exec "$@"', "sh", *super()._argv()]


@asynccontextmanager
async def second_host() -> AsyncIterator[SecondDaemon]:
    """Start it; its guests end with it."""
    folder = LabFolder.claim()
    daemon = SecondDaemon(folder)
    try:
        await daemon.start()
        yield daemon
    finally:
        folder.remove()
        await daemon.reap()


async def migrate(lab: Laboratory, guest: str, there: SecondDaemon, *options: str) -> None:
    """Move a running guest there, as an admin would."""
    words = ("migrate", "--live", "--unsafe", *options, guest, there.uri, "--migrateuri", f"tcp://127.0.0.1:{PORT}")
    await lab.virsh(*words, timeout=240)
