"""`qga-tui exec --all` and `--match`: one program in many guests at once, no failure of one hiding that of another."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from fnmatch import fnmatchcase

from tui.agent.exec_model import ExecRequest
from tui.cli.connect import UnknownGuestError
from tui.cli.exec_input import KeptInput, standard_input
from tui.cli.exec_options import ExecOptions
from tui.cli.exec_output import audit_target, print_json, say
from tui.cli.standings import Standings
from tui.console.charset import Charset
from tui.console.cli_exec import FAILED, Job, exec_to_json, exec_to_streams
from tui.fleet.agent_wait import wait_for_agent
from tui.hosts.port import Host
from tui.model.errors import ExplainedError
from tui.model.guest import DomainFacts, GuestId, PowerState
from tui.model.text import printable


class ManyGuests:
    """The run of one program in `guests`, `options.parallel` of them at a time."""

    def __init__(
        self, guests: Sequence[tuple[Host, DomainFacts]], options: ExecOptions, request: ExecRequest, charset: Charset
    ) -> None:
        self._guests = guests
        self._options = options
        self._request = request
        self._charset = charset
        self._turns = asyncio.Semaphore(options.parallel)
        self._input: KeptInput | None = None
        self._failed_first = ""
        self._standings = Standings(guests, lambda name, words: say(f"{name}: {words}"))

    async def run(self) -> int:
        """Run it in all of them and return the worst exit code."""
        if self._options.reads_stdin:
            self._input = await KeptInput.of(standard_input())
        try:
            async with self._standings.followed():
                return max(await asyncio.gather(*(self._one(host, facts) for host, facts in self._guests)))
        finally:
            if self._input is not None:
                self._input.close()

    async def _one(self, host: Host, facts: DomainFacts) -> int:
        missing = await self._missing_agent(host, facts)
        async with self._turns:
            if self._failed_first:
                cause = f"it failed in {self._failed_first} first"
                return await self._not_run(facts, ExplainedError("Not started here", cause=cause), 0)
            if missing is not None:
                code = await self._not_run(facts, missing, FAILED)
            else:
                code = await self._outcome(host, facts)
        self._note_failure(facts, code)
        return code

    def _note_failure(self, facts: DomainFacts, code: int) -> None:
        if code and self._options.stops_at_failure and not self._failed_first:
            self._failed_first = f"{facts.name} (exit code {code})"

    async def _missing_agent(self, host: Host, facts: DomainFacts) -> ExplainedError | None:
        """Why the agent did not come in the time that is waited for it."""
        if self._options.wait_s is None:
            return None
        try:
            await wait_for_agent(host, GuestId(host.name, facts.uuid), facts.name, self._options.wait_s, say)
        except ExplainedError as error:
            return error
        return None

    async def _outcome(self, host: Host, facts: DomainFacts) -> int:
        line = host.work_line(facts.uuid)
        given = None if self._input is None else self._input.pieces()
        with self._standings.during(host, facts) as standing:
            job = Job(self._request, given, self._charset, audit_target(host, facts), standing=standing)
            if self._options.as_json:
                told, code = await exec_to_json(line, job, facts.name)
                await print_json(told)
                return code
            return await exec_to_streams(line, job, sys.stdout.buffer, sys.stderr.buffer, prefix=f"{facts.name}: ")

    async def _not_run(self, facts: DomainFacts, error: ExplainedError, code: int) -> int:
        if self._options.as_json:
            why = {"error": error.title, "cause": error.cause, "next_step": error.next_step}
            await print_json({"guest": facts.name, **why, "code": code or None})
        else:
            say(f"{facts.name}: {error.one_line()}")
        return code


async def matching_guests(hosts: Sequence[Host], pattern: str) -> list[tuple[Host, DomainFacts]]:
    """The running guests whose name matches; raises where there is none, or where a host cannot be asked."""
    found: list[tuple[Host, DomainFacts]] = []
    for host in hosts:
        await host.open()
        listed = await host.list_domains()
        found += [(host, facts) for facts in listed if fnmatchcase(facts.name, pattern)]
    matching = [(host, facts) for host, facts in found if facts.power is not PowerState.OFF]
    off = [printable(facts.name) for _, facts in found if facts.power is PowerState.OFF]
    if matching and off:
        say(f"off, and left out: {', '.join(off)}")
    if not matching:
        raise UnknownGuestError(f"No running guest matches {pattern}", next_step="See the guests with: qga-tui list")
    return matching
