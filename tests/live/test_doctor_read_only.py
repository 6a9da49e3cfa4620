"""The doctor's trial program: in the log of commands where it ran, and never run in read-only mode."""

from __future__ import annotations

import asyncio
import json
import sys

from tests.live.watched import PATIENCE_S
from tui.lab.laboratory import Laboratory
from tui.system.audit_log import audit_path


async def doctor(lab: Laboratory, *words: str) -> str:
    argv = [sys.executable, "-m", "tui", *words, "-c", lab.uri]
    process = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
    async with asyncio.timeout(PATIENCE_S):
        out, _ = await process.communicate()
    assert process.returncode == 0
    return out.decode()


def trials() -> list[str]:
    lines = audit_path().read_text().splitlines() if audit_path().exists() else []
    return [line["event"] for line in map(json.loads, lines) if line.get("by") == "doctor"]


async def test_the_trial_program_is_logged_and_is_not_run_in_read_only_mode(lab: Laboratory, web1: str) -> None:
    before = trials()
    assert "no program is run in read-only mode" in await doctor(lab, "--read-only", "doctor", web1)
    assert trials() == before
    assert "a trial program ran as root" in await doctor(lab, "doctor", web1)
    assert trials() == [*before, "started", "ended"]
