"""The guest's operating system: how it is known, and the commands that mend an agent in it.

Names of packages, services and files are those of the distributions' own packages of qemu-guest-agent.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
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
    """What the guest runs and how that is known; `version` and `id`, as in os-release, may be empty."""

    family: Family
    known_from: str
    version: str = ""
    id: str = ""


UNKNOWN_SYSTEM = System(Family.UNKNOWN, "nothing tells")


@dataclass(frozen=True, slots=True)
class Policy:
    """What keeps an agent from executing commands: settings in the file `where`.

    A blocked command is to be taken out of the list `block`, or is missing in the list `allow`; a system that has only
    one of the two leaves the other empty.
    """

    where: str
    block: str = ""
    allow: str = ""

    @property
    def lists(self) -> str:
        """Which lists to look at, and where."""
        return f"{' or '.join(filter(None, (self.block, self.allow)))} in {self.where}"

    @property
    def step(self) -> str:
        """How a command is allowed that is blocked."""
        out = f"take it out of {self.block}" if self.block else ""
        into = f"add it to {self.allow}" if self.allow else ""
        return f"{f'{out}, or {into},' if out and into else out or into} in {self.where}"


@dataclass(frozen=True, slots=True)
class Care:
    """The commands of a family: `policy` is what blocks an agent's commands, `see_policy` shows it."""

    install: str
    start: str
    restart: str
    log: str
    policy: Policy
    see_policy: str


_SYSTEMD_START = "systemctl enable --now qemu-guest-agent"
_SYSTEMD_RESTART = "systemctl restart qemu-guest-agent"
_SYSTEMD_LOG = "journalctl -b -u qemu-guest-agent"
_CONF = "[general] of /etc/qemu/qemu-ga.conf"
_RPCS, _OPTIONS = ("block-rpcs", "allow-rpcs"), ("--block-rpcs", "--allow-rpcs")
_SYSCONFIG = "/etc/sysconfig/qemu-ga"
_FILTER = "--allow-rpcs of FILTER_RPC_ARGS"
_SEE_CONF = "grep -n rpcs /etc/qemu/qemu-ga.conf"

CARE: dict[Family, Care] = {
    Family.UNKNOWN: Care(
        "",
        _SYSTEMD_START,
        _SYSTEMD_RESTART,
        _SYSTEMD_LOG,
        Policy(f"{_CONF}, or {_SYSCONFIG}, or /etc/default/qemu-guest-agent", *_RPCS),
        "grep -s -n -i -e rpc -e ARGS /etc/qemu/qemu-ga.conf /etc/sysconfig/qemu-ga /etc/default/qemu-guest-agent",
    ),
    Family.DEBIAN: Care(
        "apt install qemu-guest-agent",
        # The unit is static on Debian 11 and newer: enable would complain, a udev rule starts it at boot.
        "systemctl start qemu-guest-agent",
        _SYSTEMD_RESTART,
        _SYSTEMD_LOG,
        Policy(f"{_CONF}, or as options in DAEMON_ARGS of /etc/default/qemu-guest-agent", *_RPCS),
        "grep -s -n -i -e rpcs -e DAEMON_ARGS /etc/qemu/qemu-ga.conf /etc/default/qemu-guest-agent",
    ),
    Family.RHEL: Care(
        "dnf install qemu-guest-agent",
        _SYSTEMD_START,
        _SYSTEMD_RESTART,
        _SYSTEMD_LOG,
        Policy(
            _SYSCONFIG,
            "BLOCK_RPCS (RHEL 9) or BLACKLIST_RPC (RHEL 7 and 8)",
            f"{_FILTER} (RHEL 9.4 and newer, Fedora)",
        ),
        "grep -n RPC /etc/sysconfig/qemu-ga",
    ),
    Family.SUSE: Care(
        "zypper install qemu-guest-agent",
        _SYSTEMD_START,
        _SYSTEMD_RESTART,
        _SYSTEMD_LOG,
        Policy(f"{_SYSCONFIG} (a copy of /usr/etc/sysconfig/qemu-ga, changed)", "--block-rpcs of FILTER_RPC_ARGS"),
        "grep -n RPC /etc/sysconfig/qemu-ga /usr/etc/sysconfig/qemu-ga",
    ),
    Family.ALPINE: Care(
        "apk add qemu-guest-agent",
        "rc-update add qemu-guest-agent && rc-service qemu-guest-agent start",
        "rc-service qemu-guest-agent restart",
        "grep qemu-ga /var/log/messages",
        Policy("GA_OPTS of /etc/conf.d/qemu-guest-agent", *_OPTIONS),
        "cat /etc/conf.d/qemu-guest-agent",
    ),
    Family.ARCH: Care(
        "pacman -S qemu-guest-agent",
        "systemctl start qemu-guest-agent",
        _SYSTEMD_RESTART,
        _SYSTEMD_LOG,
        Policy(_CONF, *_RPCS),
        _SEE_CONF,
    ),
    Family.FREEBSD: Care(
        "pkg install qemu-guest-agent",
        "sysrc virtio_console_load=YES qemu_guest_agent_enable=YES; kldload -n virtio_console; "
        "service qemu-guest-agent start",
        "service qemu-guest-agent restart",
        "grep qemu-ga /var/log/messages",
        Policy("qemu_guest_agent_flags of /etc/rc.conf", *_OPTIONS),
        "sysrc qemu_guest_agent_flags",
    ),
    Family.WINDOWS: Care(
        r"msiexec /i D:\guest-agent\qemu-ga-x86_64.msi",
        'powershell -Command "Start-Service QEMU-GA"',
        'powershell -Command "Restart-Service QEMU-GA"',
        'powershell -Command "Get-WinEvent -ProviderName qemu-ga -MaxEvents 20"',
        Policy("the options of the service QEMU-GA (its ImagePath in the registry)", *_OPTIONS),
        r"sc.exe qc QEMU-GA",
    ),
}


def care_of(system: System) -> Care:
    """The commands for a guest's system: those of its release, where that is known and differs from its family's."""
    care = CARE[system.family]
    if system.family is not Family.RHEL or not system.id or system.id.startswith("amzn"):
        return care
    if system.id == "fedora":
        return replace(care, policy=_ALLOWS)
    release = [int(number) for number in re.findall(r"\d+", system.version)[:2]]
    match release:
        case []:
            return care
        case [7, *_]:
            return replace(care, install=care.install.replace("dnf", "yum"), policy=_BLACKLISTS)
        case [major, *_] if major < 9:
            return replace(care, policy=_BLACKLISTS)
        case [9, minor] if minor < 4:
            return replace(care, policy=_BLOCKS)
        case _:
            return replace(care, policy=_ALLOWS)


_ALLOWS, _BLOCKS = Policy(_SYSCONFIG, allow=_FILTER), Policy(_SYSCONFIG, "BLOCK_RPCS")
_BLACKLISTS = Policy(_SYSCONFIG, "BLACKLIST_RPC")

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


def system_of(system_id: str, known_from: str, version: str = "") -> System:
    """The system behind an `ID` of os-release, of a family that may be unknown."""
    return System(family_of(system_id) or Family.UNKNOWN, known_from, version, system_id)


def system_at(url: str) -> System | None:
    """The system that a URL of libosinfo names, as http://redhat.com/rhel/7.9; None where its family is not known."""
    family = family_of(url)
    _, _, named = url.partition("://")
    parts = named.split("/")
    name, version = parts[1:3] if len(parts) == 3 else ("", "")
    return None if family is None else System(family, f"its XML says {url}", version, name)
