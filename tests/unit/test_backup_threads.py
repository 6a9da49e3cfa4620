"""What may hang on a dead file server is never asked on the event loop's thread."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.backup_values import a_plan
from tui.backup import evidence, propose
from tui.backup.journal import Journal, RunStage
from tui.backup.plan import QuiescePolicy
from tui.backup.reach_files import FileReach
from tui.backup.runs import create_run
from tui.backup.runstate import EXIT_DONE
from tui.backup.scan import find_leftovers
from tui.hosts.libvirt_host import LibvirtHost

URI = "test:///default"


class AskedError(Exception):
    """Ends what comes after the question that a test is about."""


@pytest.fixture
async def host() -> LibvirtHost:
    host = LibvirtHost(URI, "here")
    await host.open()
    return host


async def test_a_scan_looks_at_the_folders_of_images_on_threads_of_its_own(
    host: LibvirtHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    (facts,) = [each for each in await host.list_domains() if each.name == "test"]
    gone = "00000000-0000-4000-8000-000000000001"
    for run_id, uuid, stage in (("00000001", facts.uuid, RunStage.DONE), ("00000002", gone, RunStage.COPIED)):
        run = create_run(replace(a_plan(f"/images/{run_id}.qcow2"), run_id=run_id, uuid=uuid, uri=URI))
        Journal(run.folder).write(stage, exit_code=EXIT_DONE)
    asked: list[tuple[str, threading.Thread]] = []
    lexists = os.path.lexists

    def fake_lexists(path: str | Path) -> bool:
        asked.append((str(path), threading.current_thread()))
        return lexists(path)

    monkeypatch.setattr(os.path, "lexists", fake_lexists)
    await find_leftovers(host)
    assert {run_id for run_id in ("00000001", "00000002") if any(run_id in path for path, _ in asked)} == {
        "00000001",
        "00000002",
    }
    assert threading.main_thread() not in [thread for _, thread in asked]


async def test_a_run_that_is_known_by_its_journal_has_no_folder_looked_at(
    host: LibvirtHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    (facts,) = [each for each in await host.list_domains() if each.name == "test"]
    for run_id, stage in (("00000001", RunStage.DONE), ("00000002", RunStage.COPIED)):
        run = create_run(replace(a_plan(f"/images/{run_id}.qcow2"), run_id=run_id, uuid=facts.uuid, uri=URI))
        Journal(run.folder).write(stage, exit_code=EXIT_DONE)
    asked: list[str] = []
    lexists = os.path.lexists

    def fake_lexists(path: str | Path) -> bool:
        asked.append(str(path))
        return lexists(path)

    monkeypatch.setattr(os.path, "lexists", fake_lexists)
    await find_leftovers(host)
    assert not any("00000001" in path for path in asked)


async def test_preflight_reads_runs_on_another_thread(host: LibvirtHost, monkeypatch: pytest.MonkeyPatch) -> None:
    (facts,) = [each for each in await host.list_domains() if each.name == "test"]
    asked: list[threading.Thread] = []

    def fake_active_run(*_: object, **__: object) -> None:
        asked.append(threading.current_thread())
        raise AskedError

    monkeypatch.setattr(evidence, "active_run", fake_active_run)
    monkeypatch.setattr(propose, "active_run", fake_active_run)
    with pytest.raises(AskedError):
        await propose.propose(host, facts, Path("/backups"), quiesce=QuiescePolicy.OFF)
    with pytest.raises(AskedError):
        await evidence.gather(host, replace(a_plan(), uuid=facts.uuid), FileReach())
    assert len(asked) == 2
    assert threading.main_thread() not in asked
