"""What came of the last look at a backup, kept beside it: the sums do not cover it, so it breaks none of them."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import socket
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from tui.backup.durable import read_text, replace_file
from tui.backup.journal import LINE_LIMIT, read_object
from tui.backup.proof import Proof, Tell, prove, unheard
from tui.backup.restore.saved import SUMS, SUMS_LIMIT
from tui.backup.values import a_time

logger = logging.getLogger(__name__)
VERIFIED = "verified.json"


@dataclass(frozen=True, slots=True)
class ProofNote:
    """A look at a backup: Unix time in seconds, on which machine, and the disks that were found broken.

    `others` is whether something that is no disk was found broken. `sums` is the SHA-256 of the file of sums at that
    time: with another one, this is another backup.
    """

    at: float
    on: str
    good: bool
    broken: tuple[str, ...]
    others: bool
    sums: str


async def prove_and_note(folder: Path, tell: Tell = unheard) -> Proof:
    """`prove`, and keep what came of it beside the backup; a folder that cannot be written to keeps nothing."""
    proof = await prove(folder, tell)
    try:
        await asyncio.to_thread(_keep, proof)
    except OSError as error:
        logger.info("what came of the look at %s was not kept: %s", folder, error)
    return proof


def read_note(folder: Path) -> ProofNote | None:
    """What is kept of the last look; None where nothing is, or it speaks of other sums."""
    try:
        raw = read_object(read_text(folder / VERIFIED, LINE_LIMIT))
        sums = _sum_of_sums(folder)
    except OSError:
        return None
    if raw is None or raw.get("sums") != sums:
        return None
    try:
        at = a_time(raw.get("at"))
    except ValueError:
        return None
    broken = raw.get("broken")
    names = tuple(str(name) for name in broken) if isinstance(broken, list) else ()
    good, others = raw.get("good") is True, raw.get("others") is True
    return ProofNote(at, str(raw.get("on", "")), good, names, others, sums)


def _keep(proof: Proof) -> None:
    sums = _sum_of_sums(proof.folder)
    others = bool(proof.beside_disks)
    note = ProofNote(time.time(), socket.gethostname(), proof.is_good, proof.broken, others, sums)
    replace_file(proof.folder / VERIFIED, json.dumps(asdict(note)))


def _sum_of_sums(folder: Path) -> str:
    return hashlib.sha256(read_text(folder / SUMS, SUMS_LIMIT).encode()).hexdigest()
