"""How far a rescue is, as its process tells it: to a person in lines, to the screen that began it by its log."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.backup_values import a_plan
from tests.unit.saved_folder import write_backup
from tui.backup.errand import run_errand
from tui.backup.folder import result_folder
from tui.backup.journal import RunStage
from tui.backup.proof import Reading
from tui.backup.rescue import RESCUE_PATIENCE, _judge_copy
from tui.backup.runs import create_run
from tui.cli.rescue_verb import _Teller

ERRAND = """
from tui.backup.proof import Reading
from tui.cli.rescue_verb import _Teller
teller = _Teller(quiet=True)
{act}
"""


@pytest.mark.parametrize(
    ("act", "words"),
    [
        ("teller.tick('vda', 41, 100, '')", "merging vda: 41 %"),
        ("teller.tick('vda', 0, 0, 'for room')", "merging vda: 0 %, waiting: for room"),
        ("teller.read(Reading('disks/vda.qcow2', 3, 4))", "reading disks/vda.qcow2: 75 %"),
    ],
)
async def test_the_one_who_began_it_hears_how_far_it_is(tmp_path: Path, act: str, words: str) -> None:
    heard: list[str] = []
    ended = await run_errand((sys.executable, "-c", ERRAND.format(act=act)), tmp_path / "log", heard.append)
    assert (ended.code, ended.said, set(heard)) == (0, "", {words})


def test_a_person_reads_every_tenth_percent(capsys: pytest.CaptureFixture[str]) -> None:
    teller = _Teller(quiet=False)
    for done in range(25):
        teller.tick("vda", done, 100, "")
        teller.read(Reading("disks/vda.qcow2", done, 100))
    told = capsys.readouterr().out.splitlines()
    assert told[0::2] == ["  merging vda: 0 %", "  merging vda: 10 %", "  merging vda: 20 %"]
    assert told[1::2] == [f"  reading disks/vda.qcow2: {percent} %" for percent in (0, 10, 20)]


async def test_the_proof_of_the_copy_is_told_whatever_comes_of_it(tmp_path: Path) -> None:
    run = create_run(replace(a_plan(), target=str(tmp_path)))
    write_backup(result_folder(run.plan).final)
    heard: list[Reading] = []
    await _judge_copy(run.plan, run, {RunStage.COPIED}, lambda _stage, **_details: None, RESCUE_PATIENCE, heard.append)
    assert heard
    assert heard[-1].done == heard[-1].total
