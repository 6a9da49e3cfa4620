"""A host whose libvirt lets this user only look: a real system-wide libvirtd, in namespaces of its own."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.live.host_agent import until as until_so
from tests.live.piloted import go_to, until
from tests.live.private_sshd import PrivateSshd, unpacked_sshd, with_users
from tui.app import QgaTui
from tui.cli.connect import hosts_for
from tui.fleet.fleet import Link
from tui.hosts.port import HostError
from tui.screens.guests import GuestsScreen

NAMESPACES = ("unshare", "--mount", "--net", "--ipc", "true")
pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or subprocess.run(NAMESPACES, check=False, capture_output=True).returncode != 0,
    reason="a system-wide libvirtd needs root, and one that touches nothing here needs namespaces",
)

SETTINGS = """\
unix_sock_rw_perms = "0700"
unix_sock_ro_perms = "0777"
auth_unix_rw = "none"
auth_unix_ro = "none"
"""
QEMU_SETTINGS = """\
user = "libvirt-qemu"
group = "libvirt-qemu"
security_driver = "none"
"""
DOMAIN = """\
<domain type='qemu'><name>far</name><memory unit='MiB'>64</memory><os><type arch='x86_64' machine='q35'>hvm</type></os>
</domain>"""
ENDS_WITHIN_S = 10
OWN = {"run": "/run", "etc": "/etc/libvirt", "lib": "/var/lib", "cache": "/var/cache", "log": "/var/log"}
"""Folders that the daemon has to itself: each of ours is mounted over one of the system's, for its processes alone."""
START = """\
cd {folder}
{mounts}
{users} unshare --net --ipc libvirtd -f {folder}/etc/libvirtd.conf --pid-file {folder}/pid --timeout 600 &
exec sleep infinity
"""


class LookOnlyHost:
    """The daemon's surroundings, and the way in for others: sshd as an unprivileged user."""

    def __init__(self, root: Path, folder: Path) -> None:
        for name in OWN:
            (folder / name).mkdir()
        (folder / "etc/libvirtd.conf").write_text(SETTINGS)
        (folder / "etc/qemu.conf").write_text(QEMU_SETTINGS)
        (folder / "etc/qemu").mkdir()
        (folder / "etc/qemu/far.xml").write_text(DOMAIN)
        self._folder = folder
        self._users = with_users(root, folder, "libvirt-qemu", "libvirt", "kvm")
        self._root = root
        mounts = "\n".join(f"mount --bind {name} {place}" for name, place in OWN.items())
        users = " ".join(f"{name}={value}" for name, value in self._users.items())
        script = "set -e\n" + START.format(folder=folder, mounts=mounts, users=users)
        with (folder / "log/libvirtd").open("wb") as log:
            self._keeper = subprocess.Popen(
                ("unshare", "--mount", "--propagation", "private", "sh", "-c", script), stderr=log, stdout=log
            )

    async def ready(self) -> PrivateSshd:
        """Wait for the daemon, and open the way to it."""
        await until_there(self._folder / "run/libvirt/libvirt-sock-ro", self._folder / "log/libvirtd")
        inside = ("nsenter", f"--mount=/proc/{self._keeper.pid}/ns/mnt", "--")
        sshd = PrivateSshd(self._root, self._folder, {"LIBVIRT_AUTOSTART": "0"}, inside)
        await sshd.start()
        return sshd

    def end(self) -> None:
        """The daemon first: with it goes what it started. Until it has ended it removes files of its folder itself."""
        pid_file = self._folder / "pid"
        if pid_file.exists():
            daemon = os.pidfd_open(int(pid_file.read_text()))
            signal.pidfd_send_signal(daemon, signal.SIGTERM)
            select.select([daemon], [], [], ENDS_WITHIN_S)
            os.close(daemon)
        self._keeper.terminate()
        self._keeper.wait()


async def until_there(path: Path, log: Path) -> None:
    """Wait for a file that another process makes; raises AssertionError with the process's log."""
    try:
        await until_so(path.exists)
    except TimeoutError as error:
        raise AssertionError(log.read_text()) from error


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def look_only() -> AsyncIterator[str]:
    """The URI of a system-wide libvirtd that is not ours."""
    folder = Path(tempfile.mkdtemp(prefix="qga-look.", dir="/var/tmp"))
    folder.chmod(0o755)
    try:
        with unpacked_sshd() as root:
            host = LookOnlyHost(root, folder)
            try:
                sshd = await host.ready()
                yield sshd.uri("system")
                sshd.stop()
            finally:
                host.end()
    finally:
        shutil.rmtree(folder)


async def test_the_list_is_shown_and_what_would_change_a_guest_is_disabled(look_only: str) -> None:
    app = QgaTui(hosts_for((look_only,)))
    async with app.run_test(size=(80, 24)) as pilot:
        await go_to(pilot, app, "far")
        assert app.fleet.hosts[0].link is Link.CONNECTED
        assert "connected, read-only" in str(app.screen.query_one("#hosts").render())
        await until(pilot, lambda: "you only look here" in str(app.screen.query_one("#under-cursor").render()))
        assert app.screen.check_action("power", ()) is None
        for key in ("p", "b", "x", "v"):
            await pilot.press(key)
        await pilot.pause()
        assert isinstance(app.screen, GuestsScreen)


async def test_libvirt_itself_refuses_a_change_over_such_a_connection(look_only: str) -> None:
    (host,) = hosts_for((look_only,))
    await host.open()
    (far,) = await host.list_domains()
    assert host.read_only
    with pytest.raises(HostError) as caught:
        await host.start(far.uuid)
    assert caught.value.title == "libvirt refused this"
    await host.close()
