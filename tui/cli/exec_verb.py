"""`qga-tui exec`: a program in a guest or in many, usable in a script like ssh."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import BinaryIO

from tui.agent.exec_model import ExecRequest, Program
from tui.agent.leftovers import sweep_leftovers
from tui.agent.profile import read_profile
from tui.agent.transport import Transport
from tui.cli.connect import UnknownGuestError, find_guest, hosts_for
from tui.cli.standings import Standings
from tui.console.audit import Target, audit_is_wanted
from tui.console.charset import AUTO, Charset
from tui.console.cli_exec import CANCELLED, Job, exec_to_json, exec_to_streams
from tui.console.shells import Shell, request_for_line
from tui.console.wording import sweep_in_words
from tui.hosts.port import Host
from tui.model.errors import ExplainedError
from tui.model.guest import DomainFacts, PowerState
from tui.model.text import printable

AT_ONCE = 8
_PIECE = 256 * 1024


@dataclass(frozen=True, slots=True)
class ExecOptions:
    """What the user asked for; `guest` is empty where `pattern` chooses among all running guests."""

    words: tuple[str, ...]
    guest: str = ""
    pattern: str = ""
    shell: str = ""
    cwd: str = ""
    env: tuple[str, ...] = ()
    reads_stdin: bool = False
    encoding: str = AUTO
    timeout_s: float | None = None
    as_json: bool = False

    @classmethod
    def of(cls, options: argparse.Namespace) -> ExecOptions:
        """From the command line; the pattern of --all is `*`."""
        return cls(
            words=tuple(options.program),
            guest=options.guest or "",
            pattern="*" if options.all else options.match or "",
            shell=options.shell or "",
            cwd=options.cwd,
            env=tuple(options.env),
            reads_stdin=options.stdin,
            encoding=options.encoding,
            timeout_s=options.timeout,
            as_json=options.json,
        )

    def request(self) -> ExecRequest:
        """What is to be run; raises ExplainedError for what cannot."""
        pairs = [each.partition("=") for each in self.env]
        env = {name: value for name, _, value in pairs}
        try:
            " ".join((*self.words, *self.env, self.cwd)).encode("utf-8")
            if self.shell:
                line = " ".join(self.words)
                return request_for_line(line, Shell(self.shell), cwd=self.cwd, env=env, timeout_s=self.timeout_s)
            program = Program(self.words[0], self.words[1:])
            return ExecRequest(program, cwd=self.cwd, env=env, timeout_s=self.timeout_s)
        except ValueError as error:
            raise ExplainedError("This program cannot be run", cause=str(error)) from error

    def charset(self) -> Charset:
        """How text is read; raises ExplainedError for an unknown encoding."""
        charset = Charset(self.encoding)
        try:
            charset.decoder()
        except LookupError as error:
            raise ExplainedError(f"There is no encoding {self.encoding}", cause=str(error)) from error
        return charset


def run_exec(uris: Sequence[str], options: ExecOptions) -> int:
    """Run the program and return its exit code, of many the worst; SIGINT, SIGTERM and SIGHUP end it there first."""
    return asyncio.run(_run(uris, options))


async def _run(uris: Sequence[str], options: ExecOptions) -> int:
    request, charset = options.request(), options.charset()
    hosts = hosts_for(uris)
    if options.pattern:
        work = _in_many(await _matching(hosts, options.pattern), options, request, charset)
    else:
        host, facts = await find_guest(hosts, options.guest)
        work = _in_one(host, facts, options, request, charset)
    running = asyncio.create_task(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, running.cancel)
    try:
        return await running
    except asyncio.CancelledError:
        return CANCELLED


async def _in_one(host: Host, facts: DomainFacts, options: ExecOptions, request: ExecRequest, charset: Charset) -> int:
    line = host.work_line(facts.uuid)
    job = Job(request, _standard_input() if options.reads_stdin else None, charset, _target(host, facts))
    standings = Standings([(host, facts)], lambda _name, words: _say(words))
    async with standings.followed():
        with standings.during(host, facts) as standing:
            job = replace(job, standing=standing)
            if options.as_json:
                told, code = await exec_to_json(line, job, facts.name)
                print(json.dumps(told))
            else:
                code = await exec_to_streams(line, job, sys.stdout.buffer, sys.stderr.buffer)
    await _sweep(line)
    return code


async def _in_many(
    guests: Sequence[tuple[Host, DomainFacts]], options: ExecOptions, request: ExecRequest, charset: Charset
) -> int:
    turns = asyncio.Semaphore(AT_ONCE)
    given = await _gathered(_standard_input()) if options.reads_stdin else None
    standings = Standings(guests, lambda name, words: _say(f"{name}: {words}"))

    async def one(host: Host, facts: DomainFacts) -> int:
        job = Job(request, None if given is None else _once(given), charset, _target(host, facts))
        async with turns:
            with standings.during(host, facts) as standing:
                return await outcome(host, facts, replace(job, standing=standing))

    async def outcome(host: Host, facts: DomainFacts, job: Job) -> int:
        if options.as_json:
            result, code = await exec_to_json(host.work_line(facts.uuid), job, facts.name)
            print(json.dumps(result), flush=True)
            return code
        out: tuple[BinaryIO, BinaryIO] = (sys.stdout.buffer, sys.stderr.buffer)
        return await exec_to_streams(host.work_line(facts.uuid), job, *out, prefix=f"{facts.name}: ")

    async with standings.followed():
        return max(await asyncio.gather(*(one(host, facts) for host, facts in guests)))


async def _matching(hosts: Sequence[Host], pattern: str) -> list[tuple[Host, DomainFacts]]:
    """The running guests whose name matches; raises where there is none, or where a host cannot be asked."""
    found: list[tuple[Host, DomainFacts]] = []
    for host in hosts:
        await host.open()
        listed = await host.list_domains()
        found += [(host, facts) for facts in listed if fnmatchcase(facts.name, pattern)]
    matching = [(host, facts) for host, facts in found if facts.power is not PowerState.OFF]
    off = [printable(facts.name) for _, facts in found if facts.power is PowerState.OFF]
    if matching and off:
        print(f"qga-tui: off, and left out: {', '.join(off)}", file=sys.stderr)
    if not matching:
        raise UnknownGuestError(f"No running guest matches {pattern}", next_step="See the guests with: qga-tui list")
    return matching


def _target(host: Host, facts: DomainFacts) -> Target | None:
    return Target(host.uri, facts.name, facts.uuid) if audit_is_wanted() else None


def _say(words: str) -> None:
    print(f"qga-tui: {printable(words)}", file=sys.stderr)


async def _sweep(line: Transport) -> None:
    """Remove what crashed runs left; the command's result stands, whatever becomes of this."""
    try:
        swept = await sweep_leftovers(line, await read_profile(line))
    except ExplainedError:
        return
    if swept.did_something:
        _say(sweep_in_words(swept))


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def _gathered(pieces: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in pieces])


async def _standard_input() -> AsyncIterator[bytes]:
    """Our standard input in pieces, read on a daemon thread that no exit waits for."""
    loop = asyncio.get_running_loop()
    pieces: asyncio.Queue[bytes] = asyncio.Queue(maxsize=2)

    def read() -> None:
        try:
            while True:
                piece = os.read(sys.stdin.fileno(), _PIECE)
                asyncio.run_coroutine_threadsafe(pieces.put(piece), loop).result()
                if not piece:
                    return
        except (OSError, RuntimeError):
            # The terminal or the program has gone: nobody reads any more.
            return

    threading.Thread(target=read, name="stdin", daemon=True).start()
    while piece := await pieces.get():
        yield piece
