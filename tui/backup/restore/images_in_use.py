"""Whether images may change places under a restore in place: asked before it, and before it is undone."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from shlex import quote

from tui.backup.errors import BackupError
from tui.backup.host_images import ImageUsers, find_image_users
from tui.backup.restore.guest import find
from tui.backup.restore.plan import RestoredFile, RestorePlan
from tui.backup.restore.present import present_disks
from tui.backup.restore.wishes import USERS
from tui.backup.session import HostSession
from tui.model.disk import Disk


async def require_unused(session: HostSession, plan: RestorePlan) -> None:
    """Raise BackupError where an image that a restore in place moves aside is in use by anything but its own disk."""
    users = await session.ask(find_image_users)
    objections = await asyncio.to_thread(_users_in_words, plan, users, [(file, file.to) for file in plan.disks])
    if objections:
        raise _refusal(plan, "The images cannot be replaced", objections)


async def require_undoable(
    session: HostSession, plan: RestorePlan, before_xml: str, *, accepts_unknown: bool = True
) -> None:
    """Raise BackupError where the images of a restore in place may not change back, with the guest and disks by name.

    The guest has to be on the restored images, or on those that it had in `before_xml`; nothing may lie on the restored
    ones, nor use those that were moved aside. Unless `accepts_unknown`, that has to be known of every guest.
    """
    objections = await _moved_since(session, plan, before_xml)
    users = await session.ask(find_image_users)
    swapped = [(file, file.to) for file in plan.disks if _is_in(file)]
    kept = [(file, file.aside) for file in plan.disks if file.aside]
    objections += await asyncio.to_thread(_users_in_words, plan, users, swapped)
    objections += await asyncio.to_thread(_users_of_former, users, kept)
    if objections:
        raise _refusal(plan, "This restore cannot be undone", objections)
    names = {file.name for file in plan.disks}
    unknown = [each.words for each in users.unknown if each.uuid != plan.uuid or each.target not in names]
    if unknown and not accepts_unknown:
        raise BackupError(
            "It is not known whether this restore may be undone",
            cause="other guests' images may lie on the restored ones: " + "; ".join(dict.fromkeys(unknown)),
            next_step=f"Have those images readable; or, if none of them does, add --accept {USERS}.",
        )


async def _moved_since(session: HostSession, plan: RestorePlan, before_xml: str) -> list[str]:
    """Which disks of the guest are on other images by now; a guest that is gone has none."""
    if await find(session, plan.uuid) is None:
        return []
    stored = await session.ask(lambda host: host.stored_xml(plan.uuid))
    now = await session.ask(lambda host: present_disks(host, stored))
    before = await session.ask(lambda host: present_disks(host, before_xml)) if before_xml else {}
    return await asyncio.to_thread(_moved, plan, now, before)


def _moved(plan: RestorePlan, now: Mapping[str, Disk], before: Mapping[str, Disk]) -> list[str]:
    found: list[str] = []
    for file in plan.disks:
        there = now.get(file.name)
        former = before.get(file.name)
        allowed = {file.to, *((former.source,) if former is not None else ())}
        if there is not None and there.source not in allowed and not _is_same_file(there.source, file.to):
            found.append(f"{file.name} of {plan.guest} is on {there.source}, and no more on {file.to}")
    return found


def _users_in_words(plan: RestorePlan, users: ImageUsers, places: list[tuple[RestoredFile, str]]) -> list[str]:
    found: list[str] = []
    for file, path in places:
        found += [f"{target} of {plan.guest} lies on {path}" for target in users.above(path, plan.uuid)]
        found += [
            f"{use.target} of {use.guest} {'lies on' if use.is_below else 'is on'} {path}"
            for use in users.uses_of(path)
            if use.uuid != plan.uuid or (not use.is_below and use.target != file.name)
        ]
    return list(dict.fromkeys(found))


def _users_of_former(users: ImageUsers, places: list[tuple[RestoredFile, str]]) -> list[str]:
    uses = [(use, path) for _, path in places for use in users.uses_of(path)]
    return list(
        dict.fromkeys(f"{use.target} of {use.guest} {'lies' if use.is_below else 'is'} on {path}" for use, path in uses)
    )


def _is_in(file: RestoredFile) -> bool:
    """Whether the restored image has its place: neither is it on its way, nor is the former one back."""
    if os.path.lexists(file.partial) or not os.path.lexists(file.to):
        return False
    return not file.aside or os.path.lexists(file.aside)


def _is_same_file(one: str, other: str) -> bool:
    try:
        return Path(one).samefile(other)
    except OSError:
        return False


def _refusal(plan: RestorePlan, title: str, objections: list[str]) -> BackupError:
    edit = f"virsh -c {quote(plan.uri)} domblklist {quote(plan.guest)}"
    return BackupError(
        title,
        cause="; ".join(objections),
        next_step="Delete none of these images. Commit what lies on them into them, or give it a base of its own "
        f"(qemu-img rebase), and try again; what the guest is on: {edit}",
    )
