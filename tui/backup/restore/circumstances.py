"""What has to be known before a restore: facts of the host, its guests and its file systems. Changes nothing."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from tui.backup.host_images import ImageUsers, UnknownUse, find_image_users
from tui.backup.reach import FileSystem
from tui.backup.reach_files import file_system
from tui.backup.restore.misfits import Misfit, misfits_of
from tui.backup.restore.needs import Needs, needs_of
from tui.backup.restore.plan import RestoredFile, RestorePlan, RestoreWay
from tui.backup.restore.present import present_disks
from tui.backup.restore.saved import MANIFEST, SUMS, SavedBackup
from tui.backup.restore.slots import free_slots
from tui.backup.runs import active_run
from tui.backup.tpm import holds_state_alone
from tui.backup.volatile import volatile_here
from tui.hosts.port import Host
from tui.hosts.same_files import why_not_here
from tui.model.disk import Disk
from tui.model.guest import DomainFacts, PowerState


@dataclass(frozen=True, slots=True)
class PlaceEvidence:
    """Where one file of the plan goes: what is there now, in which file system, and which other guests use it."""

    file: RestoredFile
    exists: bool
    taken_names: tuple[str, ...]
    folder: FileSystem | None
    users: tuple[str, ...] = ()
    is_in_backup: bool = False
    """The place is in the folder of a backup, which holds what was saved and nothing else."""
    in_memory: str = ""
    """Which kind of memory the place lies in, its folder there or not; empty for a disk."""
    holds_more: bool = False
    """A folder chosen for the state of a TPM has other files in it, which would be moved aside with it."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """All facts that the findings are made of; `user` is the number of the one who restores, `hostname` this machine's.

    `guest` is the domain that the plan's UUID means, None where there is none; `by_name` the one that has the name.
    """

    is_local: bool
    """Every place of the plan is proven to be the file of its name here; `elsewhere` says why not."""
    has_qemu_img: bool
    needs: Needs
    guest: DomainFacts | None
    by_name: DomainFacts | None
    taken_names: frozenset[str]
    places: tuple[PlaceEvidence, ...]
    own_folder_exists: bool
    user: int
    hostname: str
    misfits: tuple[Misfit, ...] = ()
    managed_save: bool = False
    snapshots: int = 0
    checkpoints: tuple[str, ...] = ()
    standing_on: tuple[str, ...] = ()
    """Images of the guest that lie on top of those that a restore in place replaces."""
    unknown_users: tuple[str, ...] = ()
    """Guests of which it is not known whether their images lie on those, each with why."""
    active_run: str = ""
    free_slots: int | None = None
    """How many more disks the guest that gets some can take; None where nothing bounds them."""
    present_xml: str = ""
    """The stored definition of the guest that keeps it, without secrets."""
    present: Mapping[str, Disk] = field(default_factory=lambda: MappingProxyType({}))
    """The disks in it by their targets, each image by its path."""
    elsewhere: str = ""


async def gather(host: Host, saved: SavedBackup, plan: RestorePlan) -> Circumstances:
    """Look at everything that `plan` needs; raises HostError."""
    domains = await host.list_domains()
    guest = next((facts for facts in domains if facts.uuid == plan.uuid), None)
    users = await find_image_users(host) if plan.way is RestoreWay.IN_PLACE else ImageUsers()
    present_xml = await host.stored_xml(plan.uuid) if guest is not None and plan.keeps_definition else ""
    present = await present_disks(host, present_xml) if present_xml else {}
    other = await asyncio.to_thread(active_run, plan.uuid, plan.run_id)
    needs = needs_of(saved.stored_xml)
    is_off = guest is not None and guest.power is PowerState.OFF
    is_given_disks = guest is not None and plan.way is RestoreWay.ATTACH
    elsewhere = await why_not_here(host, [file.to for file in plan.files])
    return Circumstances(
        is_local=not elsewhere,
        elsewhere=elsewhere,
        has_qemu_img=shutil.which("qemu-img") is not None,
        needs=needs,
        guest=guest,
        by_name=next((facts for facts in domains if facts.name == plan.guest), None),
        taken_names=frozenset(facts.name for facts in domains),
        places=tuple([await asyncio.to_thread(_place, file, plan, users) for file in plan.files]),
        own_folder_exists=bool(plan.own_folder) and await asyncio.to_thread(os.path.lexists, plan.own_folder),
        user=os.geteuid(),
        hostname=socket.gethostname(),
        misfits=await misfits_of(host, needs, saved, plan) if plan.defines else (),
        managed_save=is_off and await host.has_managed_save(plan.uuid),
        snapshots=len(await host.snapshot_xmls(plan.uuid)) if guest is not None else 0,
        checkpoints=await host.checkpoint_names(plan.uuid) if guest is not None else (),
        standing_on=await asyncio.to_thread(_standing_on, users, plan),
        unknown_users=tuple(dict.fromkeys(each.words for each in users.unknown if not _is_replaced(each, plan))),
        active_run="" if other is None else other.plan.run_id,
        free_slots=free_slots(await host.live_xml(plan.uuid)) if is_given_disks and not is_off else None,
        present_xml=present_xml,
        present=present,
    )


async def without_host(saved: SavedBackup, plan: RestorePlan) -> Circumstances:
    """What a restore of disks to a path needs: this machine alone, whether a libvirt runs on it or not."""
    other = await asyncio.to_thread(active_run, plan.uuid, plan.run_id)
    return Circumstances(
        is_local=True,
        has_qemu_img=shutil.which("qemu-img") is not None,
        needs=needs_of(saved.stored_xml),
        guest=None,
        by_name=None,
        taken_names=frozenset(),
        places=tuple([await asyncio.to_thread(_place, file, plan, ImageUsers()) for file in plan.files]),
        own_folder_exists=bool(plan.own_folder) and await asyncio.to_thread(os.path.lexists, plan.own_folder),
        user=os.geteuid(),
        hostname=socket.gethostname(),
        active_run="" if other is None else other.plan.run_id,
    )


def _place(file: RestoredFile, plan: RestorePlan, users: ImageUsers) -> PlaceEvidence:
    folder = Path(file.to).parent
    if plan.own_folder and str(folder) == plan.own_folder:
        folder = folder.parent
    if file.is_folder:
        # libvirt makes the folder of all states for the first guest with a TPM.
        folder = next(each for each in (folder, *folder.parents) if os.access(each, os.F_OK))
    names = (file.partial, *((file.aside,) if file.aside else ()))
    return PlaceEvidence(
        file=file,
        exists=os.path.lexists(file.to),
        taken_names=tuple(name for name in names if os.path.lexists(name)),
        folder=file_system(str(folder)),
        in_memory=volatile_here(str(folder)),
        users=users.others_of(file.to, plan.uuid),
        is_in_backup=any((parent / MANIFEST).exists() and (parent / SUMS).exists() for parent in Path(file.to).parents),
        holds_more=file.is_folder and not file.within and not holds_state_alone(file.to),
    )


def _standing_on(users: ImageUsers, plan: RestorePlan) -> tuple[str, ...]:
    """The guest's own images that lie on one that is replaced; blocks."""
    targets = {target for file in plan.disks for target in users.above(file.to, plan.uuid)}
    tops = [use.path for use in users.uses if use.uuid == plan.uuid and use.target in targets and not use.is_below]
    return tuple(dict.fromkeys(tops))


def _is_replaced(unknown: UnknownUse, plan: RestorePlan) -> bool:
    """Whether it is about a disk of the guest itself that the restore puts another image in place of."""
    return unknown.uuid == plan.uuid and unknown.target in {file.name for file in plan.disks}
