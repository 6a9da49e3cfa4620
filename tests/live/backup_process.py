"""The processes of a backup: worker, watchdog, and a program that launches one and waits to be killed."""

import asyncio
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from tui.backup.launch import launch
from tui.backup.plan import read_plan
from tui.backup.session import Patience
from tui.backup.watchdog import run_watchdog
from tui.backup.worker import run_worker
from tui.hosts.libvirt_host import LibvirtHost
from tui.hosts.port import Host

WORKER = (sys.executable, "-W", "error", "-m", "tests.live.backup_process", "worker")
HASTY_WORKER = (*WORKER[:-1], "hasty-worker")
"""Waits two seconds for a freeze."""
WATCHDOG = (sys.executable, "-W", "error", "-m", "tests.live.backup_process", "watchdog")
LAUNCHER = (sys.executable, "-W", "error", "-m", "tests.live.backup_process", "launcher")


def connect(uri: str) -> Host:
    return LibvirtHost(uri, "lab")


def main(verb: str, argument: Path) -> int:
    if verb == "worker":
        return asyncio.run(run_worker(argument, connect, WATCHDOG, Patience(restart_s=3)))
    if verb == "hasty-worker":
        return asyncio.run(run_worker(argument, connect, WATCHDOG, Patience(freeze_s=2)))
    if verb == "watchdog":
        return asyncio.run(run_watchdog(argument, connect))
    return launch_and_wait(argument, WORKER)


def launch_and_wait(plan: Path, worker: Sequence[str]) -> int:
    """Start a plan's worker as the program does, then wait to be killed."""
    # nohup(1) leaves the hang-up ignored to its children; this process is there to die of it.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    launch(read_plan(plan.read_text("utf-8")), worker)
    sys.stdout.write("launched\n")
    sys.stdout.flush()
    sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
