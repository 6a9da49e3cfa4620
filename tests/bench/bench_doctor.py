"""Time to a verdict against `virsh qemu-agent-command`, many guests at once, and a command that runs meanwhile.

QGA_TUI_BENCH_GUESTS sets how many guests are booted (24); each takes about 200 MB of the host.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Awaitable, Callable

from tui.agent.exec import run
from tui.agent.exec_model import CommandLine, ExecRequest, Output
from tui.doctor.examine import examine, examine_all
from tui.doctor.facts import Patient
from tui.hosts.libvirt_host import LibvirtHost
from tui.lab.laboratory import Laboratory
from tui.lab.spec import GuestSpec

GUESTS = int(os.environ.get("QGA_TUI_BENCH_GUESTS", "24"))
RUNS = 15
ROUNDS = 3
TICKS = "for i in $(seq 1 {count}); do echo $i; sleep 0.1; done"
TEST_DOMAINS = 100


async def seconds(act: Callable[[], Awaitable[object]]) -> float:
    """Wall time of an act."""
    begun = time.perf_counter()
    await act()
    return time.perf_counter() - begun


async def ticking(host: LibvirtHost, uuid: str, count: int) -> tuple[int, float]:
    """Run a command that writes ten lines a second: how many lines came, and the longest wait for the next output."""
    lines, longest, last = 0, 0.0, time.perf_counter()
    async for event in run(host.work_line(uuid), ExecRequest(CommandLine(TICKS.format(count=count)))):
        if isinstance(event, Output):
            now = time.perf_counter()
            lines += event.data.count(b"\n")
            longest, last = max(longest, now - last), now
    return lines, longest


async def measure() -> None:
    """Boot, measure, print."""
    async with Laboratory() as lab:
        names = [f"g{number}" for number in range(GUESTS)]
        for name in names:
            await lab.add(GuestSpec(name, memory_mib=96))
            await lab.wait_for_agent(name)
        host = LibvirtHost(lab.uri, "bench")
        await host.open()
        patients = [Patient("bench", facts.uuid, facts.name) for facts in await host.list_domains()]
        first = patients[0]
        ours = [await seconds(lambda: examine(host, first)) for _ in range(RUNS)]
        peer = [await seconds(lambda: lab.agent_command(first.name, "guest-ping")) for _ in range(RUNS)]
        median, ping = statistics.median(ours), statistics.median(peer)
        print(f"healthy guest: verdict {median:.3f} s, virsh guest-ping {ping:.3f} s: ratio {median / ping:.1f}")

        alone = await ticking(host, first.uuid, 50)
        examined: list[float] = []

        async def rounds() -> None:
            for _ in range(ROUNDS):
                begun = time.perf_counter()
                causes = [each.verdict.cause async for each in examine_all({"bench": host}, patients)]
                examined.append(time.perf_counter() - begun)
                assert set(causes) == {"healthy"}, causes

        during, _ = await asyncio.gather(ticking(host, first.uuid, 50), rounds())
        print(f"{GUESTS} guests at once: all verdicts after {statistics.median(examined):.2f} s")
        print(f"a command meanwhile: {during[0]} of 50 lines, longest wait {during[1]:.2f} s; alone {alone[1]:.2f} s")

        await lab.shell(first.name, "kill -STOP $(pidof qemu-ga)")
        silent = await seconds(lambda: examine(host, first))
        print(f"a stopped agent: verdict after {silent:.2f} s (aim: under 8)")
        await host.close()


async def measure_many() -> None:
    """A hundred domains without an agent, of libvirt's test driver."""
    host = LibvirtHost("test:///default", "test")
    (facts,) = await host.list_domains()
    patients = [Patient("test", facts.uuid, f"test{number}") for number in range(TEST_DOMAINS)]

    async def every() -> int:
        return len([each async for each in examine_all({"test": host}, patients)])

    print(f"{TEST_DOMAINS} domains without agent: {await seconds(every):.2f} s")
    await host.close()


def main() -> None:
    """Print all."""
    asyncio.run(measure_many())
    asyncio.run(measure())


if __name__ == "__main__":
    main()
