"""Runs programs of the host as argument lists and explains what went wrong with them."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from tui.hosts.children import Child, running
from tui.model.errors import ExplainedError

Report = Callable[[str], None]
"""Takes short plain lines of progress."""

PROGRAM_TIMEOUT = 300.0
"""Seconds after which a program of the laboratory is taken for hung."""
_SAID_LIMIT = 4 * 1024 * 1024
"""Bytes of its complaints that are kept."""


class LabError(ExplainedError):
    """The laboratory could not be built, started or used."""


def host_environment(**more: str) -> dict[str, str]:
    """Our environment with plain English messages and the folders of system programs, which users lack in PATH."""
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    return {**os.environ, "PATH": path, "LC_ALL": "C", **more}


def require_programs(*programs: str) -> None:
    """Raise LabError with the way to mend it unless this host has all of them."""
    path = host_environment()["PATH"]
    if missing := [program for program in programs if shutil.which(program, path=path) is None]:
        raise LabError(
            "The laboratory cannot be used",
            cause=f"{', '.join(missing)} not installed",
            next_step="Run `make packages` to install what it needs.",
        )


async def run_program(
    *argv: str | Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = PROGRAM_TIMEOUT,
    on_line: Callable[[str], None] | None = None,
) -> str:
    """The standard output of a program that ended well; `on_line` gets each line of it as it comes.

    Raises LabError when the program is missing, ends with another status than 0 or runs longer than `timeout` seconds;
    its `original` is what the program wrote to standard error. The program does not outlive the call.
    """
    words = [str(word) for word in argv]
    require_programs(words[0])
    environment = host_environment() if env is None else env
    try:
        async with (
            running(*words, complaints_limit=_SAID_LIMIT, cwd=cwd, env=environment) as child,
            asyncio.timeout(timeout),
        ):
            out = await _heard(child, on_line)
            code = await child.process.wait()
            complaint = (await child.complaints()).decode(errors="replace").strip()
    except TimeoutError as error:
        raise LabError(f"{words[0]} did not end", cause=f"it ran for more than {timeout:.0f} s") from error
    if code != 0:
        last = complaint.splitlines()[-1] if complaint else f"exit status {code}"
        raise LabError(f"{words[0]} failed", cause=last.removeprefix("E: ").removeprefix("error: "), original=complaint)
    return out.decode(errors="replace")


async def _heard(child: Child, on_line: Callable[[str], None] | None) -> bytes:
    if on_line is None:
        return await child.output.read()
    lines = bytearray()
    async for line in child.output:
        lines += line
        on_line(line.decode(errors="replace").rstrip())
    return bytes(lines)
