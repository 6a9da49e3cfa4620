"""How a typed line is run: by a POSIX shell, cmd.exe or PowerShell, or as a program with its arguments."""

from __future__ import annotations

import base64
import re
import shlex
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from tui.agent.errors import CommandFailedError
from tui.agent.exec_model import CmdLine, CommandLine, ExecRequest, Program
from tui.agent.profile import GuestProfile

_CMD_SET = re.compile(
    r'set\s+(?P<quote>"?)(?P<name>[^\s/="%&|<>^{}`][^="%&|<>^{}`]*)=(?P<value>[^"%&|<>^!]*)(?P=quote)', re.IGNORECASE
)
_POWERSHELL_SET = re.compile(r"\$env:(?P<name>\w+)\s*=\s*'(?P<value>(?:[^']|'')*)'", re.IGNORECASE)
_NO_ENV: Mapping[str, str] = MappingProxyType({})


class Shell(StrEnum):
    """Who reads a typed line."""

    SH = "sh"
    BASH = "bash"
    CMD = "cmd"
    POWERSHELL = "powershell"
    PROGRAM = "program"
    """Nobody: it is split into words as a POSIX shell quotes them, and the first one is the program."""


POSIX_SHELLS = {Shell.SH: "/bin/sh", Shell.BASH: "bash"}


def default_shell(profile: GuestProfile) -> Shell:
    """The shell of the guest's operating system."""
    return Shell.CMD if profile.is_windows else Shell.SH


def request_for_line(
    line: str,
    shell: Shell,
    *,
    cwd: str = "",
    env: Mapping[str, str] = _NO_ENV,
    exports: bytes = b"",
    settings: Mapping[str, str] = _NO_ENV,
    timeout_s: float | None = None,
) -> ExecRequest:
    """The request that runs `line` the way the guest's users would expect it.

    A POSIX shell is asked for the folder and environment that it leaves; for a Windows shell `settings` are variables
    that earlier lines set (`setting_of`). Raises CommandFailedError for a line that cannot be run so.
    """
    match shell:
        case Shell.SH | Shell.BASH:
            command = CommandLine(line, POSIX_SHELLS[shell])
            return ExecRequest(command, cwd=cwd, env=env, exports=exports, timeout_s=timeout_s, keeps_surroundings=True)
        case Shell.PROGRAM:
            return ExecRequest(_words(line), cwd=cwd, env=env, exports=exports, timeout_s=timeout_s)
        case Shell.CMD:
            if "\n" in line.strip("\r\n"):
                raise CommandFailedError(
                    "Nothing was run: cmd.exe reads one line at a time",
                    cause=f"These are {len(line.splitlines())} lines.",
                    next_step="Run them one by one, or let PowerShell read them.",
                )
            return ExecRequest(CmdLine(line, settings), cwd=cwd, env=env, timeout_s=timeout_s)
        case Shell.POWERSHELL:
            return ExecRequest(_for_powershell(line, cwd, settings), env=env, timeout_s=timeout_s)


def folder_question(line: str, shell: Shell) -> str:
    """For Windows shells: the line that changes to the folder that `line` asks for and prints it, empty for others.

    Those shells end with each line; their folder lasts because it is asked for and set before the next one.
    """
    word, _, rest = line.strip().partition(" ")
    folder = rest.strip().removeprefix("/d ").strip().strip('"')
    if shell is Shell.CMD and word.casefold() in {"cd", "chdir"} and folder and not set(folder) & set("&|<>"):
        return f"cd /d {folder} && cd"
    if shell is Shell.POWERSHELL and word.casefold() in {"cd", "set-location", "sl"} and folder:
        if set(folder) & set("|;&"):
            return ""
        return f"Set-Location {_literal(folder)} -ErrorAction Stop; (Get-Location).Path"
    return ""


def setting_of(line: str, shell: Shell) -> tuple[str, str] | None:
    """For Windows shells: the variable that `line` sets and does nothing else, with its value; empty takes it away.

    It lasts because it is set before every later line. A value that the shell would compute is not known here, so a
    line with one is none of these.
    """
    pattern = {Shell.CMD: _CMD_SET, Shell.POWERSHELL: _POWERSHELL_SET}.get(shell)
    found = pattern.fullmatch(line.strip()) if pattern is not None else None
    if found is None:
        return None
    return found["name"], found["value"].replace("''", "'") if shell is Shell.POWERSHELL else found["value"]


def _words(line: str) -> Program:
    try:
        path, *args = shlex.split(line)
    except ValueError as error:
        raise CommandFailedError("The line cannot be split into words", cause=str(error)) from error
    return Program(path, tuple(args))


def _for_powershell(line: str, cwd: str, settings: Mapping[str, str]) -> Program:
    """The line in UTF-16LE and base64, which no quoting on the way can change."""
    enter = [f"Set-Location -LiteralPath {_literal(cwd)}"] if cwd else []
    script = "; ".join([*(f"${{env:{name}}} = {_literal(value)}" for name, value in settings.items()), *enter, line])
    encoded = base64.b64encode(script.encode("utf-16-le", "surrogatepass")).decode("ascii")
    return Program("powershell.exe", ("-NoProfile", "-NonInteractive", "-EncodedCommand", encoded))


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
