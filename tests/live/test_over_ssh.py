"""The guest list of another machine: libvirt's own ssh transport to a real sshd."""

from __future__ import annotations

import logging
import os
import pty
import select
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.live.piloted import go_to, until
from tests.live.private_sshd import PrivateSshd, unpacked_sshd
from tests.live.test_console_screen import Console
from tests.live.watched import PATIENCE_S
from tui.app import QgaTui
from tui.cli.connect import hosts_for
from tui.fleet.fleet import Link
from tui.hosts.port import HostUnreachableError
from tui.lab.laboratory import Laboratory
from tui.model.guest import AgentState
from tui.widgets.guest_rows import GuestRows


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def sshd(lab: Laboratory) -> AsyncIterator[PrivateSshd]:
    """The laboratory's host, behind ssh. That no daemon is started there by asking for one is libvirt's own setting."""
    folder = Path(tempfile.mkdtemp(prefix="qga-ssh.", dir="/var/tmp"))
    folder.chmod(0o755)
    runtime = socket_of(lab).parent.parent
    try:
        with unpacked_sshd() as root:
            server = PrivateSshd(root, folder, {"XDG_RUNTIME_DIR": str(runtime), "LIBVIRT_AUTOSTART": "0"})
            await server.start()
            yield server
            server.stop()
    finally:
        shutil.rmtree(folder)


def socket_of(lab: Laboratory) -> Path:
    return Path(lab.uri.partition("socket=")[2])


def state_of(app: QgaTui, name: str) -> AgentState | None:
    return next((guest.agent.state for guest in app.fleet.guests.values() if guest.name == name), None)


async def test_events_and_commands_come_over_ssh(lab: Laboratory, web1: str, sshd: PrivateSshd) -> None:
    app = QgaTui(hosts_for((sshd.uri(),)))
    async with app.run_test(size=(80, 24)) as pilot:
        await go_to(pilot, app, web1)
        await until(pilot, lambda: state_of(app, web1) is AgentState.RESPONDING)
        await lab.shell(web1, "systemctl stop qemu-guest-agent")
        await until(pilot, lambda: state_of(app, web1) is AgentState.DISCONNECTED)
        await lab.shell(web1, "systemctl start qemu-guest-agent")
        await until(pilot, lambda: state_of(app, web1) is AgentState.RESPONDING)
        console = Console(app, pilot)
        await console.open()
        await console.run("echo over-$((40 + 2))")
        assert "over-42" in console.rows


async def test_a_cut_line_leaves_the_rows_and_they_live_again_when_the_host_is_back(
    lab: Laboratory, web1: str, sshd: PrivateSshd, caplog: pytest.LogCaptureFixture
) -> None:
    app = QgaTui(hosts_for((sshd.uri(),)))
    async with app.run_test(size=(80, 24)) as pilot:
        await go_to(pilot, app, web1)
        await until(pilot, lambda: state_of(app, web1) is AgentState.RESPONDING)
        rows = app.screen.query_one(GuestRows)
        before = rows.row_count
        sshd.stop()
        try:
            await until(pilot, lambda: app.fleet.hosts[0].link is Link.LOST)
            # The next attempts to connect meet nobody.
            await until(pilot, lambda: "nothing answers on the host's ssh port" in app.fleet.hosts[0].why)
            assert rows.row_count == before
            assert all(any(cell.startswith("? unknown") for cell in rows.row(place)) for place in range(before))
            assert "lost since" in str(app.screen.query_one("#hosts").render())
        finally:
            await sshd.start()
        await until(pilot, lambda: app.fleet.hosts[0].link is Link.CONNECTED)
        await until(pilot, lambda: state_of(app, web1) is AgentState.RESPONDING)
        await lab.shell(web1, "systemctl stop qemu-guest-agent")
        await until(pilot, lambda: state_of(app, web1) is AgentState.DISCONNECTED)
        await lab.shell(web1, "systemctl start qemu-guest-agent")
        await until(pilot, lambda: state_of(app, web1) is AgentState.RESPONDING)
    assert not [record for record in caplog.records if record.exc_info or record.levelno >= logging.ERROR]


async def refusal(uri: str) -> HostUnreachableError:
    """What opening says, with all of its three parts."""
    (host,) = hosts_for((uri,))
    with pytest.raises(HostUnreachableError) as caught:
        await host.open()
    assert caught.value.title == f"Cannot connect to {uri}"
    assert caught.value.original
    return caught.value


async def test_what_keeps_ssh_from_connecting_is_told_with_its_fix(sshd: PrivateSshd) -> None:
    error = await refusal(sshd.uri(key="stranger"))
    assert error.cause == "ssh refused to log in"
    assert error.next_step.endswith(f"ssh-copy-id -p {sshd.port} labuser@127.0.0.1")
    error = await refusal(sshd.uri(host="no-such-host.invalid"))
    assert (error.cause, error.next_step) == ("there is no host of that name", "Check the name in the URI.")
    error = await refusal(sshd.uri(port=1))
    assert error.cause == "nothing answers on the host's ssh port"
    sshd.know_host(None)
    try:
        error = await refusal(sshd.uri())
        assert error.cause == "the host's ssh key is not known here"
        assert error.next_step.endswith(f"accept the key: ssh -p {sshd.port} labuser@127.0.0.1")
        sshd.know_host(sshd.other_key)
        assert (await refusal(sshd.uri())).cause == "the host's ssh key is not the one that is known here"
    finally:
        sshd.know_host(sshd.host_key)


async def test_what_keeps_libvirt_from_answering_there_is_told_with_its_fix(lab: Laboratory, sshd: PrivateSshd) -> None:
    socket = socket_of(lab)
    mode = socket.stat().st_mode
    try:
        socket.chmod(0)
        error = await refusal(sshd.uri())
    finally:
        socket.chmod(mode)
    assert error.cause == "this user may not open libvirt's socket"
    assert error.next_step.startswith("Join the group libvirt on that host")
    aside = socket.rename(socket.with_name("aside"))
    try:
        error = await refusal(sshd.uri())
    finally:
        aside.rename(socket)
    assert error.cause == "no libvirt daemon listens there"
    assert error.next_step.startswith("Start it on that host: systemctl start libvirtd")


def on_a_terminal(uri: str) -> tuple[int, str]:
    """What `qga-tui list` ends with and writes where a question could be put to somebody."""
    ours, theirs = pty.openpty()
    # Its own session with the terminal as the controlling one: ssh asks on /dev/tty, whatever its own files are.
    argv = ("setsid", "--ctty", "--wait", sys.executable, "-m", "tui", "-c", uri, "list")
    process = subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    said = b""
    try:
        while select.select([ours], [], [], PATIENCE_S)[0] and (piece := os.read(ours, 4096)):
            said += piece
    except OSError:
        pass  # the last program on the terminal has ended
    os.close(ours)  # whoever waits there for an answer is hung up
    return process.wait(), said.decode()


def test_nothing_is_ever_asked_on_the_terminal(sshd: PrivateSshd) -> None:
    code, said = on_a_terminal(sshd.uri(key="stranger"))
    assert code != 0
    assert "ssh refused to log in" in said
    assert "password" not in said
    sshd.know_host(None)
    try:
        code, said = on_a_terminal(sshd.uri())
    finally:
        sshd.know_host(sshd.host_key)
    assert code != 0
    assert "the host's ssh key is not known here" in said
    assert "yes/no" not in said
