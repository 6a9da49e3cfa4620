"""A session with a host that is not there, over a real connection to nowhere."""

from pathlib import Path

import pytest

from tui.backup.errors import NeedsRescueError
from tui.backup.session import HostSession, Patience
from tui.hosts.libvirt_host import LibvirtHost


async def test_an_absent_host_is_waited_for_once_and_not_by_every_question(tmp_path: Path) -> None:
    tries: list[str] = []

    def connect(uri: str) -> LibvirtHost:
        tries.append(uri)
        return LibvirtHost(uri, "nowhere")

    session = HostSession(connect, f"qemu:///session?socket={tmp_path}/none", Patience(reconnect_s=1.5))
    with pytest.raises(NeedsRescueError):
        await session.ask(lambda host: host.versions())
    assert len(tries) > 1
    tries.clear()
    for _ in range(3):
        with pytest.raises(NeedsRescueError):
            await session.ask(lambda host: host.versions())
    assert len(tries) == 3
