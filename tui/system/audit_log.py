"""The log of everything that was run in guests: who, when, where, what, and how it ended."""

from __future__ import annotations

import getpass
import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tui import settings

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AuditTarget:
    """A guest by the names that a reader of the log knows: its host's URI, its name and its UUID."""

    host: str
    name: str
    uuid: str


def audit_path() -> Path:
    """Where the log is."""
    return settings.state_folder() / "commands.jsonl"


def audit_is_wanted() -> bool:
    """Whether commands are to be logged: they are, but for `audit = false` in config.toml.

    A config.toml that cannot be read turns nothing off.
    """
    try:
        return settings.load_config().audit
    except settings.ConfigError as error:
        _log.warning("%s", error)
        return True


def audit_record(target: AuditTarget, what: Mapping[str, object]) -> dict[str, object]:
    """One entry, with time and user."""
    who = {"at": audit_time(), "user": _user()}
    where = {"host": target.host, "guest": target.name, "uuid": target.uuid}
    return {**who, **where, **what}


def audit_time() -> str:
    """Now, as the log writes it: local time with its offset."""
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")


def append_to_audit_log(record: Mapping[str, object]) -> None:
    """Write one entry. Raises nothing: a full disk must not keep an administrator from a guest."""
    try:
        settings.append_private(audit_path(), json.dumps(record) + "\n")
    except OSError as error:
        _log.warning("the log of commands could not be written: %s", error)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
