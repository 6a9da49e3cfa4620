"""What the other rooms may ask of a host. Every method is awaited; none blocks the event loop."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from tui.agent.transport import Transport
from tui.hosts.daemon_process import DaemonProcess
from tui.hosts.storage import Storage
from tui.model.errors import ExplainedError
from tui.model.events import HostEvent
from tui.model.guest import Address, DomainFacts


class HostError(ExplainedError):
    """A host could not be reached or refused a request; `code` is libvirt's virErrorNumber, 0 where there is none."""

    def __init__(self, title: str, *, cause: str = "", next_step: str = "", original: str = "", code: int = 0) -> None:
        super().__init__(title, cause=cause, next_step=next_step, original=original)
        self.code = code


class HostUnreachableError(HostError):
    """No connection to the host, or the one there was is gone."""


class HostSilentError(HostUnreachableError):
    """The host's daemon is there and does not answer."""


class NoSuchDomainError(HostError):
    """The host has no such domain (any more) (VIR_ERR_NO_DOMAIN)."""


class NotReadyToPivotError(HostError):
    """The block job is not ready for the pivot yet (VIR_ERR_BLOCK_COPY_ACTIVE)."""


@dataclass(frozen=True, slots=True)
class HostVersions:
    """Versions as `major.minor.release` words."""

    libvirt: str
    hypervisor: str


@dataclass(frozen=True, slots=True)
class BlockJob:
    """A running block job (virDomainBlockJobInfo): `cur` and `end` in bytes; `end` grows while the guest writes.

    cur == end does not mean ready.
    """

    kind: int
    cur: int
    end: int
    bandwidth: int


@dataclass(frozen=True, slots=True)
class BlockSizes:
    """Of a disk's active image, in bytes (virDomainBlockInfo)."""

    capacity: int
    allocation: int
    physical: int


class PowerWay(StrEnum):
    """Who is asked to end or reboot a guest."""

    AGENT = "agent"
    ACPI = "ACPI power button"


class Host(Protocol):
    """One hypervisor: its domains, its events, the lines to its agents and its block jobs.

    A domain is named by its UUID. Methods raise `HostUnreachableError`, `NoSuchDomainError` or `HostError`.
    """

    @property
    def name(self) -> str:
        """Short and unique among the hosts of this run; known before the host is opened."""
        ...

    @property
    def uri(self) -> str:
        """The libvirt URI."""
        ...

    @property
    def read_only(self) -> bool:
        """Whether the connection may change nothing, agents included; known once the host is open."""
        ...

    @property
    def calls(self) -> Counter[str]:
        """How often each function of the hypervisor's API was called."""
        ...

    async def open(self) -> None:
        """Connect, or see that the connection stands; raises HostUnreachableError with the way to mend it."""
        ...

    async def close(self) -> None:
        """Let go of the connections, also of what a failed `open` began; never waits for a hung call."""
        ...

    def subscribe(self, listener: Callable[[HostEvent], None]) -> Callable[[], None]:
        """Hand every later event to `listener`, on the event loop's thread; returns what ends it."""
        ...

    async def versions(self) -> HostVersions:
        """Of the daemon and of its hypervisor."""
        ...

    async def daemon_process(self) -> DaemonProcess:
        """The process that answers for this host, where it is proven to run on this machine, or why it is not."""
        ...

    async def list_domains(self) -> tuple[DomainFacts, ...]:
        """All domains, running and stored, with their facts; one whose definition is ill says so in `unread`."""
        ...

    async def read_domain(self, uuid: str) -> DomainFacts:
        """The facts of one domain, read now; raises MalformedXmlError and UnicodeDecodeError besides."""
        ...

    async def live_xml(self, uuid: str, *, secrets: bool = False) -> str:
        """The running definition (the stored one while off); with `secrets`, passwords included."""
        ...

    async def stored_xml(self, uuid: str, *, secrets: bool = False) -> str:
        """The definition the next start will use (VIR_DOMAIN_XML_INACTIVE)."""
        ...

    async def snapshot_xmls(self, uuid: str) -> tuple[str, ...]:
        """The XML of every snapshot object of the domain."""
        ...

    async def checkpoint_names(self, uuid: str) -> tuple[str, ...]:
        """Names of the domain's checkpoints; empty where the host knows none."""
        ...

    async def has_managed_save(self, uuid: str) -> bool:
        """Whether the next start would resume a saved memory image."""
        ...

    async def autostart(self, uuid: str) -> bool:
        """Whether the domain starts with the host."""
        ...

    def probe_line(self, uuid: str) -> Transport:
        """A line for pings and questions: its own connection, few calls at once.

        A question that waited behind a call of ours which got no answer, or no turn, raises that call's
        `UnansweredError` or `AgentBusyError` at once.
        """
        ...

    def work_line(self, uuid: str) -> Transport:
        """A line for exec, files and freezing: not delayed by hung probes of other guests."""
        ...

    async def snapshot_disks(self, uuid: str, snapshot_xml: str) -> None:
        """Switch disks to overlays, atomically and without a snapshot object (DISK_ONLY | ATOMIC | NO_METADATA).

        An error does not prove that no overlay is active: read the XML.
        """
        ...

    async def commit_active(self, uuid: str, target: str, bandwidth_bytes_s: int = 0) -> None:
        """Start merging the active image of disk `target` one level down (ACTIVE | SHALLOW); 0 is unlimited."""
        ...

    async def block_job(self, uuid: str, target: str) -> BlockJob | None:
        """The block job on a disk, None without one."""
        ...

    async def pivot(self, uuid: str, target: str) -> None:
        """End a ready job by switching to its target; raises NotReadyToPivotError while it is not."""
        ...

    async def cancel_block_job(self, uuid: str, target: str) -> None:
        """End a job and stay on the image in use."""
        ...

    async def domain_job_active(self, uuid: str) -> bool:
        """Whether a migration, save, dump or backup job runs on the domain."""
        ...

    async def block_sizes(self, uuid: str, target: str) -> BlockSizes:
        """Capacity, allocation and physical size of an image in use, named by its disk's target or its path."""
        ...

    async def define(self, xml: str, *, validated: bool = True) -> None:
        """Replace the stored definition; unless `validated`, without a look at libvirt's schema."""
        ...

    async def undefine(self, uuid: str, *, with_tpm: bool = False) -> None:
        """Forget the stored definition; disks and UEFI variables stay where they are.

        So does the state of an emulated TPM, unless `with_tpm` wants it deleted; libvirt before 8.9 deletes it always.
        """
        ...

    async def network_names(self) -> frozenset[str] | None:
        """The networks that guests may be plugged into by name, None where the host cannot say."""
        ...

    async def pool_names(self) -> frozenset[str] | None:
        """The storage pools, None where the host cannot say."""
        ...

    async def domain_capabilities(self, kind: str, arch: str, machine: str, emulator: str) -> str:
        """The XML of what a domain of that type may have; empty words leave the choice to the host.

        Raises HostError where such a domain cannot run.
        """
        ...

    async def start(self, uuid: str) -> None:
        """Boot a domain that is off."""
        ...

    async def shut_down(self, uuid: str, way: PowerWay) -> None:
        """Ask a guest to power off; returns when it was asked, not when it is off."""
        ...

    async def reboot(self, uuid: str, way: PowerWay) -> None:
        """Ask a guest to boot anew; returns when it was asked."""
        ...

    async def force_off(self, uuid: str) -> None:
        """Cut a domain's power: what it had not written yet is lost."""
        ...

    async def cpu_times(self) -> dict[str, int]:
        """Nanoseconds of processor time that each running domain has had, by UUID."""
        ...

    async def host_address(self, uuid: str) -> Address | None:
        """The first address that the host's own network knows of a running domain (DHCP leases, then ARP)."""
        ...

    async def suspend(self, uuid: str) -> None:
        """Pause a running domain: its memory stays, its processors stop."""
        ...

    async def resume(self, uuid: str) -> None:
        """Let a paused domain run on."""
        ...

    async def attach_device(self, uuid: str, device_xml: str, *, live: bool, stored: bool) -> None:
        """Add a device to the running definition, the stored one, or both; libvirt adds addresses of its own."""
        ...

    async def detach_device(self, uuid: str, device_xml: str, *, live: bool, stored: bool) -> None:
        """Ask for a device to be taken away; a running guest may take its time: read the XML."""
        ...

    async def update_device(self, uuid: str, device_xml: str, *, live: bool, stored: bool) -> None:
        """Change a device in place: the medium of a drive."""
        ...

    async def processor_time_ns(self, uuid: str) -> int:
        """Nanoseconds that the guest's processors have run since its start."""
        ...

    async def guest_time_ns(self, uuid: str) -> int | None:
        """Nanoseconds that a running guest's virtual processors have run since its start, QEMU's own work not counted.

        None where the host does not tell.
        """
        ...

    async def warnings(self, uuid: str) -> tuple[str, ...]:
        """What libvirt holds against a running domain (taints, deprecations), empty where it cannot say."""
        ...

    def storage(self, pool_name: str) -> Storage:
        """The host's storage; pools that it has to make have names that begin with `pool_name`."""
        ...

    async def volume_path(self, pool: str, volume: str) -> str:
        """Where a storage volume is on the host."""
        ...

    async def set_block_job_speed(self, uuid: str, target: str, bytes_s: int) -> None:
        """Bound a running block job; 0 is unlimited."""
        ...

    async def start_paused(self, uuid: str) -> None:
        """Start a domain that is off with its processors stopped."""
        ...

    async def create_paused(self, xml: str) -> None:
        """Start a transient domain of this definition with its processors stopped."""
        ...

    async def run_metadata(self, uuid: str) -> str | None:
        """Our element in the domain's metadata, None without one."""
        ...

    async def set_run_metadata(self, uuid: str, xml: str | None) -> None:
        """Write our element into the live and the stored metadata; None removes it."""
        ...
