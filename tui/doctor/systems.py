"""The guest's operating system: how it is known, and the commands that mend an agent in it.

Names of packages, services and files are those of the distributions' own packages of qemu-guest-agent.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Family(StrEnum):
    """Systems on which the same commands work; the values are the words shown."""

    UNKNOWN = "a system that is not known"
    DEBIAN = "Debian or Ubuntu"
    RHEL = "RHEL family or Fedora"
    SUSE = "SUSE"
    ALPINE = "Alpine"
    ARCH = "Arch"
    FREEBSD = "FreeBSD"
    WINDOWS = "Windows"


@dataclass(frozen=True, slots=True)
class System:
    """What the guest runs and how that is known; `version` may be empty."""

    family: Family
    known_from: str
    version: str = ""


@dataclass(frozen=True, slots=True)
class Care:
    """The commands of a family: `policy` is the file and setting that blocks commands, `see_policy` shows it."""

    install: str
    start: str
    restart: str
    log: str
    policy: str
    see_policy: str


_SYSTEMD_START = "systemctl enable --now qemu-guest-agent"
_SYSTEMD_RESTART = "systemctl restart qemu-guest-agent"
_SYSTEMD_LOG = "journalctl -b -u qemu-guest-agent"
_CONF = "block-rpcs or allow-rpcs under [general] in /etc/qemu/qemu-ga.conf"
_OPTIONS = "--block-rpcs or --allow-rpcs"
_SEE_CONF = "grep -n rpcs /etc/qemu/qemu-ga.conf"

CARE: dict[Family, Care] = {
    Family.UNKNOWN: Care(
        "",
        _SYSTEMD_START,
        _SYSTEMD_RESTART,
        _SYSTEMD_LOG,
        f"{_CONF}, or /etc/sysconfig/qemu-ga, or /etc/default/qemu-guest-agent",
        "grep -s -n -i -e rpc -e ARGS /etc/qemu/qemu-ga.conf /etc/sysconfig/qemu-ga /etc/default/qemu-guest-agent",
    ),
    Family.DEBIAN: Care(
        "apt install qemu-guest-agent",
        # The unit is static on Debian 11 and newer: enable would complain, a udev rule starts it at boot.
        "systemctl start qemu-guest-agent",
        _SYSTEMD_RESTART,
        _SYSTEMD_LOG,
        f"{_CONF}, or {_OPTIONS} of DAEMON_ARGS in /etc/default/qemu-guest-agent",
        "grep -s -n -i -e rpcs -e DAEMON_ARGS /etc/qemu/qemu-ga.conf /etc/default/qemu-guest-agent",
    ),
    Family.RHEL: Care(
        "dnf install qemu-guest-agent",
        _SYSTEMD_START,
        _SYSTEMD_RESTART,
        _SYSTEMD_LOG,
        "--allow-rpcs of FILTER_RPC_ARGS (RHEL 9.4 and newer, Fedora), BLOCK_RPCS (RHEL 9) or "
        "BLACKLIST_RPC (RHEL 7 and 8) in /etc/sysconfig/qemu-ga",
        "grep -n RPC /etc/sysconfig/qemu-ga",
    ),
    Family.SUSE: Care(
        "zypper install qemu-guest-agent",
        _SYSTEMD_START,
        _SYSTEMD_RESTART,
        _SYSTEMD_LOG,
        "--block-rpcs of FILTER_RPC_ARGS in /etc/sysconfig/qemu-ga (a copy of /usr/etc/sysconfig/qemu-ga, changed)",
        "grep -n RPC /etc/sysconfig/qemu-ga /usr/etc/sysconfig/qemu-ga",
    ),
    Family.ALPINE: Care(
        "apk add qemu-guest-agent",
        "rc-update add qemu-guest-agent && rc-service qemu-guest-agent start",
        "rc-service qemu-guest-agent restart",
        "grep qemu-ga /var/log/messages",
        f"{_OPTIONS} of GA_OPTS in /etc/conf.d/qemu-guest-agent",
        "cat /etc/conf.d/qemu-guest-agent",
    ),
    Family.ARCH: Care(
        "pacman -S qemu-guest-agent",
        "systemctl start qemu-guest-agent",
        _SYSTEMD_RESTART,
        _SYSTEMD_LOG,
        _CONF,
        _SEE_CONF,
    ),
    Family.FREEBSD: Care(
        "pkg install qemu-guest-agent",
        "sysrc virtio_console_load=YES qemu_guest_agent_enable=YES; kldload -n virtio_console; "
        "service qemu-guest-agent start",
        "service qemu-guest-agent restart",
        "grep qemu-ga /var/log/messages",
        f"{_OPTIONS} of qemu_guest_agent_flags in /etc/rc.conf",
        "sysrc qemu_guest_agent_flags",
    ),
    Family.WINDOWS: Care(
        r"msiexec /i D:\guest-agent\qemu-ga-x86_64.msi",
        'powershell -Command "Start-Service QEMU-GA"',
        'powershell -Command "Restart-Service QEMU-GA"',
        'powershell -Command "Get-WinEvent -ProviderName qemu-ga -MaxEvents 20"',
        f"{_OPTIONS} of the service QEMU-GA (its ImagePath in the registry)",
        r"sc.exe qc QEMU-GA",
    ),
}

_BY_ID: tuple[tuple[Family, tuple[str, ...]], ...] = (
    (Family.WINDOWS, ("mswindows", "microsoft.com", "/win/")),
    (Family.DEBIAN, ("debian", "ubuntu", "mint", "pop", "kali", "raspbian", "devuan", "proxmox")),
    (
        Family.RHEL,
        ("rhel", "redhat", "fedora", "centos", "rocky", "alma", "ol", "oracle", "amzn", "scientific", "eurolinux"),
    ),
    (Family.SUSE, ("suse", "sles", "sled", "sle-", "opensuse")),
    (Family.ALPINE, ("alpine",)),
    (Family.ARCH, ("arch", "manjaro", "endeavouros")),
    (Family.FREEBSD, ("freebsd", "opnsense", "pfsense")),
)


def family_of(system_id: str) -> Family | None:
    """The family behind an `ID` of os-release or a URL of libosinfo; None where it is not known."""
    lowered = system_id.lower()
    for family, words in _BY_ID:
        if any(word in lowered if len(word) > 2 else word == lowered for word in words):
            return family
    return None
