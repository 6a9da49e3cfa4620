from pathlib import Path

from tui.lab.cpio import GuestFile
from tui.lab.image import parse_show_depends, recipe_hash
from tui.lab.seed import seed_files
from tui.lab.spec import AgentSetup, GuestSpec


def contents(spec: GuestSpec) -> dict[str, bytes]:
    return {file.path: file.content for file in seed_files(spec)}


def test_modules_keep_the_order_of_kmod_and_are_loaded_once() -> None:
    shown = "builtin virtio_ring\ninsmod /k/virtio.ko \ninsmod /k/virtio_pci.ko opt=1\ninsmod /k/virtio.ko \n"
    assert parse_show_depends(shown) == (Path("/k/virtio.ko"), Path("/k/virtio_pci.ko"))


def test_one_recipe_has_one_name() -> None:
    assert recipe_hash() == recipe_hash()
    assert len(recipe_hash()) == 16


def test_a_plain_guest_gets_its_name_and_nothing_that_makes_it_sick() -> None:
    assert contents(GuestSpec("web1")) == {"/etc/hostname": b"web1\n", "/etc/fstab": b""}


def test_arguments_of_the_agent_survive_the_shell_that_reads_them() -> None:
    files = contents(GuestSpec("x", agent_args=("-b", "guest-exec,guest-file-open")))
    assert files["/etc/default/qemu-guest-agent"] == b"DAEMON_ARGS='-b guest-exec,guest-file-open'\n"


def test_a_missing_and_a_stopped_agent_are_marked_differently() -> None:
    assert "/etc/lab/agent-disabled" in contents(GuestSpec("x", agent=AgentSetup.NOT_STARTED))
    assert "/etc/lab/agent-absent" in contents(GuestSpec("x", agent=AgentSetup.NOT_INSTALLED))


def test_files_of_the_spec_win_over_those_of_the_laboratory() -> None:
    own = GuestFile("/etc/os-release", b"ID=other\n")
    files = contents(GuestSpec("x", windows_lookalike=True, extra_files=(own,)))
    assert files["/etc/os-release"] == own.content


def test_the_windows_lookalike_answers_in_its_code_pages() -> None:
    files = contents(GuestSpec("win", windows_lookalike=True))
    assert "привет.txt\r\n" in files["/usr/share/windows/dir.cp866"].decode("cp866")
    assert "привет.txt\r\n" in files["/usr/share/windows/dir.utf16"].decode("utf-16-le")
