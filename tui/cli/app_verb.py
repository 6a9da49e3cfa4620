"""`qga-tui` without a verb: the program, and the way out of it that waits for nobody."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from tui.app import QgaTui
from tui.cli.connect import hosts_for, liveness_of
from tui.cli.hang_up import end_with_terminal
from tui.cli.log import log_path
from tui.cli.main import complain
from tui.cli.workers import WORKER_ARGV
from tui.settings import load_config
from tui.system.signals import on_signals
from tui.widgets.terminal_bytes import take_any_bytes

LEAVE_S = 0.6
"""Seconds in which what still runs may tidy up, in guests too, before the process ends."""


def run_app(uris: Sequence[str], *, read_only: bool = False) -> int:
    """Show the program until the user leaves or the terminal goes away; raises ExplainedError for a bad config."""
    config = load_config()
    read_only = read_only or config.read_only
    app = QgaTui(
        hosts_for(uris, only_looks=read_only),
        WORKER_ARGV,
        config.backups_folder,
        config.overlays_folder,
        policy=liveness_of(config),
        read_only=read_only,
    )
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    on_signals((signal.SIGHUP, signal.SIGTERM), lambda _number: app.exit(), loop)
    end_with_terminal(lambda: loop.call_soon_threadsafe(app.exit))
    take_any_bytes()
    spare_the_loaded()
    app.run(loop=loop)
    loop.run_until_complete(_tidy_up())
    if app.crash is not None:
        complain(f"internal error; the details are in {log_path()}")
    return app.return_code or 0


def spare_the_loaded() -> None:
    """Keep what is loaded out of Python's garbage collections, each of which holds up keys: it stays to the end."""
    gc.freeze()


async def _tidy_up() -> None:
    """Cancel what still runs and give it a moment: commands in guests are ended there."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=LEAVE_S)


def leave(code: int) -> NoReturn:
    """End the process now: no thread that hangs in libvirt or on a dead mount is waited for."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # the terminal is gone, and nobody is left to tell
            continue
    os._exit(code)
