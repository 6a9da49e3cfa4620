"""Ready-made questions to a guest: what is looked at first when something is wrong there."""

from __future__ import annotations

from dataclasses import dataclass

from tui import settings


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A line for the guest's shell, and what it answers."""

    title: str
    line: str


POSIX = (
    Diagnostic("Uptime, load and memory", "uptime; free -m"),
    Diagnostic("Disk space", "df -h"),
    Diagnostic("Inodes", "df -i"),
    Diagnostic("Block devices and mounts", "lsblk -f 2>/dev/null || mount"),
    Diagnostic("Addresses and routes", "ip addr; ip route"),
    Diagnostic("Listening sockets", "ss -tulpn 2>/dev/null || netstat -tuln"),
    Diagnostic("Name resolution", "cat /etc/resolv.conf; getent hosts localhost"),
    Diagnostic("Processes by CPU", "ps aux --sort=-%cpu 2>/dev/null | head -15 || ps"),
    Diagnostic("Processes by memory", "ps aux --sort=-%mem 2>/dev/null | head -15 || ps"),
    Diagnostic("Failed services", "systemctl --failed --no-pager"),
    Diagnostic("Errors of this boot", "journalctl -b -p err --no-pager -n 50 2>/dev/null || dmesg | tail -50"),
    Diagnostic("Kernel messages", "dmesg | tail -50"),
    Diagnostic("System and release", "uname -a; cat /etc/os-release"),
    Diagnostic("Logged in users", "who; last -n 10 2>/dev/null"),
    Diagnostic("Time and its source", "date; timedatectl 2>/dev/null || true"),
)
WINDOWS = (
    Diagnostic("Version", "ver"),
    Diagnostic("System", "systeminfo"),
    Diagnostic("Addresses", "ipconfig /all"),
    Diagnostic("Listening sockets", "netstat -ano"),
    Diagnostic("Processes", "tasklist"),
    Diagnostic("Services", "sc query"),
    Diagnostic("Disks", "wmic logicaldisk get caption,freespace,size"),
    Diagnostic("Last errors", "wevtutil qe System /c:20 /rd:true /f:text /q:*[System[(Level=2)]]"),
    Diagnostic("Users", "query user"),
)


def diagnostics(*, windows: bool) -> tuple[Diagnostic, ...]:
    """The user's own first, then those of the operating system; raises settings.ConfigError.

    The user's are in config.toml, as `[diagnostics]` with lines `"Title" = "command"`; for Windows guests in
    `[diagnostics_windows]`.
    """
    config = settings.load_config()
    table = config.diagnostics_windows if windows else config.diagnostics
    own = tuple(Diagnostic(title, line) for title, line in table.items())
    return own + (WINDOWS if windows else POSIX)
