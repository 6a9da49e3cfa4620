"""The agent's wire format: requests built, replies taken apart, nothing in them trusted."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from typing import NoReturn, TypeAlias

from tui.agent.errors import (
    CommandFailedError,
    CommandUnavailableError,
    MalformedReplyError,
    RequestTooLargeError,
)
from tui.agent.transport import Transport

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"

MAX_REQUEST = 200_000
"""Characters of one request: libvirt 9.0 never answers about 220 KB and more."""
MAX_REPLY = 96 * 1024 * 1024
"""Characters of one reply: a raw socket may carry 64 MB lines, more is no reply."""
EXCERPT = 200
"""Characters of a reply that are kept to show what was wrong with it."""
_INT64 = range(-(2**63), 2**63)

TEXT_LIMIT = 4096
"""Characters that are kept of a text of an agent's: names, versions, reasons, and paths (PATH_MAX)."""
LIST_LIMIT = 1024
"""Entries that are kept of a list of an agent's: commands, interfaces, users, file systems."""


async def call(
    transport: Transport, command: str, arguments: Mapping[str, Json] | None = None, *, timeout_s: int
) -> Json:
    """Send one command and return what its reply carries under `return`.

    `timeout_s` is counted in seconds from the moment the request is sent. Raises what `Transport.send` raises,
    `RequestTooLargeError` before anything is sent, `MalformedReplyError` and `CommandFailedError`.
    """
    return parse_reply(await transport.send(encode(command, arguments), timeout_s), command)


def encode(command: str, arguments: Mapping[str, Json] | None = None) -> str:
    """One request as JSON text; raises `RequestTooLargeError` for what a libvirt line would swallow."""
    request = json.dumps({"execute": command, "arguments": arguments} if arguments else {"execute": command})
    if len(request) > MAX_REQUEST:
        raise RequestTooLargeError(
            f"{command} was not sent",
            cause=f"the request has {len(request)} characters, an agent line carries {MAX_REQUEST}",
            next_step="Write the data to a file in the guest first.",
        )
    return request


def parse_reply(reply: str, command: str) -> Json:
    """The value under `return` of the reply to `command`.

    Raises `CommandUnavailableError` and `CommandFailedError` for `{"error": {"class", "desc"}}`, which a raw socket
    hands through, and `MalformedReplyError` for everything that the protocol does not promise.
    """
    answer = Fields(_load(reply, command), command)
    error = answer.member("error")
    if error is not None:
        _raise_error(Fields(error, command), command)
    if not answer.has("return"):
        malformed(command, "it has neither a return value nor an error", reply)
    return answer.member("return")


class Fields:
    """Typed access to a JSON object that a guest sent; every surprise is a `MalformedReplyError`."""

    def __init__(self, value: Json, command: str) -> None:
        if not isinstance(value, dict):
            malformed(command, "it is not an object", value)
        self._members: dict[str, Json] = value
        self._command = command

    def has(self, name: str) -> bool:
        """Whether the object has a member of that name."""
        return name in self._members

    def member(self, name: str) -> Json:
        """The raw member, None without one."""
        return self._members.get(name)

    def text(self, name: str, default: str | None = None) -> str:
        """A string, its first TEXT_LIMIT characters; `default` where it is absent, an error without a default."""
        return self._whole_text(name, default)[:TEXT_LIMIT]

    def _whole_text(self, name: str, default: str | None) -> str:
        value = self._members.get(name, default)
        return value if isinstance(value, str) else self._unusable(name, "text")

    def integer(self, name: str, default: int | None = None) -> int:
        """An int64; `default` where it is absent, an error without a default."""
        value = self._members.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or value not in _INT64:
            self._unusable(name, "a number")
        return value

    def flag(self, name: str, default: bool | None = None) -> bool:
        """A boolean; `default` where it is absent, an error without a default."""
        value = self._members.get(name, default)
        return value if isinstance(value, bool) else self._unusable(name, "true or false")

    def data(self, name: str) -> bytes:
        """Bytes sent as base64; empty where absent, which is how the agent sends no bytes."""
        try:
            return base64.b64decode(self._whole_text(name, ""), validate=True)
        except (binascii.Error, ValueError):
            self._unusable(name, "base64")

    def objects(self, name: str) -> list[Fields]:
        """A list of objects, its first LIST_LIMIT."""
        value = self._members.get(name)
        if not isinstance(value, list):
            self._unusable(name, "a list")
        return [Fields(entry, self._command) for entry in value[:LIST_LIMIT]]

    def _unusable(self, name: str, wanted: str) -> NoReturn:
        malformed(self._command, f"its member {name!r} is not {wanted}", self._members)


def integer(value: Json, command: str) -> int:
    """A reply that is a bare number."""
    return Fields({"return": value}, command).integer("return")


def text(value: Json, command: str) -> str:
    """A reply that is a bare string."""
    return Fields({"return": value}, command).text("return")


def malformed(command: str, cause: str, reply: object) -> NoReturn:
    """Raise the error for a reply to `command` that breaks the protocol, with a bounded excerpt of it."""
    raise MalformedReplyError(
        f"The answer to {command} was not understood",
        cause=cause,
        next_step="Repeat it; if it stays so, restart the agent in the guest.",
        original=_excerpt(reply),
    )


def _excerpt(reply: object) -> str:
    if not isinstance(reply, str):
        try:
            reply = repr(reply)
        except RecursionError:
            reply = f"deeply nested {type(reply).__name__}"
    return reply if len(reply) <= EXCERPT else reply[: EXCERPT - 1] + "…"


def _load(reply: str, command: str) -> Json:
    if len(reply) > MAX_REPLY:
        malformed(command, f"it has {len(reply)} characters", reply)
    try:
        value: Json = json.loads(reply)
    except (ValueError, RecursionError) as error:
        cause = "it is nested too deeply" if isinstance(error, RecursionError) else "it is not JSON"
        malformed(command, cause, reply)
    return value


def _raise_error(error: Fields, command: str) -> NoReturn:
    described = error.text("desc", "")
    if error.text("class", "GenericError") == "CommandNotFound":
        raise CommandUnavailableError(
            f"The agent does not offer {command}",
            cause="it is blocked by the guest's policy, the guest is frozen, or the agent is too old",
            original=described,
        )
    raise CommandFailedError(f"{command} failed in the guest", cause=described, original=described)
