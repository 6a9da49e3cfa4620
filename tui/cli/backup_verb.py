"""`qga-tui backup`: plan, check, start the worker and tell how it goes."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tui.backup import runs
from tui.backup.checks import Check, Verdict
from tui.backup.equivalents import PlanStep
from tui.backup.errors import BackupError
from tui.backup.follow import follow
from tui.backup.manifest import utc_words
from tui.backup.plan import QuiescePolicy
from tui.backup.progress import StepStatus
from tui.backup.propose import Proposal, propose
from tui.backup.queue import launch_queue, room_for_all
from tui.backup.reach_files import file_system
from tui.backup.restore.wishes import Finding
from tui.backup.runstate import EXIT_DONE, EXIT_NOT_DONE, EXIT_RESCUE, RunState
from tui.backup.source import SourceWish
from tui.backup.telling import STATUS_GLYPHS, STEP_WORDS, headline, overlay_alarm, result_facts, step_facts
from tui.cli.connect import find_guest, hosts_for
from tui.cli.workers import WORKER_ARGV
from tui.model.errors import ExplainedError
from tui.model.paths import typed_path
from tui.model.text import printable
from tui.settings import load_config
from tui.system.signals import on_signals

TELL_EVERY_S = 5.0
"""Seconds between two lines about the same running step, where nobody overwrites them."""


@dataclass(frozen=True, slots=True)
class BackupWish:
    """What the user asked for; `disks` empty means all that can be backed up, `limit_bytes_s` 0 no limit."""

    guests: tuple[str, ...]
    folder: Path
    disks: tuple[str, ...] = ()
    quiesce: QuiescePolicy = QuiescePolicy.REQUIRED
    limit_bytes_s: int = 0
    compact: bool = False
    accepted: tuple[str, ...] = ()
    source: SourceWish = SourceWish.AUTO
    overlays: Path | None = None
    dry_run: bool = False
    as_json: bool = False

    @classmethod
    def of(cls, options: argparse.Namespace) -> BackupWish:
        """The wish in parsed options."""
        return cls(
            guests=tuple(dict.fromkeys(options.guests)),
            folder=Path(options.to).absolute(),
            disks=tuple(options.disk),
            quiesce=QuiescePolicy(options.quiesce),
            limit_bytes_s=options.limit,
            compact=options.compact,
            accepted=tuple(options.accept),
            source=SourceWish(options.source),
            overlays=_overlays_folder(options.overlays),
            dry_run=options.dry_run,
            as_json=options.json,
        )


def _overlays_folder(typed: str) -> Path | None:
    """The folder that was named, else the one of the settings; raises ExplainedError where it cannot be one."""
    return typed_path(typed, may_be_relative=True).absolute() if typed else load_config().overlays_folder


def run_backup(uris: Sequence[str], wish: BackupWish) -> int:
    """Back guests up one after the other; the exit code is the worst of theirs, see `RunState.exit_code`.

    All are planned first, then begun; from then on they need this process no more. SIGINT cancels what runs and what
    waits.
    """
    return asyncio.run(_run(uris, wish))


async def _run(uris: Sequence[str], wish: BackupWish) -> int:
    proposals: list[Proposal] = []
    for guest in wish.guests:
        try:
            proposals.append(await _proposed(uris, guest, wish))
        except ExplainedError as error:
            if len(wish.guests) == 1:
                raise
            # The others' backups do not depend on this one's.
            print(f"qga-tui: {printable(error.one_line())}", file=sys.stderr)
    worst = EXIT_DONE if len(proposals) == len(wish.guests) else EXIT_NOT_DONE
    if wish.dry_run:
        for proposal in proposals:
            _show(proposal, as_json=wish.as_json)
        return worst if all(proposal.may_begin for proposal in proposals) else EXIT_NOT_DONE
    if len(proposals) > 1:
        _note((room_for_all(proposals, await asyncio.to_thread(file_system, str(wish.folder))),))
    started: list[runs.Run] = []
    cancel_on_interrupt(started)
    started += launch_queue([proposal.plan for proposal in proposals], WORKER_ARGV)
    for run in started:
        if len(started) > 1 and not wish.as_json:
            print(printable(f"{run.plan.guest}:"), flush=True)
        worst = max(worst, await tell_to_the_end(run, as_json=wish.as_json))
    return worst


async def _proposed(uris: Sequence[str], wanted: str, wish: BackupWish) -> Proposal:
    """What the backup of a guest would be; raises ExplainedError where it may not begin, unless that is to be shown."""
    hosts = hosts_for(uris)
    try:
        host, facts = await find_guest(hosts, wanted)
        proposal = await propose(
            host,
            facts,
            wish.folder,
            wish.disks or None,
            quiesce=wish.quiesce,
            limit_bytes_s=wish.limit_bytes_s,
            compact=wish.compact,
            accepted=wish.accepted,
            source=wish.source,
            overlays=wish.overlays,
        )
    finally:
        for each in hosts:
            await each.close()
    if not wish.dry_run:
        refuse_failed(f"{proposal.plan.guest} cannot be backed up now", proposal.checks)
    return proposal


def cancel_on_interrupt(started: Sequence[runs.AnyRun]) -> None:
    """From now on SIGINT cancels the runs that are in `started` when it comes, and ends nothing else.

    SIGHUP ends this process as it always does, but never in the middle of starting workers: what was asked for begins.
    """

    def interrupt(_number: int) -> None:
        for run in started:
            runs.cancel(run, signal.SIGTERM)

    def hang_up(number: int) -> None:
        asyncio.get_running_loop().remove_signal_handler(number)
        os.kill(os.getpid(), number)

    on_signals((signal.SIGINT,), interrupt)
    on_signals((signal.SIGHUP,), hang_up)


async def tell_to_the_end(started: runs.AnyRun, *, as_json: bool) -> int:
    """Tell how a run goes until it has ended; returns its exit code."""
    teller = JsonTeller() if as_json else LineTeller()
    state: RunState | None = None
    async for state in follow(started):
        teller.tell(state)
    if state is None or state.exit_code is None:
        return EXIT_RESCUE
    teller.end(state)
    return state.exit_code


def _show(proposal: Proposal, *, as_json: bool) -> None:
    """The plan before anything happens: the checks, then each step with the command that does the same."""
    if as_json:
        values = {
            "may_begin": proposal.may_begin,
            "estimated_bytes": proposal.estimated_bytes,
            "estimated_s": None if proposal.estimated_s is None else round(proposal.estimated_s, 1),
            "plan": json.loads(proposal.plan.to_json()),
            "checks": [asdict(check) for check in proposal.checks],
            "steps": [asdict(step) for step in proposal.steps],
        }
        print(json.dumps(values, indent=1))
        return
    tell_checks(proposal.checks)
    print(printable(f"To do: {proposal.size_words}. Nothing was done; this would be:"))
    tell_steps(proposal.steps)


def tell_checks(checks: Sequence[Check | Finding]) -> None:
    """A line per check: how it is, and what to do if it is not well."""
    signs = {Verdict.PASSED: "✓", Verdict.WARNING: "!", Verdict.FAILED: "✗"}
    for check in checks:
        print(printable(f"{signs[check.verdict]} {check.title}: {check.evidence} {check.next_step}".rstrip()))


def tell_steps(steps: Sequence[PlanStep]) -> None:
    """Two lines per step: what is done, and the command that does the same."""
    for number, step in enumerate(steps, 1):
        print(printable(f"{number:2d} {step.title}"))
        print(printable(f"   {step.command}"))


def refuse_failed(title: str, checks: Sequence[Check | Finding]) -> None:
    """Note the warnings; raises BackupError of that title where a check failed."""
    failed = [check for check in checks if check.verdict is Verdict.FAILED]
    _note(checks)
    if failed:
        first = failed[0]
        others = "".join(f"; {check.title}: {check.evidence}" for check in failed[1:])
        raise BackupError(title, cause=f"{first.title}: {first.evidence}{others}", next_step=first.next_step)


def _note(checks: Sequence[Check | Finding]) -> None:
    for check in checks:
        if check.verdict is Verdict.WARNING:
            words = " ".join((f"{check.title}: {check.evidence}.", check.next_step)).strip()
            print(f"qga-tui: note: {printable(words)}", file=sys.stderr)


class JsonTeller:
    """One JSON line per step change and per progress tick; the result folder last."""

    def __init__(self) -> None:
        self._told: list[dict[str, object]] = []

    def tell(self, state: RunState) -> None:
        """A line per step that differs from what was told of it."""
        lines = [_step_fields(state, place) for place in range(len(state.steps))]
        for place, line in enumerate(lines):
            before = self._told[place] if self._told else None
            if line != before and line["status"] != StepStatus.PENDING:
                print(json.dumps(line), flush=True)
        self._told = lines

    def end(self, state: RunState) -> None:
        """The end and, where there is one, the result."""
        error = None if state.error is None else {"title": state.error.title, "cause": state.error.cause}
        result = {
            "exit_code": state.exit_code,
            "consistency": state.consistency,
            "frozen_ms": state.frozen_ms,
            "shortfalls": list(state.shortfalls),
            "outcome": state.outcome,
            "took_s": None if state.took_s is None else round(state.took_s, 1),
            "snapshot": None if state.snapshot_at is None else utc_words(state.snapshot_at),
            "error": error,
            "folder": str(state.result) if state.result.is_dir() else None,
        }
        print(json.dumps(result), flush=True)


def _step_fields(state: RunState, place: int) -> dict[str, object]:
    step = state.steps[place]
    return {
        "run": state.run_id,
        "step": str(step.step),
        "status": str(step.status),
        "done_bytes": step.done,
        "total_bytes": step.total,
        "skipped_bytes": step.skipped,
        "rate_bytes_s": round(step.rate),
        "eta_s": None if step.eta_s is None else round(step.eta_s, 1),
        "disks": [{"disk": disk.target, "done_bytes": disk.done, "total_bytes": disk.total} for disk in step.disks],
    }


class LineTeller:
    """A line per step that begins or ends, and now and then one about a long step."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[StepStatus, float]] = {}
        self._alarm = ""

    def tell(self, state: RunState) -> None:
        """A line per step whose status changed, or that has run for a while since it was told."""
        now = time.monotonic()
        for step in state.steps:
            status, told_at = self._told.get(step.step, (StepStatus.PENDING, now))
            due = step.status is StepStatus.RUNNING and now - told_at >= TELL_EVERY_S
            if step.status is not status or due:
                self._told[step.step] = (step.status, now)
                words = f"{STATUS_GLYPHS[step.status]} {STEP_WORDS[step.step]}  {step_facts(state, step)}"
                print(printable(words.rstrip()), flush=True)
        if (alarm := overlay_alarm(state)) != self._alarm:
            self._alarm = alarm
            if alarm:
                print(printable(f"! {alarm}"), flush=True)

    def end(self, state: RunState) -> None:
        """How it ended; the result folder last."""
        if state.error is not None:
            words = " ".join((f"{state.error.title}: {state.error.cause}", state.error.next_step)).strip()
            print(f"qga-tui: {printable(words)}", file=sys.stderr)
        for shortfall in state.shortfalls:
            print(f"qga-tui: {printable(shortfall)}", file=sys.stderr)
        print(printable(headline(state)), flush=True)
        if facts := result_facts(state):
            print(printable(facts), flush=True)
        if state.way is None and state.result.is_dir():
            print(printable(str(state.result)), flush=True)
