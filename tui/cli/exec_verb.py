"""`qga-tui exec`: a program in a guest or in many, usable in a script like ssh."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace

from tui.agent.exec_model import ExecRequest
from tui.agent.leftovers import sweep_leftovers
from tui.agent.profile import read_profile
from tui.agent.transport import Transport
from tui.cli.connect import find_guest, hosts_for
from tui.cli.exec_input import standard_input
from tui.cli.exec_many import ManyGuests, matching_guests
from tui.cli.exec_options import ExecOptions
from tui.cli.exec_output import audit_target, print_json, say
from tui.cli.standings import Standings
from tui.console.charset import Charset
from tui.console.cli_exec import CANCELLED, Job, exec_to_json, exec_to_streams
from tui.console.wording import sweep_in_words
from tui.fleet.agent_wait import wait_for_agent
from tui.hosts.port import Host
from tui.model.errors import ExplainedError
from tui.model.guest import DomainFacts, GuestId
from tui.system.signals import on_signals
from tui.system.streams import exit_now


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
    on_signals((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), lambda _number: running.cancel())
    try:
        return await running
    except asyncio.CancelledError:
        return CANCELLED


async def _chosen(uris: Sequence[str], options: ExecOptions, request: ExecRequest, charset: Charset) -> int:
    hosts = hosts_for(uris)
    if options.pattern:
        return await ManyGuests(await matching_guests(hosts, options.pattern), options, request, charset).run()
    host, facts = await find_guest(hosts, options.guest)
    return await _in_one(host, facts, options, request, charset)


async def _in_one(host: Host, facts: DomainFacts, options: ExecOptions, request: ExecRequest, charset: Charset) -> int:
    if options.wait_s is not None:
        await wait_for_agent(host, GuestId(host.name, facts.uuid), facts.name, options.wait_s, say)
    line = host.work_line(facts.uuid)
    job = Job(request, standard_input() if options.reads_stdin else None, charset, audit_target(host, facts))
    standings = Standings([(host, facts)], lambda _name, words: say(words))
    async with standings.followed():
        with standings.during(host, facts) as standing:
            job = replace(job, standing=standing)
            if options.as_json:
                told, code = await exec_to_json(line, job, facts.name)
                await print_json(told)
            else:
                code = await exec_to_streams(line, job, sys.stdout.buffer, sys.stderr.buffer)
    await _sweep(line)
    return code


async def _sweep(line: Transport) -> None:
    """Remove what crashed runs left; the command's result stands, whatever becomes of this."""
    try:
        swept = await sweep_leftovers(line, await read_profile(line))
    except ExplainedError:
        return
    if swept.did_something:
        say(sweep_in_words(swept))
