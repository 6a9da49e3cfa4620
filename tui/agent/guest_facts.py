"""What a guest tells of itself through its agent: addresses, users, time zone, file systems.

All raise what `protocol.call` raises. Lists are cut at LIST_LIMIT: a guest is not trusted with our memory.
Facts: QEMU's qga/qapi-schema.json.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from tui.agent.commands import QUESTION_TIMEOUT_S
from tui.agent.protocol import Fields, Json, call, malformed
from tui.agent.transport import Transport

LIST_LIMIT = 256
_LATEST_S = 2**33
"""Unix time in seconds, in the year 2242: what is later is no time that somebody logged in at."""


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface with its addresses as `address/prefix`."""

    name: str
    mac: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """A user with a session; `since` is Unix time in seconds."""

    user: str
    domain: str
    since: float


@dataclass(frozen=True, slots=True)
class FileSystem:
    """A mounted file system; bytes are None where the agent is too old to say."""

    mountpoint: str
    kind: str
    used_bytes: int | None
    total_bytes: int | None


def _objects(reply: Json, command: str) -> list[Fields]:
    if not isinstance(reply, list):
        malformed(command, "it is not a list", reply)
    return [Fields(entry, command) for entry in reply[:LIST_LIMIT]]


async def interfaces(transport: Transport, timeout_s: int = QUESTION_TIMEOUT_S) -> tuple[Interface, ...]:
    """The guest's network interfaces."""
    command = "guest-network-get-interfaces"
    reply = await call(transport, command, timeout_s=timeout_s)
    return tuple(
        Interface(
            each.text("name", ""),
            each.text("hardware-address", ""),
            tuple(
                f"{address.text('ip-address', '')}/{address.integer('prefix', 0)}"
                for address in (each.objects("ip-addresses") if each.has("ip-addresses") else [])[:LIST_LIMIT]
            ),
        )
        for each in _objects(reply, command)
    )


def main_address(found: tuple[Interface, ...]) -> str:
    """The address a user would reach the guest by: IPv4 before IPv6, none that is loopback or link-local."""
    candidates: list[ipaddress.IPv4Address | ipaddress.IPv6Address] = []
    for interface in found:
        for text in interface.addresses:
            try:
                address = ipaddress.ip_address(text.partition("/")[0])
            except ValueError:
                continue
            if not (address.is_loopback or address.is_link_local or address.is_unspecified):
                candidates.append(address)
    return str(min(candidates, key=lambda address: address.version)) if candidates else ""


async def users(transport: Transport, timeout_s: int = QUESTION_TIMEOUT_S) -> tuple[LoggedIn, ...]:
    """Who is logged in."""
    command = "guest-get-users"
    reply = await call(transport, command, timeout_s=timeout_s)
    return tuple(
        LoggedIn(each.text("user", ""), each.text("domain", ""), _seconds(each.member("login-time")))
        for each in _objects(reply, command)
    )


async def timezone(transport: Transport, timeout_s: int = QUESTION_TIMEOUT_S) -> str:
    """The guest's time zone as `name UTC+h:mm`."""
    command = "guest-get-timezone"
    reply = Fields(await call(transport, command, timeout_s=timeout_s), command)
    offset = reply.integer("offset")
    sign = "-" if offset < 0 else "+"
    hours, minutes = divmod(abs(offset) // 60, 60)
    return f"{reply.text('zone', '')} UTC{sign}{hours}:{minutes:02d}".strip()


async def host_name(transport: Transport, timeout_s: int = QUESTION_TIMEOUT_S) -> str:
    """The guest's own name."""
    command = "guest-get-host-name"
    return Fields(await call(transport, command, timeout_s=timeout_s), command).text("host-name")


async def file_systems(transport: Transport, timeout_s: int = QUESTION_TIMEOUT_S) -> tuple[FileSystem, ...]:
    """The guest's mounted file systems."""
    command = "guest-get-fsinfo"
    reply = await call(transport, command, timeout_s=timeout_s)
    return tuple(
        FileSystem(
            each.text("mountpoint", ""),
            each.text("type", ""),
            each.integer("used-bytes") if each.has("used-bytes") else None,
            each.integer("total-bytes") if each.has("total-bytes") else None,
        )
        for each in _objects(reply, command)
    )


def _seconds(value: Json) -> float:
    """A Unix time in seconds; 0 for what is none, whatever number it is."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LATEST_S:
        return 0.0
    return float(value)
