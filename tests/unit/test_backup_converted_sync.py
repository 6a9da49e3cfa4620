"""A converted copy is on the disk before it is summed up and believed: the overlay is deleted next."""

import asyncio
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from tests.unit.backup_values import a_plan, planned
from tui.backup import capture
from tui.backup.capture import Capture
from tui.backup.copying import hash_file
from tui.backup.folder import ResultFolder
from tui.backup.meter import Meter, Throttle
from tui.backup.plan import Source
from tui.backup.progress import Progress
from tui.backup.reach_files import FileReach
from tui.backup.target import Target

needs_qemu = pytest.mark.skipif(shutil.which("qemu-nbd") is None, reason="qemu-utils is not installed")


@needs_qemu
def test_a_converted_copy_and_its_name_are_on_the_disk_before_its_sum_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = tmp_path / "web.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", image, "8M"], check=True)
    subprocess.run(["qemu-io", "-c", "write -q 1M 64k", image], check=True, stdout=subprocess.DEVNULL)
    disk = planned("vda", str(image))
    plan = replace(a_plan(), disks=(disk,), compact=True, source=Source.FILE)
    folder = ResultFolder(tmp_path / "final")
    folder.disks.mkdir(parents=True)
    copy = folder.disks / "vda.qcow2"
    done: list[object] = []
    fsync = os.fsync

    def noted_fsync(descriptor: int) -> None:
        done.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    def noted_hash_file(path: str, meter: Meter) -> str:
        done.append("summed up")
        return hash_file(path, meter)

    monkeypatch.setattr("os.fsync", noted_fsync)
    monkeypatch.setattr(capture, "hash_file", noted_hash_file)
    target = Target(tmp_path, asyncio.Event(), 60)
    work = Capture(plan, FileReach(), folder, target, cast("Progress", None), Throttle(), 60)
    asyncio.run(work._convert(disk, str(copy), 64 * 1024, Meter()))
    assert done == [copy.stat().st_ino, copy.parent.stat().st_ino, "summed up"]
