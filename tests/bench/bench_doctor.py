"""Time to a verdict against `virsh qemu-agent-command`, many guests at once, a command and a backup meanwhile.

QGA_TUI_BENCH_GUESTS sets how many guests are booted (24); each takes about 200 MB of the host.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tests.bench.place import own_target
from tests.live.backup_fixtures import end_of
from tests.live.backup_process import WORKER
from tui.agent.exec import run
from tui.agent.exec_model import CommandLine, ExecRequest, Output
from tui.backup.launch import launch
from tui.backup.propose import propose
from tui.backup.runstate import EXIT_DONE
from tui.cli.held import held_by_run
from tui.doctor.examine import examine, examine_all
from tui.doctor.facts import Patient
from tui.hosts.libvirt_host import LibvirtHost
from tui.hosts.port import Host
from tui.lab.laboratory import Laboratory
from tui.lab.spec import GuestSpec
from tui.model.guest import DomainFacts

GUESTS = int(os.environ.get("QGA_TUI_BENCH_GUESTS", "24"))
RUNS = 15
LINES = 50
PAUSE_S = 1.0
"""Between two rounds: four times as often as the doctor's screen looks again by itself."""
BACKUPS = 3
T = TypeVar("T")
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


@dataclass(frozen=True)
class Saved:
    """A backup that was done as asked: seconds in all, and milliseconds for which the guest was frozen."""

    took_s: float
    frozen_ms: float


async def backed_up(host: Host, name: str, target: Path) -> Saved:
    """Back a guest up by a real worker."""
    facts = next(each for each in await host.list_domains() if each.name == name)
    begun = time.perf_counter()
    run = launch((await propose(host, facts, target)).plan, WORKER)
    state = await end_of(run)
    if state.exit_code != EXIT_DONE or state.frozen_ms is None:
        raise AssertionError(state.error or state.shortfalls)
    return Saved(time.perf_counter() - begun, state.frozen_ms)


class Rounds:
    """The doctor's rounds over all guests, again and again until told to end."""

    def __init__(self, host: Host, names: list[str]) -> None:
        self._host = host
        self._names = names
        self.took_s: list[float] = []
        self.causes: set[str] = set()

    async def once(self) -> None:
        """Examine all of them."""
        begun = time.perf_counter()
        facts = [each for each in await self._host.list_domains() if each.name in self._names]
        patients = [Patient(self._host.name, each.uuid, each.name, held=held_by_run(each.uuid)) for each in facts]
        async for examination in examine_all({self._host.name: self._host}, patients):
            self.causes.add(examination.verdict.cause)
        self.took_s.append(time.perf_counter() - begun)

    async def during(self, work: Awaitable[T]) -> T:
        """Go round as long as the work takes, at least once."""
        task = asyncio.ensure_future(work)
        while True:
            await self.once()
            if task.done():
                return task.result()
            await asyncio.sleep(PAUSE_S)


async def one_guest(lab: Laboratory, host: Host, guest: DomainFacts) -> None:
    """A verdict against a ping by virsh."""
    patient = Patient(host.name, guest.uuid, guest.name)
    ours = [await seconds(lambda: examine(host, patient)) for _ in range(RUNS)]
    peer = [await seconds(lambda: lab.agent_command(guest.name, "guest-ping")) for _ in range(RUNS)]
    median, ping = statistics.median(ours), statistics.median(peer)
    print(f"healthy guest: verdict {median:.3f} s, virsh guest-ping {ping:.3f} s: ratio {median / ping:.1f}")


async def beside_work(host: LibvirtHost, names: list[str], target: Path) -> None:
    """A running command and a running backup, each alone and with the doctor on his rounds."""
    first = next(each for each in await host.list_domains() if each.name == names[0])
    alone = await ticking(host, first.uuid, LINES)
    rounds = Rounds(host, names)
    beside = await rounds.during(ticking(host, first.uuid, LINES))
    print(f"{len(names)} guests at once: all verdicts after {statistics.median(rounds.took_s):.2f} s")
    print(
        f"a running command: {beside[0]} of {LINES} lines; its worst gap {beside[1]:.2f} s beside the doctor, "
        f"{alone[1]:.2f} s without: ratio {beside[1] / alone[1]:.2f}"
    )
    quiet = [await backed_up(host, names[1], target) for _ in range(BACKUPS)]
    loud = [await rounds.during(backed_up(host, names[1], target)) for _ in range(BACKUPS)]
    beside_s, alone_s = (min(each.took_s for each in some) for some in (loud, quiet))
    beside_ms, alone_ms = (min(each.frozen_ms for each in some) for some in (loud, quiet))
    print(
        f"a whole backup: {beside_s:.2f} s beside the doctor, {alone_s:.2f} s without: ratio {beside_s / alone_s:.2f}"
    )
    print(f"its guest frozen: {beside_ms:.0f} and {alone_ms:.0f} ms: ratio {beside_ms / alone_ms:.2f}")
    print(f"verdicts beside them: {', '.join(sorted(rounds.causes))}")


async def measure(target: Path) -> None:
    """Boot, measure, print."""
    async with Laboratory() as lab:
        names = [f"g{number}" for number in range(GUESTS)]
        for name in names:
            await lab.add(GuestSpec(name, memory_mib=96))
            await lab.wait_for_agent(name)
        host = LibvirtHost(lab.uri, "bench")
        await host.open()
        first = next(each for each in await host.list_domains() if each.name == names[0])
        await one_guest(lab, host, first)
        await beside_work(host, names, target)
        await lab.shell(first.name, "kill -STOP $(pidof qemu-ga)")
        silent = await seconds(lambda: examine(host, Patient(host.name, first.uuid, first.name)))
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
    with own_target() as target:
        asyncio.run(measure(target))


if __name__ == "__main__":
    main()
