"""A control group of its own for a process that has to outlive the login session, or the unit, that it is begun in.

A session in the sense of setsid(2) does not help: systemd-logind with KillUserProcesses=yes, and every unit that is
stopped, end all that is in their group. systemd-run(1) with --scope joins a new group and then becomes the command, so
that the process and its number stay what they are.
"""

from __future__ import annotations

import logging
import os
import pwd
import subprocess
from pathlib import Path

logger = logging.getLogger(__name__)

BOOTED = Path("/run/systemd/system")
"""There where systemd manages this machine (sd_booted(3))."""
LINGER = Path("/var/lib/systemd/linger")
"""Has the names of users whose manager goes on without any session (loginctl(1), enable-linger)."""
ANSWER_S = 5.0
_OPTIONS = ("--scope", "--quiet", "--collect", "--no-ask-password", "--")


def scope_words() -> tuple[str, ...]:
    """What goes before a command so that it gets a group of its own; nothing where that is not to be had.

    It is tried with another command first, and read back which group that was in. Blocks for ANSWER_S at most.
    """
    if not BOOTED.is_dir():
        return ()
    if os.geteuid() != 0 and not _lingers():
        # The user's manager ends with the last session, which a process in that session's group may survive.
        logger.info("no group of its own: the user's manager ends with the last session (loginctl enable-linger)")
        return ()
    words = ("systemd-run", *(("--user",) if os.geteuid() != 0 else ()), *_OPTIONS)
    try:
        tried = subprocess.run(
            [*words, "cat", "/proc/self/cgroup"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=ANSWER_S,
            check=False,
            text=True,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        logger.warning("no group of its own: %s", error)
        return ()
    group = group_in(tried.stdout)
    if tried.returncode != 0 or not group.endswith(".scope") or group == own_group():
        logger.warning("no group of its own: %s", tried.stderr.strip() or group)
        return ()
    return words


def own_group(pid: int | str = "self") -> str:
    """The control group of a process in systemd's hierarchy; empty where that cannot be told."""
    try:
        return group_in(Path(f"/proc/{pid}/cgroup").read_text("utf-8", "replace"))
    except OSError:
        return ""


def group_in(text: str) -> str:
    """The group in the text of a /proc/PID/cgroup: that of the one hierarchy, else of systemd's own (cgroups(7))."""
    groups = {words[1]: words[2] for line in text.splitlines() if len(words := line.split(":", 2)) == 3}
    return next((group for name in ("", "name=systemd") if (group := groups.get(name, "/")) != "/"), "")


def _lingers() -> bool:
    try:
        return (LINGER / pwd.getpwuid(os.geteuid()).pw_name).exists()
    except (KeyError, OSError):
        return False
