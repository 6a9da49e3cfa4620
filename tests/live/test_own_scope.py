"""A login session that ends takes neither worker nor watchdog with it: a real systemd ends a real scope."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from tests.live.backup_fixtures import needs_root
from tests.live.real_systemd import SYSTEMD, real_systemd
from tests.live.watched import PATIENCE_S

REPOSITORY = Path(__file__).parents[2]
SESSION = "session-77.scope"
pytestmark = [needs_root, pytest.mark.skipif(not SYSTEMD.exists(), reason="there is no systemd here")]


async def test_worker_and_watchdog_outlive_the_session_that_began_them(tmp_path: Path) -> None:
    """`systemctl stop` of the session's scope is what systemd-logind does with KillUserProcesses=yes."""
    told = tmp_path / "pids.json"
    surroundings = (f"PYTHONPATH={REPOSITORY}", f"XDG_STATE_HOME={tmp_path}", f"XDG_CONFIG_HOME={tmp_path}")
    program = ("env", *surroundings, sys.executable, "-m", "tests.live.session_programs", str(told))
    async with real_systemd() as systemd:
        began = asyncio.create_task(systemd.run("systemd-run", "--scope", f"--unit={SESSION}", *program))
        async with asyncio.timeout(PATIENCE_S):
            while not told.exists():
                assert not began.done(), began.result()
                await asyncio.sleep(0.05)
        pids = json.loads(told.read_text())
        # What was begun last may be about to join its group.
        async with asyncio.timeout(PATIENCE_S):
            while True:
                groups = {name: await systemd.group(pid) for name, pid in pids.items()}
                if [name for name, group in groups.items() if group.endswith(SESSION)] == ["detached"]:
                    break
                await asyncio.sleep(0.05)
        assert groups.pop("detached").endswith(f"/{SESSION}")
        assert all(group.endswith(".scope") and SESSION not in group for group in groups.values()), groups
        # Each is in one of its own: what ends one of them does not end the one who thaws for it.
        assert len({*groups.values()}) == len(groups)
        assert (await systemd.run("systemctl", "stop", SESSION))[0] == 0
        await began
        lives = {name: await systemd.lives(pid) for name, pid in pids.items()}
        assert lives == {"worker": True, "watchdog": True, "errand": True, "detached": False}
