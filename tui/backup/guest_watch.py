"""Looking after a guest while its disks are copied: every two seconds, and whenever the host tells something.

It waits for nothing that the copy does not need: a host that is away is asked again later.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tui.agent.errors import AgentError, HostGoneError
from tui.backup.away import Absence
from tui.backup.disk_set import Disks
from tui.backup.ending import say_in_log
from tui.backup.errors import BackupError
from tui.backup.homecoming import Note
from tui.backup.journal import RunStage
from tui.backup.meanwhile import IO_ERROR, Sighting, migrated, sightings, written_below
from tui.backup.plan import BackupPlan
from tui.backup.quiesce import thaw_once
from tui.backup.session import HostSession
from tui.hosts.port import HostError, NoSuchDomainError
from tui.model.errors import ExplainedError
from tui.model.events import STOPPED, BlockJobChanged, DomainChanged, DomainRemoved, HostEvent
from tui.model.guest import MIGRATED_AWAY

LOOK_S = 2.0
"""Seconds between two looks where no event comes."""
THAW_EVERY_S = 5.0
GONE = Sighting("gone", "the guest is no longer defined on this host", is_told=True)


class GuestWatch:
    """What was seen of a guest: `trouble` is why its copy has to end, `told` what the result says of it."""

    def __init__(self, session: HostSession, plan: BackupPlan, before: Disks, note: Note) -> None:
        self._session = session
        self._plan = plan
        self._before = before
        self._note = note
        self._heard = asyncio.Event()
        self._seen: set[str] = set()
        self.trouble: BackupError | None = None
        self.is_copied = False
        self.told: list[str] = []
        self.absence = Absence.NONE

    @asynccontextmanager
    async def watching(self, *, is_thawed: bool) -> AsyncIterator[None]:
        """Look after the guest meanwhile; one that is not thawed yet is thawed, however long that takes."""
        stop_listening = self._session.listen(self._hear)
        tasks = [asyncio.create_task(self._look_on())]
        if not is_thawed:
            tasks.append(asyncio.create_task(self._thaw()))
        try:
            yield
        finally:
            stop_listening()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def trouble_now(self) -> BackupError | None:
        """Why the copy has to end, None where it may go on."""
        return self.trouble

    def _hear(self, event: HostEvent) -> None:
        """Runs on the event loop. What no later look can see is taken from the event itself."""
        match event:
            case DomainChanged(uuid=self._plan.uuid, what=what, reason=reason):
                if what == STOPPED and reason == MIGRATED_AWAY:
                    self._take(migrated(self._plan))
            case BlockJobChanged(uuid=self._plan.uuid, target=target, end=end):
                for disk in self._plan.disks:
                    if disk.target == target:
                        self._take(written_below(disk, f"a block job that another program began on it: {end}"))
            case DomainRemoved(uuid=self._plan.uuid):
                pass
            case _:
                return
        self._heard.set()

    async def _look_on(self) -> None:
        while True:
            try:
                facts = await self._session.ask_now(lambda host: host.read_domain(self._plan.uuid))
            except NoSuchDomainError:
                self._take(GONE)
            except (HostError, HostGoneError) as error:
                # Whether the host comes back is asked once the guest is to be brought home.
                say_in_log(f"watch: {error.one_line()}")
            except ExplainedError as error:
                say_in_log(f"watch: the definition cannot be read: {error.one_line()}")
            else:
                for each in sightings(self._plan, self._before, facts):
                    self._take(each)
                if not facts.power.startswith(("off", "unknown")):
                    self.absence = Absence.NONE
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._heard.wait()
            except TimeoutError:
                continue
            finally:
                self._heard.clear()

    def _take(self, each: Sighting) -> None:
        """Write down what is seen for the first time; the first reason to end the copy is the one that counts."""
        self.absence = each.absence or self.absence
        # Once every disk is copied, only a guest that stands still is a reason to hurry.
        matters = not self.is_copied or each.what == IO_ERROR
        if each.ends_copy is not None and self.trouble is None and matters:
            self.trouble = each.ends_copy
        if each.what in self._seen:
            return
        self._seen.add(each.what)
        details = {"absence": str(each.absence)} if each.absence else {}
        self._note(RunStage.NOTICED, what=each.what, words=each.words, **details)
        if each.is_told:
            self.told.append(each.words)

    async def _thaw(self) -> None:
        """Thaw a guest that stayed frozen, until it is."""
        self._note(RunStage.NOTICED, what="frozen", words="the guest could not be thawed; it is tried on and on")
        while True:
            try:
                if await self._session.ask_now(lambda host: thaw_once(host.work_line(self._plan.uuid))):
                    self._note(RunStage.NOTICED, what="thawed", words="the guest is thawed")
                    self.told.append("the guest was thawed only during the copy")
                    return
            except (AgentError, HostError) as error:
                say_in_log(f"watch: not thawed: {error.one_line()}")
            await asyncio.sleep(THAW_EVERY_S)
