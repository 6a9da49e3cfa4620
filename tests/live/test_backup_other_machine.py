"""A daemon that looks as if it were of this machine, and is not: what has the same name here is never taken for its."""

import shutil
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.live.backup_fixtures import end_of, facts_of, log_of, needs_root, target
from tests.live.backup_process import WORKER, connect
from tests.live.other_machine import (
    DECOY_DATA,
    DECOY_VARIABLES,
    NAME,
    REMOTE_DATA,
    OtherMachine,
    other_machine,
    virsh,
    write_images,
)
from tui.backup.launch import launch
from tui.backup.plan import QuiescePolicy, Source
from tui.backup.propose import Proposal, propose
from tui.backup.restore.plan import RestoreWay
from tui.backup.restore.propose import propose_restore
from tui.backup.restore.saved import read_saved
from tui.backup.restore.wishes import Wishes
from tui.backup.runstate import EXIT_NOT_DONE
from tui.backup.source import SourceWish
from tui.hosts.daemon_process import _writer
from tui.hosts.open_images import has_open
from tui.hosts.port import Host
from tui.hosts.same_files import are_here, why_not_here

__all__ = ["target"]
pytestmark = needs_root


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def far() -> AsyncIterator[OtherMachine]:
    """One that has the very name of this machine, as a container or a cloned host may."""
    async with other_machine(socket.gethostname()) as machine:
        yield machine


@pytest_asyncio.fixture(loop_scope="session")
async def forwarded(far: OtherMachine) -> AsyncIterator[Host]:
    host = connect(far.forwarded)
    await host.open()
    yield host
    await host.close()


async def proposed(host: Host, target: Path, wish: SourceWish = SourceWish.AUTO, *, name: str = NAME) -> Proposal:
    facts = await facts_of(host, name)
    return await propose(host, facts, target, quiesce=QuiescePolicy.OFF, source=wish, accepted=("nvram",))


async def test_a_backup_over_a_forwarded_socket_holds_the_far_bytes_and_says_why_they_were_streamed(
    far: OtherMachine, forwarded: Host, target: Path
) -> None:
    proposal = await proposed(forwarded, target)
    assert proposal.plan.source is Source.STREAM
    assert "its socket is held by" in proposal.plan.source_reason
    assert proposal.may_begin, proposal.checks
    run = launch(proposal.plan, WORKER)
    state = await end_of(run)
    copy = state.result / "disks/vda.raw"
    assert copy.read_bytes().startswith(REMOTE_DATA), log_of(run)
    assert not list(far.theirs.glob("*.qgatui-*"))
    # The variables that have their name here are others: none are in the backup, and it says so.
    assert not (state.result / "nvram").exists()
    assert any("nvram" in words for words in state.shortfalls)
    before = {path.name: path.read_bytes() for path in far.images.iterdir()}
    # The same backup is not put in place through that socket either.
    restore = await propose_restore(
        forwarded, read_saved(state.result), Wishes(RestoreWay.IN_PLACE, accepted=("nvram",))
    )
    assert not restore.may_begin
    assert any(f.title == "Host" and "its socket is held by" in f.evidence for f in restore.findings)
    forced = launch(restore.plan, WORKER)
    refused = await end_of(forced)
    assert (refused.exit_code, refused.error is not None) == (EXIT_NOT_DONE, True), log_of(forced)
    assert {path.name: path.read_bytes() for path in far.images.iterdir()} == before
    assert before["disk.raw"].startswith(DECOY_DATA)
    assert before["vars.fd"].startswith(DECOY_VARIABLES)


async def test_a_plan_to_read_files_is_refused_by_the_checks_and_once_more_by_the_worker(
    far: OtherMachine, forwarded: Host, target: Path
) -> None:
    proposal = await proposed(forwarded, target, SourceWish.FILE)
    assert not proposal.may_begin
    run = launch(proposal.plan, WORKER)
    state = await end_of(run)
    assert state.exit_code == EXIT_NOT_DONE
    assert "its socket is held by" in log_of(run) or (state.error is not None and "held by" in state.error.cause)
    assert not list(target.rglob("*.raw"))
    assert not list(far.images.glob("*.qgatui-*"))
    assert not list(far.theirs.glob("*.qgatui-*"))


async def test_each_path_is_judged_by_itself_where_the_daemon_is_of_this_machine(far: OtherMachine) -> None:
    host = connect(far.direct)
    await host.open()
    try:
        assert "sees another file system" in await why_not_here(host, [str(far.images / "disk.raw")])
        assert await are_here(host, [str(far.theirs / "disk.raw")])
        # A real daemon answers the question by which one is found that systemd listens for.
        daemon = int((far.folder / "pid").read_text())
        assert _writer(str(far.folder / "run/libvirt/libvirt-sock")) == daemon
        link = far.folder / "home/link"
        link.symlink_to(far.images)
        assert not await are_here(host, [str(link / "disk.raw")])
        facts = await facts_of(host, NAME)
        assert has_open(facts.uuid, str(far.theirs / "disk.raw")) is True
        assert has_open(facts.uuid, str(far.images / "disk.raw")) is False
        assert (await proposed(host, far.folder)).plan.source is Source.STREAM
    finally:
        await host.close()


async def test_another_name_of_the_machine_speaks_against_it() -> None:
    async with other_machine("remotehost", with_guest=False) as machine:
        host = connect(machine.direct)
        await host.open()
        assert "its name is remotehost" in await why_not_here(host)
        await host.close()


async def test_a_running_guests_image_that_was_replaced_under_its_name_is_refused(
    far: OtherMachine, target: Path
) -> None:
    images = far.folder / "home/plain"
    write_images(images, REMOTE_DATA, DECOY_VARIABLES)
    await far.start("moved1", images)
    host = connect(far.direct)
    await host.open()
    try:
        assert (await proposed(host, target, name="moved1")).plan.source is Source.FILE
        (images / "disk.raw").rename(images / "former.raw")
        shutil.copy2(images / "former.raw", images / "disk.raw")
        found = (await proposed(host, target, name="moved1")).checks
        assert [check.title for check in found if "another file open" in check.evidence] == ["Disk vda"]
    finally:
        await host.close()
        await virsh(far, "destroy", "moved1")
