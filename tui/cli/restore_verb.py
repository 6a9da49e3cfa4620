"""`qga-tui restore`: plan, check, start the worker and tell how it goes; or put back what a restore replaced."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tui.backup.errors import BackupError
from tui.backup.launch import launch
from tui.backup.plan import stamp_words
from tui.backup.restore.plan import Change, RestoreWay, StopWay, read_change
from tui.backup.restore.propose import RestoreProposal, propose_restore
from tui.backup.restore.saved import SavedBackup, read_saved
from tui.backup.restore.settle import undo_restore, undoable_restore
from tui.backup.restore.wishes import Wishes
from tui.backup.runs import AnyRun
from tui.backup.runstate import EXIT_DONE, EXIT_NOT_DONE
from tui.backup.session import HostSession, Patience
from tui.cli.backup_verb import cancel_on_interrupt, refuse_failed, tell_checks, tell_steps, tell_to_the_end
from tui.cli.connect import find_guest, hosts_for
from tui.cli.workers import WORKER_ARGV, connect
from tui.hosts.port import Host
from tui.model.quantities import size
from tui.model.text import printable


@dataclass(frozen=True, slots=True)
class RestoreWish:
    """What the user asked for: the backup's folder, what is wished of it, and how to tell."""

    folder: Path
    wishes: Wishes
    undo: bool = False
    dry_run: bool = False
    as_json: bool = False

    @classmethod
    def of(cls, options: argparse.Namespace) -> RestoreWish:
        """The wish in parsed options; raises BackupError for a change that is none."""
        way = RestoreWay.CLONE
        if options.in_place:
            way = RestoreWay.IN_PLACE
        elif options.boot_test:
            way = RestoreWay.BOOT_TEST
        elif options.disk and not options.name:
            way = RestoreWay.ATTACH if options.attach else RestoreWay.DISK
        wishes = Wishes(
            way=way,
            name=options.name,
            disks=tuple(options.disk),
            to=_absolute(options.to),
            attach=options.attach,
            link_down=not options.link_up,
            stop=StopWay(options.stop),
            changes=tuple(_change(text) for text in options.change),
            accepted=tuple(options.accept),
            limit_bytes_s=options.limit,
        )
        return cls(Path(options.folder).absolute(), wishes, options.undo, options.dry_run, options.json)


def run_restore(uris: Sequence[str], wish: RestoreWish) -> int:
    """Restore a backup, or undo that; the exit code is as of a backup, see `RunState.exit_code`."""
    return asyncio.run(_undo(wish) if wish.undo else _run(uris, wish))


async def _run(uris: Sequence[str], wish: RestoreWish) -> int:
    saved = await asyncio.to_thread(read_saved, wish.folder)
    host = await _host(uris, wish.wishes)
    proposal = await propose_restore(host, saved, wish.wishes)
    if wish.dry_run:
        _show(saved, proposal, as_json=wish.as_json)
        return EXIT_DONE if proposal.may_begin else EXIT_NOT_DONE
    refuse_failed(f"{saved.guest} cannot be restored so", proposal.findings)
    started: list[AnyRun] = []
    cancel_on_interrupt(started)
    started.append(launch(proposal.plan, WORKER_ARGV))
    return await tell_to_the_end(started[0], as_json=wish.as_json)


async def _host(uris: Sequence[str], wishes: Wishes) -> Host:
    """The host to restore on, opened where it is asked for anything; a disk goes to that of the guest that gets it."""
    hosts = hosts_for(uris)
    if wishes.attach:
        host, _ = await find_guest(hosts, wishes.attach)
        return host
    if len(hosts) != 1:
        raise BackupError("A restore goes to one host", next_step="Name it alone: qga-tui -c URI restore FOLDER")
    if wishes.way is not RestoreWay.DISK:
        await hosts[0].open()
    return hosts[0]


async def _undo(wish: RestoreWish) -> int:
    run = await asyncio.to_thread(undoable_restore, str(wish.folder))
    if run is None:
        raise BackupError(
            "There is nothing to undo",
            cause=f"no finished restore of {wish.folder} in place whose former images are still there",
            next_step="See what was restored: qga-tui jobs",
        )
    session = HostSession(connect, run.plan.uri, Patience())
    try:
        outcome = await undo_restore(session, run, wish.wishes.accepted)
    finally:
        await session.close()
    if wish.as_json:
        print(json.dumps({"run": run.plan.run_id, "exit_code": EXIT_DONE, "outcome": outcome}))
    else:
        print(printable(outcome))
    return EXIT_DONE


def _show(saved: SavedBackup, proposal: RestoreProposal, *, as_json: bool) -> None:
    """The plan before anything happens: findings, what changes in the definition, each step as a command."""
    if as_json:
        values = {
            "may_begin": proposal.may_begin,
            "estimated_bytes": proposal.data_bytes,
            "plan": json.loads(proposal.plan.to_json()),
            "findings": [_finding_fields(finding) for finding in map(asdict, proposal.findings)],
            "changes": [asdict(change) for change in proposal.changes],
            "steps": [asdict(step) for step in proposal.steps],
        }
        print(json.dumps(values, indent=1))
        return
    chosen = f", of them {', '.join(disk.name for disk in proposal.plan.disks)}" if proposal.plan.chosen else ""
    print(printable(f"{saved.guest} of {saved.host}, {stamp_words(saved.stamp)}, {len(saved.disks)} disks{chosen}"))
    tell_checks(proposal.findings)
    for finding in proposal.findings:
        for fix in finding.fixes:
            print(printable(f"  {fix.label}: {fix.option}"))
    if proposal.changes:
        print("What changes in the definition:")
    for change in proposal.changes:
        print(printable(f"  {change.what}: {change.why}"))
    print(printable(f"About {size(proposal.data_bytes)} to copy. Nothing was done; this would be:"))
    tell_steps(proposal.steps)


def _finding_fields(finding: dict[str, object]) -> dict[str, object]:
    """A finding for scripts; a fix is told as the option that takes it."""
    fixes = finding["fixes"]
    told = [{"label": fix["label"], "option": fix["option"]} for fix in fixes] if isinstance(fixes, tuple) else []
    return finding | {"fixes": told}


def _change(text: str) -> Change:
    try:
        return read_change(text)
    except ValueError as error:
        raise BackupError(
            "There is no such change", cause=text, next_step="See what is offered: qga-tui restore FOLDER --dry-run"
        ) from error


def _absolute(place: str) -> str:
    """A place as it was typed, from the root on, with a / at its end kept: that says that it is a folder."""
    at_end = "/" if place.endswith("/") else ""
    return f"{Path(place).absolute()}{at_end}" if place else ""
