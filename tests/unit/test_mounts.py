"""Whether a path is the same file in another mount namespace: real namespaces, made by unshare(1)."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tui.hosts.mounts import Mount, covering, other_mount, parse_mounts, read_mounts
from tui.hosts.open_images import has_open

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")


@pytest.fixture
def apart(tmp_path: Path) -> Iterator[Callable[[str], int]]:
    """Begins a process with mounts of its own, changed by a line of shell."""
    began: list[subprocess.Popen[bytes]] = []

    def begin(line: str) -> int:
        words = ("unshare", "--mount", "--propagation", "private", "sh", "-ec", f"{line}\necho ready\nexec sleep 60")
        process = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE)
        began.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        return process.pid

    yield begin
    for process in began:
        process.kill()
        process.communicate()


def test_names_in_a_table_of_mounts_are_unescaped() -> None:
    text = "31 27 0:40 /a\\040b /mnt/c\\011d\\134 rw - tmpfs x rw\n\nshort line\n"
    assert parse_mounts(text) == (Mount("0:40", "/a b", "/mnt/c\td\\"),)


def test_a_path_lies_on_the_deepest_and_the_last_mount() -> None:
    root, var, over, images = (
        Mount(str(n), "/", point) for n, point in enumerate(("/", "/var", "/var", "/var/images"))
    )
    table = (root, var, over, images)
    assert covering(table, "/variable") is root
    assert covering(table, "/var") is over
    assert covering(table, "/var/images/a.qcow2") is images
    assert covering((var,), "/home") is None


def test_in_its_own_mount_namespace_every_path_is_the_same() -> None:
    assert read_mounts("self")
    assert other_mount(os.getpid(), ["/", "/no/such/thing", "/etc/../proc/version"]) == ""


@needs_root
def test_a_namespace_alone_makes_no_difference_but_what_is_mounted_over_a_path(
    apart: Callable[[str], int], tmp_path: Path
) -> None:
    for name in ("images", "theirs", "plain"):
        (tmp_path / name).mkdir()
    (tmp_path / "link").symlink_to("images")
    (tmp_path / "absolute").symlink_to(tmp_path / "link")
    (tmp_path / "loop").symlink_to("loop")
    same, other = apart(":"), apart("mount --bind theirs images")
    places = [str(tmp_path / name) for name in ("images/a", "link/a", "absolute/deep/a", "plain/../link/a")]
    assert other_mount(same, places) == ""
    assert [other_mount(other, [place]) for place in places] == places
    fine = [str(tmp_path / name) for name in ("plain/a", "theirs/a", "a", "loop/a")]
    assert other_mount(other, fine) == ""
    assert other_mount(other, [*fine, places[1]]) == places[1]


@needs_root
@pytest.mark.parametrize(
    "line", ["mount -t tmpfs x images", "mount --bind images images && mount -t tmpfs x images", "mount -t tmpfs x ."]
)
def test_other_file_systems_over_or_above_a_path_are_seen(
    apart: Callable[[str], int], tmp_path: Path, line: str
) -> None:
    (tmp_path / "images").mkdir()
    image = str(tmp_path / "images/a.raw")
    assert other_mount(apart(line), [image]) == image


@needs_root
def test_an_unprivileged_user_is_told_the_same(apart: Callable[[str], int], tmp_path: Path) -> None:
    """The tables of root's processes are open to all, unlike their namespaces and descriptors."""
    pid = apart(":")
    read = subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "cat", f"/proc/{pid}/mountinfo"],
        capture_output=True,
        check=True,
        text=True,
    )
    assert parse_mounts(read.stdout) == read_mounts(pid)


def test_what_a_guest_has_open_is_known_by_device_and_inode(tmp_path: Path) -> None:
    uuid = "8f6b2d0e-4f0e-4d0b-9a37-1f4a9f0e7c11"
    image, other = tmp_path / "a.raw", tmp_path / "b.raw"
    image.touch()
    other.touch()
    assert has_open(uuid, str(image)) is None
    # What counts of QEMU are its command line and its descriptors.
    words = ["fake-qemu", "-c", "echo ready; read line", "-uuid", uuid]
    with image.open("rb") as held:
        fake_qemu = subprocess.Popen(
            words, executable="/bin/sh", stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[held.fileno()]
        )
    assert fake_qemu.stdout is not None
    assert fake_qemu.stdout.readline() == b"ready\n"
    (tmp_path / "link.raw").symlink_to(image)
    assert has_open(uuid, str(image)) is True
    assert has_open(uuid, str(tmp_path / "link.raw")) is True
    assert has_open(uuid, str(other)) is False
    other.replace(image)
    assert has_open(uuid, str(image)) is False
    fake_qemu.communicate(b"end\n")
    assert has_open(uuid, str(image)) is None
