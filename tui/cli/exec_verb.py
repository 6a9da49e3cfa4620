"""`qga-tui exec`: a program in a guest or in many, usable in a script like ssh."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Sequence
from importlib import import_module

from tui.agent.exec_model import ExecRequest
from tui.agent.exec_standing import Standing
from tui.agent.leftovers import sweep_leftovers
from tui.agent.profile import read_profile
from tui.agent.transport import Transport
from tui.cli.connect import find_guest, hosts_for
from tui.cli.exec_input import standard_input
from tui.cli.exec_options import ExecOptions
from tui.cli.exec_output import audit_target, print_json, say
from tui.console.charset import Charset
from tui.console.cli_exec import CANCELLED, Job, exec_to_json, exec_to_streams
from tui.console.wording import sweep_in_words
from tui.hosts.lanes import apart
from tui.hosts.port import Host
from tui.model.errors import ExplainedError
from tui.model.guest import DomainFacts, GuestId
from tui.system.signals import on_signals
from tui.system.streams import exit_now

PATIENT_S = 1.5
"""Seconds after which it is told why the program has not ended yet."""
FOLLOW_AFTER_S = 1.0
"""Seconds after which a command's guest is followed, also where nothing happened to it."""


def run_exec(uris: Sequence[str], options: ExecOptions) -> int:
    """Run the program and return its exit code, of many the worst; SIGINT, SIGTERM and SIGHUP end it there first."""
    code = asyncio.run(_run(uris, options))
    if code == CANCELLED:
        # A thread may still hang in a write to a reader that takes nothing.
        exit_now(code)
    return code


async def _run(uris: Sequence[str], options: ExecOptions) -> int:
    request, charset = options.request(), options.charset()
    running = asyncio.create_task(_chosen(uris, options, request, charset))
    loop = asyncio.get_running_loop()
    told: list[int] = []

    def end(number: int) -> None:
        """End the command in its guest at the first signal; at the second, leave whatever hangs."""
        if told:
            say("left at once: what was started may still run in the guest")
            exit_now(CANCELLED)
        told.append(number)
        running.cancel()
        loop.call_later(PATIENT_S, say, "ending the command in the guest; ^c again leaves at once")

    on_signals((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), end)
    try:
        return await running
    except asyncio.CancelledError:
        return CANCELLED


async def _chosen(uris: Sequence[str], options: ExecOptions, request: ExecRequest, charset: Charset) -> int:
    hosts = hosts_for(uris)
    if options.pattern:
        from tui.cli.exec_many import ManyGuests, matching_guests

        return await ManyGuests(await matching_guests(hosts, options.pattern), options, request, charset).run()
    host, facts = await find_guest(hosts, options.guest)
    return await _in_one(host, facts, options, request, charset)


async def _in_one(host: Host, facts: DomainFacts, options: ExecOptions, request: ExecRequest, charset: Charset) -> int:
    if options.wait_s is not None:
        from tui.fleet.agent_wait import wait_for_agent

        await wait_for_agent(host, GuestId(host.name, facts.uuid), facts.name, options.wait_s, say)
    line = host.work_line(facts.uuid)
    given = standard_input() if options.reads_stdin else None
    job = Job(request, given, charset, audit_target(host, facts), standing=Standing())
    following = asyncio.create_task(_follow(host, facts, job.standing))
    try:
        if options.as_json:
            told, code = await exec_to_json(line, job, facts.name)
            await print_json(told)
        else:
            code = await exec_to_streams(line, job, sys.stdout.buffer, sys.stderr.buffer)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    await _sweep(line)
    return code


async def _follow(host: Host, facts: DomainFacts, standing: Standing | None) -> None:
    """Tell what becomes of the guest while its command runs: from the first event on, or once it runs for a moment.

    What follows guests takes longer to import than most commands take to run.
    """
    something = asyncio.Event()
    unsubscribe = host.subscribe(lambda _event: something.set())
    try:
        async with asyncio.timeout(FOLLOW_AFTER_S):
            await something.wait()
    except TimeoutError:
        pass
    finally:
        unsubscribe()
    await apart(import_module, "tui.cli.standings")
    from tui.cli.standings import Standings

    standings = Standings([(host, facts)], lambda _name, words: say(words))
    async with standings.followed():
        with standings.during(host, facts, standing):
            await asyncio.Event().wait()


async def _sweep(line: Transport) -> None:
    """Remove what crashed runs left; the command's result stands, whatever becomes of this."""
    try:
        swept = await sweep_leftovers(line, await read_profile(line))
    except ExplainedError:
        return
    if swept.did_something:
        say(sweep_in_words(swept))
