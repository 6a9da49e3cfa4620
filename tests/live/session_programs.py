"""What a login session begins: worker, watchdog and errand as the program does it, and a process that is but detached.

Stand-ins that only wait: what matters is the group that each is in.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from pathlib import Path

from tests.unit.backup_values import a_plan
from tui.backup import errand
from tui.backup.launch import launch
from tui.backup.runs import worker_pid
from tui.backup.watchdog import Watchdog

FAKE_WORKER = (sys.executable, "-c", "import time; time.sleep(600)")
FAKE_WATCHDOG = (sys.executable, "-c", "import time; print('armed', flush=True); time.sleep(600)")


async def main(told: Path) -> None:
    """Begin them, tell their numbers, and wait for the session's end."""
    run = launch(a_plan(), FAKE_WORKER)
    dog = await Watchdog.start(FAKE_WATCHDOG, run)
    with tempfile.TemporaryFile() as answer, tempfile.TemporaryFile() as complaints:
        begun = errand._start(FAKE_WORKER, answer, complaints)
    detached = await asyncio.create_subprocess_exec("sleep", "600", start_new_session=True)
    pids = {"worker": worker_pid(run), "watchdog": dog._process.pid, "errand": begun.pid, "detached": detached.pid}
    told.with_suffix(".part").write_text(json.dumps(pids))
    told.with_suffix(".part").rename(told)
    await asyncio.sleep(600)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
