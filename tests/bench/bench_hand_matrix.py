"""The matrix of other hands: every moment of a backup, and everything that somebody else may do to its guest then.

`python -m tests.bench.bench_hand_matrix [MOMENT]... [HAND]...` is a part of it. In brackets: libvirt refused the hand.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.bench.place import own_target
from tests.live.hand_matrix import HAND_MOMENTS, Hand, HandCell, run_hand, table
from tests.live.kill_matrix import SPEC
from tests.live.second_host import second_host
from tui.lab.laboratory import Laboratory


async def run(moments: tuple[str, ...], hands: tuple[Hand, ...], target: Path) -> list[HandCell]:
    """All cells of the given moments; a new guest after each one that cannot be judged."""
    cells: list[HandCell] = []
    left = [(moment, hand) for hand in hands for moment in moments]
    while left:
        async with Laboratory() as lab, second_host() as there:
            await lab.add(SPEC)
            await lab.wait_for_agent(SPEC.name)
            while left:
                moment, hand = left.pop(0)
                try:
                    cell = await run_hand(lab, there, target, moment, hand)
                except Exception as error:  # noqa: BLE001 - a cell that cannot be judged is a lost one
                    cell = HandCell(moment, hand, False, None, "", (f"{type(error).__name__}: {error}",))
                cells.append(cell)
                told = "; ".join(cell.problems) or f"{cell.copy}, exit {cell.code}{'' if cell.done else ', refused'}"
                sys.stdout.write(f"{moment} x {hand}: {told}\n")
                sys.stdout.flush()
                if cell.problems:
                    break
    return cells


def main(moments: tuple[str, ...] = HAND_MOMENTS, hands: tuple[Hand, ...] = tuple(Hand)) -> None:
    """Print the matrix with counts."""
    with own_target() as target:
        cells = asyncio.run(run(moments, hands, target))
    sys.stdout.write(table(cells) + "\n")


if __name__ == "__main__":
    words = sys.argv[1:]
    main(
        tuple(word for word in words if word in HAND_MOMENTS) or HAND_MOMENTS,
        tuple(hand for hand in Hand if hand in words) or tuple(Hand),
    )
