"""An overlay that a definition names is no stray under another name of its folder."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.unit.backup_values import STAMP, UUID
from tests.unit.fake_host import FakeHost
from tui.backup.image_names import known_as
from tui.backup.strays import find_strays
from tui.hosts.daemon_process import DaemonProcess
from tui.model.disk import Disk
from tui.model.guest import Channel, DomainFacts, PowerState


class FakeHostHere(FakeHost):
    """The same, of which it is proven that it sees this machine's files."""

    async def daemon_process(self) -> DaemonProcess:
        """Itself."""
        return DaemonProcess(pid=1)


@pytest.fixture
def overlays(tmp_path: Path) -> tuple[Path, Path]:
    """Two, in a folder with another name."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    named, lost = (tmp_path / "real" / f"{name}.qgatui-{STAMP}.vda.qcow2" for name in ("named", "lost"))
    for path in (named, lost):
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "1M"], check=True)
    return named, lost


@pytest.mark.parametrize("spelling", ["real", "link", "real/../link", "/real"])
async def test_a_folder_has_many_names_and_its_overlays_are_no_strays_for_that(
    tmp_path: Path, overlays: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, spelling: str
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    named, lost = overlays
    source = f"{tmp_path}/{spelling}/{named.name}"
    other = Disk("vdb", "disk", "file", f"{tmp_path}/link/data.raw", "raw")
    disks = (Disk("vda", "disk", "file", source, "qcow2"), other)
    facts = DomainFacts(UUID, "web", PowerState.RUNNING, "", Channel.OPEN, disks=disks)
    names = known_as([disk.source for disk in disks], here=True)
    found = await find_strays(FakeHostHere("here", facts).as_host, {UUID: names}, ())
    assert [each.disks[0].disk.overlay for each in found] == [str(lost)]
