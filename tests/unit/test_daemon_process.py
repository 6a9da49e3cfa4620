"""Who answers at a libvirt socket: told by the kernel, never by the URI's form. Real sockets, real processes."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest

from tui.hosts import daemon_process
from tui.hosts.daemon_process import Answerer, find_daemon

Listen = Callable[[str], tuple[str, int]]
LISTENER = """\
import ctypes, socket, sys
ctypes.CDLL(None).prctl(15, sys.argv[2].encode(), 0, 0, 0)
with socket.socket(socket.AF_UNIX) as server:
    server.bind(sys.argv[1])
    server.listen()
    print("ready", flush=True)
    while True:
        client, _ = server.accept()
        if client.recv(28):
            client.sendall(b"x" * 28)
"""
"""Takes connections under a name that the kernel knows it by (PR_SET_NAME), and answers."""


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[Listen]:
    began: list[subprocess.Popen[bytes]] = []

    def listen(name: str) -> tuple[str, int]:
        path = str(tmp_path / f"{len(began)}.sock")
        process = subprocess.Popen([sys.executable, "-c", LISTENER, path, name], stdout=subprocess.PIPE)
        began.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        return path, process.pid

    yield listen
    for process in began:
        process.kill()
        process.communicate()


def at(path: str, hostname: str = "") -> Answerer:
    return Answerer(f"qemu:///system?socket={quote(path)}", hostname or socket.gethostname())


@pytest.mark.parametrize("name", ["libvirtd", "virtqemud", ".libvirtd-wrapp", "lt-libvirtd"])
def test_a_daemon_of_this_machine_is_found_by_its_socket(listening: Listen, name: str) -> None:
    path, pid = listening(name)
    assert find_daemon(at(path)).pid == pid


@pytest.mark.parametrize("name", ["ssh", "sshd", "socat", "python3", "virtiofsd", "docker-proxy", "virtualbox"])
def test_whoever_leads_on_to_another_daemon_is_not_taken_for_it(listening: Listen, name: str) -> None:
    path, pid = listening(name)
    found = find_daemon(at(path))
    assert found.pid == 0
    assert found.doubt.endswith(f"its socket is held by {name} (process {pid}), which may lead elsewhere")


def test_of_a_socket_that_a_service_manager_listens_on_the_one_who_answers_counts(listening: Listen) -> None:
    path, pid = listening("systemd")
    found = find_daemon(at(path))
    # It answers itself here, and is no daemon of libvirt.
    assert found.doubt.endswith(f"held by systemd (process {pid}), which may lead elsewhere")
    assert daemon_process._writer(path) == pid


def test_the_writer_is_the_one_who_answers_not_the_one_who_listens(tmp_path: Path) -> None:
    path = tmp_path / "activated.sock"
    with closing(socket.socket(socket.AF_UNIX)) as server:
        server.bind(str(path))
        server.listen()
        # A service that is given a socket which another process listens on, as by systemd's socket activation.
        code = (
            "import socket; server = socket.socket(fileno=0); client, _ = server.accept(); "
            "client.recv(28); client.sendall(b'x' * 28)"
        )
        service = subprocess.Popen([sys.executable, "-c", code], stdin=server.fileno())
        try:
            assert daemon_process._peer_anew([str(path)]) == (str(path), os.getpid())
        finally:
            service.wait()
        service = subprocess.Popen([sys.executable, "-c", code], stdin=server.fileno())
        assert daemon_process._writer(str(path)) == service.pid
        service.wait()


def test_a_silent_service_is_no_proof(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon_process, "ANSWER_S", 0.05)
    path = tmp_path / "silent.sock"
    with closing(socket.socket(socket.AF_UNIX)) as server:
        server.bind(str(path))
        server.listen()
        with pytest.raises(OSError, match="timed out"):
            daemon_process._writer(str(path))


@pytest.mark.parametrize(
    "uri",
    [
        "qemu+ssh://root@far/system",
        "qemu+tls://far/system",
        "qemu://far/system",
        "qemu+ext:///system?command=/usr/local/bin/lead",
        "qemu+libssh2:///system",
        "qemu:///system?name=qemu%2Bssh%3A%2F%2Ffar%2Fsystem",
        "qemu+unix:///system?socket=/run/x&name=qemu%2Bext%3A%2F%2F%2Fsystem",
        "qemu:///system?socket=/no/such.sock",
    ],
)
def test_a_uri_that_leads_elsewhere_or_nobody_knows_where_proves_nothing(uri: str) -> None:
    found = find_daemon(Answerer(uri, socket.gethostname()))
    assert found.pid == 0
    assert found.doubt


@pytest.mark.parametrize(
    ("theirs", "ours", "same"),
    [
        ("kvm1", "kvm1", True),
        ("kvm1.example.org", "kvm1", True),
        ("KVM1", "kvm1.example.org", True),
        ("kvm1.example.org.", "kvm1.example.org", True),
        ("kvm1.example.org", "kvm1.example.com", False),
        ("kvm2", "kvm1", False),
        ("kvm1", "kvm11", False),
    ],
)
def test_another_name_of_the_machine_speaks_against_it(
    listening: Listen, monkeypatch: pytest.MonkeyPatch, theirs: str, ours: str, same: bool
) -> None:
    path, pid = listening("virtqemud")
    monkeypatch.setattr("socket.gethostname", lambda: ours)
    found = find_daemon(at(path, theirs))
    assert found.pid == (pid if same else 0)
    assert same or "another machine" in found.doubt


def test_the_driver_in_this_process_is_here() -> None:
    assert find_daemon(Answerer("qemu:///embed?root=/x", socket.gethostname())).pid == os.getpid()


def test_looking_for_it_leaves_no_descriptor_open(listening: Listen, tmp_path: Path) -> None:
    path, pid = listening("libvirtd")
    with closing(socket.socket(socket.AF_UNIX)) as ours, (tmp_path / "file").open("wb"):
        ours.connect(path)
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(20):
            assert find_daemon(at(path)).pid == pid
        assert len(list(Path("/proc/self/fd").iterdir())) == before
        # The connection that it looked at still stands.
        ours.sendall(bytes(28))
        assert ours.recv(28) == b"x" * 28


@pytest.mark.skipif(os.geteuid() != 0, reason="the firmware's UUID is root's to read, and counts for root's daemon")
@pytest.mark.parametrize(
    ("firmware", "told", "settings", "here"),
    [
        ("4c4c4544-0042-3510-8054-b7c04f4d5931", "4C4C4544-0042-3510-8054-B7C04F4D5931", "", True),
        ("4c4c4544-0042-3510-8054-b7c04f4d5931", "4c4c4544-0042-3510-8054-b7c04f4d5932", "", False),
        ("4c4c4544-0042-3510-8054-b7c04f4d5931", "0a0a0a0a-0042-3510-8054-b7c04f4d5932", '#host_uuid = "x"', False),
        ("4c4c4544-0042-3510-8054-b7c04f4d5931", "0a0a0a0a-0042-3510-8054-b7c04f4d5932", 'host_uuid = "x"', True),
        ("4c4c4544-0042-3510-8054-b7c04f4d5931", "0a0a-", 'host_uuid_source = "machine-id"', True),
        ("ffffffff-ffff-ffff-ffff-ffffffffffff", "0a0a0a0a-0042-3510-8054-b7c04f4d5932", "", True),
        ("4c4c4544-0042-3510-8054-b7c04f4d5931", "", "", True),
    ],
)
def test_another_uuid_of_the_machine_speaks_against_it_unless_it_was_chosen(
    listening: Listen,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    firmware: str,
    told: str,
    settings: str,
    here: bool,
) -> None:
    (tmp_path / "product_uuid").write_text(f"{firmware}\n")
    (tmp_path / "libvirtd.conf").write_text(settings)
    monkeypatch.setattr(daemon_process, "FIRMWARE_UUID", tmp_path / "product_uuid")
    monkeypatch.setattr(daemon_process, "SETTINGS", tmp_path)
    path, pid = listening("libvirtd")
    answerer = Answerer(f"qemu:///system?socket={quote(path)}", socket.gethostname(), told)
    found = find_daemon(answerer)
    assert found.pid == (pid if here else 0)
    assert here or "its UUID is" in found.doubt
