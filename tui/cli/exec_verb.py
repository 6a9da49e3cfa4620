"""`qga-tui exec`: a program in a guest, usable in a script like ssh."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Sequence

from tui.agent.exec_model import ExecRequest, Program
from tui.cli.connect import find_guest, hosts_for
from tui.console.cli_exec import CANCELLED, exec_to_streams
from tui.model.errors import ExplainedError


def run_exec(uris: Sequence[str], guest: str, program: Sequence[str], timeout_s: float | None) -> int:
    """Run the program and return its exit code; SIGINT, SIGTERM and SIGHUP end it in the guest first."""
    return asyncio.run(_run(uris, guest, program, timeout_s))


async def _run(uris: Sequence[str], wanted: str, program: Sequence[str], timeout_s: float | None) -> int:
    try:
        " ".join(program).encode("utf-8")
        request = ExecRequest(Program(program[0], tuple(program[1:])), timeout_s=timeout_s)
    except ValueError as error:
        raise ExplainedError("This program cannot be run", cause=str(error)) from error
    host, facts = await find_guest(hosts_for(uris), wanted)
    running = asyncio.create_task(
        exec_to_streams(host.work_line(facts.uuid), request, sys.stdout.buffer, sys.stderr.buffer)
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, running.cancel)
    try:
        return await running
    except asyncio.CancelledError:
        return CANCELLED
