"""`qga-tui verify`: reading a backup anew, with a line of progress for whoever waits at a terminal."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path

from tui.backup.proof import Proof, Reading
from tui.backup.proof_note import prove_and_note
from tui.backup.runstate import EXIT_DONE, EXIT_LESS
from tui.backup.telling import reading_facts
from tui.model.quantities import size
from tui.model.text import printable

_CLEAR = "\r\x1b[K"
"""Carriage return, erase to the end of the line (ECMA-48)."""
LINE_WIDTH = 79


def run_verify(folder: str, *, as_json: bool) -> int:
    """Read a backup's folder anew; 0 where it is whole, 1 where it is not. Raises BackupError where it is none."""
    line = _ProgressLine()
    try:
        proof = asyncio.run(prove_and_note(Path(folder).absolute(), line.tell))
    finally:
        line.clear()
    if as_json:
        print(json.dumps(_fields(proof), indent=1))
    else:
        _tell(proof)
    return EXIT_DONE if proof.is_good else EXIT_LESS


class _ProgressLine:
    """One line on standard error that overwrites itself; nothing where that is no terminal."""

    def __init__(self) -> None:
        self._wanted = sys.stderr.isatty()

    def tell(self, reading: Reading) -> None:
        """How far it is now."""
        if self._wanted:
            print(f"{_CLEAR}{printable(reading_facts(reading), LINE_WIDTH)}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Leave the line empty."""
        if self._wanted:
            print(_CLEAR, end="", file=sys.stderr, flush=True)


def _fields(proof: Proof) -> dict[str, object]:
    return {
        "folder": str(proof.folder),
        "good": proof.is_good,
        "files": proof.files,
        "bytes": proof.bytes,
        "problems": list(proof.problems),
        "remarks": list(proof.remarks),
        "disks": [{**asdict(disk), "good": disk.is_good} for disk in proof.disks],
    }


def _tell(proof: Proof) -> None:
    for disk in proof.disks:
        print(printable(f"{'✓' if disk.is_good else '✗'} {disk.target}  {disk.file}"))
    for problem in proof.problems:
        print(printable(f"✗ {problem}"))
    for remark in proof.remarks:
        print(printable(f"! {remark}"))
    if proof.is_good:
        print(printable(f"✓ {proof.files} files, {size(proof.bytes)}: every sum is right, every image is sound"))
