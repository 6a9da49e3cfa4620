"""How a typed line is run: by the guest's POSIX shell, or by cmd.exe on Windows."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from tui.agent.exec_model import CommandLine, ExecRequest, Program
from tui.agent.profile import GuestProfile

_NO_ENV: Mapping[str, str] = MappingProxyType({})


def request_for_line(
    line: str,
    profile: GuestProfile,
    *,
    cwd: str = "",
    env: Mapping[str, str] = _NO_ENV,
    timeout_s: float | None = None,
) -> ExecRequest:
    """The request that runs `line` the way the guest's users would expect it."""
    if not profile.is_windows:
        return ExecRequest(CommandLine(line), cwd=cwd, env=env, timeout_s=timeout_s)
    program, stdin = _for_cmd(line)
    return ExecRequest(program, cwd=cwd, env=env, stdin=stdin, timeout_s=timeout_s)


def _for_cmd(line: str) -> tuple[Program, bytes]:
    r"""cmd.exe with the line as its argument, or fed with it.

    The agent quotes arguments for C programs, with \" for a quote, which cmd.exe does not understand: a line with
    quotes goes through standard input, where `/q` keeps prompts silent.
    """
    if '"' not in line:
        return Program("cmd.exe", ("/d", "/s", "/c", line)), b""
    return Program("cmd.exe", ("/d", "/q", "/k", "rem")), f"{line}\r\nexit\r\n".encode()
