"""Bytes that are no text, pasted into the program on a real terminal."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.terminal import Terminal


def test_a_binary_that_is_pasted_does_not_end_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with Terminal([sys.executable, "-m", "tui", "-c", "test:///default"]) as terminal:
        terminal.read_until(lambda written: b"running" in written)
        terminal.type("/\udcff\udcfe\udc80")
        terminal.read_for(1)
        assert terminal.process.poll() is None
        terminal.type("nobody")
        terminal.read_until(lambda written: b"No guest matches" in written)
