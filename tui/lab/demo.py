"""The guests of `qga-tui demo`, and the demo without a screen."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any, TextIO

from tui.lab.laboratory import Laboratory
from tui.lab.programs import LabError, Report
from tui.lab.spec import (
    MIB,
    SYSTEM_DISK_SIZE,
    AgentSetup,
    ChannelIn,
    DiskFormat,
    DiskRole,
    DiskSpec,
    GuestSpec,
)
from tui.system.signals import on_signals

DEMO_GUESTS = (
    GuestSpec("web1", writer=True),
    GuestSpec(
        "db1",
        disks=(
            DiskSpec(DiskFormat.QCOW2, SYSTEM_DISK_SIZE),
            DiskSpec(DiskFormat.RAW, 64 * MIB, DiskRole.DATA),
        ),
        writer=True,
    ),
    GuestSpec("win7", windows_lookalike=True),
    GuestSpec("mute", agent=AgentSetup.NOT_STARTED),
    GuestSpec("bare", channel=ChannelIn.ABSENT),
    GuestSpec("spare", start=False),
)
ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@asynccontextmanager
async def demo_laboratory(report: Report) -> AsyncIterator[Laboratory]:
    """A laboratory whose guests are defined and started one after another while the body runs."""
    async with Laboratory(report) as lab:
        guests = asyncio.create_task(_bring_up(lab, report))
        try:
            yield lab
        finally:
            guests.cancel()
            with suppress(asyncio.CancelledError):
                await guests


async def _bring_up(lab: Laboratory, report: Report) -> None:
    """Define all, then boot one at a time: the list is whole at once, and the user's keys get their share of CPU."""
    try:
        for spec in DEMO_GUESTS:
            await lab.add(replace(spec, start=False))
        for spec in DEMO_GUESTS:
            if spec.start:
                await lab.start(spec.name)
            if spec.answers:
                await lab.wait_for_agent(spec.name)
        report("all guests of the demo were started")
    except LabError as error:
        report(error.one_line())
    except OSError as error:
        report(f"The demo's guests could not be made: {error}")


async def until_signalled(body: Coroutine[Any, Any, None]) -> None:
    """Run `body` to its end, or until SIGINT, SIGTERM or SIGHUP cancels it, so that it can clean up."""
    task = asyncio.create_task(body)
    received: list[int] = []

    def cancel_once(number: int) -> None:
        if not received:
            task.cancel()
        received.append(number)

    heard = on_signals(ENDING_SIGNALS, cancel_once)
    try:
        await task
    except asyncio.CancelledError:
        if not received:
            raise
    finally:
        for number in heard:
            asyncio.get_running_loop().remove_signal_handler(number)


async def run_headless(out: TextIO, tied_to: TextIO | None = None) -> None:
    """Write the URI as the first line of `out`, keep the guests until a signal ends the demo, leave nothing behind.

    The end of the pipe `tied_to` ends it too: whoever holds the other end cannot leave it behind, however it dies.
    Progress goes to standard error. Raises LabError when the laboratory cannot be made.
    """
    await until_signalled(_keep(out, _report_to_stderr, tied_to))


async def _keep(out: TextIO, report: Report, tied_to: TextIO | None) -> None:
    async with demo_laboratory(report) as lab:
        print(lab.uri, file=out, flush=True)
        if tied_to is None:
            await asyncio.get_running_loop().create_future()
        else:
            await _end_of(tied_to)


async def _end_of(pipe: TextIO) -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    while await reader.read(4096):
        pass


def _report_to_stderr(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
