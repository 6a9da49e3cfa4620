"""What definitions call the images of guests: by path, or as a volume of a pool, which is the same image."""

from __future__ import annotations

from collections.abc import Iterable

from tui.hosts.port import Host, HostError, HostUnreachableError
from tui.model.disk import Disk


async def image_names(host: Host, disks: Iterable[Disk]) -> frozenset[str]:
    """Every name of the images of `disks` and of those below them; for a volume both its own name and its path.

    A volume whose pool does not tell keeps its name alone. Raises HostUnreachableError.
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
    return frozenset(names)
