"""The sequence of a backup, and what it owes the guest at every point of it.

Up to the snapshot a failure leaves everything as it was. From the snapshot on there is one way only: copy while the
bases stand still, or give the copy up; then merge, whatever happened before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from tui.agent.errors import AgentError
from tui.backup.away import Absence
from tui.backup.capture import Capture, seal, untroubled
from tui.backup.chain import disks_by_target
from tui.backup.claim import Claim
from tui.backup.control import Orders
from tui.backup.disk_set import unasked_words
from tui.backup.ending import ending, tell_log
from tui.backup.errors import BackupError, CancelledBackupError, NeedsRescueError, explained
from tui.backup.folder import ResultFolder, result_folder
from tui.backup.guest_watch import GuestWatch
from tui.backup.homecoming import bring_home, delete_overlays, refuse_unproven
from tui.backup.journal import Journal, RunStage
from tui.backup.liveness import own_owner
from tui.backup.manifest import Consistency, CopiedDisk, FreezeReport, utc_now
from tui.backup.mark import Kind
from tui.backup.nvram import NVRAM_FILE
from tui.backup.plan import QuiescePolicy, image_paths
from tui.backup.prepare import GuestRecord, inspect, keep_kernel, save_record
from tui.backup.progress import Progress, Step
from tui.backup.reach_files import file_system, overlay_size
from tui.backup.runs import Run, keep_definitions
from tui.backup.runstate import EXIT_DONE, EXIT_LESS, EXIT_NOT_DONE, EXIT_RESCUE
from tui.backup.same_machine import require_own_overlays
from tui.backup.session import HostSession, Patience
from tui.backup.since_snapshot import resized, taken_along
from tui.backup.snapshot import IncompleteSnapshotError, take_snapshot
from tui.backup.source import reach_of
from tui.backup.target import Target, Tell
from tui.backup.tpm import keep_state
from tui.backup.writeout import NotWrittenOutError, write_out
from tui.hosts.port import HostError
from tui.hosts.same_files import are_here
from tui.model.errors import ExplainedError


class Backup:
    """One run, from its plan to its end."""

    def __init__(
        self,
        session: HostSession,
        run: Run,
        watchdog_argv: Sequence[str],
        orders: Orders,
        patience: Patience,
    ) -> None:
        self._session = session
        self._run = run
        self._plan = run.plan
        self._reach = reach_of(session, run.plan)
        self._watchdog_argv = watchdog_argv
        self._orders = orders
        self._patience = patience
        self._target = Target(Path(run.plan.target), orders.stop, patience.target_s)
        self._journal = Journal(run.folder)
        self._progress = Progress(run.folder)
        session.hear_absence(self._progress.waiting)
        self._shortfalls: list[str] = []
        self._copies: tuple[CopiedDisk, ...] = ()
        self._sees_overlays = False
        self._absence = Absence.NONE
        self._claim = Claim(session, run.plan.uuid, own_owner(run.plan.run_id, run.plan.host, Kind.BACKUP))

    async def run(self) -> int:
        """Do the backup; returns the exit code, which the journal has too."""
        try:
            async with self._claim.renewing():
                return await self._run_all()
        finally:
            self._progress.close()

    async def _run_all(self) -> int:
        try:
            with self._progress.during(Step.PREPARE):
                record, folder = await self._prepare()
                self._shortfalls += [f"not in this backup, as accepted: {words}" for words in record.missing]
        except Exception as error:  # noqa: BLE001 - whatever it was, it is told, and the mark is taken off
            return await self._end_untouched(error)
        failure: Exception | None = None
        freeze = FreezeReport(Consistency.CRASH)
        try:
            with self._progress.during(Step.FREEZE):
                await self._write_out(record)
                freeze = await self._snapshot(record)
                failure = await self._keep_firmware(record, folder)
        except NeedsRescueError as error:
            return self._end_in_rescue(error)
        except IncompleteSnapshotError as error:
            failure = error
        except BackupError as error:
            return await self._end_untouched(error)
        except Exception as error:  # noqa: BLE001 - overlays may be in use: the guest has to come back from them
            failure = error
        if failure is None:
            failure = await self._copied_meanwhile(record, folder, freeze)
        if failure is not None:
            # The journal alone makes it void: the folder is marked once the guest is home, if it can be by then.
            self._note(RunStage.VOID, error=asdict(explained(failure)))
        if record.off:
            return await self._end_offline(failure)
        return await self._bring_back(failure)

    async def _prepare(self) -> tuple[GuestRecord, ResultFolder]:
        tell = self._teller(Step.PREPARE)
        # What the checks want to know of it has no deadline.
        await self._target.do(partial(file_system, self._plan.target), tell)
        record = await inspect(self._session, self._plan, self._reach)
        keep_definitions(self._run, record.stored_xml, record.live_xml)
        self._journal.write(RunStage.PLANNED, disks=[asdict(disk) for disk in self._plan.disks])
        await self._claim.take()
        folder = await save_record(self._plan, record, self._target, tell)
        record = await keep_kernel(folder, record, self._target, tell)
        if self._orders.stop.is_set():
            raise CancelledBackupError("The backup was cancelled")
        await self._claim.confirm_untouched(self._plan, is_off=record.off)
        return record, folder

    async def _write_out(self, record: GuestRecord) -> None:
        """Best effort: a guest that cannot be asked for it is frozen for as long as its data takes."""
        if record.off or self._plan.quiesce is QuiescePolicy.OFF:
            return
        line = self._session.host.work_line(self._plan.uuid)
        try:
            await write_out(line, self._patience.write_out_s, self._orders.stop, self._teller(Step.FREEZE))
        except (AgentError, NotWrittenOutError) as error:
            tell_log(error)

    def _teller(self, step: Step) -> Tell:
        return partial(self._progress.doing, step)

    async def _snapshot(self, record: GuestRecord) -> FreezeReport:
        if record.off:
            offline = FreezeReport(Consistency.OFFLINE, taken=utc_now())
            self._note(RunStage.SNAPSHOT_TAKEN, **asdict(offline))
            return offline
        self._journal.write(RunStage.FREEZING)
        await self._claim.confirm_untouched(self._plan, is_off=record.off)
        before = disks_by_target(record.live_xml)
        freeze = await take_snapshot(
            self._session, self._run, self._watchdog_argv, before, self._patience, self._claim.confirm_now
        )
        self._claim.hold_on()
        freeze = replace(freeze, taken=utc_now())
        self._note(RunStage.SNAPSHOT_TAKEN, **asdict(freeze))
        if freeze.remark:
            self._shortfalls.append(freeze.remark)
        elif freeze.consistency is not Consistency.QUIESCED and self._plan.quiesce is not QuiescePolicy.OFF:
            self._shortfalls.append("the guest was not frozen")
        return freeze

    async def _keep_firmware(self, record: GuestRecord, folder: ResultFolder) -> Exception | None:
        """See whose overlays they are, and save what the guest's firmware may write to later; returns why not.

        Nothing is raised: whatever it was, the guest has to come back from its overlays.
        """
        tell = self._teller(Step.FREEZE)
        try:
            if not record.off:
                await require_own_overlays(self._session, self._plan)
            if record.nvram is not None:
                await self._target.do(partial(folder.keep_file, NVRAM_FILE, record.nvram.path), tell)
            if record.tpm is not None:
                await self._target.do(partial(keep_state, folder, record.tpm.path), tell)
        except Exception as error:  # noqa: BLE001 - see above
            return error
        return None

    async def _copied_meanwhile(
        self, record: GuestRecord, folder: ResultFolder, freeze: FreezeReport
    ) -> Exception | None:
        """Copy while somebody looks after the guest; returns why it did not come to a backup."""
        if record.off:
            return await self._capture(record, folder, freeze, None)
        watch = GuestWatch(self._session, self._plan, disks_by_target(record.live_xml), self._note)
        async with watch.watching(is_thawed=freeze.is_thawed):
            failure = await self._capture(record, folder, freeze, watch)
        self._shortfalls += watch.told
        self._absence = watch.absence
        return failure

    async def _capture(
        self, record: GuestRecord, folder: ResultFolder, freeze: FreezeReport, watch: GuestWatch | None
    ) -> Exception | None:
        """Copy, prove, seal; returns why it did not come to that."""
        capture = Capture(
            self._plan,
            self._reach,
            folder,
            self._target,
            self._progress,
            self._orders.throttle,
            self._patience.room_s,
            watch.trouble_now if watch is not None else untroubled,
        )
        try:
            with self._progress.during(Step.COPY):
                copies = await capture.copy_disks()
                if watch is not None:
                    watch.is_copied = True
            with self._progress.during(Step.VERIFY):
                copies, remarks = await capture.verify_disks(copies)
                await seal(capture, record, copies, freeze, remarks)
                self._journal.write(RunStage.COPIED)
                await self._target.do(folder.seal, capture.tell_verify)
        except Exception as error:  # noqa: BLE001 - the guest has to come back from its overlays, whatever it was
            return error
        self._shortfalls += remarks
        self._copies = copies
        return None

    async def _end_offline(self, failure: Exception | None) -> int:
        """A guest that was off wrote to nothing but its own disks, whatever it did meanwhile."""
        with self._progress.during(Step.TIDY):
            await self._take_leave()
            await self._void(failure)
        if failure is not None:
            return self._end(RunStage.FAILED, EXIT_NOT_DONE, failure)
        return self._end(RunStage.DONE, EXIT_LESS if self._shortfalls else EXIT_DONE, None)

    async def _void(self, failure: Exception | None) -> None:
        """Mark the folder of a copy that failed; the journal has said so before, and no guest waits for this."""
        if failure is None:
            return
        mark = partial(result_folder(self._plan).void, explained(failure).title)
        unhurried = replace(self._target, stop=asyncio.Event(), patience_s=self._patience.last_word_s)
        try:
            await unhurried.do(mark, self._teller(Step.TIDY))
        except (OSError, BackupError) as error:
            tell_log(error)
            self._shortfalls.append("the copy's folder could not be marked as void; it is no backup all the same")

    async def _bring_back(self, failure: Exception | None) -> int:
        """Merge every disk, then tidy up. From here on the bases change: they are not read again as a backup."""
        self._claim.hold_on()
        try:
            with self._progress.during(Step.COMMIT):
                self._shortfalls += await resized(self._session, self._plan, self._copies)
                self._note(RunStage.COMMITTING)
                await self._tell_mark(RunStage.COMMITTING)
                await self._take_in_unasked()
                self._sees_overlays = await self._session.ask(lambda host: are_here(host, image_paths(self._plan)))
                home = await bring_home(
                    self._session,
                    self._plan,
                    self._reach,
                    self._tick_commit,
                    self._patience,
                    self._note,
                    settle=self._orders.settle,
                    absence=self._absence,
                )
            self._shortfalls += home.remarks
            await refuse_unproven(self._plan, self._reach, home.merged)
            self._note(RunStage.PIVOTED)
            with self._progress.during(Step.TIDY):
                self._shortfalls += await delete_overlays(self._session, self._plan, self._reach, home.merged)
                await self._take_leave()
                await self._void(failure)
        except Exception as error:  # noqa: BLE001 - told with what is where; nothing is deleted
            await self._void(failure)
            return self._end_in_rescue(error)
        if failure is not None:
            return self._end(RunStage.FAILED, EXIT_NOT_DONE, failure)
        return self._end(RunStage.DONE, EXIT_LESS if self._shortfalls else EXIT_DONE, None)

    async def _take_in_unasked(self) -> None:
        """Have the disks merged, too, that the snapshot took with it though it was not asked to."""
        more = await taken_along(self._session, self._plan)
        for disk in more:
            self._note(RunStage.NOTICED, what=f"unasked {disk.target}", words=unasked_words(disk))
            self._shortfalls.append(unasked_words(disk))
        self._plan = replace(self._plan, disks=(*self._plan.disks, *more))

    def _tick_commit(self, target: str, done: int, total: int, waiting: str) -> None:
        self._progress.tick(Step.COMMIT, target, done, total, waiting=waiting)
        for disk in self._plan.disks if self._sees_overlays else ():
            overlay = overlay_size(disk.overlay)
            if overlay is not None:
                self._progress.overlay(disk.target, overlay.bytes, overlay.free)

    async def _take_leave(self) -> None:
        """Leave neither the mark nor what the way to the images needed."""
        for leave in (self._claim.release, self._reach.close):
            try:
                await leave()
            except ExplainedError as error:
                self._shortfalls.append(error.one_line())

    async def _tell_mark(self, stage: RunStage) -> None:
        """The mark's stage is a help for others; the definition is the truth, so a failure stops nothing."""
        try:
            await self._claim.tell(stage)
        except (HostError, BackupError) as error:
            tell_log(error)

    async def _end_untouched(self, error: Exception) -> int:
        await self._take_leave()
        await self._void(error)
        return self._end(RunStage.FAILED, EXIT_NOT_DONE, error)

    def _end_in_rescue(self, error: Exception) -> int:
        return self._end(RunStage.FAILED, EXIT_RESCUE, error)

    def _end(self, stage: RunStage, exit_code: int, error: Exception | None) -> int:
        self._note(stage, **ending(exit_code, error, self._shortfalls))
        return exit_code

    def _note(self, stage: RunStage, **details: object) -> None:
        """Write a stage after the snapshot: a journal that cannot be written must not keep the guest from coming back.

        The definition and the mark tell the same to whoever has to finish the run.
        """
        try:
            self._journal.write(stage, **details)
        except OSError as error:
            tell_log(error)
            self._shortfalls.append(f"the journal could not be written: {error.strerror}")
