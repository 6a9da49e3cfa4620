"""Whether a backup takes long for nothing: the zeros of holes are summed up at the processor's speed."""

from __future__ import annotations

from collections.abc import Iterator

from tui.backup.checks import Check, warned
from tui.backup.evidence import Evidence
from tui.backup.plan import BackupPlan
from tui.model.quantities import duration, size

LONG_S = 3600
"""Seconds of summing up holes that are worth a warning: the guest writes to its overlay for as long."""


def hole_bytes(plan: BackupPlan, evidence: Evidence) -> int:
    """Bytes of holes that are summed up, once each: those of all images that are copied exactly."""
    return sum(image.hole_bytes for image in evidence.images if not plan.is_converted(image.disk))


def time_checks(plan: BackupPlan, evidence: Evidence, zeros_bytes_s: float) -> Iterator[Check]:
    """A warning where holes take long; `zeros_bytes_s` is how fast zeros are summed up, 0 where that is not known."""
    holes = hole_bytes(plan, evidence)
    if zeros_bytes_s <= 0 or holes / zeros_bytes_s <= LONG_S:
        return
    words = f"{size(holes)} of holes take about {duration(holes / zeros_bytes_s)} for their checksum alone"
    yield warned("Time", words, "Take --compact: its copies leave holes out, and so do their checksums.")
