"""The full-screen program killed on its terminal while a command streams, and what stays of it in the guest."""

from __future__ import annotations

import asyncio
import random
import sys
from dataclasses import dataclass

from tests.terminal import Terminal
from tui.agent.leftovers import Sweep, sweep_leftovers
from tui.agent.profile import read_profile
from tui.agent.transport import Transport
from tui.lab.laboratory import Laboratory

COMMANDS = ("yes", "while :; do seq 1 3000; seq 1 3000 >&2; sleep 0.01; done", "echo up; exec sleep 1000")
MARK = "QGA_KILLED=1"
"""Set for each command, so that it is known in the guest."""
LATEST_S = 1.5
"""Seconds of streaming within which the program is killed."""


@dataclass(frozen=True, slots=True)
class Remains:
    """What is in the guest: folders of runs, files of such that the agent has open, processes of the commands."""

    folders: int
    handles: int
    processes: int


def kill_while_streaming(uri: str, guest: str, command: str, seconds: float) -> None:
    """Open the guest's console as a user does, run the command, and kill the program without warning."""
    with Terminal([sys.executable, "-m", "tui", "-c", uri]) as terminal:
        terminal.open_console(guest)
        terminal.type(f"export {MARK}; {command}\r")
        terminal.read_until(lambda seen: b"pid" in seen)
        terminal.read_for(seconds)


async def remains(lab: Laboratory, guest: str) -> Remains:
    """Count, asking the guest past its agent."""
    agent = "$(pidof qemu-ga)"
    said = await lab.shell(
        guest,
        f"ls -d /tmp/qga-tui.* 2>/dev/null | wc -l; ls -l /proc/{agent}/fd | grep -c qga-tui;"
        f" grep -lz '^{MARK}$' /proc/[0-9]*/environ 2>/dev/null | wc -l",
    )
    return Remains(*(int(word) for word in said.output.split()))


async def kill_and_sweep(lab: Laboratory, guest: str, line: Transport, kills: int, seed: int) -> tuple[Remains, Sweep]:
    """Kill the program so often, each at a random moment; what is there then, and what the next start did about it."""
    dice = random.Random(seed)
    for turn in range(kills):
        command, seconds = COMMANDS[turn % len(COMMANDS)], dice.random() * LATEST_S
        await asyncio.to_thread(kill_while_streaming, lab.uri, guest, command, seconds)
    left = await remains(lab, guest)
    return left, await sweep_leftovers(line, await read_profile(line))
