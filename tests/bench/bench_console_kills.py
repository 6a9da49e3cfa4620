"""The full-screen program killed at twenty random moments of streaming commands: what stays in the guest."""

from __future__ import annotations

import asyncio

from tests.live.console_kills import kill_and_sweep, remains
from tui.hosts.libvirt_host import LibvirtHost
from tui.lab.laboratory import Laboratory
from tui.lab.spec import GuestSpec

GUEST = "web1"
KILLS, SEED = 20, 7


async def measure() -> None:
    """Kill it, each time after a start that cleans up behind the last one; then look, sweep and look again."""
    async with Laboratory() as lab:
        await lab.add(GuestSpec(GUEST))
        await lab.wait_for_agent(GUEST)
        host = LibvirtHost(lab.uri, "bench")
        await host.open()
        uuid = next(facts.uuid for facts in await host.list_domains() if facts.name == GUEST)
        print(f"before: {await remains(lab, GUEST)}")
        left, swept = await kill_and_sweep(lab, GUEST, host.work_line(uuid), KILLS, SEED)
        print(f"after {KILLS} kills, each but the last swept by the next start: {left}")
        print(f"the last sweep: {swept}")
        print(f"after it: {await remains(lab, GUEST)}")
        await host.close()


def main() -> None:
    """Run it."""
    asyncio.run(measure())


if __name__ == "__main__":
    main()
