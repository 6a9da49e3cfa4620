"""Merging images that no guest has open: what QEMU's locks keep off, and what is refused before anything changes."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.backup_values import STAMP, a_plan, planned
from tests.unit.fake_placed_host import FakePlacedHost
from tui.backup import merge_off
from tui.backup.errors import NeedsRescueError
from tui.backup.homecoming import _needs_no_qemu
from tui.backup.image_lock import barred_to_writers
from tui.backup.images import ImageError, allocates_nothing, image_info, run_program
from tui.backup.merge import GuestStoppedError
from tui.backup.overlays import look_at_overlays
from tui.backup.plan import ImageFormat, PlannedDisk, Source
from tui.backup.session import HostSession, Patience
from tui.backup.strays import _overlays_in
from tui.hosts.port import Host, HostError, HostUnreachableError

pytestmark = pytest.mark.skipif(shutil.which("qemu-io") is None, reason="QEMU's tools are not installed")


def run(*argv: str) -> tuple[int, str, str]:
    return asyncio.run(run_program(*argv))


def pair(folder: Path, image_format: ImageFormat = ImageFormat.QCOW2) -> PlannedDisk:
    """A base full of ones, and an overlay with a few twos."""
    disk = planned("vda", str(folder / f"web.{image_format}"), image_format)
    assert run("qemu-img", "create", "-q", "-f", image_format, disk.base, "4M")[0] == 0
    assert run("qemu-io", "-f", image_format, "-c", "write -P 1 0 4M", disk.base)[0] == 0
    lies_on = ("-b", disk.base, "-F", image_format)
    assert run("qemu-img", "create", "-q", "-f", "qcow2", *lies_on, disk.overlay)[0] == 0
    assert run("qemu-io", "-f", "qcow2", "-c", "write -P 2 1M 64k", disk.overlay)[0] == 0
    return disk


def reads(path: str, image_format: ImageFormat, words: str) -> bool:
    code, out, _ = run("qemu-io", "-r", "-f", image_format, "-c", f"read {words}", path)
    return code == 0 and "Pattern verification failed" not in out


def test_nobody_writes_to_an_image_while_it_is_barred_and_everybody_reads_it(tmp_path: Path) -> None:
    disk = pair(tmp_path)
    write = ("qemu-io", "-f", "qcow2", "-c", "write -P 3 0 64k", disk.overlay)
    with barred_to_writers(disk.overlay):
        code, _, said = run(*write)
        assert (code, "lock" in said) == (1, True)
        assert asyncio.run(image_info(disk.overlay, ImageFormat.QCOW2)).backing == disk.base
    assert run(*write)[0] == 0


@asynccontextmanager
async def opened(path: str) -> AsyncIterator[None]:
    """Another program has an image open for writing."""
    pipe = asyncio.subprocess.PIPE
    writer = await asyncio.create_subprocess_exec("qemu-io", "-f", "qcow2", path, stdin=pipe, stdout=pipe)
    assert writer.stdin is not None
    assert writer.stdout is not None
    writer.stdin.write(b"length\n")
    # Its answer tells that the image is open.
    while b"4 MiB" not in await writer.stdout.readline():
        pass
    yield
    await writer.communicate(b"quit\n")


def test_an_image_that_is_written_to_is_not_barred(tmp_path: Path) -> None:
    disk = pair(tmp_path)

    async def while_it_is_open() -> None:
        async with opened(disk.overlay):
            with pytest.raises(ImageError, match="writes to the image"), barred_to_writers(disk.overlay):
                pass

    asyncio.run(while_it_is_open())
    with barred_to_writers(disk.overlay):
        pass


@pytest.mark.parametrize("image_format", list(ImageFormat))
def test_an_overlay_keeps_its_data_at_the_first_merge_and_is_empty_after_the_second(
    tmp_path: Path, image_format: ImageFormat
) -> None:
    disk = pair(tmp_path, image_format)
    asyncio.run(merge_off._commit(disk, "-d"))
    assert reads(disk.base, image_format, "-P 2 1M 64k")
    assert reads(disk.base, image_format, "-P 1 0 1M")
    assert not asyncio.run(allocates_nothing(disk.overlay))
    asyncio.run(merge_off._commit(disk))
    assert asyncio.run(allocates_nothing(disk.overlay))
    assert reads(disk.overlay, ImageFormat.QCOW2, "-P 2 1M 64k")
    # Done again, as after a death, it changes nothing.
    asyncio.run(merge_off._commit(disk, "-d"))
    assert reads(disk.base, image_format, "-P 2 1M 64k")


def test_an_overlay_is_seen_to_be_empty_though_a_guest_writes_to_its_base(tmp_path: Path) -> None:
    merged, full = pair(tmp_path), planned("vdb", str(tmp_path / "web.qcow2"))
    Path(full.overlay).write_bytes(Path(merged.overlay).read_bytes())
    asyncio.run(merge_off._commit(merged))

    async def while_the_base_is_in_use() -> tuple[bool, bool]:
        async with opened(merged.base):
            return await allocates_nothing(merged.overlay), await allocates_nothing(full.overlay)

    assert asyncio.run(while_the_base_is_in_use()) == (True, False)


def test_only_the_pair_of_the_plan_is_merged(tmp_path: Path) -> None:
    disk = pair(tmp_path)
    asyncio.run(merge_off._refuse_foreign_chain(disk))
    other = str(tmp_path / "other.qcow2")
    assert run("qemu-img", "create", "-q", "-f", "qcow2", other, "4M")[0] == 0
    assert run("qemu-img", "rebase", "-u", "-f", "qcow2", "-F", "qcow2", "-b", other, disk.overlay)[0] == 0
    with pytest.raises(ImageError, match="lies on another image"):
        asyncio.run(merge_off._refuse_foreign_chain(disk))


def test_a_base_whose_format_the_overlay_states_otherwise_is_not_written_to(tmp_path: Path) -> None:
    disk = pair(tmp_path)
    with pytest.raises(ImageError, match="lies on another image"):
        asyncio.run(merge_off._refuse_foreign_chain(replace(disk, format=ImageFormat.RAW)))


def test_overlays_are_found_by_their_names_beside_images_alone(tmp_path: Path) -> None:
    there = tmp_path / "images"
    there.mkdir()
    overlay = there / f"web.qgatui-{STAMP}.vda.qcow2"
    for path in (overlay, there / "web.qcow2", tmp_path / f"other.qgatui-{STAMP}.vda.qcow2"):
        path.touch()
    (there / f"link.qgatui-{STAMP}.vda.qcow2").symlink_to(overlay)
    assert _overlays_in([str(there), "/no/such/folder"]) == {str(overlay)}


@pytest.mark.parametrize(
    ("doubt", "folder", "gone"),
    [
        ("", "", {"vda"}),
        ("its socket is held by ssh", "", set()),
        ("", "no/such/folder", set()),
    ],
)
def test_only_an_overlay_that_this_machine_would_see_counts_as_deleted(
    tmp_path: Path, doubt: str, folder: str, gone: set[str]
) -> None:
    there, deleted = (planned(target, str(tmp_path / folder / f"{target}.qcow2")) for target in ("vdb", "vda"))
    if not folder:
        Path(there.overlay).touch()
    host = FakePlacedHost("qemu:///system", doubt).as_host
    plan = replace(a_plan(), disks=(there, deleted))
    found = asyncio.run(look_at_overlays(host, plan, may_ask=False))
    assert {"vda", "vdb"} - found.there == gone


@pytest.mark.parametrize(
    ("error", "helped"),
    [
        (HostError("Cannot access storage file"), True),
        (HostUnreachableError("The host is gone"), False),
        (GuestStoppedError("The guest was stopped"), True),
        (NeedsRescueError("Not merged", original="Could not reopen file: Permission denied"), True),
        (NeedsRescueError("The commit has not moved"), False),
    ],
)
def test_images_are_merged_without_qemu_only_where_qemu_cannot(
    error: HostError | NeedsRescueError, helped: bool
) -> None:
    assert _needs_no_qemu(error) is helped


def test_whoever_may_not_open_the_images_is_told_what_to_type() -> None:
    plan = replace(a_plan(), source=Source.STREAM)
    session = HostSession(_no_host, plan.uri, Patience())
    why = HostError("Cannot access storage file", cause="gone.iso")
    with pytest.raises(NeedsRescueError) as refused:
        asyncio.run(merge_off.merge_off(session, plan, plan.disks, why, lambda *words, **details: None))
    assert "gone.iso" in refused.value.cause
    assert "Be root" in refused.value.next_step
    assert f"qemu-img commit -f qcow2 {plan.disks[0].overlay}" in refused.value.next_step
    assert "virsh -c qemu:///system edit 'web 1'" in refused.value.next_step


def _no_host(uri: str) -> Host:
    raise AssertionError(f"{uri} is not asked")
