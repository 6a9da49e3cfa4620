"""What definitions call the images of guests: by path, or as a volume of a pool, which is the same image."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from tui.backup.image_names import known_as
from tui.hosts.lanes import apart
from tui.hosts.port import Host, HostError, HostUnreachableError
from tui.hosts.same_files import those_here
from tui.model.disk import Disk


async def image_names(host: Host, disks: Iterable[Disk]) -> frozenset[str]:
    """Every name of the images of `disks` and of those below them, and whatever else shows that two names mean one.

    A volume has both its own name and its path; one whose pool does not tell keeps its name alone. What is on this
    machine is looked at, see `known_as`. Raises HostUnreachableError.
    """
    disks = tuple(disks)
    names = {name for disk in disks for name in (disk.source, *disk.backing) if name}
    for volume in {disk.source for disk in disks if disk.source_type == "volume"}:
        pool, _, name = volume.partition("/")
        try:
            names.add(await host.volume_path(pool, name))
        except HostUnreachableError:
            raise
        except HostError:
            continue
    here = await those_here(host, [name for name in names if name.startswith("/")])
    return known_as(names - here, here=False) | await apart(partial(known_as, here, here=True))
