"""What has to be known before a backup: facts gathered from the host, the guest and the file systems."""

from __future__ import annotations

import asyncio
import os
import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tui.agent.commands import ping
from tui.agent.transport import Transport
from tui.backup.boot_files import BootFile, boot_paths, look_at_boot_files
from tui.backup.chain import disks_by_target
from tui.backup.confinement import UNCONFINED, Confinement, confinement_of
from tui.backup.errors import BackupError, explained
from tui.backup.image_names import known_as
from tui.backup.images import Header
from tui.backup.liveness import is_abandoned
from tui.backup.nvram import nvram_path
from tui.backup.passed_through import PassedThrough, passed_through
from tui.backup.plan import BackupPlan, ImageFormat, PlannedDisk, QuiescePolicy, image_paths
from tui.backup.quiesce import is_frozen
from tui.backup.reach import FileSystem, ImageLook, Reach
from tui.backup.reach_files import file_system
from tui.backup.runs import active_run
from tui.backup.tpm_place import TpmEvidence, look_at_tpm
from tui.backup.users import image_names
from tui.doctor.advice import advise
from tui.hosts.domain_xml import parse_tree
from tui.hosts.lanes import apart
from tui.hosts.open_images import has_open
from tui.hosts.port import Host, HostError, HostUnreachableError
from tui.hosts.same_files import are_here, why_not_here
from tui.model.disk import Disk
from tui.model.errors import ExplainedError
from tui.model.guest import DomainFacts, PowerState

PING_S = 3
"""Seconds; an agent that is connected and dead must not delay the checks."""


@dataclass(frozen=True, slots=True)
class ImageEvidence:
    """What is known of one planned disk's image; sizes in bytes, `problem` where the file cannot be read.

    `file_system` is the one of the overlay's folder, None where the folder is not there; `base_file_system` the one
    that the image itself lies on, links followed, None for a device and where only libvirt can see it.
    """

    disk: PlannedDisk
    problem: str = ""
    virtual_bytes: int = 0
    data_bytes: int = 0
    header: Header | None = None
    file_system: FileSystem | None = None
    base_file_system: FileSystem | None = None
    overlay_exists: bool = False
    stored_source: str = ""
    hole_bytes: int = 0
    """Of the image alone, without what it lies on: bytes of its length that hold no data."""
    has_block_job: bool = False
    shared_with: tuple[str, ...] = ()
    snapshots: tuple[str, ...] = ()
    """Names of the snapshots within the image and those below it."""
    length: int = 0
    """Bytes of the image itself, of a device its size."""
    used_bytes: int = 0
    """Bytes of a device that a qcow2 image on it takes by now, 0 where that is not known."""


@dataclass(frozen=True, slots=True)
class AgentEvidence:
    """Whether the agent answers, why not and what mends that, and whether it holds the guest frozen."""

    answers: bool
    frozen: bool = False
    problem: str = ""
    next_step: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """All facts the checks look at; `target_file_system` is None where the target is no folder.

    `mark` is our element in the domain's metadata, stale where it is of a run that is proven to have died;
    `nvram` is the path of the UEFI variables, empty without them; `libvirt` the version of the host's daemon.
    """

    facts: DomainFacts
    images: tuple[ImageEvidence, ...]
    agent: AgentEvidence | None
    target_file_system: FileSystem | None
    is_local: bool
    """Every image of the plan is proven to be the file of its name here; `elsewhere` says why not."""
    has_qemu_img: bool
    domain_job: bool
    snapshots: tuple[str, ...]
    checkpoints: tuple[str, ...]
    mark: str | None
    mark_is_stale: bool
    active_run: str
    managed_save: bool = False
    nvram: str = ""
    nvram_readable: bool = False
    tpm: TpmEvidence | None = None
    boot_files: tuple[BootFile, ...] = ()
    passed_through: tuple[PassedThrough, ...] = ()
    confinement: Confinement = UNCONFINED
    libvirt: str = ""
    elsewhere: str = ""


async def gather(host: Host, plan: BackupPlan, reach: Reach) -> Evidence:
    """Collect the evidence for `plan`, the images' over `reach`; changes nothing on the guest.

    Raises HostError. The guest is asked over its agent, with short timeouts, unless nothing is to be frozen.
    """
    uuid = plan.uuid
    facts = await host.read_domain(uuid)
    live, stored = await host.live_xml(uuid), await host.stored_xml(uuid)
    users = await users_of_images(host, uuid)
    mark = await host.run_metadata(uuid)
    nvram = nvram_path(live)
    other = await asyncio.to_thread(active_run, uuid, plan.run_id)
    elsewhere = await why_not_here(host, image_paths(plan))
    return Evidence(
        facts=facts,
        images=tuple([await _image(host, reach, facts, disk, disks_by_target(stored), users) for disk in plan.disks]),
        agent=await _agent(host.probe_line(uuid)) if _asks_agent(plan, facts) else None,
        target_file_system=await apart(file_system, plan.target),
        is_local=not elsewhere,
        elsewhere=elsewhere,
        has_qemu_img=shutil.which("qemu-img") is not None,
        domain_job=await host.domain_job_active(uuid),
        snapshots=tuple([snapshot_name(xml) for xml in await host.snapshot_xmls(uuid)]),
        checkpoints=await host.checkpoint_names(uuid),
        mark=mark,
        mark_is_stale=mark is not None and await asyncio.to_thread(is_abandoned, mark),
        active_run=other.plan.run_id if other is not None else "",
        managed_save=facts.power is PowerState.OFF and await host.has_managed_save(uuid),
        nvram=nvram,
        nvram_readable=bool(nvram)
        and await are_here(host, [nvram])
        and await asyncio.to_thread(os.access, nvram, os.R_OK),
        tpm=await look_at_tpm(host, live, name=facts.name, uuid=uuid, runs=facts.power is not PowerState.OFF),
        boot_files=await asyncio.to_thread(
            look_at_boot_files, stored, is_local=await are_here(host, boot_paths(stored).values())
        ),
        passed_through=await asyncio.to_thread(passed_through, live, is_local=await are_here(host, ["/dev"])),
        confinement=confinement_of(live),
        libvirt=(await host.versions()).libvirt,
    )


def _asks_agent(plan: BackupPlan, facts: DomainFacts) -> bool:
    return plan.quiesce is not QuiescePolicy.OFF and facts.power is PowerState.RUNNING


async def users_of_images(host: Host, uuid: str) -> dict[str, tuple[str, ...]]:
    """What the images of all other domains are called, running and stored, and which domains use each of them.

    Raises HostError where one of them does not let it be known.
    """
    users: dict[str, tuple[str, ...]] = {}
    for facts in await host.list_domains():
        if facts.uuid == uuid:
            continue
        if facts.unread:
            raise HostError(
                f"It is not known which images {facts.name} uses",
                cause=facts.unread,
                next_step="See what virsh dumpxml says of that guest.",
            )
        stored = disks_by_target(await host.stored_xml(facts.uuid)).values() if facts.persistent else ()
        for name in await image_names(host, (*facts.disks, *stored)):
            users[name] = (*users.get(name, ()), facts.name)
    return users


async def _image(
    host: Host,
    reach: Reach,
    facts: DomainFacts,
    disk: PlannedDisk,
    stored: dict[str, Disk],
    users: dict[str, tuple[str, ...]],
) -> ImageEvidence:
    has_disk = any(there.target == disk.target for there in facts.disks) and facts.power is not PowerState.OFF
    problem, virtual, data, holes, header = await _look_at(reach, disk)
    is_here = await are_here(host, (disk.base, *disk.below))
    if is_here and facts.power in (PowerState.RUNNING, PowerState.PAUSED):
        problem = problem or await apart(_other_than_open, facts.uuid, disk)
    known = await apart(partial(known_as, disk.names, here=is_here))
    looks = await _looks(reach, disk)
    return ImageEvidence(
        disk=disk,
        problem=problem,
        virtual_bytes=virtual,
        data_bytes=data,
        hole_bytes=holes,
        header=header,
        file_system=await _file_system(reach, str(Path(disk.overlay).parent)),
        base_file_system=await asyncio.to_thread(_below_file, disk.base) if is_here else None,
        overlay_exists=await _exists(reach, disk.overlay),
        stored_source=stored[disk.target].source if disk.target in stored else "",
        has_block_job=has_disk and await host.block_job(facts.uuid, disk.target) is not None,
        snapshots=tuple(name for look in looks if look.header is not None for name in look.header.snapshot_names),
        length=looks[0].length if looks else 0,
        used_bytes=await _used_bytes(host, facts, disk) if has_disk and disk.is_device else 0,
        shared_with=tuple(dict.fromkeys(user for name in sorted(known) for user in users.get(name, ()))),
    )


async def _look_at(reach: Reach, disk: PlannedDisk) -> tuple[str, int, int, int, Header | None]:
    """What is wrong with the image, or its size, data and holes in bytes, and its header. Raises HostUnreachableError.

    The holes are those of the image itself, the data those of its chain.
    """
    try:
        base = await reach.look(disk.base, disk.format)
        looks: list[ImageLook | None] = [base, *[await reach.look(path, disk.format) for path in disk.below]]
    except HostUnreachableError:
        raise
    except OSError as error:
        return error.strerror or str(error), 0, 0, 0, None
    except (HostError, BackupError) as error:
        words = explained(error)
        return ": ".join(filter(None, (words.title, words.cause))), 0, 0, 0, None
    missing = [path for path, look in zip((disk.base, *disk.below), looks, strict=True) if look is None]
    if base is None or missing:
        return f"there is no {missing[0]}", 0, 0, 0, None
    last = looks[-1]
    if disk.below and last is not None and last.header is not None and last.header.has_backing:
        return f"what {disk.below[-1]} lies on cannot be told", 0, 0, 0, base.header
    virtual = base.header.virtual_bytes if base.header is not None else base.length
    data = sum(look.data_bytes for look in looks if look is not None)
    return "", virtual, data, max(base.length - base.data_bytes, 0), base.header


def _other_than_open(uuid: str, disk: PlannedDisk) -> str:
    """Which image of a running guest is another file than the one its QEMU has open; empty where that is not seen."""
    for path in (disk.base, *disk.below):
        try:
            if has_open(uuid, path) is False:
                return f"the running guest has another file open than the one that is called {path} now"
        except OSError:
            # Why it cannot be looked at is told of the image itself.
            continue
    return ""


async def _looks(reach: Reach, disk: PlannedDisk) -> tuple[ImageLook, ...]:
    """The base and what it lies on, as far as it can be looked at. Raises HostUnreachableError."""
    try:
        found = [await reach.look(path, disk.format) for path in (disk.base, *disk.below)]
    except HostUnreachableError:
        raise
    except (OSError, HostError, BackupError):
        # Why not is the image's `problem`.
        return ()
    return tuple(look for look in found if look is not None)


async def _used_bytes(host: Host, facts: DomainFacts, disk: PlannedDisk) -> int:
    """How far a qcow2 image in use has written its device; QEMU's own count (virDomainGetBlockInfo)."""
    if disk.format is not ImageFormat.QCOW2:
        return 0
    try:
        return (await host.block_sizes(facts.uuid, disk.target)).allocation
    except HostUnreachableError:
        raise
    except HostError:
        return 0


def _below_file(path: str) -> FileSystem | None:
    """The file system that a plain file is on, for the merge makes it grow there; None where that cannot be seen."""
    try:
        real = Path(path).resolve(strict=True)
        return file_system(str(real.parent)) if real.is_file() else None
    # A link that leads to itself is no OSError to pathlib before 3.13.
    except (OSError, RuntimeError):
        return None


def snapshot_name(xml: str) -> str:
    """The name in a snapshot's definition."""
    return parse_tree(xml).findtext("name") or ""


async def _file_system(reach: Reach, folder: str) -> FileSystem | None:
    """A folder that the storage cannot open counts as absent: why, the look at the image has told."""
    try:
        return await reach.file_system(folder)
    except HostUnreachableError:
        raise
    except HostError:
        return None


async def _exists(reach: Reach, path: str) -> bool:
    try:
        return await reach.exists(path)
    except HostUnreachableError:
        raise
    except HostError:
        return False


async def _agent(line: Transport) -> AgentEvidence:
    try:
        await ping(line, PING_S)
        return AgentEvidence(answers=True, frozen=await is_frozen(line))
    except ExplainedError as error:
        advised = await advise(line, error)
        why = f"{advised.title}: {advised.cause}" if advised.cause else advised.title
        return AgentEvidence(answers=False, problem=why, next_step=advised.next_step)
