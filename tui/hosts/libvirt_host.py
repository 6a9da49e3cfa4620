"""The port's adapter for libvirt: four connections per host, each with its own lane, and the async face."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, Concatenate, ParamSpec, TypeVar

import libvirt

from tui.agent import commands
from tui.agent.errors import AgentError, HostGoneError
from tui.agent.transport import Transport
from tui.hosts import faults, losses, questions
from tui.hosts.agent_line import AgentLine, AgentTurns
from tui.hosts.connect_faults import connect_error
from tui.hosts.connection import Connection
from tui.hosts.counting import Counted
from tui.hosts.events import start_event_loop, unwatch, watch
from tui.hosts.libvirt_storage import LibvirtStorage
from tui.hosts.losses import ConnectionLostError
from tui.hosts.port import BlockJob, BlockSizes, HostError, HostUnreachableError, HostVersions, PowerWay
from tui.hosts.storage import Storage
from tui.hosts.uris import is_remote, without_prompts
from tui.model.events import HostEvent, HostLost
from tui.model.guest import Address, DomainFacts

P = ParamSpec("P")
T = TypeVar("T")

CONTROL_WIDTH, PROBE_WIDTH, WORK_WIDTH, STREAM_WIDTH = 2, 3, 4, 2
"""Calls at once per connection; five hung ones would block it (max_client_requests in libvirtd.conf)."""

KEEPALIVE_INTERVAL_S, KEEPALIVE_COUNT = 10, 3

_LOST = "The connection to libvirt was lost"


def _open(uri: str, calls: Counter[str], note_read_only: Callable[[bool], None]) -> Counted:
    """Connect with write access, or read-only where only that is allowed; raises HostUnreachableError."""
    start_event_loop()
    address = without_prompts(uri)
    try:
        try:
            connection, read_only = libvirt.open(address), False
        except libvirt.libvirtError as error:
            connection, read_only = _open_to_look(address, error), True
        if is_remote(uri):
            connection.setKeepAlive(KEEPALIVE_INTERVAL_S, KEEPALIVE_COUNT)
    except libvirt.libvirtError as error:
        raise connect_error(uri, error.get_error_code() or 0, _text(error)) from error
    note_read_only(read_only)
    return Counted(connection, calls)


def _open_to_look(address: str, refusal: libvirt.libvirtError) -> Any:
    """A read-only connection after write access was refused; raises the refusal where that is refused too."""
    if not faults.is_denial(refusal.get_error_code() or 0, _text(refusal)):
        raise refusal
    try:
        return libvirt.openReadOnly(address)
    except libvirt.libvirtError:
        raise refusal from None


def _let_go(handle: Counted) -> None:
    """Without this, libvirt would hold a connection open for the callbacks that are registered on it."""
    unwatch(handle.raw)


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
        self._control = Connection(opener, _let_go, f"{name}-control", CONTROL_WIDTH)
        self._probes = Connection(opener, _let_go, f"{name}-probes", PROBE_WIDTH)
        self._work = Connection(opener, _let_go, f"{name}-work", WORK_WIDTH)
        self._streams = Connection(opener, _let_go, f"{name}-streams", STREAM_WIDTH)
        self._watched: Counted | None = None
        self._turns = AgentTurns()
        self._listeners: list[Callable[[HostEvent], None]] = []

    @property
    def _connections(self) -> tuple[Connection, ...]:
        return self._control, self._probes, self._work, self._streams

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
        """Connect the control connection and register for events, once on each connection."""
        loop = asyncio.get_running_loop()

        def register(handle: Counted) -> Counted:
            def sink(event: HostEvent) -> None:
                with contextlib.suppress(RuntimeError):  # the loop is closed: the program has quit
                    loop.call_soon_threadsafe(self._dispatch, event, handle)

            if handle is not self._watched:
                watch(handle.raw, self._name, sink)
            return handle

        self._watched = await self._ask(register)

    async def close(self) -> None:
        """Let go of the connections and their threads without waiting for calls in flight."""
        self._watched = None
        for connection in self._connections:
            connection.close()

    def _dispatch(self, event: HostEvent, handle: Counted) -> None:
        if handle is not self._watched:
            return  # from a connection without events, or one that was given up already
        if isinstance(event, HostLost):
            self._watched = None
            for connection in self._connections:
                connection.drop()
        for listener in tuple(self._listeners):
            listener(event)

    def subscribe(self, listener: Callable[[HostEvent], None]) -> Callable[[], None]:
        """Hand later events to `listener`; returns what ends it."""
        self._listeners.append(listener)

        def unsubscribe() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return unsubscribe

    async def _ask(self, question: Callable[Concatenate[Any, P], T], *words: P.args, **options: P.kwargs) -> T:
        """`question(virConnect, ...)` on the control connection, with libvirt's errors classified."""
        return await self._ask_on(self._control, lambda connection: question(connection, *words, **options))

    async def _ask_streams(self, question: Callable[Concatenate[Any, P], T], *words: P.args, **options: P.kwargs) -> T:
        return await self._ask_on(self._streams, lambda connection: question(connection, *words, **options))

    async def _ask_on(self, line: Connection, question: Callable[[Any], T]) -> T:
        try:
            return await self._call(line, question)
        except ConnectionLostError as lost:
            raise HostUnreachableError(_LOST, original=lost.text, code=lost.code) from lost
        except libvirt.libvirtError as error:
            raise faults.host_error(error.get_error_code() or 0, error.get_error_domain() or 0, _text(error)) from error

    async def _ask_agent(self, line: Connection, uuid: str, request: str, timeout_s: int) -> str:
        """One request to a domain's agent; raises an AgentError."""
        try:
            return await self._call(line, lambda handle: questions.ask_agent(handle, uuid, request, timeout_s))
        except ConnectionLostError as lost:
            raise faults.with_its_doubt(HostGoneError(_LOST, original=lost.text), request) from lost
        except HostUnreachableError as error:
            raise HostGoneError(error.title, cause=error.cause, next_step=error.next_step) from error
        except libvirt.libvirtError as error:
            fault = faults.agent_error(error.get_error_code() or 0, error.get_error_domain() or 0, _text(error))
            raise faults.with_its_doubt(fault, request) from error

    async def _call(self, line: Connection, question: Callable[[Any], T]) -> T:
        """Ask on `line`, once anew on a new connection where the former one was closed before anything was sent."""
        try:
            return await self._call_once(line, question)
        except ConnectionLostError as lost:
            if lost.sent:
                raise
            return await self._call_once(line, question)

    async def _call_once(self, line: Connection, question: Callable[[Any], T]) -> T:
        try:
            return await line.call(lambda handle: losses.ask(handle, question))
        except ConnectionLostError as lost:
            line.drop(lost.handle)
            self._dispatch(HostLost(self._name, lost.text, time.time()), lost.handle)
            raise

    async def _ask_domain(
        self, uuid: str, question: Callable[Concatenate[Any, P], T], *words: P.args, **options: P.kwargs
    ) -> T:
        return await self._ask(lambda connection: question(connection.lookupByUUIDString(uuid), *words, **options))

    async def versions(self) -> HostVersions:
        """Of libvirtd and of QEMU."""
        return await self._ask(questions.versions)

    async def list_domains(self) -> tuple[DomainFacts, ...]:
        """All domains, in few calls; one that vanishes meanwhile is left out, one that cannot be read says why."""
        return await self._ask(questions.list_facts)

    async def read_domain(self, uuid: str) -> DomainFacts:
        """The facts of one domain, read now."""
        return await self._ask_domain(uuid, questions.read_facts)

    async def live_xml(self, uuid: str, *, secrets: bool = False) -> str:
        """The running definition, the stored one while off."""
        return await self._ask_domain(uuid, questions.live_xml, secrets=secrets)

    async def stored_xml(self, uuid: str, *, secrets: bool = False) -> str:
        """The definition the next start will use."""
        return await self._ask_domain(uuid, questions.stored_xml, secrets=secrets)

    async def snapshot_xmls(self, uuid: str) -> tuple[str, ...]:
        """The XML of every snapshot object."""
        return await self._ask_domain(uuid, questions.snapshot_xmls)

    async def checkpoint_names(self, uuid: str) -> tuple[str, ...]:
        """Names of the domain's checkpoints."""
        return await self._ask_domain(uuid, questions.checkpoint_names)

    async def has_managed_save(self, uuid: str) -> bool:
        """Whether the next start would resume a saved memory image."""
        return await self._ask_domain(uuid, questions.has_managed_save)

    async def autostart(self, uuid: str) -> bool:
        """Whether the domain starts with the host; a transient domain does not."""
        return await self._ask_domain(uuid, questions.autostart)

    def probe_line(self, uuid: str) -> Transport:
        """A line for pings and questions."""
        return AgentLine(partial(self._ask_agent, self._probes, uuid), self._turns.of(uuid), shares_silence=True)

    def work_line(self, uuid: str) -> Transport:
        """A line for exec, files and freezing."""
        return AgentLine(partial(self._ask_agent, self._work, uuid), self._turns.of(uuid))

    async def snapshot_disks(self, uuid: str, snapshot_xml: str) -> None:
        """Switch disks to overlays, atomically and without a snapshot object."""
        await self._ask_domain(uuid, questions.snapshot_disks, snapshot_xml)

    async def commit_active(self, uuid: str, target: str, bandwidth_bytes_s: int = 0) -> None:
        """Start merging the active image of a disk one level down."""
        await self._ask_domain(uuid, questions.commit_active, target, bandwidth_bytes_s)

    async def block_job(self, uuid: str, target: str) -> BlockJob | None:
        """The block job on a disk, None without one."""
        return await self._ask_domain(uuid, questions.block_job, target)

    async def pivot(self, uuid: str, target: str) -> None:
        """End a ready job by switching to its target."""
        await self._ask_domain(uuid, questions.pivot, target)

    async def cancel_block_job(self, uuid: str, target: str) -> None:
        """End a job and stay on the image in use."""
        await self._ask_domain(uuid, questions.cancel_block_job, target)

    async def domain_job_active(self, uuid: str) -> bool:
        """Whether a migration, save, dump or backup job runs."""
        return await self._ask_domain(uuid, questions.job_active)

    async def block_sizes(self, uuid: str, target: str) -> BlockSizes:
        """Capacity, allocation and physical size of the active image."""
        return await self._ask_domain(uuid, questions.block_sizes, target)

    async def define(self, xml: str) -> None:
        """Replace the stored definition; libvirt validates it first."""
        await self._ask(questions.define, xml)

    async def undefine(self, uuid: str) -> None:
        """Forget the stored definition, and no file with it."""
        await self._ask_domain(uuid, questions.undefine)

    async def network_names(self) -> frozenset[str] | None:
        """The networks of libvirt, running or not."""
        return await self._ask(questions.network_names)

    async def pool_names(self) -> frozenset[str] | None:
        """The storage pools, running or not."""
        return await self._ask(questions.pool_names)

    async def domain_capabilities(self, kind: str, arch: str, machine: str, emulator: str) -> str:
        """The XML of what a domain of that type may have."""
        return await self._ask(questions.domain_capabilities, kind, arch, machine, emulator)

    async def start(self, uuid: str) -> None:
        """Boot a domain that is off."""
        await self._ask_domain(uuid, questions.start)

    async def shut_down(self, uuid: str, way: PowerWay) -> None:
        """Ask a guest to power off; returns when it was asked, not when it is off."""
        if way is PowerWay.AGENT:
            await self._end_by_agent(uuid, commands.ShutdownMode.POWERDOWN)
        else:
            await self._ask_domain(uuid, questions.shut_down)

    async def reboot(self, uuid: str, way: PowerWay) -> None:
        """Ask a guest to boot anew; returns when it was asked."""
        if way is PowerWay.AGENT:
            await self._end_by_agent(uuid, commands.ShutdownMode.REBOOT)
        else:
            await self._ask_domain(uuid, questions.reboot)

    async def _end_by_agent(self, uuid: str, mode: commands.ShutdownMode) -> None:
        """On the work line: libvirt's own calls for it wait for a hung agent without an end."""
        try:
            await commands.shutdown(self.work_line(uuid), mode)
        except AgentError as error:
            kind = HostUnreachableError if isinstance(error, HostGoneError) else HostError
            raise kind(error.title, cause=error.cause, next_step=error.next_step, original=error.original) from error

    async def force_off(self, uuid: str) -> None:
        """Cut a domain's power."""
        await self._ask_domain(uuid, questions.force_off)

    async def cpu_times(self) -> dict[str, int]:
        """Nanoseconds of processor time that each running domain has had, by UUID, in one call."""
        return await self._ask(questions.cpu_times)

    async def host_address(self, uuid: str) -> Address | None:
        """What the host's DHCP leases, or its ARP table, say of a running domain's address."""
        return await self._ask_domain(uuid, questions.host_address)

    async def suspend(self, uuid: str) -> None:
        """Pause a running domain."""
        await self._ask_domain(uuid, questions.suspend)

    async def resume(self, uuid: str) -> None:
        """Let a paused domain run on."""
        await self._ask_domain(uuid, questions.resume)

    async def attach_device(self, uuid: str, device_xml: str, *, live: bool, stored: bool) -> None:
        """Add a device to the running definition, the stored one, or both."""
        await self._ask_domain(uuid, questions.attach_device, device_xml, live=live, stored=stored)

    async def detach_device(self, uuid: str, device_xml: str, *, live: bool, stored: bool) -> None:
        """Ask for a device to be taken away."""
        await self._ask_domain(uuid, questions.detach_device, device_xml, live=live, stored=stored)

    async def update_device(self, uuid: str, device_xml: str, *, live: bool, stored: bool) -> None:
        """Change a device in place."""
        await self._ask_domain(uuid, questions.update_device, device_xml, live=live, stored=stored)

    async def processor_time_ns(self, uuid: str) -> int:
        """Nanoseconds that the guest's processors have run since its start."""
        return await self._ask_domain(uuid, questions.processor_time_ns)

    async def warnings(self, uuid: str) -> tuple[str, ...]:
        """What libvirt holds against a running domain; libvirt 7.1 and newer say it."""
        return await self._ask_domain(uuid, questions.warnings)

    def storage(self, pool_name: str) -> Storage:
        """The host's storage, with a line of its own for downloads."""
        return LibvirtStorage(self._ask, self._ask_streams, pool_name)

    async def volume_path(self, pool: str, volume: str) -> str:
        """Where a storage volume is on the host."""
        return await self._ask(questions.volume_path, pool, volume)

    async def set_block_job_speed(self, uuid: str, target: str, bytes_s: int) -> None:
        """Bound a running block job."""
        await self._ask_domain(uuid, questions.set_block_job_speed, target, bytes_s)

    async def start_paused(self, uuid: str) -> None:
        """Start a domain that is off with its processors stopped."""
        await self._ask_domain(uuid, questions.start_paused)

    async def create_paused(self, xml: str) -> None:
        """Start a transient domain with its processors stopped."""
        await self._ask(questions.create_paused, xml)

    async def run_metadata(self, uuid: str) -> str | None:
        """Our element in the domain's metadata, None without one."""
        return await self._ask_domain(uuid, questions.run_metadata)

    async def set_run_metadata(self, uuid: str, xml: str | None) -> None:
        """Write our element into the live and the stored metadata, as far as the domain has them."""
        await self._ask_domain(uuid, questions.set_run_metadata, xml)
