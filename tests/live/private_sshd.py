"""A real sshd on the loopback, run by the laboratory's user from the distribution's unpacked package.

Its keys, settings and users are in a folder of its own; neither /etc nor anybody's ~/.ssh is read or written.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

from tui.lab.remains import lab_user

PACKAGES = ("openssh-server", "libwrap0", "libnss-wrapper")
USER = "labuser"
"""Known to this sshd alone."""
LOOPBACK = "127.0.0.1"

SETTINGS = """\
Port {port}
ListenAddress {address}
HostKey {folder}/host
AuthorizedKeysFile {folder}/authorized
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication yes
SetEnv {environment}
"""
CLIENT_SETTINGS = """\
UserKnownHostsFile {folder}/known
GlobalKnownHostsFile /dev/null
IdentityFile {folder}/{key}
IdentitiesOnly yes
IdentityAgent none
"""


@contextmanager
def unpacked_sshd() -> Iterator[Path]:
    """The root of the unpacked packages: the program, a library it may lack here, and the one that invents users."""
    folder = Path(tempfile.mkdtemp(prefix="qga-", dir="/var/tmp"))
    folder.chmod(0o755)
    try:
        subprocess.run(["apt-get", "-qq", "download", *PACKAGES], cwd=folder, check=True, capture_output=True)
        for package in folder.glob("*.deb"):
            subprocess.run(["dpkg", "-x", package, folder / "x"], check=True)
        yield folder / "x"
    finally:
        shutil.rmtree(folder)


def with_users(root: Path, folder: Path, *names: str) -> dict[str, str]:
    """The environment in which the laboratory's user goes by these names; root stays root."""
    user = lab_user()
    accounts = [f"{name}:x:{user.uid}:{user.gid}::{folder}:/bin/sh\n" for name in names]
    (folder / "passwd").write_text("".join(["root:x:0:0::/root:/bin/sh\n", *accounts]))
    (folder / "group").write_text("".join(["root:x:0:\n", *(f"{name}:x:{user.gid}:\n" for name in names)]))
    (library,) = root.glob("usr/lib/*/libnss_wrapper.so")
    return {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "LD_LIBRARY_PATH": str(library.parent),
        "LD_PRELOAD": str(library),
        "NSS_WRAPPER_PASSWD": str(folder / "passwd"),
        "NSS_WRAPPER_GROUP": str(folder / "group"),
    }


def as_lab_user() -> tuple[str, ...]:
    """What goes before a command that the laboratory's user is to run."""
    user = lab_user()
    drop = ("setpriv", f"--reuid={user.uid}", f"--regid={user.gid}", "--clear-groups", "--")
    return drop if os.geteuid() == 0 else ()


class PrivateSshd:
    """The server and what a client needs to know of it. `environment` is set in its sessions.

    `around` goes before the server's command, for one that is to run in other surroundings.
    """

    def __init__(self, root: Path, folder: Path, environment: dict[str, str], around: tuple[str, ...] = ()) -> None:
        self._root = root
        self._around = around
        self._server = folder / "server"
        self._client = folder / "client"
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as free:
            free.bind((LOOPBACK, 0))
            self.port = int(free.getsockname()[1])
        for part in (self._server, self._client):
            part.mkdir()
        self._keys()
        words = " ".join(f"{name}={value}" for name, value in environment.items())
        text = SETTINGS.format(port=self.port, address=LOOPBACK, folder=self._server, environment=words)
        for setting, program in (("SshdSessionPath", "sshd-session"), ("SshdAuthPath", "sshd-auth")):
            if (path := root / "usr/lib/openssh" / program).exists():  # OpenSSH 9.8 and newer
                text += f"{setting} {path}\n"
        (self._server / "settings").write_text(text)
        self._users = with_users(root, self._server, USER)
        for path in (self._server, *self._server.iterdir()):
            shutil.chown(path, lab_user().uid, lab_user().gid)

    def _keys(self) -> None:
        for path in (self._server / "host", self._client / "key", self._client / "stranger", self._client / "other"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
        (self._server / "authorized").write_text((self._client / "key.pub").read_text())
        self.know_host(self._server / "host.pub")

    def know_host(self, key: Path | None) -> None:
        """Have the client know this public key as the host's, or none."""
        line = "" if key is None else f"[{LOOPBACK}]:{self.port} {key.read_text()}"
        (self._client / "known").write_text(line)

    @property
    def host_key(self) -> Path:
        """The right one."""
        return self._server / "host.pub"

    @property
    def other_key(self) -> Path:
        """A key that is not the host's."""
        return self._client / "other.pub"

    def uri(self, path: str = "session", *, key: str = "key", host: str = LOOPBACK, port: int | None = None) -> str:
        """For libvirt; `key` names the client's key, `stranger` being one that nobody authorized."""
        program = self._client / f"ssh-{key}"
        settings = self._client / f"settings-{key}"
        settings.write_text(CLIENT_SETTINGS.format(folder=self._client, key=key))
        program.write_text(f'#!/bin/sh\nexec ssh -F {settings} "$@"\n')
        program.chmod(0o755)
        return f"qemu+ssh://{USER}@{host}:{port or self.port}/{path}?{urlencode({'command': str(program)})}"

    async def start(self) -> None:
        """Start and wait until it takes connections."""
        process = self._process = self._launch()
        async with asyncio.timeout(30):
            while not await self._takes_connections():
                if process.poll() is not None:
                    raise AssertionError((self._server / "log").read_text())
                await asyncio.sleep(0.02)

    def _launch(self) -> subprocess.Popen[bytes]:
        program = str(self._root / "usr/sbin/sshd")
        argv = (*self._around, *as_lab_user(), program, "-D", "-e", "-f", str(self._server / "settings"))
        with (self._server / "log").open("ab") as log:
            return subprocess.Popen(argv, cwd="/", env=self._users, stdin=subprocess.DEVNULL, stderr=log)

    async def _takes_connections(self) -> bool:
        try:
            _, writer = await asyncio.open_connection(LOOPBACK, self.port)
        except OSError:
            return False
        writer.close()
        await writer.wait_closed()
        return True

    def stop(self) -> None:
        """End the server and cut its sessions, without a word to the clients."""
        if self._process is None:
            return
        sessions = _descendants(self._process.pid)
        self._process.terminate()
        self._process.wait()
        for pid in sessions:
            _kill(pid)
        self._process = None


def _descendants(pid: int) -> list[int]:
    """The processes below one, which is still there."""
    children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [each for child in children for each in (child, *_descendants(child))]


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # it went with the one above it
