"""How fast a command in a guest begins and ends, against virsh by hand; and 200 MB of output through the app."""

from __future__ import annotations

import asyncio
import hashlib
import json
import statistics
import subprocess
import time
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

from textual import events
from textual.pilot import Pilot
from textual.widgets import Input

from tests.headless_lab import headless_lab
from tui.agent.exec import run
from tui.agent.exec_model import CommandLine, ExecEvent, ExecRequest, Finished, Output
from tui.agent.profile import read_profile
from tui.app import QgaTui
from tui.cli.connect import hosts_for
from tui.console.session import Session
from tui.console.session_facts import CommandEnded, OutputArrived, SessionFact
from tui.console.transcript import OutputLine
from tui.hosts.libvirt_host import LibvirtHost
from tui.model.guest import AgentState
from tui.screens.console import ConsoleScreen
from tui.widgets.output_view import OutputView

GUEST = "web1"
ROUNDS = 15
REST_S = 0.5
"""Seconds between two commands: shorter than a person's pause, long enough for the next folder to be made."""
STAMPS = 40
PIECE_MB, PIECES = 2, 74
"""Base64 of PIECE_MB random megabytes is written PIECES times: about 200 MB."""
MAKE = f"head -c {PIECE_MB}000000 /dev/urandom | base64 >/tmp/piece"
WRITE = f"i=0; while [ $i -lt {PIECES} ]; do echo round $i; cat /tmp/piece; i=$((i+1)); done"


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


async def short_commands(uri: str) -> None:
    """`true` and the first line of `echo`, ours and virsh's turn by turn."""
    host = LibvirtHost(uri, "bench")
    await host.open()
    uuid = next(facts.uuid for facts in await host.list_domains() if facts.name == GUEST)
    session = Session(host.work_line(uuid))
    session.prepare()
    kinds = ("console, total of true", "console, first output of echo", "alone, total of true")
    times: dict[str, list[float]] = {kind: [] for kind in kinds}
    theirs = []
    for _ in range(ROUNDS):
        times[kinds[0]].append((await by_console(session, "true"))[1])
        times[kinds[1]].append((await by_console(session, "echo x"))[0])
        times[kinds[2]].append((await by_run(host, uuid, "true"))[1])
        theirs.append(await asyncio.to_thread(by_hand, uri, "echo x"))
    await session.close()
    hand = statistics.median(theirs)
    for kind, values in times.items():
        mine = statistics.median(values)
        print(f"{kind}: {mine * 1000:.0f} ms, virsh by hand {hand * 1000:.0f} ms, ratio {mine / hand:.2f}")
    await delays(host, uuid)
    await host.close()


async def delays(host: LibvirtHost, uuid: str) -> None:
    """From a line's writing in the guest to its arrival, against the guest's own clock (its offset taken out)."""
    command = f"i=0; while [ $i -lt {STAMPS} ]; do cut -d' ' -f1 /proc/uptime; sleep 0.37; i=$((i+1)); done"
    seen: list[float] = []
    async with aclosing(run(host.work_line(uuid), ExecRequest(CommandLine(command)))) as course:
        async for event in course:
            seen += arrivals(event)
    offset = min(seen)
    late = sorted(each - offset for each in seen)
    print(
        f"output delay beyond the quickest: median {statistics.median(late) * 1000:.0f} ms, worst {late[-1] * 1000:.0f}"
    )


def arrivals(event: ExecEvent) -> list[float]:
    """How far our clock is ahead of each stamp that came."""
    if not isinstance(event, Output):
        return []
    now = time.monotonic()
    return [now - float(stamp) for stamp in event.data.split()]


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 1e6


async def until(pilot: Pilot[None], condition: Callable[[], bool], patience_s: float = 600.0) -> None:
    async with asyncio.timeout(patience_s):
        while not condition():
            await pilot.pause(0.1)


async def key_delays(screen: ConsoleScreen, session: Session, delays_s: list[float], peak: list[float]) -> None:
    """Type a key now and then, and note how long its letter takes to stand at the prompt."""
    prompt = screen.query_one("#prompt", Input)
    while session.is_running:
        before = prompt.value
        begun = time.perf_counter()
        prompt.post_message(events.Key("a", "a"))
        while prompt.value == before and session.is_running:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        delays_s.append(time.perf_counter() - begun)
        prompt.value = "" if len(prompt.value) > 20 else prompt.value
        peak.append(resident_mb())
        await asyncio.sleep(0.2)


async def other_client(uri: str, session: Session, answers: list[float]) -> None:
    """virsh pings the same agent meanwhile; every ping must be answered."""
    request = '{"execute":"guest-ping"}'
    while session.is_running:
        begun = time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            "virsh", "-c", uri, "qemu-agent-command", GUEST, request, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        if b"return" not in out:
            raise AssertionError("a ping was not answered")
        answers.append(time.perf_counter() - begun)
        await asyncio.sleep(1)


async def much_output(uri: str) -> None:
    """200 MB through the console screen: keys, memory, checksum, other clients, the guest's disk."""
    app = QgaTui(hosts_for((uri,)))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: any(each.agent.state is AgentState.RESPONDING for each in app.fleet.guests.values()))
        guest = next(each for each in app.fleet.guests.values() if each.name == GUEST)
        host = app._hosts[guest.id.host]
        session = Session(host.work_line(guest.id.uuid))
        screen = ConsoleScreen(guest, session)
        await app.push_screen(screen)
        session.run(f"{MAKE}; df -k /tmp | tail -1 | awk '{{print $3}}'; ({WRITE}) | sha256sum")
        await until(pilot, lambda: not session.is_running)
        used_before, digest = [line.split()[0] for line in output_lines(session)]
        before = resident_mb()
        delays_s: list[float] = []
        peak: list[float] = [before]
        answers: list[float] = []
        begun = time.perf_counter()
        session.run(WRITE)
        await asyncio.gather(
            key_delays(screen, session, delays_s, peak), other_client(uri, session, answers), session.idle()
        )
        seconds = time.perf_counter() - begun
        record = session.last
        if record is None or record.finished is None:
            raise AssertionError("the command did not end")
        received = hashlib.sha256()
        async for piece in session.scrollback.output_of(record):
            received.update(piece)
        size = record.finished.out_bytes
        session.run("df -k /tmp | tail -1 | awk '{print $3}'")
        await until(pilot, lambda: not session.is_running)
        used_after = output_lines(session, last=5)[-1]
        lines = screen.query_one(OutputView).virtual_size.height
        delays_s.sort()
        same = "the same" if received.hexdigest() == digest else "NOT THE SAME"
        print(
            f"{size / 1e6:.0f} MB in {seconds:.0f} s ({size / 1e6 / seconds:.1f} MB/s), {lines} rows; checksum {same}"
        )
        print(
            f"keys: {len(delays_s)}, median {statistics.median(delays_s) * 1000:.0f} ms, "
            f"99 % {delays_s[int(len(delays_s) * 0.99)] * 1000:.0f} ms, worst {delays_s[-1] * 1000:.0f} ms"
        )
        print(f"memory: {before:.0f} MB before, {max(peak):.0f} MB at most")
        print(f"virsh pings meanwhile: {len(answers)}, all answered, worst {max(answers) * 1000:.0f} ms")
        print(f"guest's disk: {used_before} kB before, {used_after} kB after")


def output_lines(session: Session, last: int = 0) -> list[str]:
    """What commands wrote; of the `last` entries of the transcript alone where that is not 0."""
    transcript = session.scrollback.transcript
    entries = transcript.since(max(transcript.total - last, 0) if last else 0)
    return [str(entry.text) for entry in entries if isinstance(entry, OutputLine)]


def main() -> None:
    """Measure on the demo's guests."""
    with headless_lab() as uri:
        asyncio.run(short_commands(uri))
        asyncio.run(much_output(uri))


if __name__ == "__main__":
    main()
