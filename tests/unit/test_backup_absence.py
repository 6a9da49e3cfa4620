"""A run whose host is gone tells what it waits for, since when and until when, and that it goes on again."""

from __future__ import annotations

import os
import re
from contextlib import closing
from dataclasses import replace

from tests.unit.backup_values import a_plan
from tests.unit.fake_host import FakeHost
from tui.agent.errors import HostGoneError
from tui.backup.follow import read_state
from tui.backup.jobs import job_of
from tui.backup.journal import Journal, RunStage
from tui.backup.progress import Progress, Step
from tui.backup.runs import create_run
from tui.backup.session import HostSession, Patience
from tui.backup.telling import step_facts
from tui.hosts.port import Host

WORDS = re.compile(r"libvirt does not answer since (\d\d:\d\d:\d\d); tried again until (\d\d:\d\d:\d\d)")


async def test_what_a_run_waits_for_while_its_host_is_gone_is_told_until_it_is_back() -> None:
    run = create_run(a_plan(), stand_in=os.getpid())
    Journal(run.folder).write(RunStage.PLANNED)
    told: list[str] = []
    answers = iter((False, False, True))

    async def question(_host: Host) -> str:
        if not next(answers):
            raise HostGoneError("The connection to libvirt was lost")
        return "it is back"

    def facts() -> str:
        state = read_state(run)
        return next(step_facts(state, step) for step in state.steps if step.step is Step.COMMIT)

    def hear(words: str) -> None:
        progress.waiting(words)
        told.append(facts())

    with closing(Progress(run.folder)) as progress:
        session = HostSession(lambda uri: FakeHost("here").as_host, "fake:///", Patience(reconnect_s=60))
        session.hear_absence(hear)
        with progress.during(Step.COMMIT):
            progress.tick(Step.COMMIT, "vda", 0, 1000)
            before = facts()
            assert await session.ask(question) == "it is back"
            assert job_of(run).doing.startswith("commit and pivot ")
    first, second, last = told
    assert first == second
    assert last == before
    found = WORDS.fullmatch(first)
    assert found is not None
    since, until = found.groups()
    assert since != until


async def test_a_host_that_was_never_gone_leaves_what_a_step_is_about_alone() -> None:
    run = create_run(replace(a_plan(), run_id="00000002"), stand_in=os.getpid())

    async def question(_host: Host) -> str:
        return "here"

    with closing(Progress(run.folder)) as progress:
        session = HostSession(lambda uri: FakeHost("here").as_host, "fake:///", Patience())
        session.hear_absence(progress.waiting)
        with progress.during(Step.FREEZE):
            progress.doing(Step.FREEZE, "the guest writes out")
            await session.ask(question)
            assert job_of(run).doing == "freeze, snapshot, thaw: the guest writes out"
