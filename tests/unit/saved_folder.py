"""A backup's folder as the program writes it, for the tests of what is restored from it."""

import hashlib
import json
from pathlib import Path

from tests.unit.backup_values import a_plan, domain_xml
from tui.backup.clone_xml import clone_xml
from tui.backup.folder import checksums
from tui.backup.manifest import Consistency, CopiedDisk, FreezeReport, manifest_json
from tui.hosts.port import HostVersions

CONTENT = {"vda.qcow2": b"the first disk", "vdb.raw": b"the second disk"}


def write_backup(folder: Path, images: str = "/images", **facts: object) -> Path:
    """A finished backup of the guest `web 1`, whose images were in `images`; returns the folder."""
    (folder / "disks").mkdir(parents=True)
    copies = tuple(_copied(folder, name, content, images) for name, content in CONTENT.items())
    stored = domain_xml(f"{images}/web.qcow2").replace("/images/data.raw", f"{images}/data.raw")
    (folder / "vm.xml").write_text(stored)
    (folder / "vm.live.xml").write_text(stored)
    (folder / "vm.clone.xml").write_text(clone_xml(stored, {copy.target: Path(copy.file).name for copy in copies}))
    freeze = FreezeReport(Consistency.QUIESCED, 2, 48.0)
    told = {"finished": "2026-11-22T21:44:00+00:00", "autostart": False, "nvram": None, **facts}
    text = manifest_json(a_plan(f"{images}/web.qcow2"), HostVersions("9.0.0", "7.2.0"), freeze, copies, told)
    (folder / "manifest.json").write_text(text)
    (folder / "SHA256SUMS").write_text(checksums(folder, {}))
    return folder


def change_manifest(folder: Path, **changes: object) -> None:
    """Change the manifest, and its sum with it, as somebody would who wants to be believed."""
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    (folder / "SHA256SUMS").unlink()
    (folder / "SHA256SUMS").write_text(checksums(folder, {}))


def _copied(folder: Path, name: str, content: bytes, images: str) -> CopiedDisk:
    (folder / "disks" / name).write_bytes(content)
    target, image_format = name.split(".")
    original = f"{images}/web.qcow2" if target == "vda" else f"{images}/data.raw"
    digest = hashlib.sha256(content).hexdigest()
    size = len(content)
    return CopiedDisk(
        target=target,
        file=f"disks/{name}",
        format=image_format,
        original_format=image_format,
        kind="file",
        chain=(),
        original=original,
        virtual_bytes=size,
        file_bytes=size,
        data_bytes=size,
        sha256=digest,
        owner=64055,
        group=64055,
        mode="0600",
    )
