"""Taking a guest for one run, so that of two that begin together one steps back before it touched anything.

libvirt's metadata knows no compare-and-swap: a mark is read, written and read again, and looked at once more before
the first act on the guest and directly before the snapshot. Who wrote last has the guest; who finds another's mark in
place of its own steps back, and leaves that one alone.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tui.agent.errors import HostGoneError
from tui.backup.chain import Place, place_of, read_guest
from tui.backup.ending import tell_log
from tui.backup.errors import BackupError
from tui.backup.journal import RunStage
from tui.backup.liveness import BEAT_S, beaten, is_abandoned
from tui.backup.mark import Owner, mark_xml, owner_words, read_mark
from tui.backup.plan import BackupPlan
from tui.backup.session import HostSession
from tui.hosts.port import HostError, NoSuchDomainError


class GuestTakenError(BackupError):
    """Somebody else holds the guest: nothing was done to it, and the other's mark is left alone."""


class Claim:
    """One holder's mark on one guest; `owner` says who it is."""

    def __init__(self, session: HostSession, uuid: str, owner: Owner) -> None:
        self.session = session
        self._uuid = uuid
        self._owner = owner
        self._stage = RunStage.PLANNED
        self._holds_on = False
        self._is_taken = False
        self._writing = asyncio.Lock()

    async def take(self, replaced: str | None = None) -> None:
        """Leave the mark; `replaced` is the abandoned one, word for word, that may be there.

        Raises GuestTakenError where another is there, and HostError.
        """
        there = await self._read()
        if there is not None and there != replaced:
            raise _taken(there)
        self._is_taken = True
        await self._write()
        await self.confirm()

    async def take_from_the_dead(self) -> str | None:
        """The same, whatever mark of a run is there that is proven to have died; returns that mark."""
        there = await self._read()
        if there is not None and not await asyncio.to_thread(is_abandoned, there):
            raise _taken(there)
        await self.take(there)
        return there

    async def confirm(self) -> None:
        """Raise GuestTakenError unless the mark is this holder's; and HostError."""
        there = await self._read()
        if not self._owner.is_same(read_mark(there)):
            raise _taken(there)

    async def confirm_now(self) -> None:
        """The same in one try, for a guest that is frozen meanwhile; raises the first HostError."""
        there = await self.session.host.run_metadata(self._uuid)
        if not self._owner.is_same(read_mark(there)):
            raise _taken(there)

    async def confirm_untouched(self, plan: BackupPlan, *, is_off: bool) -> None:
        """The same, and that a running guest is on the images that were planned; raises what `confirm` raises."""
        await self.confirm()
        if is_off:
            return
        view = await read_guest(self.session, self._uuid)
        moved = [disk.target for disk in plan.disks if place_of(view.live.get(disk.target), disk) is not Place.BASE]
        if moved:
            raise GuestTakenError(
                "The guest's disks changed since the checks",
                cause=f"{', '.join(moved)} is not on the image that was planned any more",
                next_step="Nothing was done to the guest. See who works on it: qga-tui rescue",
            )

    async def tell(self, stage: RunStage) -> None:
        """Write how far the run is; raises GuestTakenError where the mark is another's by now, and HostError."""
        self._stage = stage
        async with self._writing:
            await self.confirm()
            await self._write()

    async def show(self) -> None:
        """Show a sign of life now, as after a definition was replaced, and the mark with it; raises HostError."""
        async with self._writing:
            await self._beat()

    def hold_on(self) -> None:
        """From here on the guest is this holder's, whatever becomes of the mark: one that was removed is left again."""
        self._holds_on = True

    @asynccontextmanager
    async def renewing(self) -> AsyncIterator[None]:
        """Show signs of life meanwhile."""
        task = asyncio.create_task(self._renew())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})

    async def release(self, former: str | None = None) -> None:
        """Take the mark off, or put `former` in its place, and read that it is so; another's mark stays.

        What was never taken needs no host. Raises HostError and BackupError.
        """
        if not self._is_taken:
            return
        async with self._writing:
            self._holds_on = False
            if not self._owner.is_same(read_mark(await self._read())):
                return
            await self.session.ask(lambda host: host.set_run_metadata(self._uuid, former))
            if self._owner.is_same(read_mark(await self._read())):
                raise BackupError(
                    "The guest's mark could not be taken off", next_step="A later backup will ask about it."
                )

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            try:
                async with self._writing:
                    await self._beat()
            except (HostError, HostGoneError) as error:
                # The next one may find the host again; what is told meanwhile is told by who works on the guest.
                tell_log(error)

    async def _beat(self) -> None:
        if not self._is_taken:
            return
        there = await self.session.ask_once(lambda host: host.run_metadata(self._uuid))
        if not self._owner.is_same(read_mark(there)) and not (self._holds_on and there is None):
            return
        self._owner = beaten(self._owner)
        xml = mark_xml(self._owner, self._stage)
        await self.session.ask_once(lambda host: host.set_run_metadata(self._uuid, xml))

    async def _read(self) -> str | None:
        return await self.session.ask(lambda host: host.run_metadata(self._uuid))

    async def _write(self) -> None:
        xml = mark_xml(self._owner, self._stage)
        await self.session.ask(lambda host: host.set_run_metadata(self._uuid, xml))


@asynccontextmanager
async def held_by(session: HostSession, uuid: str, owner: Owner) -> AsyncIterator[None]:
    """Hold a guest for an act of its own; one that is not defined needs no holding.

    Raises GuestTakenError where somebody holds it who is not proven to have died, and HostError.
    """
    claim = Claim(session, uuid, owner)
    try:
        await claim.take_from_the_dead()
    except NoSuchDomainError:
        yield
        return
    claim.hold_on()
    try:
        async with claim.renewing():
            yield
    finally:
        try:
            await claim.release()
        except (HostError, BackupError) as error:
            tell_log(error)


def _taken(there: str | None) -> GuestTakenError:
    owner = read_mark(there)
    if owner is None:
        return GuestTakenError(
            "The guest's mark was taken off meanwhile",
            cause="somebody removed it from the guest's metadata",
            next_step="Nothing was done to the guest. See who works on it, then try again.",
        )
    return GuestTakenError(
        "Somebody else works on this guest",
        cause=f"it may be running: {owner_words(owner, time.time())}",
        next_step="Nothing was done to the guest. Wait for the other one's end, then try again.",
    )


async def clear_mark(session: HostSession, uuid: str, mark: str) -> None:
    """Take a mark off that is there word for word, and read that it is gone; any other stays.

    Raises HostError and BackupError.
    """
    if await session.ask(lambda host: host.run_metadata(uuid)) != mark:
        return
    await session.ask(lambda host: host.set_run_metadata(uuid, None))
    if await session.ask(lambda host: host.run_metadata(uuid)) == mark:
        raise BackupError("The guest's mark could not be taken off", next_step="A later backup will ask about it.")
