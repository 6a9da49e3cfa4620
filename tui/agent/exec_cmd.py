r"""Text for cmd.exe of Windows guests that comes through the agent as it was meant. Pure.

The agent quotes arguments for C programs, with \" for a quote, which cmd.exe does not understand. So no argument of
ours holds a quote but the two of _GIVE_QUOTE: a first cmd.exe hands the line to a second one, every special character
behind a caret, and each quote as a variable that the second one puts in before it reads the line. Nothing of a line
goes through standard input, which is the command's alone, nor through a file in a code page.
"""

from __future__ import annotations

import re
from subprocess import list2cmdline

from tui.agent.errors import CommandFailedError
from tui.agent.exec_model import CmdLine, ExecRequest, Program
from tui.agent.owner import PREFIX

CMD = "cmd.exe"
LINE_LIMIT = 8000
"""Characters of one argument to cmd.exe, which takes 8191 with its switches."""
NO_CWD = 91
"""Exit code of `prepare` where there is no such folder."""

LIST = f"cd /d %TEMP%&&dir /b /ad {PREFIX}.*"
"""Print the names of the folders that `prepare` made, of whomever."""
_SPECIAL = frozenset("^&|<>()")
_GIVE_QUOTE = 'set QGA_Q=""'
r"""Whether the agent makes "" of it or \"\", the second character is a quote."""
_QUOTE = "%QGA_Q:~1,1%"
_FOLDER = re.compile(r"[A-Za-z]:\\[A-Za-z0-9_.~\\-]+")
_OWNER, _SYSTEM, _ADMINISTRATORS = "*S-1-3-4", "*S-1-5-18", "*S-1-5-32-544"


def switches(text: str) -> tuple[str, ...]:
    """The arguments that have cmd.exe run `text`: without its AutoRun, and with `!` as any other character."""
    return ("/d", "/v:off", "/s", "/c", text)


def argument(request: ExecRequest, redirections: str) -> str:
    """What the first cmd.exe is given to run `request` in its folder, with the variables of its environment set.

    `redirections` stand before the second one. Raises CommandFailedError for what cmd.exe cannot be given.
    """
    command = request.command
    line = command.text if isinstance(command, CmdLine) else line_of(request.program)
    earlier = command.settings if isinstance(command, CmdLine) else {}
    if "\n" in line or "\r" in line:
        raise _refused("a line for cmd.exe cannot hold a line break")
    steps = [_set(name, value) for name, value in {**earlier, **request.env}.items()]
    steps += [_GIVE_QUOTE] if '"' in line else []
    run = f"{redirections}{CMD} /d /s /c " + held(line.replace('"', _QUOTE))
    text = "&".join([*steps, f"{_enter(request.cwd)}&&{run}" if request.cwd else run])
    if len(text) > LINE_LIMIT:
        raise _refused(f"it makes a line of {len(text)} characters, cmd.exe takes {LINE_LIMIT}")
    return text


def held(text: str) -> str:
    """`text` as cmd.exe must read it to hand exactly that on: no operator acts, and no variable is put in.

    A caret behind a percent sign makes it a variable's name that there is not, and goes when the line is read.
    """
    return _with_carets(text, _SPECIAL)


def line_of(program: Program) -> str:
    """A line with which cmd.exe runs a program with exactly its arguments: each as C programs read it."""
    if '"' in program.path:
        raise _refused("the path of a program cannot hold a quote")
    arguments = [_with_carets(list2cmdline([each]), _SPECIAL | {'"'}) for each in program.args]
    # Quotes keep cmd.exe from taking the name for a command of its own, and a slash for a switch.
    return " ".join([f'"{program.path}"', *arguments])


def prepare(name: str, cwd: str) -> str:
    """Make the private folder `name` in the agent's temporary folder, with empty files in it; print its path.

    The files are o and e for the outputs, i for the input. A folder of choice is looked for first (NO_CWD).
    """
    rights = " ".join(f"{who}:^(OI^)^(CI^)F" for who in (_OWNER, _SYSTEM, _ADMINISTRATORS))
    make = f"cd /d %TEMP%&&md {name}&&cd {name}&&icacls . /inheritance:r /grant:r {rights} >nul"
    looked = f"{_enter(cwd)} >nul 2>nul||exit {NO_CWD}&" if cwd else ""
    return f"{looked}{make}&&type nul>o&&type nul>e&&type nul>i&&cd"


def folder_of(said: bytes) -> str:
    """The folder's path that `prepare` printed; empty where it is none that can be named without quotes."""
    path = said.decode("ascii", "replace").strip()
    return path if _FOLDER.fullmatch(path) else ""


def remove(path: str) -> str:
    """Remove a folder, and say so where something of it is left."""
    return f"rd /s /q {path} 2>nul&if exist {path} echo left"


def _set(name: str, value: str) -> str:
    if set(value) & set('"\r\n'):
        raise _refused(f"the value of {name} holds a quote or a line break")
    return f"set {held(name)}={held(value)}"


def _enter(cwd: str) -> str:
    if set(cwd) & set('"\r\n'):
        raise _refused("the name of a folder cannot hold a quote or a line break")
    return f"cd /d {held(cwd)}"


def _with_carets(text: str, special: frozenset[str]) -> str:
    before = ["", *text]
    return "".join("^" * (char in special or last == "%") + char for last, char in zip(before, text, strict=False))


def _refused(cause: str) -> CommandFailedError:
    return CommandFailedError("The command was not started", cause=cause)
