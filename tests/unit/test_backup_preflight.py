from dataclasses import replace
from typing import Any

import pytest

from tests.unit.backup_values import UUID, a_plan, domain_xml
from tui.backup.boot_files import BootFile
from tui.backup.checks import Verdict
from tui.backup.confinement import Confinement, confinement_of, denial_advice
from tui.backup.evidence import AgentEvidence, Evidence, ImageEvidence
from tui.backup.images import Header
from tui.backup.plan import BackupPlan, ImageFormat, QuiescePolicy, Source, overlay_beside
from tui.backup.preflight import RED_TITLE, checks_of, lacking
from tui.backup.reach import FileSystem
from tui.backup.selection import choices_of
from tui.backup.tpm import Tpm, TpmDevice
from tui.backup.tpm_place import TpmEvidence
from tui.doctor.causes import Cause
from tui.doctor.reasons import mend
from tui.hosts.domain_xml import read_definition
from tui.model.disk import Disk
from tui.model.guest import Channel, DomainFacts, PowerState
from tui.model.quantities import size

PLAN = a_plan()
GIB = 1 << 30
MIB = 1 << 20
SPACE = FileSystem(1, 100 * GIB, writable=True)
HEADER = Header(has_backing=False, encrypted=False, external_data=False, virtual_bytes=GIB)
DISKS = read_definition(domain_xml()).disks
FACTS = DomainFacts(
    UUID,
    "web 1",
    PowerState.RUNNING,
    "booted",
    Channel.OPEN,
    disks=tuple(replace(disk, source="") if disk.device == "cdrom" else disk for disk in DISKS),
)
IMAGES = tuple(
    ImageEvidence(
        disk,
        virtual_bytes=GIB,
        data_bytes=GIB,
        header=HEADER if disk.format is ImageFormat.QCOW2 else None,
        file_system=SPACE,
        stored_source=disk.base,
    )
    for disk in PLAN.disks
)
WELL = Evidence(
    facts=FACTS,
    images=IMAGES,
    agent=AgentEvidence(answers=True),
    target_file_system=FileSystem(2, 10 * GIB, writable=True),
    is_local=True,
    has_qemu_img=True,
    domain_job=False,
    snapshots=(),
    checkpoints=(),
    mark=None,
    mark_is_stale=False,
    active_run="",
)


def verdicts(evidence: Evidence, plan: BackupPlan = PLAN) -> dict[str, Verdict]:
    checks = checks_of(plan, evidence)
    assert all(check.next_step for check in checks if check.verdict is Verdict.FAILED)
    return {check.title: check.verdict for check in checks if check.verdict is not Verdict.PASSED}


def with_first_image(**changes: Any) -> Evidence:
    return replace(WELL, images=(replace(IMAGES[0], **changes), IMAGES[1]))


def test_a_guest_that_is_well_may_be_backed_up() -> None:
    assert verdicts(WELL) == {}


def test_a_kernel_that_is_kept_needs_no_word_and_another_one_is_named_without_stopping_the_backup() -> None:
    kept, lost = BootFile("kernel", "/boot/vmlinuz", bytes=9 * MIB), BootFile("initrd", "/boot/i", reason="it is gone")
    direct = replace(WELL, boot_files=(kept,))
    assert verdicts(direct) == {}
    assert any("kept: /boot/vmlinuz" in check.evidence for check in checks_of(PLAN, direct))
    assert verdicts(replace(WELL, boot_files=(kept, lost))) == {"Kernel": Verdict.WARNING}
    (words,) = [
        check.evidence for check in checks_of(PLAN, replace(WELL, boot_files=(lost,))) if check.title == "Kernel"
    ]
    assert words == "not copied: /boot/i, the initrd that the guest starts from: it is gone"


@pytest.mark.parametrize(
    ("evidence", "title"),
    [
        (replace(WELL, is_local=False), "Host"),
        (replace(WELL, has_qemu_img=False), "Host"),
        (replace(WELL, facts=replace(FACTS, power=PowerState.OFF), managed_save=True), "Guest"),
        (replace(WELL, facts=replace(FACTS, power=PowerState.PAUSED, power_reason="migrating")), "Guest"),
        (replace(WELL, facts=replace(FACTS, power=PowerState.PAUSED, power_reason="I/O error")), "Guest"),
        (replace(WELL, facts=replace(FACTS, power=PowerState.UNKNOWN, power_reason="suspended")), "Guest"),
        (replace(WELL, facts=replace(FACTS, disks=(replace(FACTS.disks[0], mirror_job="copy"), *FACTS.disks[1:]))),
         "Jobs"),
        (with_first_image(file_system=None), "Disk vda"),
        (replace(WELL, active_run="0123abcd"), "Other backups"),
        (replace(WELL, mark="<run/>"), "Other backups"),
        (replace(WELL, domain_job=True), "Jobs"),
        (with_first_image(has_block_job=True), "Jobs"),
        (replace(WELL, facts=replace(FACTS, disks=FACTS.disks[1:])), "Disk vda"),
        (with_first_image(problem="Permission denied"), "Disk vda"),
        (with_first_image(header=None), "Disk vda"),
        (with_first_image(header=replace(HEADER, external_data=True)), "Disk vda"),
        (with_first_image(header=replace(HEADER, encrypted=True)), "Disk vda"),
        (with_first_image(header=replace(HEADER, has_backing=True)), "Disk vda"),
        (with_first_image(stored_source="/images/new.qcow2"), "Disk vda"),
        (with_first_image(shared_with=("web 2",)), "Disk vda"),
        (with_first_image(overlay_exists=True), "Disk vda"),
        (with_first_image(file_system=replace(SPACE, writable=False)), "Disk vda"),
        (replace(WELL, tpm=TpmEvidence(TpmDevice("passthrough"), problem="elsewhere")), "Not in this backup"),
        (replace(WELL, agent=AgentEvidence(answers=True, frozen=True)), "Guest agent"),
        (replace(WELL, target_file_system=None), "Target"),
        (replace(WELL, target_file_system=replace(SPACE, writable=False)), "Target"),
        (replace(WELL, target_file_system=replace(SPACE, device=2, free_bytes=2 * GIB)), "Target"),
        (replace(WELL, target_file_system=replace(SPACE, free_bytes=3 * GIB), images=tuple(
            replace(image, file_system=replace(SPACE, free_bytes=2 * GIB)) for image in IMAGES)),
         "Room for the guest's writes"),
    ],
)  # fmt: skip
def test_one_obstacle_forbids_the_backup(evidence: Evidence, title: str) -> None:
    assert verdicts(evidence).get(title) is Verdict.FAILED


def test_a_plan_with_a_freeze_says_what_that_may_do_to_a_guest() -> None:
    (check,) = (each for each in checks_of(PLAN, WELL) if each.title == "Guest agent")
    assert check.verdict is Verdict.PASSED
    assert check.evidence.endswith("makes a few guests hang or crash (--quiesce off does without)")


def test_an_agent_that_does_not_answer_forbids_only_what_needs_it() -> None:
    mute = replace(WELL, agent=AgentEvidence(answers=False, problem="Not connected."))
    assert verdicts(mute)["Guest agent"] is Verdict.WARNING
    assert verdicts(mute, replace(PLAN, quiesce=QuiescePolicy.REQUIRED))["Guest agent"] is Verdict.FAILED
    assert verdicts(replace(WELL, agent=None))["Guest agent"] is Verdict.WARNING


def test_the_way_out_of_an_agents_trouble_is_the_doctors() -> None:
    step = "Allow it in the guest."
    mute = replace(WELL, agent=AgentEvidence(answers=False, problem="Blocked", next_step=step))
    for policy in (QuiescePolicy.REQUIRED, QuiescePolicy.PREFERRED):
        checks = checks_of(replace(PLAN, quiesce=policy), mute)
        (check,) = (each for each in checks if each.title == "Guest agent")
        assert check.evidence.startswith("Blocked")
        assert check.next_step.startswith(step)
    cold = checks_of(PLAN, replace(WELL, agent=AgentEvidence(answers=True, frozen=True)))
    (check,) = (each for each in cold if each.title == "Guest agent")
    assert check.next_step == mend(Cause.FROZEN)


@pytest.mark.parametrize(
    ("evidence", "title"),
    [
        (replace(WELL, facts=replace(FACTS, power=PowerState.PAUSED, power_reason="paused by a user")), "Guest"),
        (replace(WELL, mark="<run/>", mark_is_stale=True), "Other backups"),
        (replace(WELL, snapshots=("before",)), "Snapshots"),
        (replace(WELL, checkpoints=("monday",)), "Snapshots"),
        (replace(WELL, facts=replace(FACTS, persistent=False)), "Guest"),
        (with_first_image(base_file_system=FileSystem(3, 50 * MIB, writable=True)), "Room for the merge"),
        (with_first_image(file_system=replace(SPACE, free_bytes=100 << 20)), "Room for the guest's writes"),
    ],
)
def test_what_may_be_lived_with_is_a_warning(evidence: Evidence, title: str) -> None:
    assert verdicts(evidence) == {title: Verdict.WARNING}


def test_disks_that_may_hold_data_are_named_when_they_are_left_out() -> None:
    plan = replace(PLAN, disks=PLAN.disks[:1], left_out=("vdb", "sda"))
    check = next(check for check in checks_of(plan, WELL) if check.title == "Other disks")
    assert check.verdict is Verdict.WARNING
    assert "vdb" in check.evidence
    assert "sda" not in check.evidence
    forgotten = replace(PLAN, left_out=())
    assert verdicts(WELL, forgotten)["Other disks"] is Verdict.FAILED


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"device": "cdrom"}, "cdrom"),
        ({"is_empty": True, "source": ""}, "no medium"),
        ({"source": ""}, "no name"),
        ({"device": "lun"}, "LUN"),
        ({"readonly": True}, "read-only"),
        ({"shareable": True}, "shared"),
        ({"transient": True}, "transient"),
        ({"encrypted": True}, "encrypted"),
        ({"source_type": "network"}, "network"),
        ({"format": "vmdk"}, "vmdk"),
        ({"source": overlay_beside("/a.raw", PLAN.stamp, "vda")}, "overlay of a backup"),
    ],
)
def test_disks_that_cannot_be_backed_up_say_why(changes: dict[str, Any], reason: str) -> None:
    (good,) = choices_of((Disk("vda", "disk", "file", "/a.qcow2", "qcow2"),))
    assert good.possible
    (bad,) = choices_of((replace(good.disk, **changes),))
    assert not bad.possible
    assert reason in bad.reason


def test_sizes_are_told_in_binary_units() -> None:
    assert [size(count) for count in (0, 1023, 1536, 5 << 40)] == ["0 B", "1023 B", "1.5 KiB", "5.0 TiB"]


def test_a_medium_in_a_drive_is_told_and_forbids_nothing() -> None:
    evidence = replace(WELL, facts=replace(FACTS, disks=DISKS))
    (media,) = [check for check in checks_of(PLAN, evidence) if check.title == "Media"]
    assert media.verdict is Verdict.WARNING
    assert "/iso/a.iso in sda" in media.evidence


@pytest.mark.parametrize(
    ("model", "libvirt", "verdict"),
    [("apparmor", "12.0.0", Verdict.WARNING), ("apparmor", "12.1.0", None), ("selinux", "9.0.0", None)],
)
def test_apparmor_of_an_old_libvirt_is_a_reason_not_to_restart_the_guest(
    model: str, libvirt: str, verdict: Verdict | None
) -> None:
    evidence = replace(WELL, confinement=Confinement(model, "libvirt-1"), libvirt=libvirt)
    assert verdicts(evidence).get("Confinement") is verdict


@pytest.mark.parametrize(
    ("model", "hint"),
    [("apparmor", "/etc/apparmor.d/libvirt/libvirt-1.files"), ("selinux", "journalctl -g 'avc"), ("", "neither")],
)
def test_a_denied_image_tells_where_to_look(model: str, hint: str) -> None:
    live = f"<domain><seclabel type='dynamic' model='dac'/>{LABEL.format(model) if model else ''}</domain>"
    advice = denial_advice("Could not open '/i/a': Permission denied", confinement_of(live), "/i/a")
    assert hint in advice
    assert "/i/a" in advice
    assert denial_advice("No space left on device", confinement_of(live), "/i/a") == ""


LABEL = "<seclabel type='dynamic' model='{}' relabel='yes'><label>libvirt-1</label></seclabel>"


def test_images_on_another_machine_are_no_obstacle_to_streams() -> None:
    far = replace(WELL, is_local=False, nvram="/nvram/web.fd")
    plan = replace(PLAN, source=Source.STREAM, source_reason="the images are on another machine", accepted=("nvram",))
    assert verdicts(far, plan) == {"Not in this backup": Verdict.WARNING}
    (source,) = (check for check in checks_of(plan, far) if check.title == "Source")
    assert source.evidence.endswith(": the images are on another machine")
    assert verdicts(far)["Host"] is Verdict.FAILED


def test_an_image_that_is_converted_from_a_stream_needs_room_twice() -> None:
    tight = replace(WELL, target_file_system=FileSystem(2, 5 * GIB // 2, writable=True))
    plan = replace(PLAN, compact=True)
    assert verdicts(tight, plan) == {}
    assert verdicts(tight, replace(plan, source=Source.STREAM)) == {"Target": Verdict.FAILED}


def test_a_merge_needs_room_where_the_image_itself_lies() -> None:
    """Beside the overlay it is counted with that: a tenth of the data twice, and once where the image is full."""
    room = replace(SPACE, free_bytes=GIB // 10 + 80 * MIB)
    images = (replace(IMAGES[0], virtual_bytes=4 * GIB, file_system=room, base_file_system=room),)
    evidence = replace(WELL, images=images)
    assert verdicts(evidence) == {"Room for the guest's writes": Verdict.WARNING}
    full = replace(evidence, images=(replace(images[0], virtual_bytes=GIB),))
    assert verdicts(full) == {}


def test_uefi_variables_that_can_be_read_are_kept_and_others_are_missed_by_name() -> None:
    kept = checks_of(PLAN, replace(WELL, nvram="/nvram/web.fd", nvram_readable=True))
    assert [check.verdict for check in kept if check.title == "UEFI variables"] == [Verdict.PASSED]
    (missed,) = [check for check in checks_of(PLAN, replace(WELL, nvram="/nvram/web.fd")) if check.next_step]
    assert missed.verdict is Verdict.FAILED
    assert missed.next_step.endswith("--accept nvram")


def test_all_that_is_left_out_is_told_with_its_reason() -> None:
    plan = replace(PLAN, disks=PLAN.disks[:1], left_out=("vdb", "sda"))
    evidence = replace(WELL, facts=replace(FACTS, disks=DISKS), nvram="/nvram/web.fd")
    assert lacking(plan, evidence) == {
        "vdb": "not chosen",
        "sda": "a cdrom drive",
        "nvram": "this user may not read /nvram/web.fd",
    }


def test_the_state_of_a_tpm_is_kept_and_what_goes_without_is_missed_by_name() -> None:
    device = TpmDevice("emulator", secret="0a81")
    state = Tpm("/swtpm/x/tpm2", "tpm2", 0, 0, "0700", ("tpm2-00.permall",))
    for tpm, red in (
        (TpmEvidence(device, state), ""),
        (TpmEvidence(device), ""),
        (TpmEvidence(device, replace(state, secret="0a81")), "tpm-secret"),
        (TpmEvidence(device, problem="this user may not read /swtpm/x/tpm2"), "tpm"),
    ):
        checks = checks_of(PLAN, replace(WELL, tpm=tpm))
        assert [check.next_step for check in checks if check.title == RED_TITLE] == (
            [f"Accept that by name: --accept {red}"] if red else []
        )
        kept = [check.verdict for check in checks if check.title == "TPM"]
        assert kept == ([] if tpm.problem else [Verdict.PASSED])


def test_snapshots_and_checkpoints_are_listed_by_name() -> None:
    evidence = replace(WELL, snapshots=("before", "after"), checkpoints=("monday",))
    (check,) = [check for check in checks_of(PLAN, evidence) if check.title == "Snapshots"]
    assert "snapshots before, after and checkpoints monday" in check.evidence


def test_a_target_is_named_by_its_folder() -> None:
    (check,) = [check for check in checks_of(PLAN, WELL) if check.title == "Target"]
    assert check.evidence.startswith(f"{PLAN.target}: ")
