"""The laboratory: real guests under a private libvirtd, gone without a trace when it ends."""

from __future__ import annotations

import asyncio
import json
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tui.lab.daemon import Daemon
from tui.lab.disks import make_disk
from tui.lab.domain import OVMF_CODE, OVMF_VARS, GuestPlace, console_pty, domain_xml
from tui.lab.image import GuestImage, guest_image
from tui.lab.programs import LabError, Report, require_programs
from tui.lab.remains import LabFolder, sweep_abandoned
from tui.lab.seed import seed_archive
from tui.lab.serial import SerialConsole, ShellResult
from tui.lab.spec import ChannelIn, GuestSpec, disk_target

AGENT_TIMEOUT = 90.0
"""Seconds a booting guest has until its agent answers; one alone takes about four, many at once take their turns."""
SHELL_TIMEOUT = 60.0


PROGRAMS = ("libvirtd", "virsh", "qemu-system-x86_64", "qemu-img", "mkfs.ext4", "resize2fs", "depmod", "setpriv")
_CONSOLE_TAIL = 4000


@dataclass(frozen=True, slots=True)
class _Guest:
    spec: GuestSpec
    place: GuestPlace


@dataclass(frozen=True, slots=True)
class _Premises:
    """What an entered laboratory has."""

    folder: LabFolder
    daemon: Daemon
    image: GuestImage


class Laboratory:
    """An async context manager: a daemon on entry, guests as they are added, nothing left on exit.

    Entering and `add` raise LabError (also when a package or a program is missing) and tell `report` what they do.
    Everything is bound to the event loop it was entered in.
    """

    def __init__(self, report: Report = lambda line: None) -> None:
        self._report = report
        self._guests: dict[str, _Guest] = {}
        self._consoles: dict[str, SerialConsole] = {}
        self._entered: _Premises | None = None

    async def __aenter__(self) -> Self:
        require_programs(*PROGRAMS)
        sweep_abandoned(self._report)
        image = await guest_image(self._report)
        folder = LabFolder.claim()
        self._entered = _Premises(folder, Daemon(folder), image)
        try:
            shutil.copyfile(image.kernel, folder.guests / "vmlinuz")
            folder.give(folder.guests / "vmlinuz")
            self._report("starting a private libvirtd")
            await self._entered.daemon.start()
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()

    @property
    def uri(self) -> str:
        """What to connect to: `qemu:///session?socket=…`."""
        return self._premises.daemon.uri

    @property
    def folder(self) -> Path:
        """Everything of this laboratory on the host; what others put into it is removed with it."""
        return self._premises.folder.path

    @property
    def guests(self) -> tuple[str, ...]:
        """The names of the guests that were added."""
        return tuple(self._guests)

    def disk(self, name: str, target: str) -> Path:
        """The image that a guest's disk was made with."""
        guest = self._guests[name]
        return {disk_target(index): path for index, path in enumerate(guest.place.disks)}[target]

    def nvram(self, name: str) -> Path:
        """The UEFI variables of a guest that was made with them; a file from its first start on."""
        return self._guests[name].place.nvram

    async def add(self, spec: GuestSpec) -> None:
        """Make the guest's disks, define it, and start it unless its spec says otherwise."""
        if spec.name in self._guests:
            raise ValueError(f"the laboratory has a guest {spec.name} already")
        if spec.uefi:
            _require_firmware()
        folder, image = self._premises.folder, self._premises.image
        names = [f"{spec.name}-{disk_target(index)}.{disk.format}" for index, disk in enumerate(spec.disks)]
        place = GuestPlace(
            uuid=str(uuid.uuid4()),
            kernel=folder.guests / "vmlinuz",
            initrd=folder.guests / f"{spec.name}.initrd",
            console_log=folder.guests / f"{spec.name}.console",
            disks=tuple(folder.guests / name for name in names),
            nvram=folder.guests / f"{spec.name}.vars.fd",
        )
        place.initrd.write_bytes(image.initrd.read_bytes() + seed_archive(spec))
        for disk, path in zip(spec.disks, place.disks, strict=True):
            await make_disk(disk, path, image.system_disk)
        for path in (place.initrd, *place.disks):
            folder.give(path)
        guest = _Guest(spec, place)
        await self._define(guest, with_channel=spec.channel is not ChannelIn.ABSENT)
        self._guests[spec.name] = guest
        if spec.start:
            await self.start(spec.name)

    async def start(self, name: str) -> None:
        """Boot a guest that is off."""
        guest = self._guests[name]
        self._report(f"starting the guest {name}")
        if guest.spec.channel is ChannelIn.STORED_ONLY:
            await self._define(guest, with_channel=False)
        await self.virsh("start", name)
        if guest.spec.channel is ChannelIn.STORED_ONLY:
            await self._define(guest, with_channel=True)
        self._premises.daemon.keep_capabilities()

    async def virsh(self, *words: str, timeout: float = 60.0) -> str:
        """What virsh prints; raises LabError with libvirt's text as `original`."""
        return await self._premises.daemon.virsh(*words, timeout=timeout)

    async def kill_daemon(self) -> None:
        """Kill libvirtd as a crash would; the guests run on."""
        await self._premises.daemon.kill()

    async def start_daemon(self) -> None:
        """Start libvirtd after `kill_daemon`; it takes the running guests over."""
        await self._premises.daemon.start()

    async def agent_command(self, name: str, execute: str, timeout: int = 5, **arguments: object) -> Any:
        """The `return` of an agent command, through virsh; raises LabError. `timeout` in seconds."""
        request = json.dumps({"execute": execute, "arguments": arguments})
        answer = await self.virsh("qemu-agent-command", name, request, "--timeout", str(timeout))
        return json.loads(answer)["return"]

    async def wait_for_agent(self, name: str, timeout: float = AGENT_TIMEOUT) -> None:
        """Return once the agent answers `guest-ping`; raises LabError after `timeout` seconds without an answer.

        The error's `original` is the end of the guest's console output.
        """
        silence: LabError | None = None
        try:
            async with asyncio.timeout(timeout):
                while True:
                    try:
                        await self.agent_command(name, "guest-ping")
                    except LabError as error:
                        silence = error
                        await asyncio.sleep(0.2)
                    else:
                        return
        except TimeoutError as error:
            raise LabError(
                f"The agent of {name} did not answer within {timeout:.0f} s",
                cause=silence.cause if silence else "",
                original=self._console_tail(name),
            ) from error

    async def wait_for_power(self, name: str, state: str, timeout: float = SHELL_TIMEOUT) -> None:
        """Return once virsh calls the domain `state` ("shut off", …); raises LabError after `timeout` seconds."""
        seen = ""
        try:
            async with asyncio.timeout(timeout):
                # Another process changes it: there is no event to await here.
                while (seen := (await self.virsh("domstate", name)).strip()) != state:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
        except TimeoutError as error:
            raise LabError(f"{name} did not become {state} within {timeout:.0f} s", cause=f"it is {seen}") from error

    async def shell(self, name: str, command: str, timeout: float = SHELL_TIMEOUT) -> ShellResult:
        """Run shell lines as root through the guest's serial console; raises LabError when it does not answer.

        Usable during boot, without an agent and with frozen file systems. A command during which the guest goes down is
        not answered before `timeout` seconds are over.
        """
        pty = console_pty(await self.virsh("dumpxml", name))
        if not pty:
            raise LabError(f"{name} has no console", cause="the guest is off")
        console = self._consoles.get(name)
        if console is None or console.closed or console.pty != pty:
            if console is not None:
                console.close()
            console = self._consoles[name] = SerialConsole(pty)
        return await console.run(command, timeout)

    async def _define(self, guest: _Guest, *, with_channel: bool) -> None:
        xml = self._premises.folder.guests / f"{guest.spec.name}.xml"
        xml.write_text(domain_xml(guest.spec, guest.place, with_channel=with_channel))
        await self.virsh("define", str(xml), "--validate")

    def _console_tail(self, name: str) -> str:
        log = self._guests[name].place.console_log
        return log.read_bytes()[-_CONSOLE_TAIL:].decode(errors="replace") if log.exists() else ""

    async def _end(self) -> None:
        for console in self._consoles.values():
            console.close()
        # Removal blocks for its own few seconds, so that no cancellation can interrupt it.
        self._premises.folder.remove()
        await self._premises.daemon.reap()

    @property
    def _premises(self) -> _Premises:
        if self._entered is None:
            raise RuntimeError("the laboratory has not been entered")
        return self._entered


def _require_firmware() -> None:
    if not (OVMF_CODE.is_file() and OVMF_VARS.is_file()):
        raise LabError(
            "A guest with UEFI cannot be made",
            cause=f"{OVMF_CODE.parent} has no {OVMF_CODE.name} and {OVMF_VARS.name}",
            next_step="Install the package ovmf.",
        )
