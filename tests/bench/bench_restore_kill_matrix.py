"""The whole kill matrix of a restore: every moment of every way that changes a host."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.bench.place import own_target
from tests.live.backup_process import connect
from tests.live.restore_matrix import IN_PLACE_ALONE, MOMENTS, OFF_SPEC, READER_SPEC, Cell, run_cell, table
from tests.live.restoring import back_up
from tui.backup.restore.plan import RestoreWay
from tui.lab.laboratory import Laboratory


async def run(target: Path) -> list[Cell]:
    """All cells on one guest, which is off, beside one that runs."""
    cells: list[Cell] = []
    async with Laboratory() as lab:
        for spec in (OFF_SPEC, READER_SPEC):
            await lab.add(spec)
        await lab.wait_for_agent(READER_SPEC.name)
        host = connect(lab.uri)
        await host.open()
        folder = await back_up(host, target)
        kinds = [(way, (), moments) for way, moments in MOMENTS.items()]
        for way, disks, moments in (*kinds, (RestoreWay.IN_PLACE, ("vdb",), IN_PLACE_ALONE)):
            for moment in moments:
                try:
                    cell = await run_cell(lab, host, folder, way, moment, disks)
                except Exception as error:  # noqa: BLE001 - a cell that cannot be judged is a lost one
                    cell = Cell(way, moment, "", (f"{type(error).__name__}: {error}",))
                cells.append(cell)
                sys.stdout.write(f"{way} x {moment}: {'; '.join(cell.problems) or cell.state}\n")
                sys.stdout.flush()
        await host.close()
    return cells


def main() -> None:
    """Print the matrix with counts."""
    with own_target() as target:
        cells = asyncio.run(run(target))
    sys.stdout.write(table(cells) + "\n")


if __name__ == "__main__":
    main()
