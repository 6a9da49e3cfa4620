"""The way through libvirt's storage, without libvirt: what its answers mean, and what a download becomes."""

import asyncio
import hashlib
import os
import subprocess
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.backup_values import a_plan
from tui.backup.copying import create_target, finish_target
from tui.backup.equivalents import plan_commands
from tui.backup.errors import CancelledBackupError, NeedsRescueError
from tui.backup.images import HEADER_BYTES, first_table
from tui.backup.inflow import Inflow
from tui.backup.landing import CHUNK, Landing
from tui.backup.meter import Meter
from tui.backup.plan import InvalidPlanError, Source, read_plan
from tui.backup.reach_files import FileReach
from tui.backup.reach_stream import StreamReach
from tui.backup.source import SourceWish, choose_source
from tui.hosts.domain_xml import MalformedXmlError
from tui.hosts.storage import Receiver, Volume
from tui.hosts.volume_xml import folder_pool_xml, read_volume

VOLUME = """<volume type='file'><name>a</name><key>/p/a</key>
<capacity unit='bytes'>1073741824</capacity><allocation unit='bytes'>200704</allocation>
<physical unit='bytes'>196616</physical>
<target><path>/p/a</path><format type='qcow2'/>
<permissions><mode>0600</mode><owner>64055</owner><group>108</group></permissions>
<timestamps><atime>1.5</atime><mtime>1795403850.99872</mtime></timestamps></target>
<backingStore><path>/p/base.raw</path><format type='raw'/></backingStore></volume>"""


def test_a_volume_is_read_in_bytes_and_nanoseconds() -> None:
    volume = read_volume(VOLUME)
    assert (volume.capacity, volume.allocation, volume.physical) == (1073741824, 200704, 196616)
    assert (volume.owner, volume.group, volume.mode) == (64055, 108, 0o600)
    assert volume.modified_ns == 1795403850_998720000
    assert (volume.is_file, volume.format) == (True, "qcow2")
    assert (volume.backing, volume.backing_format) == ("/p/base.raw", "raw")


def test_what_is_no_volume_is_refused() -> None:
    with pytest.raises(MalformedXmlError):
        read_volume("<volume>")
    with pytest.raises(MalformedXmlError):
        read_volume("<volume><capacity>much</capacity></volume>")


def test_a_folder_of_any_name_makes_a_pool_of_plain_xml() -> None:
    assert "<path>/a&lt;b &amp; c</path>" in folder_pool_xml("qga-tui-1", "/a<b & c")


@given(
    parts=st.lists(
        st.one_of(
            st.tuples(st.just("data"), st.integers(1, 3 * CHUNK // 2)),
            st.tuples(st.just("hole"), st.integers(1, 3 * CHUNK)),
            st.tuples(st.just("zeros"), st.integers(1, CHUNK)),
        ),
        max_size=5,
    )
)
@settings(deadline=None, max_examples=40)
def test_a_download_in_pieces_of_any_size_becomes_the_same_bytes(
    parts: list[tuple[str, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("stream") / "copy"
    descriptor = create_target(str(path))
    meter = Meter()
    inflow = Inflow(Landing(meter, descriptor), meter)
    content = bytearray()
    for kind, length in parts:
        if kind == "hole":
            inflow.hole(length)
            content += bytes(length)
            continue
        piece = os.urandom(min(length, 4096)).ljust(length, b"x") if kind == "data" else bytes(length)
        inflow.data(piece)
        content += piece
    assert inflow.position == len(content)
    digest = inflow.end()
    finish_target(descriptor, len(content), meter)
    os.close(descriptor)
    assert path.read_bytes() == content
    assert digest == hashlib.sha256(content).hexdigest()
    assert meter.done + sum(length for kind, length in parts if kind == "hole") == len(content)


def test_a_download_that_is_told_to_stop_stops_at_its_next_piece(tmp_path: Path) -> None:
    meter = Meter()
    inflow = Inflow(Landing(meter, create_target(str(tmp_path / "copy"))), meter)
    inflow.data(b"a")
    meter.stop.set()
    with pytest.raises(CancelledBackupError):
        inflow.data(bytes(2 * CHUNK))
    with pytest.raises(CancelledBackupError):
        inflow.hole(CHUNK)
    inflow.give_up()


def until_full(meter: Meter) -> None:
    while not meter.full:
        meter.wait(0.01)


class FakeGoneStorage:
    """Storage of a host that goes away once its download waits for room on a full target."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    async def volume(self, path: str) -> Volume:
        return read_volume(VOLUME.replace("196616", str(2 * CHUNK)))

    async def receive(self, path: str, offset: int, length: int, receiver: Receiver) -> None:
        receiver.data(b"x" * CHUNK)
        await asyncio.to_thread(until_full, self._meter)
        raise NeedsRescueError("The host did not come back")


def test_a_host_that_goes_away_ends_a_copy_that_waits_for_room(monkeypatch: pytest.MonkeyPatch) -> None:
    meter = Meter()

    class FakeGoneHost:
        def storage(self, pool: str) -> FakeGoneStorage:
            return FakeGoneStorage(meter)

    async def ask(question: Any) -> Any:
        return await question(FakeGoneHost())

    async def copied() -> str:
        plan = a_plan()
        return await StreamReach(ask, ask, plan, "pool").copy(plan.disks[0], "/dev/full", meter)

    raised: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(copied())
        except NeedsRescueError as error:
            raised.append(error)

    monkeypatch.setattr("tui.backup.reach_stream.create_target", lambda path: os.open(path, os.O_WRONLY))
    loop = threading.Thread(target=run, daemon=True)
    loop.start()
    loop.join(30)
    assert [str(error) for error in raised] == ["The host did not come back"]
    assert not meter.stop.is_set()


def own_clusters(path: Path) -> bool:
    with path.open("rb") as file:
        table = first_table(file.read(HEADER_BYTES))
        assert table is not None
        file.seek(table.offset)
        return any(file.read(table.length))


def qemu_img(*words: str | Path) -> None:
    subprocess.run(["qemu-img", *words], check=True, capture_output=True)


def test_an_overlays_first_table_tells_whether_it_holds_anything(tmp_path: Path) -> None:
    base, overlay = tmp_path / "base.raw", tmp_path / "overlay.qcow2"
    base.write_bytes(bytes(1024 * 1024))
    qemu_img("create", "-q", "-f", "qcow2", "-b", base, "-F", "raw", overlay)
    assert not own_clusters(overlay)
    assert asyncio.run(FileReach().holds_nothing(str(overlay)))
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write -P 1 512k 4k", overlay], check=True, capture_output=True)
    assert own_clusters(overlay)
    assert not asyncio.run(FileReach().holds_nothing(str(overlay)))


def test_an_image_with_snapshots_inside_may_hold_anything(tmp_path: Path) -> None:
    image = tmp_path / "image.qcow2"
    qemu_img("create", "-q", "-f", "qcow2", image, "1M")
    qemu_img("snapshot", "-c", "one", image)
    assert first_table(image.read_bytes()[:HEADER_BYTES]) is None
    assert first_table(b"QFI\xfb") is None


def test_a_source_is_kept_by_a_plan() -> None:
    plan = replace(a_plan(), source=Source.STREAM, source_reason="this user may not read /images/web.qcow2")
    assert read_plan(plan.to_json()) == plan
    assert read_plan(a_plan().to_json().replace('"source": "file",', "")).source is Source.FILE
    with pytest.raises(InvalidPlanError):
        read_plan(plan.to_json().replace('"stream"', '"telepathy"'))


def test_files_are_taken_where_this_user_may(tmp_path: Path) -> None:
    base = tmp_path / "a.qcow2"
    base.touch()
    disks = a_plan(str(base)).disks[:1]
    assert choose_source(SourceWish.AUTO, "", disks)[0] is Source.FILE
    assert choose_source(SourceWish.STREAM, "", disks) == (Source.STREAM, "as asked")
    assert choose_source(SourceWish.AUTO, "ssh holds the socket", disks) == (Source.STREAM, "ssh holds the socket")
    base.unlink()
    assert choose_source(SourceWish.AUTO, "", disks)[0] is Source.FILE


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_streams_are_taken_where_this_user_may_not(tmp_path: Path) -> None:
    base = tmp_path / "a.qcow2"
    base.touch(mode=0)
    disks = a_plan(str(base)).disks[:1]
    assert choose_source(SourceWish.AUTO, "", disks) == (Source.STREAM, f"this user may not read {base}")
    base.chmod(0o600)
    tmp_path.chmod(0o500)
    assert choose_source(SourceWish.AUTO, "", disks)[1] == f"this user may not write into {tmp_path}"
    tmp_path.chmod(0o700)


def test_the_commands_of_a_stream_name_no_file_that_only_root_may_open() -> None:
    commands = [step.command for step in plan_commands(replace(a_plan(), source=Source.STREAM))]
    assert any("pool-create-as qga-tui-0123abcd-1 dir --target /images" in command for command in commands)
    assert any("vol-download --sparse /images/web.qcow2" in command for command in commands)
    assert not any(command.startswith(("rm ", "cp ", "sha256sum ")) for command in commands)
    assert commands[-1].endswith("pool-destroy qga-tui-0123abcd-1")
