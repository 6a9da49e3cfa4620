"""The hidden verbs: processes that a backup runs in, with the libvirt adapter handed to them."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tui.backup.watchdog import run_watchdog
from tui.backup.worker import run_worker
from tui.hosts.libvirt_host import LibvirtHost
from tui.hosts.names import short_name
from tui.hosts.port import Host

WORKER_VERB, WATCHDOG_VERB = "backup-worker", "thaw-watchdog"
WORKER_ARGV = (sys.executable, "-m", "tui", WORKER_VERB)
WATCHDOG_ARGV = (sys.executable, "-m", "tui", WATCHDOG_VERB)


def connect(uri: str) -> Host:
    """The adapter for a URI, not yet opened."""
    return LibvirtHost(uri, short_name(uri))


def run_hidden(verb: str, folder: str) -> int:
    """Be a worker or a watchdog for the run in `folder`."""
    if verb == WORKER_VERB:
        return asyncio.run(run_worker(Path(folder), connect, WATCHDOG_ARGV))
    return asyncio.run(run_watchdog(Path(folder), connect))
