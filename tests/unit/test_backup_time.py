"""What holes cost is in the estimate, and long holes are warned of."""

from dataclasses import replace

import pytest

from tests.unit.test_backup_preflight import PLAN, WELL
from tui.backup.checks import Verdict
from tui.backup.preflight_time import LONG_S, hole_bytes, time_checks
from tui.backup.propose import Proposal
from tui.backup.sparse_sum import zeros_rate

TIB = 1 << 40


@pytest.mark.parametrize(("holes", "rate", "warned"), [(TIB, 1.5e9, False), (10 * TIB, 1.5e9, True), (TIB, 0, False)])
def test_holes_that_take_more_than_an_hour_are_warned_of_and_compact_copies_offered(
    holes: int, rate: float, warned: bool
) -> None:
    evidence = replace(WELL, images=(replace(WELL.images[0], hole_bytes=holes),))
    checks = list(time_checks(PLAN, evidence, rate))
    assert bool(checks) is warned
    if warned:
        assert checks[0].verdict is Verdict.WARNING
        assert "--compact" in checks[0].next_step
        assert holes / rate > LONG_S
        # Compact copies leave them out.
        assert not list(time_checks(replace(PLAN, compact=True), evidence, rate))
        assert hole_bytes(replace(PLAN, compact=True), evidence) == 0


def test_the_estimate_counts_holes_once_beside_the_data() -> None:
    proposal = Proposal(PLAN, (), (), 3_000_000, rate_bytes_s=1_000_000, holes_s=600)
    assert proposal.estimated_s == 606
    assert "10 min" in proposal.size_words


def test_zeros_are_summed_up_at_some_rate() -> None:
    assert zeros_rate() > 0
