"""Images that something lies on change places for no restore and for no undoing of one; no guest is booted."""

import shutil
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.live.restore_matrix import OFF_SPEC, everything
from tests.live.restoring import NAME, qga_tui
from tui.backup.restore.settle import undoable_restore
from tui.backup.restore.wishes import USERS
from tui.backup.runstate import EXIT_DONE, EXIT_NOT_DONE
from tui.backup.scan import find_leftovers
from tui.hosts.port import Host
from tui.lab.laboratory import Laboratory

LINKED = f"{NAME}-linked"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lab() -> AsyncIterator[Laboratory]:
    async with Laboratory() as laboratory:
        await laboratory.add(OFF_SPEC)
        yield laboratory


def overlay_on(image: Path, name: str) -> Path:
    """An image that lies on another one, and belongs to the same user."""
    top = image.with_name(name)
    words = ("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", image, top)
    subprocess.run(words, check=True)
    shutil.chown(top, image.stat().st_uid, image.stat().st_gid)
    return top


async def define_linked(lab: Laboratory, host: Host, image: Path, top: Path) -> None:
    """A guest of its own, off, of whose chain its definition tells nothing."""
    root = ET.fromstring((await lab.virsh("dumpxml", NAME, "--inactive")).replace(str(image), str(top)))
    devices = root.find("devices")
    assert devices is not None
    for disk in devices.findall("disk"):
        if disk.find("target[@dev='vda']") is None:
            devices.remove(disk)
    for uuid in root.findall("uuid"):
        root.remove(uuid)
    (name,) = root.findall("name")
    name.text = LINKED
    await host.define(ET.tostring(root, encoding="unicode"))


async def test_a_linked_clone_that_is_off_forbids_to_replace_what_it_lies_on(
    lab: Laboratory, host: Host, whole: Path
) -> None:
    image = lab.disk(NAME, "vda")
    top = overlay_on(image, "linked.qcow2")
    await define_linked(lab, host, image, top)
    try:
        before = await everything(lab, host)
        code, said = await qga_tui(lab, "restore", str(whole), "--in-place")
        assert (code, f"{LINKED} uses it, too" in said) == (EXIT_NOT_DONE, True), said
        assert await everything(lab, host) == before
        # An image that cannot be looked at may lie on any other one.
        top.unlink()
        code, said = await qga_tui(lab, "restore", str(whole), "--in-place")
        assert (code, f"{LINKED}: vda: {top}: No such file" in said) == (EXIT_NOT_DONE, True), said
        code, said = await qga_tui(lab, "restore", str(whole), "--in-place", "--accept", USERS, "--dry-run")
        assert code == EXIT_DONE, said
    finally:
        await lab.virsh("undefine", LINKED)


async def test_no_restore_is_undone_under_what_lies_on_its_images(lab: Laboratory, host: Host, whole: Path) -> None:
    image = lab.disk(NAME, "vda")
    former = image.read_bytes()
    kept = await lab.virsh("dumpxml", NAME, "--inactive", "--security-info")
    chosen = ("restore", str(whole), "--in-place", "--disk", "vda", "--accept", "moments")
    code, said = await qga_tui(lab, *chosen)
    assert code == EXIT_DONE, said
    top = overlay_on(image, "snapshot.qcow2")
    linked = overlay_on(image, "linked.qcow2")
    undo = ("restore", str(whole), "--undo")

    await host.define(kept.replace(str(image), str(top)))
    before = await everything(lab, host)
    code, said = await qga_tui(lab, *undo)
    assert (code == EXIT_DONE, f"vda of {NAME} is on {top}" in said) == (False, True), said
    assert "can be deleted" not in said
    assert await everything(lab, host) == before
    assert undoable_restore(str(whole)) is not None
    assert await find_leftovers(host) == ()

    await host.define(kept)
    await define_linked(lab, host, image, linked)
    before = await everything(lab, host)
    code, said = await qga_tui(lab, *undo)
    assert (code == EXIT_DONE, f"vda of {LINKED} lies on {image}" in said) == (False, True), said
    assert await everything(lab, host) == before
    await lab.virsh("undefine", LINKED)

    code, said = await qga_tui(lab, *undo)
    assert code == EXIT_DONE, said
    assert image.read_bytes() == former
    top.unlink()
    linked.unlink()
