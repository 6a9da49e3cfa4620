"""From libvirt's callback to the changed bytes on the terminal, on real guests; alone, and beside five hung agents."""

from __future__ import annotations

import asyncio
import statistics
import sys
import threading
import time

from tests.terminal import Terminal
from tui.hosts.libvirt_host import LibvirtHost
from tui.lab.laboratory import Laboratory
from tui.lab.spec import GuestSpec
from tui.model.events import AgentPortClosed, AgentPortOpened, HostEvent

CHANGES = 10
HUNG = 5


class Reader(threading.Thread):
    """Notes when the terminal was written to."""

    def __init__(self, terminal: Terminal) -> None:
        super().__init__(daemon=True)
        self.terminal = terminal
        self.moments: list[tuple[float, bytes]] = []
        self.ended = False

    def run(self) -> None:
        """Read until told to end."""
        while not self.ended:
            before = len(self.terminal.written)
            self.terminal.read_for(0.001)
            if len(self.terminal.written) > before:
                self.moments.append((time.time(), bytes(self.terminal.written[before:])))


async def delays(lab: Laboratory, guest: str) -> list[float]:
    """Milliseconds from each port event of the guest to the bytes that show it."""
    host = LibvirtHost(lab.uri, "watch")
    await host.open()
    events: asyncio.Queue[HostEvent] = asyncio.Queue()
    host.subscribe(events.put_nowait)
    found: list[float] = []
    with Terminal([sys.executable, "-m", "tui", "-c", lab.uri]) as terminal:
        await asyncio.to_thread(terminal.read_until, lambda written: b"responding" in written)
        reader = Reader(terminal)
        reader.start()
        await asyncio.sleep(8)  # every agent was asked once, the hung ones have timed out
        for number in range(CHANGES * 2):
            verb, kind = ("stop", AgentPortClosed) if number % 2 == 0 else ("start", AgentPortOpened)
            await lab.shell(guest, f"systemctl {verb} qemu-guest-agent")
            while not isinstance(event := await asyncio.wait_for(events.get(), 30), kind):
                pass
            word = b"disconn" if kind is AgentPortClosed else b"onn"
            await asyncio.sleep(1.0)
            seen = [at for at, data in reader.moments if at >= event.at - 0.005 and (word in data or b"respon" in data)]
            if seen:
                found.append((seen[0] - event.at) * 1000)
        reader.ended = True
        reader.join()
    await host.close()
    return found


async def measure() -> None:
    """Print the medians."""
    async with Laboratory() as lab:
        await lab.add(GuestSpec("steady"))
        await lab.wait_for_agent("steady")
        alone = await delays(lab, "steady")
        names = [f"hung{number}" for number in range(HUNG)]
        for name in names:
            await lab.add(GuestSpec(name, memory_mib=96))
        for name in names:
            await lab.wait_for_agent(name)
            await lab.shell(name, "kill -STOP $(pidof qemu-ga)")
        beside = await delays(lab, "steady")
    first, second = statistics.median(alone), statistics.median(beside)
    print(f"event to bytes: median {first:.1f} ms, worst {max(alone):.1f} ms of {len(alone)} (aim: median under 50)")
    print(f"beside {HUNG} hung agents: median {second:.1f} ms of {len(beside)}: ratio {second / first:.2f} (aim: 2)")


def main() -> None:
    """Run it."""
    asyncio.run(measure())


if __name__ == "__main__":
    main()
