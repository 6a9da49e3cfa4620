"""The port's adapter for libvirt: every question and act of a host, asked on the link to it."""

from __future__ import annotations

from tui.agent import commands
from tui.agent.errors import AgentError, HostGoneError
from tui.hosts import block_questions, questions
from tui.hosts.daemon_process import DaemonProcess, find_daemon
from tui.hosts.lanes import apart
from tui.hosts.libvirt_link import ANSWER_S, LibvirtLink
from tui.hosts.libvirt_storage import LibvirtStorage
from tui.hosts.port import BlockJob, BlockSizes, HostError, HostUnreachableError, HostVersions, PowerWay
from tui.hosts.storage import Storage
from tui.model.guest import Address, DomainFacts


class LibvirtHost(LibvirtLink):
    """A host reached through libvirt; see `port.Host` for what its methods promise."""

    async def versions(self) -> HostVersions:
        """Of libvirtd and of QEMU."""
        return await self._ask(questions.versions)

    async def daemon_process(self) -> DaemonProcess:
        """By the other end of the connection's own socket, and the names that the daemon gives its machine."""
        return await apart(find_daemon, await self._ask(questions.answerer))

    async def list_domains(self) -> tuple[DomainFacts, ...]:
        """All domains, in few calls; one that vanishes meanwhile is left out, one that cannot be read says why."""
        return await self._answered(self._ask(questions.list_facts), ANSWER_S)

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

    async def snapshot_disks(self, uuid: str, snapshot_xml: str) -> None:
        """Switch disks to overlays, atomically and without a snapshot object."""
        await self._ask_domain(uuid, block_questions.snapshot_disks, snapshot_xml)

    async def commit_active(self, uuid: str, target: str, bandwidth_bytes_s: int = 0) -> None:
        """Start merging the active image of a disk one level down."""
        await self._ask_domain(uuid, block_questions.commit_active, target, bandwidth_bytes_s)

    async def block_job(self, uuid: str, target: str) -> BlockJob | None:
        """The block job on a disk, None without one."""
        return await self._ask_domain(uuid, block_questions.block_job, target)

    async def pivot(self, uuid: str, target: str) -> None:
        """End a ready job by switching to its target."""
        await self._ask_domain(uuid, block_questions.pivot, target)

    async def cancel_block_job(self, uuid: str, target: str) -> None:
        """End a job and stay on the image in use."""
        await self._ask_domain(uuid, block_questions.cancel_block_job, target)

    async def domain_job_active(self, uuid: str) -> bool:
        """Whether a migration, save, dump or backup job runs."""
        return await self._ask_domain(uuid, block_questions.job_active)

    async def block_sizes(self, uuid: str, target: str) -> BlockSizes:
        """Capacity, allocation and physical size of the active image."""
        return await self._ask_domain(uuid, block_questions.block_sizes, target)

    async def define(self, xml: str, *, validated: bool = True) -> None:
        """Replace the stored definition; libvirt validates it first where it is asked to."""
        await self._ask(questions.define, xml, validated=validated)

    async def undefine(self, uuid: str, *, with_tpm: bool = False) -> None:
        """Forget the stored definition, and no file with it."""
        await self._ask_domain(uuid, questions.undefine, with_tpm=with_tpm)

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

    async def guest_time_ns(self, uuid: str) -> int | None:
        """Nanoseconds that a running guest's virtual processors have run since its start."""
        return await self._ask_domain(uuid, questions.guest_time_ns)

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
        await self._ask_domain(uuid, block_questions.set_block_job_speed, target, bytes_s)

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
