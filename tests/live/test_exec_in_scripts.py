"""`qga-tui exec` as scripts use it: no byte lost on the way out, no end missing from the log, waits as told."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import select
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import IO

import pytest

from tests.live.watched import PATIENCE_S
from tui.lab.laboratory import Laboratory
from tui.system.audit_log import audit_path

NUMBERS = "".join(f"{number}\n" for number in range(1, 40_001)).encode()
"""What `seq 1 40000` prints: more than a pipe holds."""
EITHER = pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
PIPE = asyncio.subprocess.PIPE


@asynccontextmanager
async def exec_process(
    lab: Laboratory,
    *words: str,
    before: Sequence[str] = (),
    unbuffered: str = "",
    stdout: int | IO[bytes] = PIPE,
) -> AsyncIterator[asyncio.subprocess.Process]:
    """`qga-tui exec` with these words; ended with the body."""
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    argv = [*before, sys.executable, "-m", "tui", "exec", "-c", lab.uri, *words]
    process = await asyncio.create_subprocess_exec(*argv, stdin=PIPE, stdout=stdout, stderr=PIPE, env=environment)
    try:
        async with asyncio.timeout(PATIENCE_S):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def logged(command: str) -> list[dict[str, object]]:
    """What the log of commands says of those whose words contain `command`, oldest first."""
    lines = [json.loads(line) for line in audit_path().read_text().splitlines()]
    return [line for line in lines if command in str(line["command"])]


@EITHER
async def test_what_a_file_did_not_take_is_a_failure_of_ours(
    lab: Laboratory, web1: str, unbuffered: str, tmp_path: Path
) -> None:
    limit = ("prlimit", "--fsize=600000")
    words = (web1, "--", "head", "-c", "700000", "/dev/zero")
    with (tmp_path / "out").open("wb") as out:
        async with exec_process(lab, *words, before=limit, unbuffered=unbuffered, stdout=out) as process:
            _, complaint = await process.communicate()
    assert process.returncode == 255
    assert b"File too large" in complaint
    assert (tmp_path / "out").stat().st_size <= 600_000


@EITHER
async def test_nothing_is_missing_where_the_program_was_stopped_while_it_wrote(
    lab: Laboratory, web1: str, unbuffered: str
) -> None:
    async with exec_process(lab, web1, "--", "seq", "1", "40000", unbuffered=unbuffered) as process:
        assert process.stdout is not None
        got = await process.stdout.readexactly(20_000)
        for _ in range(5):
            process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(0.05)
            process.send_signal(signal.SIGCONT)
            got += await process.stdout.readexactly(10_000)
        got += await process.stdout.read()
        assert await process.wait() == 0
    assert got == NUMBERS


async def test_a_hang_up_that_is_ignored_ends_nothing(lab: Laboratory, web1: str) -> None:
    ignoring = ("sh", "-c", "trap '' HUP; exec \"$@\"", "sh")
    async with exec_process(lab, web1, "--", "sh", "-c", "echo begun; sleep 1; echo over", before=ignoring) as process:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"begun\n"
        process.send_signal(signal.SIGHUP)
        assert await process.stdout.read() == b"over\n"
        assert await process.wait() == 0


@contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    """The two ends of a pipe, the reading one first; closed with the body as far as they are not yet."""
    ends = os.pipe()
    try:
        yield ends
    finally:
        for end in ends:
            with suppress(OSError):
                os.close(end)


async def test_a_reader_that_leaves_ends_the_command_and_the_log_has_that_end(lab: Laboratory, web1: str) -> None:
    with pipe() as (reader, writer):
        async with exec_process(lab, web1, "--", "sh", "-c", ": left; yes", stdout=writer) as process:
            os.close(writer)
            await asyncio.to_thread(os.read, reader, 2)
            os.close(reader)
            assert await process.wait() == 141
    assert [(line["event"], line.get("end")) for line in logged(": left;")] == [
        ("started", None),
        ("ended", "cancelled"),
    ]


async def test_an_interrupt_is_heard_while_nobody_takes_the_output(lab: Laboratory, web1: str) -> None:
    with pipe() as (reader, writer):
        async with exec_process(lab, web1, "--", "sh", "-c", ": stuck; yes", stdout=writer) as process:
            await asyncio.to_thread(os.read, reader, 2)
            while select.select([], [writer], [], 0)[1]:  # noqa: ASYNC110 - nothing tells that a pipe is full
                await asyncio.sleep(0.05)
            process.send_signal(signal.SIGINT)
            assert await process.wait() == 130
    assert logged(": stuck;")[-1]["end"] == "cancelled"


async def test_the_end_of_a_command_whose_program_was_killed_is_logged_by_the_next_one(
    lab: Laboratory, web1: str
) -> None:
    async with exec_process(lab, web1, "--", "sh", "-c", ": orphaned; echo begun; sleep 60") as process:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"begun\n"
        process.kill()
        await process.wait()
    assert [line["event"] for line in logged(": orphaned;")] == ["started"]
    async with exec_process(lab, web1, "--", "true") as process:
        assert await process.wait() == 0
    assert [(line["event"], line.get("end")) for line in logged(": orphaned;")] == [
        ("started", None),
        ("ended", "lost"),
    ]


async def test_an_agent_that_boots_is_waited_for_with_the_reason_said(lab: Laboratory, web1: str) -> None:
    await lab.virsh("reset", web1)
    async with exec_process(lab, web1, "--wait", "90", "--", "echo", "up") as process:
        out, said = await process.communicate()
    assert (process.returncode, out) == (0, b"up\n")
    assert f"qga-tui: waiting for the agent of {web1}: " in said.decode()


async def test_one_that_will_not_come_is_told_at_once(lab: Laboratory) -> None:
    words = ("-c", "test:///default", "test", "--wait", "600", "--", "true")
    async with exec_process(lab, *words) as process:
        _, said = await process.communicate()
    assert process.returncode == 255
    assert "The agent of test will not answer: the guest has no agent device" in said.decode()


async def test_many_guests_read_the_same_input_each_from_its_beginning(lab: Laboratory, web1: str) -> None:
    again = f"{lab.uri}&mode=direct"
    async with exec_process(lab, "-c", again, "--match", web1, "--stdin", "--", "md5sum") as process:
        out, _ = await process.communicate(NUMBERS)
    assert process.returncode == 0
    # MD5 is what the guest has; it compares, it protects nothing.
    sums = [line.split()[1] for line in out.decode().splitlines()]
    assert sums == [hashlib.md5(NUMBERS).hexdigest()] * 2


async def test_after_a_failure_no_further_guest_is_begun(lab: Laboratory, web1: str) -> None:
    again = f"{lab.uri}&mode=direct"
    words = ("--match", web1, "--parallel", "1", "--stop-at-first-failure", "--", "sh", "-c", "echo ran; exit 3")
    async with exec_process(lab, "-c", again, *words) as process:
        out, said = await process.communicate()
    assert process.returncode == 3
    assert out == f"{web1}: ran\n".encode()
    assert "Not started here: it failed in web1 (exit code 3) first" in said.decode()
