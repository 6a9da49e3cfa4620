"""The port's adapter for libvirt: three connections per host, each with its own lane."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import libvirt
import libvirt_qemu

from tui.agent.errors import HostGoneError
from tui.agent.transport import Transport
from tui.hosts import faults
from tui.hosts.agent_line import AgentLine, AgentTurns
from tui.hosts.connection import Connection
from tui.hosts.counting import Counted
from tui.hosts.domain_xml import read_definition
from tui.hosts.events import start_event_loop, watch
from tui.hosts.port import BlockJob, BlockSizes, HostUnreachableError, HostVersions, PowerWay
from tui.hosts.power_words import power_of
from tui.hosts.uris import is_remote, without_prompts
from tui.model.events import HostEvent, HostLost
from tui.model.guest import Address, AddressSource, Channel, DomainFacts, PowerState

T = TypeVar("T")

CONTROL_WIDTH, PROBE_WIDTH, WORK_WIDTH = 2, 3, 4
"""Calls at once per connection; five hung ones would block it (max_client_requests in libvirtd.conf)."""

KEEPALIVE_INTERVAL_S, KEEPALIVE_COUNT = 10, 3
RUN_METADATA_URI = "https://qga-tui.invalid/backup-run/1"
RUN_METADATA_KEY = "qga-tui"


def _open(uri: str, calls: Counter[str], note_read_only: Callable[[bool], None]) -> Counted:
    """Connect with write access, or read-only where only that is allowed; raises HostUnreachableError."""
    start_event_loop()
    try:
        try:
            connection, read_only = libvirt.open(without_prompts(uri)), False
        except libvirt.libvirtError as error:
            if not faults.is_denial(error.get_error_code() or 0):
                raise
            connection, read_only = libvirt.openReadOnly(without_prompts(uri)), True
        if is_remote(uri):
            connection.setKeepAlive(KEEPALIVE_INTERVAL_S, KEEPALIVE_COUNT)
    except libvirt.libvirtError as error:
        raise faults.connect_error(uri, error.get_error_code() or 0, _text(error)) from error
    note_read_only(read_only)
    return Counted(connection, calls)


async def _ask_agent(connection: Connection, uuid: str, request: str, timeout_s: int) -> str:
    """One call of virDomainQemuAgentCommand; raises an AgentError."""

    def ask(handle: Any) -> str:
        domain = handle.lookupByUUIDString(uuid)
        handle.count("qemuAgentCommand")
        return str(libvirt_qemu.qemuAgentCommand(domain.raw, request, timeout_s, 0))

    try:
        return await connection.call(ask)
    except HostUnreachableError as error:
        raise HostGoneError(error.title, cause=error.cause, next_step=error.next_step) from error
    except libvirt.libvirtError as error:
        raise faults.agent_error(error.get_error_code() or 0, error.get_error_domain() or 0, _text(error)) from error


def _text(error: libvirt.libvirtError) -> str:
    return error.get_error_message() or str(error)


class LibvirtHost:
    """A host reached through libvirt; see `port.Host` for what its methods promise."""

    def __init__(self, uri: str, name: str) -> None:
        self._uri = uri
        self._name = name
        self.calls: Counter[str] = Counter()
        self._read_only = False
        opener = partial(_open, uri, self.calls, self._note_read_only)
        self._control = Connection(opener, f"{name}-control", CONTROL_WIDTH)
        self._probes = Connection(opener, f"{name}-probes", PROBE_WIDTH)
        self._work = Connection(opener, f"{name}-work", WORK_WIDTH)
        self._opened = 0
        self._turns = AgentTurns()
        self._listeners: list[Callable[[HostEvent], None]] = []

    @property
    def name(self) -> str:
        """Short and unique among the hosts of this run."""
        return self._name

    @property
    def uri(self) -> str:
        """The libvirt URI."""
        return self._uri

    @property
    def read_only(self) -> bool:
        """Whether the connection may change nothing."""
        return self._read_only

    def _note_read_only(self, read_only: bool) -> None:
        self._read_only = read_only

    async def open(self) -> None:
        """Connect the control connection and register for events."""
        loop = asyncio.get_running_loop()
        self._opened += 1
        opened = self._opened

        def sink(event: HostEvent) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the program has quit
                loop.call_soon_threadsafe(self._dispatch, event, opened)

        await self._ask(lambda connection: watch(connection.raw, self._name, sink))

    async def close(self) -> None:
        """Let go of the connections without waiting for calls in flight."""
        self._drop_all()

    def _drop_all(self) -> None:
        for connection in (self._control, self._probes, self._work):
            connection.drop()

    def _dispatch(self, event: HostEvent, opened: int) -> None:
        if opened != self._opened:
            return  # from a connection that was given up already
        if isinstance(event, HostLost):
            self._opened += 1
            self._drop_all()
        for listener in tuple(self._listeners):
            listener(event)

    def subscribe(self, listener: Callable[[HostEvent], None]) -> Callable[[], None]:
        """Hand later events to `listener`; returns what ends it."""
        self._listeners.append(listener)

        def unsubscribe() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return unsubscribe

    async def _ask(self, question: Callable[[Any], T]) -> T:
        """`question(virConnect)` on the control connection, with libvirt's errors classified."""
        opened = self._opened
        try:
            return await self._control.call(question)
        except libvirt.libvirtError as error:
            fault = faults.host_error(error.get_error_code() or 0, error.get_error_domain() or 0, _text(error))
            if isinstance(fault, HostUnreachableError):
                self._dispatch(HostLost(self._name, _text(error), time.time()), opened)
            raise fault from error

    async def _ask_domain(self, uuid: str, question: Callable[[Any], T]) -> T:
        return await self._ask(lambda connection: question(connection.lookupByUUIDString(uuid)))

    async def versions(self) -> HostVersions:
        """Of libvirtd and of QEMU."""

        def read(connection: Any) -> HostVersions:
            return HostVersions(_dotted(connection.getLibVersion()), _dotted(connection.getVersion()))

        return await self._ask(read)

    async def list_domains(self) -> tuple[DomainFacts, ...]:
        """All domains, in few calls; one that vanishes while the list is read is left out."""

        return await self._ask(_list_facts)

    async def read_domain(self, uuid: str) -> DomainFacts:
        """The facts of one domain, read now."""
        return await self._ask_domain(uuid, _read_facts)

    async def live_xml(self, uuid: str, *, secrets: bool = False) -> str:
        """The running definition, the stored one while off."""
        flags = libvirt.VIR_DOMAIN_XML_SECURE if secrets else 0
        return await self._ask_domain(uuid, lambda domain: str(domain.XMLDesc(flags)))

    async def stored_xml(self, uuid: str, *, secrets: bool = False) -> str:
        """The definition the next start will use."""
        flags = libvirt.VIR_DOMAIN_XML_INACTIVE | (libvirt.VIR_DOMAIN_XML_SECURE if secrets else 0)
        return await self._ask_domain(uuid, lambda domain: str(domain.XMLDesc(flags)))

    async def snapshot_xmls(self, uuid: str) -> tuple[str, ...]:
        """The XML of every snapshot object."""
        return await self._ask_domain(
            uuid, lambda domain: tuple(str(snapshot.getXMLDesc(0)) for snapshot in domain.listAllSnapshots(0))
        )

    async def checkpoint_names(self, uuid: str) -> tuple[str, ...]:
        """Names of the domain's checkpoints."""

        def read(domain: Any) -> tuple[str, ...]:
            try:
                return tuple(str(checkpoint.getName()) for checkpoint in domain.listAllCheckpoints(0))
            except libvirt.libvirtError as error:
                if error.get_error_code() == faults.NO_SUPPORT:
                    return ()
                raise

        return await self._ask_domain(uuid, read)

    async def has_managed_save(self, uuid: str) -> bool:
        """Whether the next start would resume a saved memory image."""
        return await self._ask_domain(uuid, lambda domain: bool(domain.hasManagedSaveImage(0)))

    async def autostart(self, uuid: str) -> bool:
        """Whether the domain starts with the host; a transient domain does not."""
        return await self._ask_domain(uuid, lambda domain: bool(domain.isPersistent() and domain.autostart()))

    def probe_line(self, uuid: str) -> Transport:
        """A line for pings and questions."""
        return AgentLine(partial(_ask_agent, self._probes, uuid), self._turns.of(uuid))

    def work_line(self, uuid: str) -> Transport:
        """A line for exec, files and freezing."""
        return AgentLine(partial(_ask_agent, self._work, uuid), self._turns.of(uuid))

    async def snapshot_disks(self, uuid: str, snapshot_xml: str) -> None:
        """Switch disks to overlays, atomically and without a snapshot object."""
        flags = (
            libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY
            | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC
            | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA
        )
        await self._ask_domain(uuid, lambda domain: domain.snapshotCreateXML(snapshot_xml, flags))

    async def commit_active(self, uuid: str, target: str, bandwidth_bytes_s: int = 0) -> None:
        """Start merging the active image of a disk one level down."""
        flags = libvirt.VIR_DOMAIN_BLOCK_COMMIT_ACTIVE | libvirt.VIR_DOMAIN_BLOCK_COMMIT_SHALLOW
        flags |= libvirt.VIR_DOMAIN_BLOCK_COMMIT_BANDWIDTH_BYTES
        await self._ask_domain(uuid, lambda domain: domain.blockCommit(target, None, None, bandwidth_bytes_s, flags))

    async def block_job(self, uuid: str, target: str) -> BlockJob | None:
        """The block job on a disk, None without one."""

        def read(domain: Any) -> BlockJob | None:
            job = domain.blockJobInfo(target, 0)
            if not job:
                return None
            return BlockJob(int(job["type"]), int(job["cur"]), int(job["end"]), int(job["bandwidth"]))

        return await self._ask_domain(uuid, read)

    async def pivot(self, uuid: str, target: str) -> None:
        """End a ready job by switching to its target."""
        flags = libvirt.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT
        await self._ask_domain(uuid, lambda domain: domain.blockJobAbort(target, flags))

    async def cancel_block_job(self, uuid: str, target: str) -> None:
        """End a job and stay on the image in use."""
        await self._ask_domain(uuid, lambda domain: domain.blockJobAbort(target, 0))

    async def domain_job_active(self, uuid: str) -> bool:
        """Whether a migration, save, dump or backup job runs."""

        def read(domain: Any) -> bool:
            try:
                return bool(domain.jobInfo()[0] != libvirt.VIR_DOMAIN_JOB_NONE)
            except libvirt.libvirtError as error:
                if error.get_error_code() == faults.OPERATION_INVALID:  # off: no job can run
                    return False
                raise

        return await self._ask_domain(uuid, read)

    async def block_sizes(self, uuid: str, target: str) -> BlockSizes:
        """Capacity, allocation and physical size of the active image."""

        def read(domain: Any) -> BlockSizes:
            capacity, allocation, physical = domain.blockInfo(target, 0)
            return BlockSizes(int(capacity), int(allocation), int(physical))

        return await self._ask_domain(uuid, read)

    async def define(self, xml: str) -> None:
        """Replace the stored definition; libvirt validates it first."""
        await self._ask(lambda connection: connection.defineXMLFlags(xml, libvirt.VIR_DOMAIN_DEFINE_VALIDATE))

    async def start(self, uuid: str) -> None:
        """Boot a domain that is off."""
        await self._ask_domain(uuid, lambda domain: domain.create())

    async def shut_down(self, uuid: str, way: PowerWay) -> None:
        """Ask a guest to power off; returns when it was asked, not when it is off."""
        flag = libvirt.VIR_DOMAIN_SHUTDOWN_GUEST_AGENT
        flag = flag if way is PowerWay.AGENT else libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN
        await self._ask_domain(uuid, lambda domain: domain.shutdownFlags(flag))

    async def reboot(self, uuid: str, way: PowerWay) -> None:
        """Ask a guest to boot anew; returns when it was asked."""
        flag = libvirt.VIR_DOMAIN_REBOOT_GUEST_AGENT
        flag = flag if way is PowerWay.AGENT else libvirt.VIR_DOMAIN_REBOOT_ACPI_POWER_BTN
        await self._ask_domain(uuid, lambda domain: domain.reboot(flag))

    async def force_off(self, uuid: str) -> None:
        """Cut a domain's power."""
        await self._ask_domain(uuid, lambda domain: domain.destroy())

    async def cpu_times(self) -> dict[str, int]:
        """Nanoseconds of processor time that each running domain has had, by UUID, in one call."""

        def read(connection: Any) -> dict[str, int]:
            flags = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_RUNNING
            stats = connection.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_CPU_TOTAL, flags)
            return {domain.UUIDString(): int(each["cpu.time"]) for domain, each in stats if "cpu.time" in each}

        return await self._ask(read)

    async def host_address(self, uuid: str) -> Address | None:
        """What the host's DHCP leases, or its ARP table, say of a running domain's address."""

        def read(domain: Any) -> Address | None:
            sources = (
                (libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE, AddressSource.LEASE),
                (libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_ARP, AddressSource.ARP),
            )
            for flag, source in sources:
                try:
                    interfaces = domain.interfaceAddresses(flag, 0)
                except libvirt.libvirtError as error:
                    if error.get_error_code() in (faults.NO_SUPPORT, faults.OPERATION_INVALID, faults.NO_NETWORK):
                        continue
                    raise
                for interface in interfaces.values():
                    for address in interface.get("addrs") or ():
                        return Address(str(address["addr"]), source)
            return None

        return await self._ask_domain(uuid, read)

    async def suspend(self, uuid: str) -> None:
        """Pause a running domain."""
        await self._ask_domain(uuid, lambda domain: domain.suspend())

    async def resume(self, uuid: str) -> None:
        """Let a paused domain run on."""
        await self._ask_domain(uuid, lambda domain: domain.resume())

    async def attach_device(self, uuid: str, device_xml: str, *, live: bool, stored: bool) -> None:
        """Add a device to the running definition, the stored one, or both."""
        flags = _affecting(live=live, stored=stored)
        await self._ask_domain(uuid, lambda domain: domain.attachDeviceFlags(device_xml, flags))

    async def detach_device(self, uuid: str, device_xml: str, *, live: bool, stored: bool) -> None:
        """Ask for a device to be taken away."""
        flags = _affecting(live=live, stored=stored)
        await self._ask_domain(uuid, lambda domain: domain.detachDeviceFlags(device_xml, flags))

    async def update_device(self, uuid: str, device_xml: str, *, live: bool, stored: bool) -> None:
        """Change a device in place."""
        flags = _affecting(live=live, stored=stored)
        await self._ask_domain(uuid, lambda domain: domain.updateDeviceFlags(device_xml, flags))

    async def processor_time_ns(self, uuid: str) -> int:
        """Nanoseconds that the guest's processors have run since its start."""
        return await self._ask_domain(uuid, lambda domain: int(domain.info()[4]))

    async def warnings(self, uuid: str) -> tuple[str, ...]:
        """What libvirt holds against a running domain; libvirt 7.1 and newer say it."""

        def read(domain: Any) -> tuple[str, ...]:
            try:
                return tuple(str(message) for message in domain.messages(0) or ())
            except libvirt.libvirtError as error:
                if error.get_error_code() in (faults.NO_SUPPORT, faults.OPERATION_INVALID):
                    return ()
                raise

        return await self._ask_domain(uuid, read)

    async def volume_path(self, pool: str, volume: str) -> str:
        """Where a storage volume is on the host."""

        def read(connection: Any) -> str:
            return str(connection.storagePoolLookupByName(pool).storageVolLookupByName(volume).path())

        return await self._ask(read)

    async def set_block_job_speed(self, uuid: str, target: str, bytes_s: int) -> None:
        """Bound a running block job."""
        flags = libvirt.VIR_DOMAIN_BLOCK_JOB_SPEED_BANDWIDTH_BYTES
        await self._ask_domain(uuid, lambda domain: domain.blockJobSetSpeed(target, bytes_s, flags))

    async def start_paused(self, uuid: str) -> None:
        """Start a domain that is off with its processors stopped."""
        await self._ask_domain(uuid, lambda domain: domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED))

    async def create_paused(self, xml: str) -> None:
        """Start a transient domain with its processors stopped."""
        await self._ask(lambda connection: connection.createXML(xml, libvirt.VIR_DOMAIN_START_PAUSED))

    async def run_metadata(self, uuid: str) -> str | None:
        """Our element in the domain's metadata, None without one."""

        def read(domain: Any) -> str | None:
            try:
                return str(domain.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, RUN_METADATA_URI, 0))
            except libvirt.libvirtError as error:
                if error.get_error_code() == faults.NO_DOMAIN_METADATA:
                    return None
                raise

        return await self._ask_domain(uuid, read)

    async def set_run_metadata(self, uuid: str, xml: str | None) -> None:
        """Write our element into the live and the stored metadata, as far as the domain has them."""

        def write(domain: Any) -> None:
            flags = libvirt.VIR_DOMAIN_AFFECT_CONFIG if domain.isPersistent() else 0
            flags |= libvirt.VIR_DOMAIN_AFFECT_LIVE if domain.isActive() else 0
            domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, xml, RUN_METADATA_KEY, RUN_METADATA_URI, flags)

        await self._ask_domain(uuid, write)


def _affecting(*, live: bool, stored: bool) -> int:
    return (libvirt.VIR_DOMAIN_AFFECT_LIVE if live else 0) | (libvirt.VIR_DOMAIN_AFFECT_CONFIG if stored else 0)


def _dotted(number: int) -> str:
    return f"{number // 1_000_000}.{number // 1_000 % 1_000}.{number % 1_000}"


def _list_facts(connection: Any) -> tuple[DomainFacts, ...]:
    """Runs on a lane: states, persistence and autostart in one call each, the definitions one by one."""
    persistent = {each.UUIDString() for each in connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_PERSISTENT)}
    autostarted = {each.UUIDString() for each in connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_AUTOSTART)}
    facts: list[DomainFacts] = []
    for domain, stats in connection.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_STATE, 0):
        uuid = domain.UUIDString()
        state = (stats.get("state.state", 0), stats.get("state.reason", 0))
        try:
            facts.append(_facts(domain, state, persistent=uuid in persistent, autostart=uuid in autostarted))
        except libvirt.libvirtError as error:
            if error.get_error_code() != faults.NO_DOMAIN:
                raise
    return tuple(facts)


def _read_facts(domain: Any) -> DomainFacts:
    """Runs on a lane."""
    persistent = bool(domain.isPersistent())
    autostart = persistent and bool(domain.autostart())
    return _facts(domain, tuple(domain.state(0)), persistent=persistent, autostart=autostart)


def _facts(domain: Any, state: tuple[int, int], *, persistent: bool, autostart: bool) -> DomainFacts:
    """Runs on a lane. A running domain without a channel is looked up in its stored XML too."""
    power, reason = power_of(*state)
    definition = read_definition(domain.XMLDesc(0))
    channel = definition.channel
    if channel is Channel.ABSENT and power is not PowerState.OFF and persistent:
        stored = read_definition(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
        channel = Channel.STORED_ONLY if stored.channel is not Channel.ABSENT else Channel.ABSENT
    return DomainFacts(
        uuid=definition.uuid,
        name=definition.name,
        power=power,
        power_reason=reason,
        channel=channel,
        persistent=persistent,
        disks=definition.disks,
        autostart=autostart,
        memory_bytes=definition.memory_bytes,
        vcpus=definition.vcpus,
        os_hint=definition.os_hint,
    )
