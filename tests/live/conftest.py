"""Fixtures of the tests that meet the real thing.

One laboratory and one event loop for all live tests: a guest costs seconds of CPU, so it is booted once.
"""

import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.live.backup_fixtures import host, loop_device, target
from tests.live.host_agent import agent, qemu_ga
from tests.live.restoring import whole
from tui.lab.laboratory import Laboratory
from tui.lab.spec import MIB, SYSTEM_DISK_SIZE, DiskFormat, DiskRole, DiskSpec, GuestSpec

__all__ = ["agent", "host", "loop_device", "qemu_ga", "target", "whole"]

LIVE = Path(__file__).parent

# Background jobs of a script ignore SIGINT, and programs of theirs do not hear what a test sends them.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if LIVE in item.path.parents and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def lab() -> AsyncIterator[Laboratory]:
    """The laboratory of the session, without guests of its own."""
    async with Laboratory() as laboratory:
        yield laboratory


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def web1(lab: Laboratory) -> str:
    """A healthy guest with an answering agent, a qcow2 system disk vda, a raw data disk vdb and a writer on both.

    Who breaks it mends it: it is shared by the whole session.
    """
    data = DiskSpec(DiskFormat.RAW, 48 * MIB, DiskRole.DATA)
    await lab.add(GuestSpec("web1", disks=(DiskSpec(DiskFormat.QCOW2, SYSTEM_DISK_SIZE), data), writer=True))
    await lab.wait_for_agent("web1")
    return "web1"
