"""Which hosts the user means, and which guest: the adapter is chosen here."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tui.hosts.libvirt_host import LibvirtHost
from tui.hosts.names import name_hosts
from tui.hosts.port import Host, HostError
from tui.model.errors import ExplainedError
from tui.model.guest import DomainFacts
from tui.settings import Config

if TYPE_CHECKING:
    from tui.fleet.liveness import LivenessPolicy

DEFAULT_URI = "qemu:///system"


class UnknownGuestError(ExplainedError):
    """The user named a guest that is on none of the hosts, or on several."""


def chosen_uris(given: Sequence[str]) -> tuple[str, ...]:
    """The URIs given, else LIBVIRT_DEFAULT_URI, else qemu:///system; each once."""
    return tuple(dict.fromkeys(given)) or (os.environ.get("LIBVIRT_DEFAULT_URI") or DEFAULT_URI,)


def hosts_for(uris: Sequence[str], *, only_looks: bool = False) -> tuple[Host, ...]:
    """Hosts, not yet connected; with `only_looks`, as in read-only mode, their agents are asked and told nothing."""
    return tuple(
        LibvirtHost(uri, name, only_looks=only_looks) for uri, name in zip(uris, name_hosts(tuple(uris)), strict=True)
    )


def liveness_of(config: Config) -> LivenessPolicy:
    """How often, and how patiently, the user wants agents to be asked."""
    from tui.fleet.liveness import LivenessPolicy

    return LivenessPolicy(
        cycle_s=config.ping_every_s, slow_cycle_s=config.ping_silent_every_s, ping_timeout_s=config.ping_timeout_s
    )


async def find_guest(hosts: Sequence[Host], wanted: str) -> tuple[Host, DomainFacts]:
    """The one guest of that name, UUID or HOST/NAME.

    Raises UnknownGuestError, or HostUnreachableError where no host could be reached.
    """
    lists = await asyncio.gather(*(_listed(host) for host in hosts))
    failures = [each for each in lists if isinstance(each, HostError)]
    if len(failures) == len(hosts):
        raise failures[0]
    found = [
        (host, facts)
        for host, listed in zip(hosts, lists, strict=True)
        if not isinstance(listed, HostError)
        for facts in listed
        if wanted in (facts.name, facts.uuid, f"{host.name}/{facts.name}", f"{host.name}/{facts.uuid}")
    ]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(f"{host.name}/{facts.name}" for host, facts in found)
        raise UnknownGuestError(f"{wanted} is on more than one host", next_step=f"Name one of: {names}")
    unreachable = f"; not asked: {', '.join(each.title for each in failures)}" if failures else ""
    raise UnknownGuestError(
        f"There is no guest {wanted}",
        cause=f"looked on {', '.join(host.name for host in hosts)}{unreachable}",
        next_step="See the guests with: qga-tui list",
    )


async def list_all(hosts: Sequence[Host]) -> tuple[list[tuple[Host, DomainFacts]], list[HostError]]:
    """Every guest of the hosts that could be reached, and why the others could not."""
    lists = await asyncio.gather(*(_listed(host) for host in hosts))
    pairs = list(zip(hosts, lists, strict=True))
    found = [(host, facts) for host, listed in pairs if not isinstance(listed, HostError) for facts in listed]
    return found, [listed for listed in lists if isinstance(listed, HostError)]


async def _listed(host: Host) -> tuple[DomainFacts, ...] | HostError:
    try:
        await host.open()
        return await host.list_domains()
    except HostError as error:
        return error
