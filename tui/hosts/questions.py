"""Blocking questions to libvirt: each takes a connection or a domain, runs on a lane and raises libvirtError."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import libvirt
import libvirt_qemu

from tui.hosts import faults, losses
from tui.hosts.daemon_process import Answerer
from tui.hosts.domain_xml import AGENT_PORT, parse_tree, read_definition
from tui.hosts.port import HostVersions
from tui.hosts.power_words import power_of
from tui.model.errors import ExplainedError
from tui.model.guest import Address, AddressSource, Channel, DomainFacts, PowerState

RUN_METADATA_URI = "https://qga-tui.invalid/backup-run/1"
RUN_METADATA_KEY = "qga-tui"
UNDEFINE_TPM, UNDEFINE_KEEP_TPM = 32, 64
"""VIR_DOMAIN_UNDEFINE_TPM and …_KEEP_TPM, which bindings built against libvirt before 8.9 lack."""


def versions(connection: Any) -> HostVersions:
    """Of libvirtd and of QEMU."""
    return HostVersions(_dotted(connection.getLibVersion()), _dotted(connection.getVersion()))


def answerer(connection: Any) -> Answerer:
    """Whose answers come over a connection: the URI that was opened, aliases resolved, and the far end's names."""
    uuid = parse_tree(connection.getCapabilities()).findtext("./host/uuid") or ""
    return Answerer(str(connection.getURI()), str(connection.getHostname()), uuid)


def list_facts(connection: Any) -> tuple[DomainFacts, ...]:
    """States, persistence and autostart in one call each, the definitions one by one: an ill one spoils no other."""
    persistent = {each.UUIDString() for each in connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_PERSISTENT)}
    autostarted = {each.UUIDString() for each in connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_AUTOSTART)}
    facts: list[DomainFacts] = []
    for domain, stats in connection.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_STATE, 0):
        uuid = domain.UUIDString()
        state = (stats.get("state.state", 0), stats.get("state.reason", 0))
        kept = {"persistent": uuid in persistent, "autostart": uuid in autostarted}
        try:
            facts.append(_facts(domain, state, **kept))
        except libvirt.libvirtError as error:
            if losses.is_lost(error, connection):
                raise
            if error.get_error_code() != faults.NO_DOMAIN:
                facts.append(_unread(domain, state, error, **kept))
        except (ExplainedError, ValueError) as error:
            facts.append(_unread(domain, state, error, **kept))
    return tuple(facts)


def read_facts(domain: Any) -> DomainFacts:
    """The facts of one domain; raises MalformedXmlError, and UnicodeDecodeError as the binding does."""
    persistent = bool(domain.isPersistent())
    autostart = persistent and bool(domain.autostart())
    return _facts(domain, tuple(domain.state(0)), persistent=persistent, autostart=autostart)


def cpu_times(connection: Any) -> dict[str, int]:
    """Nanoseconds of processor time that each running domain has had, by UUID, in one call."""
    flags = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_RUNNING
    stats = connection.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_CPU_TOTAL, flags)
    return {domain.UUIDString(): int(each["cpu.time"]) for domain, each in stats if "cpu.time" in each}


def volume_path(connection: Any, pool: str, volume: str) -> str:
    """Where a storage volume is on the host."""
    return str(connection.storagePoolLookupByName(pool).storageVolLookupByName(volume).path())


def define(connection: Any, xml: str, *, validated: bool) -> None:
    """Replace a stored definition; `validated` against libvirt's schema first."""
    connection.defineXMLFlags(xml, libvirt.VIR_DOMAIN_DEFINE_VALIDATE if validated else 0)


def create_paused(connection: Any, xml: str) -> None:
    """Start a transient domain with its processors stopped."""
    connection.createXML(xml, libvirt.VIR_DOMAIN_START_PAUSED)


def ask_agent(connection: Any, uuid: str, request: str, timeout_s: int) -> str:
    """One call of virDomainQemuAgentCommand."""
    domain = connection.lookupByUUIDString(uuid)
    connection.count("qemuAgentCommand")
    return str(libvirt_qemu.qemuAgentCommand(domain.raw, request, timeout_s, 0))


def live_xml(domain: Any, *, secrets: bool) -> str:
    """The running definition, the stored one while off."""
    return str(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_SECURE if secrets else 0))


def stored_xml(domain: Any, *, secrets: bool) -> str:
    """The definition the next start will use."""
    return str(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | (libvirt.VIR_DOMAIN_XML_SECURE if secrets else 0)))


def snapshot_xmls(domain: Any) -> tuple[str, ...]:
    """The XML of every snapshot object."""
    return tuple(str(snapshot.getXMLDesc(0)) for snapshot in domain.listAllSnapshots(0))


def checkpoint_names(domain: Any) -> tuple[str, ...]:
    """Names of the domain's checkpoints; empty where the driver knows none."""
    try:
        return tuple(str(checkpoint.getName()) for checkpoint in domain.listAllCheckpoints(0))
    except libvirt.libvirtError as error:
        if error.get_error_code() == faults.NO_SUPPORT:
            return ()
        raise


def has_managed_save(domain: Any) -> bool:
    """Whether the next start would resume a saved memory image."""
    return bool(domain.hasManagedSaveImage(0))


def autostart(domain: Any) -> bool:
    """Whether the domain starts with the host; a transient domain does not."""
    return bool(domain.isPersistent() and domain.autostart())


def undefine(domain: Any, *, with_tpm: bool) -> None:
    """Forget the stored definition, and no file with it but, where that is wanted, the state of its TPM."""
    tpm = UNDEFINE_TPM if with_tpm else UNDEFINE_KEEP_TPM
    try:
        domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_KEEP_NVRAM | tpm)
    except libvirt.libvirtError as error:
        # libvirt before 8.9 knows neither word.
        if error.get_error_code() != faults.INVALID_ARG:
            raise
        domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_KEEP_NVRAM)


def network_names(connection: Any) -> frozenset[str] | None:
    """The networks of libvirt, running or not; None from a daemon without them."""
    return _names(connection.listAllNetworks)


def pool_names(connection: Any) -> frozenset[str] | None:
    """The storage pools, running or not; None from a daemon without them."""
    return _names(connection.listAllStoragePools)


def _names(listing: Callable[[], list[Any]]) -> frozenset[str] | None:
    try:
        return frozenset(str(each.name()) for each in listing())
    except libvirt.libvirtError as error:
        if error.get_error_code() == faults.NO_SUPPORT:
            return None
        raise


def domain_capabilities(connection: Any, kind: str, arch: str, machine: str, emulator: str) -> str:
    """The XML of what a domain of that type may have; empty words leave the choice to libvirt."""
    return str(connection.getDomainCapabilities(emulator or None, arch or None, machine or None, kind or None))


def start(domain: Any) -> None:
    """Boot a domain that is off."""
    domain.create()


def start_paused(domain: Any) -> None:
    """Start a domain that is off with its processors stopped."""
    domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)


def shut_down(domain: Any) -> None:
    """Press a guest's ACPI power button, which it may ignore."""
    domain.shutdownFlags(libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN)


def reboot(domain: Any) -> None:
    """Press a guest's ACPI power button and start it again once it is off."""
    domain.reboot(libvirt.VIR_DOMAIN_REBOOT_ACPI_POWER_BTN)


def force_off(domain: Any) -> None:
    """Cut a domain's power."""
    domain.destroy()


def suspend(domain: Any) -> None:
    """Pause a running domain."""
    domain.suspend()


def resume(domain: Any) -> None:
    """Let a paused domain run on."""
    domain.resume()


def host_address(domain: Any) -> Address | None:
    """What the host's DHCP leases, or its ARP table, say of a running domain's address."""
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


def attach_device(domain: Any, device_xml: str, *, live: bool, stored: bool) -> None:
    """Add a device to the running definition, the stored one, or both."""
    domain.attachDeviceFlags(device_xml, _affecting(live=live, stored=stored))


def detach_device(domain: Any, device_xml: str, *, live: bool, stored: bool) -> None:
    """Ask for a device to be taken away."""
    domain.detachDeviceFlags(device_xml, _affecting(live=live, stored=stored))


def update_device(domain: Any, device_xml: str, *, live: bool, stored: bool) -> None:
    """Change a device in place."""
    domain.updateDeviceFlags(device_xml, _affecting(live=live, stored=stored))


def processor_time_ns(domain: Any) -> int:
    """Nanoseconds that the guest's processors have run since its start."""
    return int(domain.info()[4])


def guest_time_ns(domain: Any) -> int | None:
    """Nanoseconds that a running guest's virtual processors have run, without the work of QEMU itself.

    None where the hypervisor does not tell (virDomainGetVcpus counts the threads of the processors).
    """
    try:
        return sum(int(each[2]) for each in domain.vcpus()[0])
    except libvirt.libvirtError as error:
        if error.get_error_code() in (faults.NO_SUPPORT, faults.OPERATION_INVALID):
            return None
        raise


def warnings(domain: Any) -> tuple[str, ...]:
    """What libvirt holds against a running domain; libvirt 7.1 and newer say it."""
    try:
        return tuple(str(message) for message in domain.messages(0) or ())
    except libvirt.libvirtError as error:
        if error.get_error_code() in (faults.NO_SUPPORT, faults.OPERATION_INVALID):
            return ()
        raise
    except AttributeError:
        # A binding that was built against libvirt before 7.1 has the method without what it calls.
        return ()


def run_metadata(domain: Any) -> str | None:
    """Our element in the domain's metadata, None without one."""
    try:
        return str(domain.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, RUN_METADATA_URI, 0))
    except libvirt.libvirtError as error:
        if error.get_error_code() == faults.NO_DOMAIN_METADATA:
            return None
        raise


def set_run_metadata(domain: Any, xml: str | None) -> None:
    """Write our element into the live and the stored metadata, as far as the domain has them."""
    flags = libvirt.VIR_DOMAIN_AFFECT_CONFIG if domain.isPersistent() else 0
    flags |= libvirt.VIR_DOMAIN_AFFECT_LIVE if domain.isActive() else 0
    domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, xml, RUN_METADATA_KEY, RUN_METADATA_URI, flags)


def _affecting(*, live: bool, stored: bool) -> int:
    return (libvirt.VIR_DOMAIN_AFFECT_LIVE if live else 0) | (libvirt.VIR_DOMAIN_AFFECT_CONFIG if stored else 0)


def _dotted(number: int) -> str:
    return f"{number // 1_000_000}.{number // 1_000 % 1_000}.{number % 1_000}"


def _facts(domain: Any, state: tuple[int, int], *, persistent: bool, autostart: bool) -> DomainFacts:
    """A running domain without a channel is looked up in its stored XML too."""
    power, reason = power_of(*state)
    definition = read_definition(domain.XMLDesc(0))
    channel = definition.channel
    if channel is Channel.ABSENT and power is not PowerState.OFF and persistent:
        stored = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
        # Most guests without a channel have none in either definition: that is seen without reading it whole.
        if AGENT_PORT in stored and read_definition(stored).channel is not Channel.ABSENT:
            channel = Channel.STORED_ONLY
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


def _unread(domain: Any, state: tuple[int, int], error: Exception, *, persistent: bool, autostart: bool) -> DomainFacts:
    """What is known of a domain whose definition cannot be read: bytes that are no UTF-8 are a ValueError."""
    power, reason = power_of(*state)
    uuid = domain.UUIDString()
    try:
        name = domain.name()
    except ValueError:
        name = uuid
    unread = f"its definition cannot be read: {error}"
    return DomainFacts(uuid, name, power, reason, Channel.UNKNOWN, persistent, autostart=autostart, unread=unread)
