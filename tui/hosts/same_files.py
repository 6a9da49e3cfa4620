"""Whether the files that a host's daemon names are the files of these names here: proven, or why not."""

from __future__ import annotations

from collections.abc import Iterable

from tui.hosts.lanes import apart
from tui.hosts.mounts import other_mount
from tui.hosts.port import Host


async def why_not_here(host: Host, paths: Iterable[str] = ()) -> str:
    """Why it is not proven that the daemon runs on this machine and sees the files of these absolute paths as we do.

    Empty where it is proven, for each of the paths; those need not be there. Raises HostError.
    """
    daemon = await host.daemon_process()
    if daemon.doubt:
        return daemon.doubt
    # A path may lead over a server that never answers.
    return await apart(_other_view, daemon.pid, tuple(paths))


async def those_here(host: Host, paths: Iterable[str]) -> frozenset[str]:
    """The paths of which that is proven; raises HostError."""
    daemon = await host.daemon_process()
    if daemon.doubt:
        return frozenset()
    return await apart(_alike, daemon.pid, tuple(paths))


async def are_here(host: Host, paths: Iterable[str] = ()) -> bool:
    """Whether that is proven; raises HostError."""
    return not await why_not_here(host, paths)


def _alike(pid: int, paths: tuple[str, ...]) -> frozenset[str]:
    return frozenset(path for path in paths if not _other_view(pid, (path,)))


def _other_view(pid: int, paths: tuple[str, ...]) -> str:
    try:
        other = other_mount(pid, paths)
    except OSError as error:
        return f"it is not proven that libvirt's daemon sees the same files: {error.strerror} (process {pid})"
    where = f"libvirt's daemon (process {pid}, in another mount namespace) sees another file system"
    return f"{where} at {other}" if other else ""
