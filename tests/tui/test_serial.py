"""The serial console takes the terminal, and the program works on behind it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.terminal import Terminal

CONSOLE = """#!/bin/sh
echo "in the console"
while [ ! -e {counted} ]; do sleep 0.1; done
echo "counted beside it"
"""


def test_what_runs_elsewhere_goes_on_while_a_console_is_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The console, a script in virsh's place, ends when the program has counted on beside it."""
    counted = tmp_path / "counted"
    virsh = tmp_path / "virsh"
    virsh.write_text(CONSOLE.format(counted=counted), "ascii")
    virsh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with Terminal([sys.executable, "-m", "tests.tui.console_program", str(counted)]) as terminal:
        terminal.read_until(lambda written: b"ready" in written)
        terminal.type("s")
        seen = len(terminal.written)
        terminal.read_until(lambda written: b"counted beside it" in written)
        between = bytes(terminal.written[seen:]).partition(b"in the console")[2].partition(b"counted beside it")[0]
        assert b"ready" not in between, "nothing is drawn over the console"
        terminal.read_until(lambda written: b"console left" in written)
