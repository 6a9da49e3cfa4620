"""What a guest of the laboratory is: a frozen description, from which its files and its XML are made."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tui.lab.cpio import GuestFile

AGENT_PORT = "org.qemu.guest_agent.0"
"""The port name that libvirt and qemu-ga agree on."""
WRITER_FILE = "writes.log"
"""What the writer appends to, in the top folder of every ext4 file system of the guest."""
MIB = 1024 * 1024
SYSTEM_DISK_SIZE = 96 * MIB
UEFI_MEMORY_MIB = 192
"""With less, OVMF has no room to unpack kernel and ramdisk."""


class DiskFormat(StrEnum):
    """Of an image file."""

    RAW = "raw"
    QCOW2 = "qcow2"


class DiskRole(StrEnum):
    """What a disk holds: the guest's system (the first one), an ext4 file system on /data…, or nothing."""

    SYSTEM = "system"
    DATA = "data"
    BLANK = "blank"


class ChannelIn(StrEnum):
    """Which definitions of the domain have the agent's channel: both, none, or only the stored one."""

    PRESENT = "present"
    ABSENT = "absent"
    STORED_ONLY = "stored-only"


class AgentSetup(StrEnum):
    """How the agent is set up in the guest."""

    RUNNING = "running"
    NOT_STARTED = "not-started"
    NOT_INSTALLED = "not-installed"


@dataclass(frozen=True, slots=True)
class DiskSpec:
    """One disk; `size` in bytes, of a system disk at least SYSTEM_DISK_SIZE.

    Its image is a full copy: an overlay on a shared base would look like a stranded backup.
    """

    format: DiskFormat = DiskFormat.QCOW2
    size: int = SYSTEM_DISK_SIZE
    role: DiskRole = DiskRole.SYSTEM


@dataclass(frozen=True, slots=True)
class GuestSpec:
    """One guest. Disks become vda, vdb, …; data disks are mounted on /data, /data2, ….

    `agent_args` are given to qemu-ga. `writer` appends numbered, timestamped lines to WRITER_FILE on every ext4 disk.
    `extra_files` are laid into the guest before its first boot, `extra_boot` are shell lines that run at every boot
    before the agent starts, `extra_devices` is XML inside `<devices>`, `kernel_args` are added to the command line.
    `uefi` boots through OVMF with variables in a file of its own (NVRAM); it takes UEFI_MEMORY_MIB and twice the time.
    `start` False defines the guest and leaves it off.
    """

    name: str
    memory_mib: int = 128
    disks: tuple[DiskSpec, ...] = (DiskSpec(),)
    channel: ChannelIn = ChannelIn.PRESENT
    channel_name: str = AGENT_PORT
    virtio_serial_controller: bool = True
    agent: AgentSetup = AgentSetup.RUNNING
    agent_args: tuple[str, ...] = ()
    windows_lookalike: bool = False
    writer: bool = False
    extra_files: tuple[GuestFile, ...] = ()
    extra_boot: tuple[str, ...] = ()
    extra_devices: tuple[str, ...] = ()
    kernel_args: tuple[str, ...] = ()
    uefi: bool = False
    start: bool = True

    def __post_init__(self) -> None:
        roles = [disk.role for disk in self.disks]
        if roles[:1] != [DiskRole.SYSTEM] or DiskRole.SYSTEM in roles[1:]:
            raise ValueError("the first disk of a guest, and no other, is its system disk")
        if self.disks[0].size < SYSTEM_DISK_SIZE:
            raise ValueError(f"a system disk has at least {SYSTEM_DISK_SIZE} bytes")
        if self.uefi and self.memory_mib < UEFI_MEMORY_MIB:
            raise ValueError(f"a guest with UEFI has at least {UEFI_MEMORY_MIB} MiB")
        if not self.name.isidentifier() and not self.name.replace("-", "").isalnum():
            raise ValueError(f"{self.name!r} cannot be a host name")

    @property
    def answers(self) -> bool:
        """Whether the agent is expected to answer soon after the start."""
        return self.start and self.channel is ChannelIn.PRESENT and self.agent is AgentSetup.RUNNING


def disk_target(index: int) -> str:
    """The name of the disk at `index` in the XML and, with this hardware, in the guest."""
    return f"vd{chr(ord('a') + index)}"


def data_folders(spec: GuestSpec) -> dict[str, str]:
    """Where the guest mounts its data disks: target to folder."""
    targets = [disk_target(index) for index, disk in enumerate(spec.disks) if disk.role is DiskRole.DATA]
    return {target: "/data" if number == 1 else f"/data{number}" for number, target in enumerate(targets, 1)}
