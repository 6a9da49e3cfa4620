"""What a host is asked now and then because no event tells it: processor time and addresses. Only on demand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

from tui.fleet.fleet import Fleet
from tui.hosts.port import Host, HostError
from tui.model.guest import Address, Guest, GuestId, PowerState

CPU_EVERY_S = 3.0
ADDRESSES_EVERY_S = 60.0
CPU_STEP = 0.01
"""Shares are told in whole percents, so that a quiet guest's cell stays as it is."""


class Sampler:
    """Samples one host while somebody looks at what it samples; folds the results through `change`."""

    def __init__(self, host: Host, fleet_now: Callable[[], Fleet], change: Callable[[tuple[Guest, ...]], None]) -> None:
        self._host = host
        self._fleet_now = fleet_now
        self._change = change
        self._wanted = asyncio.Event()
        self._cpu = self._addresses = False
        self._times: dict[str, int] = {}
        self._taken_at = 0.0
        self._addresses_at = 0.0

    def want(self, *, cpu: bool, addresses: bool) -> None:
        """Say what is looked at."""
        self._cpu, self._addresses = cpu, addresses
        self._times = self._times if cpu else {}
        if cpu or addresses:
            self._wanted.set()
        else:
            self._wanted.clear()

    def look_again(self) -> None:
        """Ask for addresses before their turn: the guests may have changed."""
        self._addresses_at = 0.0

    async def run(self) -> None:
        """Sample until cancelled; a host that does not answer is left to those who connect it."""
        while True:
            await self._wanted.wait()
            try:
                if self._cpu:
                    await self._sample_cpu()
                if self._addresses and time.monotonic() - self._addresses_at >= ADDRESSES_EVERY_S:
                    await self._sample_addresses()
            except (HostError, ValueError):  # a ValueError is text of one guest that is no UTF-8
                self._times = {}
            await asyncio.sleep(CPU_EVERY_S)

    def _guests(self) -> tuple[Guest, ...]:
        return self._fleet_now().of_host(self._host.name)

    async def _sample_cpu(self) -> None:
        times = await self._host.cpu_times()
        now = time.monotonic()
        elapsed_ns = (now - self._taken_at) * 1e9
        shares = {
            uuid: round(max(spent - self._times[uuid], 0) / elapsed_ns / CPU_STEP) * CPU_STEP
            for uuid, spent in times.items()
            if uuid in self._times
        }
        self._times, self._taken_at = times, now
        self._change(tuple(replace(guest, cpu_share=shares.get(guest.id.uuid)) for guest in self._guests()))

    async def _sample_addresses(self) -> None:
        self._addresses_at = time.monotonic()
        found: dict[GuestId, Address | None] = {}
        for guest in self._guests():
            if guest.facts.power is PowerState.RUNNING and (guest.agent_facts is None or not guest.agent_facts.address):
                found[guest.id] = await self._address(guest)
        self._change(
            tuple(replace(guest, host_address=found[guest.id]) for guest in self._guests() if guest.id in found)
        )

    async def _address(self, guest: Guest) -> Address | None:
        try:
            return await self._host.host_address(guest.id.uuid)
        except HostError:
            return None  # gone or off meanwhile: it has none
