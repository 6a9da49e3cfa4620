"""The program killed while a command streams: the next start cleans the guest."""

from __future__ import annotations

from tests.live.console_kills import Remains, kill_and_sweep, remains
from tui.hosts.libvirt_host import LibvirtHost
from tui.lab.laboratory import Laboratory

KILLS, SEED = 3, 4
"""`python -m tests.bench console_kills` does it at twenty moments."""


async def test_a_killed_program_leaves_nothing_after_the_next_start(lab: Laboratory, web1: str) -> None:
    host = LibvirtHost(lab.uri, "lab")
    await host.open()
    uuid = next(facts.uuid for facts in await host.list_domains() if facts.name == web1)
    left, swept = await kill_and_sweep(lab, web1, host.work_line(uuid), KILLS, SEED)
    # A program that was killed before it looked has left the folders of those before it.
    assert 1 <= left.folders == swept.folders <= KILLS
    assert left.handles == swept.closed > 0
    assert await remains(lab, web1) == Remains(folders=0, handles=0, processes=0)
    await host.close()
