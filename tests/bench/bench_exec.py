"""How fast a command in a guest begins and ends, against guest-exec by hand; and how late its output is drawn."""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from contextlib import aclosing

from tests.bench import screen_delay
from tests.headless_lab import headless_lab
from tui.agent.commands import exec_start, exec_status
from tui.agent.exec import run
from tui.agent.exec_model import CommandLine, ExecRequest, Finished, Output
from tui.agent.profile import read_profile
from tui.console.session import Session
from tui.console.session_facts import CommandEnded, OutputArrived, SessionFact
from tui.hosts.libvirt_host import LibvirtHost

GUEST = "web1"
ROUNDS = 15
REST_S = 0.5
"""Seconds between two commands: shorter than a person's pause, long enough for the next folder to be made."""


def by_hand(uri: str, command: str) -> float:
    """Seconds for guest-exec and status after status with virsh, until the output is there."""

    def ask(execute: str, **arguments: object) -> dict[str, object]:
        request = json.dumps({"execute": execute, "arguments": arguments})
        words = ["virsh", "-c", uri, "qemu-agent-command", GUEST, request]
        answer: dict[str, object] = json.loads(subprocess.run(words, capture_output=True, check=True).stdout)["return"]
        return answer

    begun = time.perf_counter()
    words = {"path": "/bin/sh", "arg": ["-c", command], "capture-output": True}
    pid = ask("guest-exec", **words)["pid"]
    while not ask("guest-exec-status", pid=pid)["exited"]:
        pass
    return time.perf_counter() - begun


async def by_console(session: Session, command: str) -> tuple[float, float]:
    """Seconds from a typed line to its first output and to its end, in a console that is open and at rest."""
    await asyncio.sleep(REST_S)
    begun = time.perf_counter()
    first: list[float] = []
    over = asyncio.Event()

    def note(fact: SessionFact) -> None:
        if isinstance(fact, OutputArrived):
            first.append(time.perf_counter() - begun)
        elif isinstance(fact, CommandEnded):
            over.set()

    stop = session.subscribe(note)
    session.run(command)
    await over.wait()
    total = time.perf_counter() - begun
    stop()
    if session.last is None or session.last.finished is None or session.last.finished.exit_code != 0:
        raise AssertionError(f"{command} did not end well")
    return (first or [0.0])[0], total


async def by_run(host: LibvirtHost, uuid: str, command: str) -> tuple[float, float]:
    """Seconds to the first output and to the end, for a lone command for which nothing was prepared."""
    line = host.work_line(uuid)
    profile = await read_profile(line)
    begun = time.perf_counter()
    first = 0.0
    async with aclosing(run(line, ExecRequest(CommandLine(command)), profile=profile)) as course:
        async for event in course:
            if isinstance(event, Output) and not first:
                first = time.perf_counter() - begun
            if isinstance(event, Finished) and event.exit_code:
                raise AssertionError(event)
    return first, time.perf_counter() - begun


async def by_kept_connection(host: LibvirtHost, uuid: str, command: str) -> float:
    """Seconds for guest-exec and status after status on a connection that is open, until the output is there."""
    line = host.work_line(uuid)
    begun = time.perf_counter()
    pid = await exec_start(line, "/bin/sh", ["-c", command], capture=True)
    while not (await exec_status(line, pid)).exited:
        pass
    return time.perf_counter() - begun


def by_program(uri: str, command: str) -> float:
    """Seconds for `qga-tui exec`, from the start of its process to its end."""
    begun = time.perf_counter()
    words = [sys.executable, "-m", "tui", "-c", uri, "exec", GUEST, "--shell", "sh", "--", command]
    subprocess.run(words, capture_output=True, check=True)
    return time.perf_counter() - begun


async def short_commands(uri: str) -> None:
    """`true` and the first line of `echo`, ours and theirs turn by turn."""
    host = LibvirtHost(uri, "bench")
    await host.open()
    uuid = next(facts.uuid for facts in await host.list_domains() if facts.name == GUEST)
    session = Session(host.work_line(uuid))
    session.prepare()
    times: dict[str, list[float]] = defaultdict(list)
    by_virsh, by_calls = [], []
    for _ in range(ROUNDS):
        times["console, total of true"].append((await by_console(session, "true"))[1])
        by_virsh.append(await asyncio.to_thread(by_hand, uri, "echo x"))
        times["console, first output of echo"].append((await by_console(session, "echo x"))[0])
        by_calls.append(await by_kept_connection(host, uuid, "echo x"))
        times["alone, total of true"].append((await by_run(host, uuid, "true"))[1])
        times["qga-tui exec, process and all"].append(await asyncio.to_thread(by_program, uri, "true"))
    await session.close()
    virsh, calls = statistics.median(by_virsh), statistics.median(by_calls)
    print(f"by hand, capture and status polling: with virsh {virsh * 1000:.0f} ms, three processes and more;")
    print(f"  over a connection that is open {calls * 1000:.0f} ms")
    for kind, values in times.items():
        mine = statistics.median(values)
        print(f"{kind}: {mine * 1000:.0f} ms, {mine / virsh:.2f} of virsh, {mine / calls:.2f} of the open connection")
    await screen_delay.measure(host, uri, GUEST)
    await host.close()


def main() -> None:
    """Measure on the demo's guests."""
    with headless_lab() as uri:
        asyncio.run(short_commands(uri))


if __name__ == "__main__":
    main()
