"""A libvirtd that sees other files and another name of its machine, behind a socket that is forwarded to us.

It runs as the laboratory's user in mount and UTS namespaces of its own; under the paths of its images we have others.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, Process, create_subprocess_exec
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tui.lab.image import lab_cache
from tui.lab.remains import lab_user

MIB = 1024 * 1024
NAME = "remote1"
REMOTE_DATA, DECOY_DATA = b"REMOTEDATA" * 1000, b"LOCALDECOY" * 1000
REMOTE_VARIABLES, DECOY_VARIABLES = b"REMOTEVARS" * 100, b"DECOYVARS!" * 100
FIRMWARE_BYTES = 4 * MIB
READY_S = 30
DOMAIN = """\
<domain type='qemu'><name>{name}</name><memory unit='MiB'>32</memory>
<os><type arch='x86_64' machine='q35'>hvm</type>
<loader readonly='yes' type='pflash'>{images}/code.fd</loader><nvram>{images}/vars.fd</nvram></os>
<features><acpi/></features>
<devices><disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{images}/disk.raw'/>
<target dev='vda' bus='virtio'/></disk></devices></domain>"""
START = """\
set -e
hostname {hostname}
mount --bind {folder}/theirs {folder}/images
exec setpriv --reuid={uid} --regid={gid} --clear-groups -- libvirtd --timeout 600 --pid-file {folder}/pid
"""
RELAY = """\
import asyncio, sys

async def pump(reader, writer):
    while piece := await reader.read(65536):
        writer.write(piece)
        await writer.drain()
    writer.close()

async def serve(reader, writer):
    far_reader, far_writer = await asyncio.open_unix_connection(sys.argv[2])
    await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer), return_exceptions=True)

async def main():
    server = await asyncio.start_unix_server(serve, sys.argv[1])
    await server.serve_forever()

asyncio.run(main())
"""
"""Stands for `ssh -L here.sock:there.sock`: what it is called does not matter, but that it is no libvirtd."""


@dataclass(frozen=True, slots=True)
class OtherMachine:
    """`forwarded` is the URI through the relay, `direct` past it; `images` has decoys, `theirs` what it so names."""

    folder: Path
    forwarded: str
    direct: str

    @property
    def images(self) -> Path:
        return self.folder / "images"

    @property
    def theirs(self) -> Path:
        return self.folder / "theirs"

    async def start(self, name: str, images: Path) -> None:
        """Define and start a guest on the images in a folder."""
        definition = self.folder / f"{name}.xml"
        definition.write_text(DOMAIN.format(name=name, images=images))
        await virsh(self, "define", str(definition))
        await virsh(self, "start", name)


@asynccontextmanager
async def other_machine(hostname: str, *, with_guest: bool = True) -> AsyncIterator[OtherMachine]:
    """Start its daemon, the relay, and a guest that has a raw disk and UEFI variables."""
    folder = Path(tempfile.mkdtemp(prefix="qga-far.", dir="/var/tmp"))
    folder.chmod(0o755)
    write_images(folder / "theirs", REMOTE_DATA, REMOTE_VARIABLES)
    write_images(folder / "images", DECOY_DATA, DECOY_VARIABLES)
    settings = folder / "config/libvirt/qemu.conf"
    for path in (folder / "run", folder / "home", settings.parent):
        path.mkdir(parents=True)
    settings.write_text('stdio_handler = "file"\nsecurity_driver = "none"\n')
    known = folder / "home/libvirt/qemu/cache/capabilities"
    known.mkdir(parents=True)
    for path in (lab_cache() / "capabilities").glob("*.xml"):
        shutil.copy(path, known)
    user = lab_user()
    for path in (folder, *folder.rglob("*")):
        os.chown(path, user.uid, user.gid)
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": str(folder / "home")}
    environment |= {f"XDG_{kind}_HOME": str(folder / "home") for kind in ("CACHE", "DATA")}
    environment |= {"XDG_RUNTIME_DIR": str(folder / "run"), "XDG_CONFIG_HOME": str(folder / "config")}
    script = START.format(hostname=hostname, folder=folder, uid=user.uid, gid=user.gid)
    real, forwarded = folder / "run/libvirt/libvirt-sock", folder / "forwarded.sock"
    machine = OtherMachine(folder, *(f"qemu:///session?socket={path}" for path in (forwarded, real)))
    async with AsyncExitStack() as stack:
        stack.callback(shutil.rmtree, folder)
        with (folder / "log").open("wb") as log:
            around = ("unshare", "--mount", "--uts", "--propagation", "private")
            keeper = await create_subprocess_exec(
                *around, "sh", "-c", script, cwd="/", env=environment, stdin=DEVNULL, stdout=log, stderr=log
            )
        stack.push_async_callback(_ended, keeper)
        relay = await create_subprocess_exec(sys.executable, "-c", RELAY, forwarded, real, cwd="/")
        stack.push_async_callback(_ended, relay)
        async with asyncio.timeout(READY_S):
            while not (real.exists() and forwarded.exists()):
                assert keeper.returncode is None, (folder / "log").read_text()
                await asyncio.sleep(0.02)
        if with_guest:
            stack.push_async_callback(virsh, machine, "destroy", NAME, must=False)
            await machine.start(NAME, machine.images)
        yield machine


async def _ended(process: Process) -> None:
    if process.returncode is None:
        process.terminate()
    await process.wait()


async def virsh(machine: OtherMachine, *words: str, must: bool = True) -> str:
    process = await create_subprocess_exec("virsh", "-q", "-c", machine.direct, *words, stdout=PIPE, stderr=PIPE)
    out, err = await process.communicate()
    assert process.returncode == 0 or not must, err.decode()
    return out.decode()


def write_images(folder: Path, data: bytes, variables: bytes) -> None:
    folder.mkdir()
    (folder / "disk.raw").write_bytes(data.ljust(4 * MIB, b"\0"))
    (folder / "vars.fd").write_bytes(variables.ljust(FIRMWARE_BYTES, b"\0"))
    (folder / "code.fd").write_bytes(bytes(FIRMWARE_BYTES))
    user = lab_user()
    for path in (folder, *folder.iterdir()):
        os.chown(path, user.uid, user.gid)
