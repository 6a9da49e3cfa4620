"""A program whose terminal is taken away ends, though no signal tells it."""

from __future__ import annotations

import sys

from tests.terminal import Terminal

PATIENCE_S = 30.0


def test_a_terminal_that_is_taken_away_without_a_signal_ends_the_program() -> None:
    with Terminal([sys.executable, "-m", "tui", "-c", "test:///default"]) as terminal:
        terminal.read_until(lambda written: b"Console" in written)
        terminal.hang_up()
        assert terminal.process.wait(PATIENCE_S) == 0
