"""The whole kill matrix: every moment of a backup, and everything that can die, alone and all together.

`python -m tests.bench.bench_kill_matrix [MOMENT]... [BLOW]... [stream]` is a part of it, or the same through streams.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.bench.place import own_target
from tests.live.held_worker import MOMENTS
from tests.live.kill_matrix import SPEC, Blow, Cell, run_cell, table
from tui.backup.source import SourceWish
from tui.lab.laboratory import Laboratory


async def run(moments: tuple[str, ...], blows: tuple[Blow, ...], target: Path, source: SourceWish) -> list[Cell]:
    """All cells of the given moments on one guest."""
    cells: list[Cell] = []
    async with Laboratory() as lab:
        await lab.add(SPEC)
        await lab.wait_for_agent(SPEC.name)
        for moment in moments:
            for blow in blows:
                try:
                    cell = await run_cell(lab, target, moment, blow, source)
                except Exception as error:  # noqa: BLE001 - a cell that cannot be judged is a lost one
                    cell = Cell(moment, blow, "", (f"{type(error).__name__}: {error}",))
                cells.append(cell)
                sys.stdout.write(f"{moment} x {blow}: {'; '.join(cell.problems) or cell.copy}\n")
                sys.stdout.flush()
    return cells


def main(
    moments: tuple[str, ...] = MOMENTS, blows: tuple[Blow, ...] = tuple(Blow), source: SourceWish = SourceWish.AUTO
) -> None:
    """Print the matrix with counts."""
    with own_target() as target:
        cells = asyncio.run(run(moments, blows, target, source))
    sys.stdout.write(table(cells) + "\n")


if __name__ == "__main__":
    words = sys.argv[1:]
    main(
        tuple(word for word in words if word in MOMENTS) or MOMENTS,
        tuple(blow for blow in Blow if blow in words) or tuple(Blow),
        SourceWish.STREAM if SourceWish.STREAM in words else SourceWish.AUTO,
    )
