"""The fleet at one moment: every host listed once and every open port pinged once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from tui.fleet.fleet import Fleet, HostStatus, Link, first_seen, probed
from tui.fleet.liveness import LivenessPolicy, can_be_asked
from tui.fleet.prober import probe
from tui.hosts.port import Host, HostSilentError
from tui.model.errors import ExplainedError
from tui.model.guest import Guest, GuestId


async def survey(
    hosts: tuple[Host, ...],
    policy: LivenessPolicy | None = None,
    is_held: Callable[[GuestId], bool] = lambda _id: False,
) -> Fleet:
    """List and ping all hosts at once; one that cannot be reached is in the fleet with its reason.

    Guests that `is_held` tells of must not be disturbed now: they are listed, and not pinged.
    """
    policy = policy or LivenessPolicy()
    surveyed = await asyncio.gather(*(_survey_host(host, policy, is_held) for host in hosts))
    fleet = Fleet(hosts=tuple(status for status, _ in surveyed))
    return fleet.with_guests(*(guest for _, guests in surveyed for guest in guests))


async def _survey_host(
    host: Host, policy: LivenessPolicy, is_held: Callable[[GuestId], bool]
) -> tuple[HostStatus, tuple[Guest, ...]]:
    try:
        await host.open()
        listed = await host.list_domains()
    except ExplainedError as error:
        link = Link.SILENT if isinstance(error, HostSilentError) else Link.LOST
        return HostStatus(host.name, host.uri, link, error.one_line(), time.time()), ()
    places = asyncio.Semaphore(policy.at_once_per_host)

    async def asked(guest: Guest) -> Guest:
        if not can_be_asked(guest) or is_held(guest.id):
            return guest
        async with places:
            outcome = await probe(host.probe_line(guest.id.uuid), policy.ping_timeout_s)
        if outcome is not None:
            return probed(guest, outcome)
        try:
            return first_seen(host.name, await host.read_domain(guest.id.uuid))
        except (ExplainedError, ValueError):  # a ValueError is text that is no UTF-8
            return guest

    guests = await asyncio.gather(*(asked(first_seen(host.name, facts)) for facts in listed))
    return HostStatus(host.name, host.uri, Link.CONNECTED), tuple(guests)
