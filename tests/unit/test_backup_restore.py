import re
import shlex
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.unit.backup_values import a_plan, domain_xml
from tui.backup.clone_xml import DISKS_WORD, clone_xml
from tui.backup.manifest import Consistency, CopiedDisk, FreezeReport
from tui.backup.nvram import Nvram, nvram_path
from tui.backup.restore_notes import restore_notes

HOSTILE = "it's $(touch pwned); `x`\n## heading"


def blocks(notes: str) -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```$", notes, re.DOTALL | re.MULTILINE)


def a_copy(original: str) -> CopiedDisk:
    return CopiedDisk(
        "vda", "disks/vda.qcow2", "qcow2", "qcow2", "file", (), original, 1, 1, 1, "0" * 64, 64055, 64055, "0600"
    )


def test_every_foreign_word_is_one_word_for_the_shell(tmp_path: Path) -> None:
    plan = a_plan(guest=HOSTILE)
    folder = tmp_path / "it's a folder"
    notes = restore_notes(plan, folder, (a_copy("/im ages/$(x)'.qcow2"),), FreezeReport(Consistency.QUIESCED, 1))
    spoken = tmp_path / "spoken"
    programs = ("virsh", "cp", "mv", "chown", "chmod", "mkdir", "sed", "sha256sum", "cd")
    shell = "".join(f'{name}() {{ printf \'%s\\n\' "{name}" "$@" >> {str(spoken)!r}; }}\n' for name in programs)
    shell += (
        'eval "said_$(declare -f virsh)"; virsh() { said_virsh "$@"; case "$*" in *domstate*) echo shut off;; esac; }\n'
    )
    for block in blocks(notes):
        commands = block.replace('> "$DISKS"/vm.xml', "")
        done = subprocess.run(["bash", "-c", shell + commands], cwd=tmp_path, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
    words = spoken.read_text()
    assert f"\n{HOSTILE}\n" in words
    assert f"\n{HOSTILE}-restored\n" in words
    assert "\n/im ages/$(x)'.qcow2.before-restore-0123abcd\n" in words
    assert not (tmp_path / "pwned").exists()


def test_no_command_runs_after_one_that_failed_and_a_running_guests_images_stay() -> None:
    notes = restore_notes(a_plan(), Path("/b"), (a_copy("/i/a"),), FreezeReport(Consistency.QUIESCED, 1))
    second, in_place = (block for block in blocks(notes) if "define" in block)
    for block in (second, in_place):
        *chained, last = block.rstrip().splitlines()
        assert all(line.endswith(" &&") for line in chained)
        assert not last.endswith("&&")
    assert "domstate" in in_place.splitlines()[0]


def test_the_notes_tell_what_is_missing_and_how_consistent_it_is() -> None:
    lacking = ("sda: a cdrom drive", "nvram: this user may not read /nvram/it's\n## heading`x`")
    notes = restore_notes(a_plan(), Path("/b"), (a_copy("/i/a"),), FreezeReport(Consistency.CRASH), lacking=lacking)
    said = (
        "**Not in this backup:**\n\n- sda: a cdrom drive\n- nvram: this user may not read /nvram/it's\ufffd## heading"
    )
    assert said in notes
    assert "power cut" in notes
    freeze = FreezeReport(Consistency.CRASH)
    assert (
        "\n## heading"
        not in restore_notes(a_plan(guest=HOSTILE), Path("/b"), (a_copy("/i/a"),), freeze).split("```")[0]
    )


def test_the_notes_say_how_checkpoints_that_fit_no_longer_are_forgotten() -> None:
    words = (a_plan(guest=HOSTILE), Path("/b"), (a_copy("/i/a"),), FreezeReport(Consistency.QUIESCED, 1))
    notes = restore_notes(*words, checkpoints=("monday",))
    listing, forgetting = blocks(notes)[-2:]
    assert "checkpoint-list" in listing
    shell = 'virsh() { printf "%s\\n" "$@"; }\n' + forgetting.replace("CHECKPOINT=name", "CHECKPOINT='a b'")
    done = subprocess.run(["bash", "-c", shell], capture_output=True, check=True, text=True)
    assert done.stdout.endswith(f"checkpoint-delete\n{HOSTILE}\na b\n--metadata\n")
    assert "checkpoint" not in restore_notes(*words)


def test_a_second_guest_has_nothing_of_the_first_one() -> None:
    text = clone_xml(domain_xml(), {"vda": "vda.qcow2"})
    root = ET.fromstring(text)
    assert root.findtext("name") == "web 1-restored"
    assert [root.find(tag) for tag in ("uuid", "genid", "metadata")] == [None] * 3
    assert [(s.get("file")) for s in root.iter("source") if s.get("file")] == [f"{DISKS_WORD}/vda.qcow2"]
    assert root.find("./devices/interface/mac") is None
    link = root.find("./devices/interface/link")
    assert link is not None
    assert link.get("state") == "down"
    for gone in ("/images/", "/iso/", "/log/", "/run/", "5901"):
        assert gone not in text
    assert {disk.get("device") for disk in root.iter("disk")} == {"disk", "cdrom"}


@pytest.mark.parametrize(
    "os_element",
    [
        "<os><nvram template='/t'>/nv/web.fd</nvram></os>",
        "<os><nvram type='file'><source file='/nv/web.fd'/></nvram></os>",
        "<os firmware='efi'/>",
    ],
)
def test_a_second_guest_has_uefi_variables_of_its_own(os_element: str) -> None:
    stored = domain_xml().replace("<devices>", f"{os_element}<devices>")
    assert nvram_path(clone_xml(stored, {"vda": "vda.qcow2"}, has_nvram=True)) == f"{DISKS_WORD}/vars.fd"
    assert nvram_path(clone_xml(stored, {"vda": "vda.qcow2"})) == ""


def test_the_first_guests_uefi_variables_are_moved_aside_and_keep_their_owner() -> None:
    nvram = Nvram("/nv/it's web.fd", 64055, 108, "0600")
    notes = restore_notes(a_plan(), Path("/b"), (a_copy("/i/a"),), FreezeReport(Consistency.QUIESCED, 1), nvram)
    second, in_place = (block for block in blocks(notes) if "define" in block)
    assert 'cp nvram/vars.fd "$DISKS"/vars.fd && chown 64055:108' in second
    original = shlex.quote(nvram.path)
    moved, copied = (line for line in in_place.splitlines() if original in line)
    assert f"mv {original} {shlex.quote(nvram.path + '.before-restore-0123abcd')}" in moved
    assert copied.startswith(f"cp nvram/vars.fd {original} && chown 64055:108 {original} && chmod 0600 {original}")
