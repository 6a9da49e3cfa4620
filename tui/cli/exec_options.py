"""What may be asked of `qga-tui exec`, as one value."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from tui.agent.exec_model import ExecRequest, Program
from tui.console.charset import AUTO, Charset
from tui.console.shells import Shell, request_for_line
from tui.model.errors import ExplainedError

AT_ONCE = 8
"""Guests at a time, of many."""


@dataclass(frozen=True, slots=True)
class ExecOptions:
    """What the user asked for; `guest` is empty where `pattern` chooses among all running guests.

    Seconds: `timeout_s` ends the program in the guest, `wait_s` is waited at most for an agent that is still to come.
    Of many guests `parallel` are asked at a time.
    """

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
    wait_s: float | None = None
    parallel: int = AT_ONCE
    stops_at_failure: bool = False

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
            wait_s=options.wait,
            parallel=options.parallel or AT_ONCE,
            stops_at_failure=options.stop_at_first_failure,
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
