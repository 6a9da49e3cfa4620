"""A guest that writes all the time is backed up, and comes back: beside itself, in place, disk by disk."""

import asyncio
import json
import os
import re
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from tests.live import held_worker
from tests.live.backup_fixtures import end_of, facts_of, log_of
from tests.live.backup_process import connect
from tests.live.held_worker import GO, HELD
from tests.live.kill_matrix import until
from tests.live.restoring import (
    LOGS,
    NAME,
    SPEC,
    back_up,
    fixes_offered,
    is_unbroken,
    proposed,
    qga_tui,
    restored,
    saved_numbers,
    written,
)
from tests.live.uefi import set_variable, variables
from tui.backup.errors import BackupError
from tui.backup.launch import launch
from tui.backup.nvram import nvram_path
from tui.backup.plan import QuiescePolicy
from tui.backup.restore.boot_test import read_note
from tui.backup.restore.plan import RestoreWay, StopWay
from tui.backup.restore.saved import read_saved
from tui.backup.restore.settle import undo_restore, undoable_restore
from tui.backup.restore.wishes import Wishes
from tui.backup.runs import list_restores
from tui.backup.runstate import EXIT_DONE, EXIT_NOT_DONE
from tui.backup.scan import find_leftovers
from tui.backup.session import HostSession, Patience
from tui.hosts.port import Host
from tui.lab.laboratory import Laboratory
from tui.lab.spec import UEFI_MEMORY_MIB, GuestSpec
from tui.model.guest import PowerState


@dataclass(frozen=True, slots=True)
class Kept:
    """The guest's backup, and how many numbers each log had when it was begun."""

    folder: Path
    before: dict[str, list[int]]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def kept(lab: Laboratory, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Kept]:
    """The guest runs, and a backup of it was made while it wrote."""
    place = tmp_path_factory.mktemp("restore")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(place / "state"))
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
        await lab.add(SPEC)
        await lab.wait_for_agent(NAME)
        before = {log: await written(lab, NAME, log) for log in LOGS}
        target = place / "backups"
        target.mkdir()
        host = connect(lab.uri)
        await host.open()
        yield Kept(await back_up(host, target), before)
        await host.close()
        await lab.virsh("destroy", NAME)


def own_words(xml: str) -> set[str]:
    """What only one guest may have: UUID, MAC addresses, sockets, and images that are written to."""
    root = ET.fromstring(xml)
    words = {root.findtext("uuid", ""), root.findtext("name", "")}
    words |= {mac.get("address", "") for mac in root.iter("mac")}
    words |= {s.get("file", "") for s in root.findall("./devices/disk/source")}
    words |= {s.get("path", "") for s in root.findall("./devices/channel/source")}
    words |= {log.get("file", "") for log in root.iter("log")}
    return words - {""}


async def test_a_clone_runs_beside_the_original_and_shares_nothing_with_it(
    lab: Laboratory, host: Host, kept: Kept
) -> None:
    state = await restored(host, kept.folder, Wishes(name="vault2"))
    try:
        assert (await facts_of(host, "vault2")).power is PowerState.OFF
        assert not (await facts_of(host, "vault2")).autostart
        await lab.virsh("start", "vault2")
        await lab.wait_for_agent("vault2")
        await lab.wait_for_agent(NAME)
        both = [await host.live_xml((await facts_of(host, name)).uuid) for name in (NAME, "vault2")]
        first, second = (own_words(xml) for xml in both)
        assert len(first) >= 6
        assert len(second) >= 6
        assert first & second == set()
        link = ET.fromstring(both[1]).find("./devices/interface/link")
        assert link is not None
        assert link.get("state") == "down"
        held = saved_numbers(kept.folder)
        for log in LOGS:
            now, there = await written(lab, "vault2", log), await written(lab, NAME, log)
            assert is_unbroken(now)
            assert now[: len(kept.before[log])] == kept.before[log]
            assert now != there
        assert (await written(lab, "vault2", LOGS[1]))[: len(held)] == held
    finally:
        await lab.virsh("destroy", "vault2")
        await lab.virsh("undefine", "vault2")
    assert {path.name for path in state.result.iterdir()} == {"vda.qcow2", "vdb.raw"}


async def test_a_guest_whose_disks_are_ruined_comes_back_in_place_and_that_is_undone(
    lab: Laboratory, host: Host, kept: Kept
) -> None:
    wishes = Wishes(RestoreWay.IN_PLACE)
    code, said = await qga_tui(lab, "restore", str(kept.folder), "--in-place")
    assert code == EXIT_NOT_DONE
    assert "it is running" in said
    assert "off" in said
    await lab.virsh("destroy", NAME)
    ruined = {target: lab.disk(NAME, target) for target in ("vda", "vdb")}
    for path in ruined.values():
        with path.open("r+b") as image:
            image.write(os.urandom(8 * 1024 * 1024))
    before = {target: path.read_bytes() for target, path in ruined.items()}
    definition = await lab.virsh("dumpxml", NAME, "--inactive")
    owners = {path: (path.stat().st_uid, path.stat().st_mode) for path in ruined.values()}

    await restored(host, kept.folder, wishes)
    assert {path: (path.stat().st_uid, path.stat().st_mode) for path in ruined.values()} == owners
    (run,) = (run for run in list_restores() if run.plan.way is RestoreWay.IN_PLACE)
    for file in run.plan.disks:
        assert Path(file.aside).read_bytes() == before[file.name]
    await lab.start(NAME)
    await lab.wait_for_agent(NAME)
    held = saved_numbers(kept.folder)
    for log in LOGS:
        now = await written(lab, NAME, log)
        assert is_unbroken(now)
        assert now[: len(kept.before[log])] == kept.before[log]
    assert (await written(lab, NAME, LOGS[1]))[: len(held)] == held

    session = HostSession(connect, host.uri, Patience())
    try:
        with pytest.raises(BackupError, match="runs"):
            await undo_restore(session, run)
        await lab.virsh("destroy", NAME)
        assert undoable_restore(str(kept.folder)) == run
        await undo_restore(session, run)
    finally:
        await session.close()
    assert {target: path.read_bytes() for target, path in ruined.items()} == before
    assert await lab.virsh("dumpxml", NAME, "--inactive") == definition
    assert undoable_restore(str(kept.folder)) is None
    assert await find_leftovers(host) == ()

    # For the other tests it runs again, by the command line alone.
    code, said = await qga_tui(lab, "restore", str(kept.folder), "--in-place", "--json")
    assert code == EXIT_DONE, said
    assert json.loads(said.splitlines()[-1])["exit_code"] == EXIT_DONE
    await lab.start(NAME)
    await lab.wait_for_agent(NAME)


@pytest.mark.long
async def test_a_running_guest_is_shut_down_only_once_the_copies_are_ready(
    lab: Laboratory, host: Host, kept: Kept
) -> None:
    refused = await fixes_offered(host, kept.folder, Wishes(RestoreWay.IN_PLACE))
    fix = next(fix for fix in refused if fix.option == "--stop force")
    assert fix.wishes == Wishes(RestoreWay.IN_PLACE, stop=StopWay.FORCE_OFF)
    await restored(host, kept.folder, fix.wishes)
    assert (await facts_of(host, NAME)).power is PowerState.OFF
    await lab.start(NAME)
    await lab.wait_for_agent(NAME)


@pytest.mark.long
async def test_a_guest_that_was_put_off_in_vain_runs_again_on_its_own_images(
    lab: Laboratory, host: Host, kept: Kept
) -> None:
    images = [lab.disk(NAME, target) for target in ("vda", "vdb")]
    inodes = [image.stat().st_ino for image in images]
    plan = (await proposed(host, kept.folder, Wishes(RestoreWay.IN_PLACE, stop=StopWay.FORCE_OFF))).plan
    run = launch(plan, held_worker.argv("copied"))
    await until(lambda: (run.folder / HELD).exists())
    in_the_way = Path(plan.disks[1].aside)
    in_the_way.write_text("mine")
    (run.folder / GO).touch()
    state = await end_of(run)
    assert (state.exit_code, state.shortfalls) == (EXIT_NOT_DONE, ()), log_of(run)
    assert state.error is not None
    assert "changed" in state.error.title
    assert in_the_way.read_text() == "mine"
    in_the_way.unlink()
    assert [image.stat().st_ino for image in images] == inodes
    assert not any(Path(name).exists() for file in plan.files for name in (file.partial, file.aside))
    await lab.wait_for_agent(NAME)
    assert await find_leftovers(host) == ()


async def test_the_notes_alone_bring_a_guest_back_in_place(lab: Laboratory, kept: Kept) -> None:
    await lab.virsh("destroy", NAME)
    image = lab.disk(NAME, "vdb")
    image.write_bytes(b"ruined")
    notes = (kept.folder / "RESTORE.md").read_text()
    (block,) = (each for each in re.findall(r"^```sh\n(.*?)^```$", notes, re.DOTALL | re.MULTILINE) if "mv " in each)
    process = await asyncio.create_subprocess_exec(
        *("bash", "-e", "-c", block), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    await lab.wait_for_agent(NAME)
    held = saved_numbers(kept.folder)
    assert (await written(lab, NAME, LOGS[1]))[: len(held)] == held
    run_id = read_saved(kept.folder).run_id
    assert image.with_name(f"{image.name}.before-restore-{run_id}").read_bytes() == b"ruined"


@pytest.mark.long
async def test_the_backups_of_a_paused_and_of_a_transient_guest_boot(
    lab: Laboratory, host: Host, kept: Kept, tmp_path: Path
) -> None:
    for place in ("paused", "transient"):
        (tmp_path / place).mkdir()
    await lab.virsh("suspend", NAME)
    paused = await back_up(host, tmp_path / "paused", QuiescePolicy.OFF)
    await lab.virsh("resume", NAME)
    xml = tmp_path / "kept.xml"
    xml.write_text(await lab.virsh("dumpxml", NAME, "--inactive"))
    xml.chmod(0o644)
    await lab.virsh("undefine", NAME)
    transient = await back_up(host, tmp_path / "transient")
    for folder in (paused, transient):
        state = await restored(host, folder, Wishes(RestoreWay.BOOT_TEST))
        assert "its agent answered" in state.outcome
    # The transient guest is gone with its end, and comes back as one that is stored.
    await lab.virsh("destroy", NAME)
    assert NAME not in {facts.name for facts in await host.list_domains()}
    await restored(host, transient, Wishes(RestoreWay.IN_PLACE))
    await lab.start(NAME)
    await lab.wait_for_agent(NAME)
    assert (await facts_of(host, NAME)).persistent


async def test_one_disk_is_read_in_another_guest_and_taken_away_again(
    lab: Laboratory, web1: str, host: Host, kept: Kept
) -> None:
    before = {disk.target for disk in (await facts_of(host, web1)).disks}
    code, said = await qga_tui(lab, "restore", str(kept.folder), "--disk", "vdb", "--attach", web1)
    assert code == EXIT_DONE, said
    (disk,) = (disk for disk in (await facts_of(host, web1)).disks if disk.target not in before)
    assert disk.readonly
    found = await lab.shell(
        web1,
        f"mkdir -p /run/r; for i in 1 2 3 4 5 6 7 8 9; do [ -b /dev/{disk.target} ] && break; sleep 1; done; "
        f"mount -t ext4 -o ro,noload /dev/{disk.target} /run/r && cut -d' ' -f1 /run/r/writes.log",
    )
    held = [int(line) for line in found.output.split() if line.isdecimal()]
    assert held == saved_numbers(kept.folder)
    refused = await lab.shell(web1, f"umount /run/r; dd if=/dev/zero of=/dev/{disk.target} bs=512 count=1 2>&1")
    assert re.search("[Rr]ead-only|not permitted", refused.output)
    assert Path(disk.source).read_bytes() == (kept.folder / "disks/vdb.raw").read_bytes()
    code, said = await qga_tui(lab, "restore", str(kept.folder), "--undo")
    assert code == EXIT_DONE, said
    assert {disk.target for disk in (await facts_of(host, web1)).disks} == before
    assert not Path(disk.source).exists()


async def test_one_disk_alone_goes_to_a_path(lab: Laboratory, kept: Kept, tmp_path: Path) -> None:
    code, said = await qga_tui(lab, "restore", str(kept.folder), "--disk", "vdb", "--to", str(tmp_path / "one.raw"))
    assert code == EXIT_DONE, said
    assert [path.name for path in tmp_path.iterdir()] == ["one.raw"]
    assert (tmp_path / "one.raw").read_bytes() == (kept.folder / "disks/vdb.raw").read_bytes()
    assert (tmp_path / "one.raw").stat().st_mode & 0o777 == 0o600


@pytest.mark.long
async def test_a_backup_that_boots_says_so_and_leaves_nothing(lab: Laboratory, host: Host, kept: Kept) -> None:
    domains = {facts.name for facts in await host.list_domains()}
    images = sorted(lab.disk(NAME, "vda").parent.iterdir())
    state = await restored(host, kept.folder, Wishes(RestoreWay.BOOT_TEST))
    assert "its agent answered" in state.outcome
    note = read_note(kept.folder)
    assert note is not None
    assert note.passed
    assert note.answer == "qga-lab GNU/Linux 1 (demo)"
    assert {facts.name for facts in await host.list_domains()} == domains
    assert [path for path in sorted(lab.disk(NAME, "vda").parent.iterdir()) if path not in images] == []
    process = await asyncio.create_subprocess_exec(
        *("sha256sum", "-c", "--quiet", "SHA256SUMS"), cwd=kept.folder, stdout=asyncio.subprocess.PIPE
    )
    assert await process.wait() == 0


async def test_the_plan_is_told_with_its_commands_and_nothing_is_done(lab: Laboratory, host: Host, kept: Kept) -> None:
    images = sorted(lab.disk(NAME, "vda").parent.iterdir())
    runs = len(list_restores())
    code, said = await qga_tui(lab, "restore", str(kept.folder), "--as", "vault3", "--dry-run")
    assert code == EXIT_DONE, said
    for words in ("vault3 is free", "sha256sum -c", "cp --sparse=always", "virsh", "network links down"):
        assert words in said
    code, said = await qga_tui(lab, "restore", str(kept.folder), "--as", NAME, "--dry-run", "--json")
    assert code == EXIT_NOT_DONE
    (failed,) = (finding for finding in json.loads(said)["findings"] if finding["verdict"] == "failed")
    assert failed["fixes"] == [{"label": f"Call it {NAME}-2", "option": f"--as {NAME}-2"}]
    assert len(list_restores()) == runs
    assert sorted(lab.disk(NAME, "vda").parent.iterdir()) == images
    proposal = await proposed(host, kept.folder, Wishes())
    assert proposal.plan.guest.startswith(f"{NAME}-restored")


async def test_uefi_variables_come_back_and_a_clone_has_its_own(lab: Laboratory, host: Host, kept: Kept) -> None:
    name = "vault-uefi"
    await lab.add(GuestSpec(name, memory_mib=UEFI_MEMORY_MIB, uefi=True))
    await lab.wait_for_agent(name)
    await set_variable(lab, name, "Before")
    folder = await back_up(host, kept.folder.parents[2], name=name)
    await set_variable(lab, name, "After")
    await lab.virsh("destroy", name)
    ours = lab.nvram(name)
    with_after = ours.read_bytes()
    assert with_after != (folder / "nvram/vars.fd").read_bytes()

    state = await restored(host, folder, Wishes(name="vault-uefi2"))
    clone = await facts_of(host, "vault-uefi2")
    try:
        assert nvram_path(await host.stored_xml(clone.uuid)) == str(state.result / "vars.fd")
        assert (state.result / "vars.fd").read_bytes() == (folder / "nvram/vars.fd").read_bytes()
        await lab.virsh("start", "vault-uefi2")
        await lab.wait_for_agent("vault-uefi2")
        assert await variables(lab, "vault-uefi2") == {"Before"}
        assert ours.read_bytes() == with_after
    finally:
        await lab.virsh("destroy", "vault-uefi2")
        await lab.virsh("undefine", "vault-uefi2", "--keep-nvram")

    await restored(host, folder, Wishes(RestoreWay.IN_PLACE))
    assert ours.read_bytes() == (folder / "nvram/vars.fd").read_bytes()
    code, said = await qga_tui(lab, "restore", str(folder), "--undo")
    assert code == EXIT_DONE, said
    assert ours.read_bytes() == with_after
