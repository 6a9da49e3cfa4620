"""The sequence of a restore, and which state it leaves at every point of it.

Up to the first move nothing that was there is touched. From there on it is finished, or all of it is put back; what a
process that dies leaves undone is settled the same way by the next one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from shlex import quote
from typing import TypeVar

from tui.backup.acts import start
from tui.backup.checks import Verdict
from tui.backup.claim import Claim
from tui.backup.control import Orders
from tui.backup.ending import ending, tell_log
from tui.backup.errors import BackupError, CancelledBackupError, explained
from tui.backup.journal import Journal, RunStage
from tui.backup.liveness import own_owner
from tui.backup.mark import Kind
from tui.backup.progress import Progress, Step
from tui.backup.proof_note import prove_and_note
from tui.backup.restore.boot_test import BootNote, boot_and_ask, keep_note
from tui.backup.restore.circumstances import gather, without_host
from tui.backup.restore.copies import Copies
from tui.backup.restore.definition import restored_xml
from tui.backup.restore.files import make_folder
from tui.backup.restore.findings import findings_of
from tui.backup.restore.guest import find, goes_off, is_off, put_off
from tui.backup.restore.order import FOUND, restores_found
from tui.backup.restore.plan import RestoreWay, StopWay
from tui.backup.restore.saved import SavedBackup, read_saved
from tui.backup.restore.telling import outcome_of
from tui.backup.restore.turning import (
    Definitions,
    define_former,
    hand_over,
    keep_definitions,
    put_files_in,
    turn_back,
)
from tui.backup.restore.verifying import VerifyTicks, refuse_broken
from tui.backup.restore.wishes import Wishes
from tui.backup.runs import RestoreRun
from tui.backup.runstate import EXIT_DONE, EXIT_LESS, EXIT_NOT_DONE, EXIT_RESCUE
from tui.backup.same_machine import require_here
from tui.backup.session import HostSession, Patience
from tui.hosts.port import NoSuchDomainError
from tui.model.errors import ExplainedError

T = TypeVar("T")


class Restore:
    """One run, from its plan to its end."""

    def __init__(self, session: HostSession, run: RestoreRun, orders: Orders, patience: Patience) -> None:
        self._session = session
        self._run = run
        self._plan = run.plan
        self._orders = orders
        self._patience = patience
        self._journal = Journal(run.folder)
        self._progress = Progress(run.folder)
        session.hear_absence(self._progress.waiting)
        self._shortfalls: list[str] = []
        self._stage: RunStage | None = None
        self._boot: BootNote | None = None
        self._asked_off = False
        self._went_off = False
        self._claim = Claim(session, run.plan.uuid, own_owner(run.plan.run_id, run.plan.host, Kind.RESTORE))

    async def run(self) -> int:
        """Do the restore; returns the exit code, which the journal has too."""
        try:
            async with self._claim.renewing():
                try:
                    await self._run_all()
                except Exception as error:  # noqa: BLE001 - whatever it was: the former state is put back, and it is told
                    return await self._end_badly(error)
                finally:
                    await self._let_go()
        finally:
            self._progress.close()
        return self._end(RunStage.DONE, EXIT_LESS if self._shortfalls else EXIT_DONE, None)

    async def _hold(self) -> None:
        """Keep others off a guest that is to be changed; raises GuestTakenError where somebody holds it."""
        if self._plan.way not in (RestoreWay.IN_PLACE, RestoreWay.ATTACH):
            return
        with suppress(NoSuchDomainError):
            await self._claim.take_from_the_dead()
            self._claim.hold_on()

    async def _let_go(self) -> None:
        try:
            await self._claim.release()
        except NoSuchDomainError:
            return
        except ExplainedError as error:
            self._shortfalls.append(error.one_line())

    async def _run_all(self) -> None:
        with self._progress.during(Step.PREPARE):
            await self._prepare()
        with self._progress.during(Step.VERIFY):
            await self._verify()
        with self._progress.during(Step.COPY):
            self._note(RunStage.COPYING)
            await asyncio.to_thread(make_folder, self._plan)
            copies = Copies(self._plan, self._progress, self._orders, self._patience.room_s)
            self._shortfalls += await copies.write()
            self._note(RunStage.COPIED)
        if self._plan.way is RestoreWay.IN_PLACE:
            with self._progress.during(Step.STOP):
                await self._put_off()
        self._refuse_if_cancelled()
        await require_here(self._session, self._plan)
        with self._progress.during(Step.PLACE):
            self._note(RunStage.MOVING)
            await put_files_in(self._session, self._plan)
        if self._plan.way is not RestoreWay.DISK:
            with self._progress.during(Step.DEFINE):
                self._note(RunStage.DEFINING)
                self._shortfalls += await hand_over(self._session, self._run)
                await self._claim.show()
        if self._plan.way is RestoreWay.BOOT_TEST:
            with self._progress.during(Step.BOOT):
                await self._boot_test()

    async def _put_off(self) -> None:
        is_on = not await is_off(self._session, self._plan.uuid)
        # From here on it may go off at any time, whatever is heard of it.
        self._asked_off = is_on and self._plan.stop is not StopWay.NONE
        if self._asked_off:
            self._note(RunStage.COPIED, asked_off=True)
        await put_off(self._session, self._plan, self._orders.stop, self._patience.stop_s)
        self._went_off = True

    async def _prepare(self) -> None:
        saved = await asyncio.to_thread(read_saved, Path(self._plan.folder))
        await self._refuse_failed(saved)
        before = ""
        if self._plan.way is RestoreWay.IN_PLACE and await find(self._session, self._plan.uuid) is not None:
            before = await self._session.ask(lambda host: host.stored_xml(self._plan.uuid, secrets=True))
        restored = restored_xml(self._plan, saved.stored_xml) if self._plan.defines else ""
        await asyncio.to_thread(keep_definitions, self._run, Definitions(restored, before))
        await self._hold()
        found = await asyncio.to_thread(restores_found, self._plan)
        files = [asdict(file) for file in self._plan.files]
        self._note(RunStage.PLANNED, way=self._plan.way, files=files, **{FOUND: found})

    async def _refuse_failed(self, saved: SavedBackup) -> None:
        """Look once more: since the plan was made, hours may have gone by."""
        if self._plan.way is RestoreWay.DISK:
            now = await without_host(saved, self._plan)
        else:
            now = await self._session.ask(lambda host: gather(host, saved, self._plan))
        found = findings_of(saved, self._plan, Wishes(self._plan.way), now)
        failed = [finding for finding in found if finding.verdict is Verdict.FAILED]
        if failed:
            raise BackupError(
                "The restore may not begin",
                cause="; ".join(f"{finding.title}: {finding.evidence}" for finding in failed),
                next_step=" ".join(finding.next_step for finding in failed if finding.next_step),
            )

    async def _verify(self) -> None:
        ticks = VerifyTicks(self._plan, self._progress)
        proof = await self._unless_cancelled(prove_and_note(Path(self._plan.folder), ticks.tell))
        self._shortfalls += refuse_broken(self._plan, proof)
        self._shortfalls += proof.remarks

    async def _boot_test(self) -> None:
        self._note(RunStage.TESTING)
        self._boot = await boot_and_ask(self._session, self._plan, self._orders.stop, self._patience.boot_s)
        if not self._boot.passed:
            self._shortfalls.append(f"the boot test failed: {self._boot.why}")
        await turn_back(self._session, self._run, moved=True, keep=False)
        try:
            await asyncio.to_thread(keep_note, Path(self._plan.folder), self._boot)
        except BackupError as error:
            self._shortfalls.append(error.one_line())

    async def _unless_cancelled(self, work: Coroutine[None, None, T]) -> T:
        task, stop = asyncio.create_task(work), asyncio.create_task(self._orders.stop.wait())
        try:
            await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
            self._refuse_if_cancelled()
            return await task
        finally:
            for each in (task, stop):
                each.cancel()
            await asyncio.wait({task, stop})

    def _refuse_if_cancelled(self) -> None:
        if self._orders.stop.is_set():
            raise CancelledBackupError("The restore was cancelled")

    async def _end_badly(self, error: Exception) -> int:
        """Put the former state back; where that fails, say so and leave it to whoever looks next."""
        if self._stage in (None, RunStage.PLANNED):
            return self._end(RunStage.FAILED, EXIT_NOT_DONE, error)
        moved = self._stage not in (RunStage.COPYING, RunStage.COPIED)
        try:
            if moved:
                self._journal.write(RunStage.UNDOING, keep=False)
            await turn_back(self._session, self._run, moved=moved, keep=False)
            if self._asked_off:
                await self._bring_up_again()
        except Exception as trouble:  # noqa: BLE001 - told beside the first error; nothing is deleted
            self._shortfalls.append(f"the former state could not be put back: {explained(trouble).title}")
            tell_log(trouble)
            return self._end(RunStage.FAILED, EXIT_RESCUE, error)
        return self._end(RunStage.FAILED, EXIT_NOT_DONE, error)

    async def _bring_up_again(self) -> None:
        """Have the guest run again that was asked to go off, and may be on its way there only now."""
        plan = self._plan
        if not self._went_off and not await goes_off(self._session, plan.uuid, self._patience.late_off_s):
            virsh = f"virsh -c {quote(plan.uri)} start {quote(plan.guest)}"
            self._shortfalls.append(
                f"{plan.guest} was asked to shut down and still runs: should it go off yet, start it again: {virsh}"
            )
        elif await is_off(self._session, plan.uuid):
            # A transient guest is gone with its end; what is started again is what it was.
            await define_former(self._session, self._run)
            await start(self._session, plan.uuid)

    def _end(self, stage: RunStage, exit_code: int, error: Exception | None) -> int:
        outcome = "" if error is not None else outcome_of(self._plan, self._boot)
        self._note(stage, **ending(exit_code, error, self._shortfalls), outcome=outcome)
        return exit_code

    def _note(self, stage: RunStage, **details: object) -> None:
        """Write a stage before its acts; raises OSError, and then nothing of it is done."""
        self._journal.write(stage, **details)
        self._stage = stage
