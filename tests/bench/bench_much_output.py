"""200 MB of output through the app: keys, memory, checksum, other clients of the agent, the guest's disk."""

from __future__ import annotations

import asyncio
import hashlib
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from textual import events
from textual.pilot import Pilot

from tests.headless_lab import headless_lab
from tui.agent.exec_model import Stream
from tui.app import QgaTui
from tui.cli.app_verb import spare_the_loaded
from tui.cli.connect import hosts_for
from tui.console.session import Session
from tui.console.transcript import OutputLine
from tui.model.guest import AgentState, Guest
from tui.screens.console import ConsoleScreen
from tui.widgets.output_view import OutputView
from tui.widgets.prompt_input import PromptInput

GUEST = "web1"
PIECE_MB, PIECES = 2, 74
"""Base64 of PIECE_MB random megabytes is written PIECES times: about 200 MB."""
MAKE = f"head -c {PIECE_MB}000000 /dev/urandom | base64 >/tmp/piece"
WRITE = f"i=0; while [ $i -lt {PIECES} ]; do echo round $i; cat /tmp/piece; i=$((i+1)); done"


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 1e6


async def until(pilot: Pilot[None], condition: Callable[[], bool], patience_s: float = 600.0) -> None:
    async with asyncio.timeout(patience_s):
        while not condition():
            await pilot.pause(0.1)


async def key_delays(screen: ConsoleScreen, session: Session, delays_s: list[float], peak: list[float]) -> None:
    """Type a key now and then, and note how long its letter takes to stand at the prompt."""
    prompt = screen.query_one("#prompt", PromptInput)
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
        async for piece in session.scrollback.output_of(record, Stream.STDOUT):
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
        await opened_again(pilot, screen, guest, session)


async def longest_hold_up(stop: asyncio.Event) -> float:
    """Seconds for which the event loop did not come round, at most, until `stop` is set."""
    longest, before = 0.0, time.perf_counter()
    while not stop.is_set():
        await asyncio.sleep(0.001)
        now = time.perf_counter()
        longest, before = max(longest, now - before), now
    return longest


async def opened_again(pilot: Pilot[None], screen: ConsoleScreen, guest: Guest, session: Session) -> None:
    """Leave the console and come back: how long until its end is drawn, and how long keys had to wait meanwhile."""
    screen.action_back()
    await pilot.pause()
    stop = asyncio.Event()
    ticking = asyncio.create_task(longest_hold_up(stop))
    await asyncio.sleep(0.1)
    begun = time.perf_counter()
    again = ConsoleScreen(guest, session)
    await pilot.app.push_screen(again)
    view = again.query_one(OutputView)
    last = str(list(session.scrollback.transcript.since(session.scrollback.transcript.total - 1))[-1].text)
    while not any(last[:40] in view.render_line(y).text for y in range(view.size.height)):  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    drawn = time.perf_counter() - begun
    await asyncio.sleep(5)
    stop.set()
    print(
        f"opened again with {session.scrollback.transcript.total} lines: drawn after {drawn * 1000:.0f} ms, "
        f"longest hold-up {await ticking * 1000:.0f} ms"
    )


def output_lines(session: Session, last: int = 0) -> list[str]:
    """What commands wrote; of the `last` entries of the transcript alone where that is not 0."""
    transcript = session.scrollback.transcript
    entries = transcript.since(max(transcript.total - last, 0) if last else 0)
    return [str(entry.text) for entry in entries if isinstance(entry, OutputLine)]


def main() -> None:
    """Measure on the demo's guests."""
    spare_the_loaded()
    with headless_lab() as uri:
        asyncio.run(much_output(uri))


if __name__ == "__main__":
    main()
