"""Programs that are listened to, on real ones."""

from __future__ import annotations

import asyncio
import signal

import pytest

from tui.hosts.children import Child, kept, running

MUCH = 1024 * 1024
SAYS_MUCH = f"head -c {MUCH} /dev/zero"


async def test_a_program_that_talks_on_ends_with_its_context() -> None:
    async with running("yes") as child:
        assert await child.output.read(4) == b"y\ny\n"
        # The reader has all that it takes in unasked.
        await asyncio.sleep(0.2)
    assert child.process.returncode == -signal.SIGKILL
    assert child.output.at_eof()
    assert child.hearing.done()


async def test_complaints_hold_up_nobody_and_their_beginning_is_kept() -> None:
    async with running("sh", "-c", f"echo trouble >&2; {SAYS_MUCH} >&2; {SAYS_MUCH}", complaints_limit=7) as child:
        assert len(await kept(child.output, 2 * MUCH)) == MUCH
        assert await child.complaints() == b"trouble"
        assert await child.process.wait() == 0


async def test_who_gives_up_waiting_for_complaints_still_ends_the_program() -> None:
    begun: asyncio.Queue[Child] = asyncio.Queue()

    async def wait() -> None:
        async with running("sleep", "600") as child:
            begun.put_nowait(child)
            await child.complaints()

    waiting = asyncio.create_task(wait())
    child = await begun.get()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert child.process.returncode == -signal.SIGKILL
    assert await child.complaints() == b""
