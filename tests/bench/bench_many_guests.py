"""24 real guests started at once under the open list: every row right at the end, nothing missed, memory named."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from tui.app import QgaTui
from tui.cli.connect import hosts_for
from tui.lab.laboratory import Laboratory
from tui.lab.spec import AgentSetup, GuestSpec
from tui.model.guest import AgentState
from tui.widgets.guest_rows import GuestRows

GUESTS = 24
PATIENCE_S = 600.0


def memory_mib() -> float:
    """Resident memory of this process, which is the program's."""
    pages = int(Path(f"/proc/{os.getpid()}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


async def measure() -> None:
    """Start them and compare the rows with what each guest is."""
    async with Laboratory() as lab:
        wanted: dict[str, AgentState] = {}
        for number in range(GUESTS):
            silent = number % 6 == 5
            setup = AgentSetup.NOT_STARTED if silent else AgentSetup.RUNNING
            name = f"guest{number:02d}"
            await lab.add(GuestSpec(name, memory_mib=96, agent=setup, start=False))
            wanted[name] = AgentState.DISCONNECTED if silent else AgentState.RESPONDING
        app = QgaTui(hosts_for((lab.uri,)))
        async with app.run_test(size=(120, 40)) as pilot:
            while app.screen.query_one(GuestRows).row_count < GUESTS:
                await pilot.pause(0.1)
            before, begun = memory_mib(), time.perf_counter()
            starts = [asyncio.create_task(lab.start(name)) for name in wanted]
            async with asyncio.timeout(PATIENCE_S):
                while {g.name: g.agent.state for g in app.fleet.guests.values()} != wanted:
                    await pilot.pause(0.2)
            await asyncio.gather(*starts)
            took = time.perf_counter() - begun
            rows = app.screen.query_one(GuestRows)
            shown = {row[0].strip(): row[2].split()[-1] for row in map(rows.row, range(rows.row_count))}
            right = sum(shown.get(name) == state for name, state in wanted.items())
            booted = {"disconnected", "responding"}
            missed = [
                guest.name
                for guest in app.fleet.guests.values()
                if wanted[guest.name] is AgentState.RESPONDING
                and not booted <= {line.what.removeprefix("agent ").partition(":")[0] for line in guest.timeline}
            ]
            print(
                f"{right} of {GUESTS} rows right after {took:.0f} s; boots missed in the timeline: {missed or 'none'}"
            )
            print(f"memory of the program: {before:.0f} MiB before, {memory_mib():.0f} MiB after")


def main() -> None:
    """Run it."""
    asyncio.run(measure())


if __name__ == "__main__":
    main()
