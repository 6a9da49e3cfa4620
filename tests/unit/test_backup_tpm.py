"""What a definition says of a TPM, where its state is, and what of it goes into a backup."""

import asyncio
import errno
import os
import re
import subprocess
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.backup_values import UUID, a_plan
from tests.unit.fake_placed_host import FakePlacedHost
from tests.unit.tpm_values import (
    CHOSEN,
    EMULATED,
    ENCRYPTED,
    EXTERNAL,
    PASSED_THROUGH,
    SECRET,
    STATE,
    belongs_to_another,
    with_tpm,
    write_copies,
    write_state,
)
from tui.backup import settled, tpm_place
from tui.backup import tpm as tpm_module
from tui.backup.clone_xml import clone_xml
from tui.backup.folder import ResultFolder
from tui.backup.manifest import Consistency, CopiedDisk, FreezeReport
from tui.backup.restore_notes import restore_notes
from tui.backup.tpm import (
    Tpm,
    TpmDevice,
    holds_state_alone,
    keep_state,
    look_at_state,
    read_tpm,
    state_digest,
    tpm_device,
)
from tui.backup.tpm_place import TpmEvidence, look_at_tpm, state_of_command

SYSTEM, SESSION = "qemu:///system", "qemu:///session"
HERE = Tpm(f"/swtpm/{UUID}/tpm2", "tpm2", os.geteuid(), os.getegid(), "0700", tuple(STATE))


@pytest.mark.parametrize(
    ("xml", "device"),
    [
        ("", None),
        (EMULATED, TpmDevice("emulator")),
        (CHOSEN, TpmDevice("emulator", "tpm1.2", "/chosen/state", "dir")),
        (ENCRYPTED, TpmDevice("emulator", secret=SECRET)),
        (PASSED_THROUGH, TpmDevice("passthrough")),
        (PASSED_THROUGH + EMULATED, TpmDevice("emulator")),
        ("<tpm/>", TpmDevice("")),
    ],
)
def test_a_definition_tells_of_its_tpm(xml: str, device: TpmDevice | None) -> None:
    assert tpm_device(with_tpm(xml)) == device


def look(xml: str, uri: str = SYSTEM, *, runs: bool = True) -> TpmEvidence | None:
    host = FakePlacedHost(uri, "on another machine" if "+ssh" in uri else "").as_host
    return asyncio.run(look_at_tpm(host, with_tpm(xml), name="web 1", uuid=UUID, runs=runs))


@pytest.mark.parametrize(
    ("xml", "uri", "words"),
    [
        (PASSED_THROUGH, SYSTEM, "the host's own TPM"),
        (EXTERNAL, SYSTEM, "type external"),
        (CHOSEN.replace("'dir'", "'file'"), SYSTEM, "kept as a file"),
        (EMULATED, "qemu+ssh://root@there/system", "another machine"),
    ],
)
def test_what_cannot_be_kept_says_why(xml: str, uri: str, words: str) -> None:
    found = look(xml, uri)
    assert found is not None
    assert words in found.problem
    assert found.state is None


@pytest.fixture
def states(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where both the system's libvirt and this user's session keep states, for these tests."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    folder = tmp_path / "libvirt/qemu/swtpm"
    monkeypatch.setattr(tpm_place, "SYSTEM_FOLDER", folder)
    return folder


@pytest.mark.parametrize("uri", [SYSTEM, SESSION])
def test_the_state_is_found_where_libvirt_keeps_it_and_read_without_its_lock(states: Path, uri: str) -> None:
    assert look("", uri) is None
    folder = write_state(states / UUID / "tpm2")
    found = look(ENCRYPTED, uri)
    assert found is not None
    assert found.problem == ""
    status = folder.stat()
    assert found.state == Tpm(str(folder), "tpm2", status.st_uid, status.st_gid, "0700", tuple(STATE), SECRET)


def test_a_state_that_is_nowhere_is_none_yet_only_where_that_is_sure(states: Path) -> None:
    for uri, runs, is_none_yet in ((SYSTEM, False, True), (SYSTEM, True, False), (SESSION, False, False)):
        found = look(EMULATED, uri, runs=runs)
        assert found is not None
        assert (found.problem == "") is is_none_yet
        assert found.state is None
    states.parent.mkdir(parents=True)
    (states.parent / "web 1.xml").touch()
    assert look(EMULATED, SESSION, runs=False) == TpmEvidence(TpmDevice("emulator"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_state_that_may_not_be_read_says_so(states: Path) -> None:
    folder = write_state(states / UUID / "tpm2")
    folder.chmod(0)
    found = look(EMULATED)
    folder.chmod(0o700)
    assert found is not None
    assert found.problem == f"this user may not read {folder}"


@pytest.mark.parametrize(
    ("words", "path"),
    [
        (f"/usr/bin/swtpm socket --tpmstate dir=/c, d/swtpm/{UUID}/tpm2,mode=0600 --tpm2", f"/c, d/swtpm/{UUID}/tpm2"),
        (f"swtpm socket --tpmstate backend-uri=dir:///x/{UUID}/tpm2 --tpm2", f"/x/{UUID}/tpm2"),
        (f"swtpm socket --tpmstate dir=/swtpm/{UUID[::-1]}/tpm2,mode=0600", ""),
        (f"other socket --tpmstate dir=/swtpm/{UUID}/tpm2", ""),
        ("swtpm socket --tpmstate", ""),
        ("", ""),
    ],
)
def test_the_command_of_an_swtpm_tells_its_guests_folder(words: str, path: str) -> None:
    argv = [word.replace("\0", " ") for word in words.replace(", ", ",\0").split(" ")] if words else []
    assert state_of_command(argv, UUID) == path


def a_folder(tmp_path: Path) -> ResultFolder:
    folder = ResultFolder(tmp_path / "host" / "guest" / "run")
    folder.create()
    return folder


def test_the_files_of_a_state_are_kept_and_nothing_else(tmp_path: Path) -> None:
    folder = a_folder(tmp_path)
    keep_state(folder, str(write_state(tmp_path / "tpm2")))
    kept = folder.partial / "tpm"
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == STATE
    assert {path.stat().st_mode & 0o777 for path in kept.iterdir()} == {0o600}


def test_a_state_is_kept_of_one_moment_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = write_state(tmp_path / "tpm2")
    reads = iter(range(1000))
    original = tpm_module.read_state

    def busy(path: str, until: int) -> dict[str, bytes]:
        number = next(reads)
        if number <= until:
            (state / "tpm2-00.permall").write_bytes(b"state %d" % number)
        return original(path)

    monkeypatch.setattr(settled, "PAUSE_S", 0)
    monkeypatch.setattr(tpm_module, "read_state", lambda path: busy(path, 3))
    keep_state(a_folder(tmp_path / "a"), str(state))
    assert (tmp_path / "a/host/guest/run.partial/tpm/tpm2-00.permall").read_bytes() == b"state 3"
    monkeypatch.setattr(tpm_module, "read_state", lambda path: busy(path, 999))
    with pytest.raises(OSError, match="did not stand still"):
        keep_state(a_folder(tmp_path / "b"), str(state))
    assert not (tmp_path / "b/host/guest/run.partial/tpm").exists()


def test_a_state_that_went_away_is_no_empty_one(tmp_path: Path) -> None:
    (tmp_path / "tpm2").mkdir()
    assert look_at_state(str(tmp_path / "tpm2"), TpmDevice("emulator")) is None
    with pytest.raises(OSError, match="gone"):
        keep_state(a_folder(tmp_path), str(tmp_path / "tpm2"))


def test_a_link_or_a_pipe_among_the_files_is_not_read(tmp_path: Path) -> None:
    linked, piped = tmp_path / "linked", tmp_path / "piped"
    for folder in (linked, piped):
        folder.mkdir()
    (linked / "tpm2-00.permall").symlink_to(__file__)
    os.mkfifo(piped / "tpm2-00.permall")
    for folder, code in ((linked, errno.ELOOP), (piped, errno.EINVAL)):
        with pytest.raises(OSError, match=r".") as caught:
            look_at_state(str(folder), TpmDevice("emulator"))
        assert caught.value.errno == code


def test_a_folder_with_other_files_is_not_the_states_alone(tmp_path: Path) -> None:
    state = write_state(tmp_path / "tpm2")
    assert holds_state_alone(str(state))
    assert holds_state_alone(str(tmp_path / "none"))
    (state / "diary.txt").touch()
    assert not holds_state_alone(str(state))


def test_one_sum_stands_for_names_and_contents() -> None:
    one = state_digest({"a": "1", "b": "2"})
    assert one == state_digest({"b": "2", "a": "1"})
    assert len({one, state_digest({"a": "2", "b": "1"}), state_digest({"a": "1"}), state_digest({})}) == 4


@pytest.mark.parametrize(
    "wrong", [{"path": "../x"}, {"files": ["../x"]}, {"files": ["a"]}, {"layout": "x"}, {"mode": "rwx"}, {"owner": -1}]
)
def test_a_manifest_that_this_program_did_not_write_is_refused(wrong: dict[str, object]) -> None:
    told = {"path": "/s/tpm2", "layout": "tpm2", "owner": 1, "group": 1, "mode": "0700", "files": ["tpm2-00.permall"]}
    assert read_tpm(told).files == ("tpm2-00.permall",)
    with pytest.raises(ValueError, match=r"."):
        read_tpm(told | wrong)


def test_a_second_guest_has_an_emulated_tpm_of_its_own_and_no_other_one() -> None:
    copies = {"vda": "vda.qcow2"}
    backend = ET.fromstring(clone_xml(with_tpm(CHOSEN), copies)).find("./devices/tpm/backend")
    assert backend is not None
    assert backend.find("source") is None
    encrypted = ET.fromstring(clone_xml(with_tpm(ENCRYPTED), copies))
    assert encrypted.find(f"./devices/tpm/backend/encryption[@secret='{SECRET}']") is not None
    for other in (PASSED_THROUGH, EXTERNAL):
        assert ET.fromstring(clone_xml(with_tpm(other), copies)).find("./devices/tpm") is None


def by_hand(notes: str, number: int, folder: Path) -> subprocess.CompletedProcess[str]:
    """What one way to restore by hand does about the TPM, run in the backup's folder; its virsh only knows a UUID."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", notes, re.DOTALL | re.MULTILINE)
    lines = [block for block in blocks if "define" in block][number].splitlines()
    told = [line.removesuffix("&&") for line in lines if any(word in line for word in ("swtpm", "STATES", "UUID"))]
    shell = "\n".join(("set -e", f"virsh() {{ printf '{UUID}\\n\\n'; }}", *told))
    return subprocess.run(["bash", "-c", shell], cwd=folder, capture_output=True, check=False, text=True)


def notes_of(tpm: Tpm, uuid: str = UUID) -> str:
    disk = CopiedDisk("vda", "disks/a", "raw", "raw", "file", (), "/i/a", 1, 1, 1, "0" * 64, 0, 0, "0600")
    plan = replace(a_plan(), uuid=uuid)
    return restore_notes(plan, Path("/b"), (disk,), FreezeReport(Consistency.QUIESCED, 1), None, tpm)


def test_by_hand_a_second_guest_gets_a_state_under_its_own_uuid_once(tmp_path: Path) -> None:
    states, backup = tmp_path / "it's swtpm", tmp_path / "backup"
    write_copies(backup)
    belongs_to_another(states)
    first = "11111111-2222-3333-4444-555555555555"
    notes = notes_of(replace(HERE, path=f"{states}/{first}/tpm2"), first)
    done = by_hand(notes, 0, backup)
    assert done.returncode == 0, done.stderr
    own = states / UUID / "tpm2"
    assert {path.name: path.read_bytes() for path in own.iterdir()} == STATE
    assert (own.stat().st_mode & 0o777, own.parent.stat().st_mode & 0o777) == (0o700, 0o711)
    assert (own.stat().st_uid, own.parent.stat().st_uid) == (os.geteuid(), states.stat().st_uid)
    assert by_hand(notes, 0, backup).returncode != 0


@pytest.mark.parametrize("within", [f"{UUID}/tpm2", "chosen"])
def test_by_hand_the_present_state_is_moved_aside_as_a_whole(tmp_path: Path, within: str) -> None:
    states, backup = tmp_path / "swtpm it's", tmp_path / "backup"
    write_copies(backup)
    state = states / within
    state.mkdir(parents=True)
    (state / "tpm2-00.permall").write_bytes(b"present")
    notes = notes_of(replace(HERE, path=str(state)))
    done = by_hand(notes, 1, backup)
    assert done.returncode == 0, done.stderr
    assert {path.name: path.read_bytes() for path in state.iterdir()} == STATE
    aside = states / f"{within.split('/')[0]}.before-restore-0123abcd"
    assert next(aside.rglob("tpm2-00.permall")).read_bytes() == b"present"
    assert by_hand(notes, 1, backup).returncode != 0


def test_the_notes_say_what_an_encrypted_state_needs() -> None:
    assert SECRET in notes_of(replace(HERE, secret=SECRET))
    assert "secret" not in notes_of(HERE)
