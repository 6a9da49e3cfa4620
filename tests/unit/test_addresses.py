"""Where a guest's address is known from when its agent does not say: a lease, else the host's ARP table."""

from __future__ import annotations

import asyncio
from typing import Any

import libvirt
import pytest

from tests.unit.test_watch import until
from tui.fleet.columns import ALL, cell
from tui.fleet.details import known_sections
from tui.fleet.liveness import LivenessPolicy
from tui.fleet.watch import FleetWatch
from tui.hosts import faults
from tui.hosts.libvirt_host import LibvirtHost
from tui.hosts.questions import host_address
from tui.model.guest import Address, AddressSource

NOTHING: dict[str, Any] = {}
WITHOUT_ADDRESS = {"vnet0": {"addrs": None, "hwaddr": "52:54:00:00:00:01"}}
SECOND_HAS_ONE = {
    **WITHOUT_ADDRESS,
    "vnet1": {"addrs": [{"addr": "192.0.2.9", "prefix": 24, "type": 0}], "hwaddr": "52:54:00:00:00:02"},
}
LEASE, ARP = libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE, libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_ARP


def refusal(code: int) -> Exception:
    """An error of libvirt's with that code."""
    error = libvirt.libvirtError("it was refused")
    error.err = (code, *[None] * 8)
    return error  # type: ignore[no-any-return]


class FakeDomainOfNetworks:
    """Stands for a domain whose host knows this of its networks; the test driver answers alike of every source."""

    def __init__(self, known: dict[int, dict[str, Any] | int]) -> None:
        self._known = known
        self.asked: list[int] = []

    def interfaceAddresses(self, source: int, _flags: int) -> dict[str, Any]:  # noqa: N802 - libvirt's name
        """What that source knows, or its refusal."""
        self.asked.append(source)
        known = self._known[source]
        if isinstance(known, int):
            raise refusal(known)
        return known


@pytest.mark.parametrize(
    "lease", [NOTHING, WITHOUT_ADDRESS, faults.NO_SUPPORT, faults.OPERATION_INVALID, faults.NO_NETWORK]
)
def test_where_there_is_no_lease_the_arp_table_tells(lease: dict[str, Any] | int) -> None:
    domain = FakeDomainOfNetworks({LEASE: lease, ARP: SECOND_HAS_ONE})
    assert host_address(domain) == Address("192.0.2.9", AddressSource.ARP)
    assert domain.asked == [LEASE, ARP]


def test_a_lease_counts_before_the_arp_table() -> None:
    domain = FakeDomainOfNetworks({LEASE: SECOND_HAS_ONE, ARP: NOTHING})
    assert host_address(domain) == Address("192.0.2.9", AddressSource.LEASE)
    assert domain.asked == [LEASE]


def test_where_neither_knows_one_there_is_none() -> None:
    assert host_address(FakeDomainOfNetworks({LEASE: NOTHING, ARP: faults.NO_SUPPORT})) is None


def test_an_error_that_is_not_about_the_source_is_told() -> None:
    with pytest.raises(libvirt.libvirtError):
        host_address(FakeDomainOfNetworks({LEASE: libvirt.VIR_ERR_NO_DOMAIN, ARP: SECOND_HAS_ONE}))


async def test_the_lease_of_a_real_driver_reaches_the_list_and_the_details_with_its_source() -> None:
    watch = FleetWatch((LibvirtHost("test:///default", "test"),), lambda _fleet: None, LivenessPolicy(cycle_s=0))
    running = asyncio.create_task(watch.run())
    try:
        await until(lambda: bool(watch.fleet.guests))
        (guest,) = watch.fleet.guests.values()
        assert guest.address is None
        watch.sample(cpu=False, addresses=True)
        await until(lambda: watch.fleet.guests[guest.id].address is not None)
        (guest,) = watch.fleet.guests.values()
        assert cell(guest, ALL["address"], 0.0) == "192.168.122.3 lease"
        assert "address 192.168.122.3, said by lease" in known_sections(guest)[0].lines
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
