"""Where the program keeps its files (XDG base directories), and what the user set in config.toml."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import TypeGuard

from tui.model.errors import ExplainedError
from tui.model.paths import typed_path

APP = "qga-tui"
PRIVATE_FOLDER = 0o700
PRIVATE_FILE = 0o600


def _base(variable: str, fallback: str) -> Path:
    value = os.environ.get(variable, "")
    # The specification ignores relative values.
    return Path(value) if value.startswith("/") else Path.home() / fallback


def cache_folder() -> Path:
    """What can be made anew: the laboratory's packages and images."""
    return _base("XDG_CACHE_HOME", ".cache") / APP


def state_folder() -> Path:
    """What outlives a run: the log, backup jobs, history."""
    return _base("XDG_STATE_HOME", ".local/state") / APP


def config_folder() -> Path:
    """What the user wrote; read, never rewritten."""
    return _base("XDG_CONFIG_HOME", ".config") / APP


def private_folder(path: Path) -> Path:
    """Return `path`, made open to the user alone unless it is there; missing parents are made as the umask says."""
    path.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    return path


def append_private(path: Path, text: str) -> None:
    """Append all of `text`, or nothing, to a file that is open to the user alone; raises OSError.

    The file is locked for it, so that what several processes append never mixes, and a disk that fills in the middle
    leaves no part.
    """
    private_folder(path.parent)
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, PRIVATE_FILE)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        length = os.fstat(handle).st_size
        rest = memoryview(text.encode("utf-8", "surrogateescape"))
        try:
            while rest:
                rest = rest[os.write(handle, rest) :]
        except OSError:
            os.ftruncate(handle, length)
            raise
    finally:
        os.close(handle)


@dataclass(frozen=True, slots=True)
class Config:
    """What config.toml may say; each field is a key of it, seconds where the name ends in `_s`.

    `overlays_folder` is where guests write to while they are backed up, None being beside their images. `ping_every_s`
    0 asks no agent unless it is told to. `audit` False keeps no log of the commands that are run in guests.
    `diagnostics` are the user's own questions to POSIX guests, titles to lines.
    """

    ping_every_s: float = 60.0
    ping_silent_every_s: float = 300.0
    ping_timeout_s: int = 5
    read_only: bool = False
    backups_folder: Path | None = None
    overlays_folder: Path | None = None
    audit: bool = True
    diagnostics: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    diagnostics_windows: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


class ConfigError(ExplainedError):
    """The user's config.toml cannot be used."""


def config_path() -> Path:
    """Where the user's settings are."""
    return config_folder() / "config.toml"


def load_config() -> Config:
    """The user's settings over the defaults; raises ConfigError for a file that says something else than it may."""
    path = config_path()
    try:
        given = tomllib.loads(_plain_text(path))
    except FileNotFoundError:
        return Config()
    except (OSError, ValueError, RecursionError) as error:
        raise _unusable(path, str(error)) from error
    known = {each.name for each in fields(Config)}
    unknown = sorted(given.keys() - known)
    if unknown:
        raise _unusable(path, f"it does not know {', '.join(unknown)}; it knows {', '.join(sorted(known))}")
    return _checked(path, given)


def _plain_text(path: Path) -> str:
    """The file's text; raises OSError, also for a pipe, whose opening would wait for a writer for ever."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is no plain file")
        return file.read().decode("utf-8")


def _folder(text: str) -> Path | None:
    """The absolute folder that is meant, None where none can be."""
    try:
        return typed_path(text)
    except ExplainedError:
        return None


def _checked(path: Path, given: dict[str, object]) -> Config:
    config = Config()
    for name, value in given.items():
        if name == "backups_folder" and isinstance(value, str) and (folder := _folder(value)) is not None:
            config = replace(config, backups_folder=folder)
        elif name == "overlays_folder" and isinstance(value, str) and (folder := _folder(value)) is not None:
            config = replace(config, overlays_folder=folder)
        elif name == "read_only" and isinstance(value, bool):
            config = replace(config, read_only=value)
        elif name == "audit" and isinstance(value, bool):
            config = replace(config, audit=value)
        elif name == "diagnostics" and _are_lines(value):
            config = replace(config, diagnostics=value)
        elif name == "diagnostics_windows" and _are_lines(value):
            config = replace(config, diagnostics_windows=value)
        elif name == "ping_every_s" and _is_seconds(value, least=0):
            config = replace(config, ping_every_s=float(str(value)))
        elif name == "ping_silent_every_s" and _is_seconds(value, least=1):
            config = replace(config, ping_silent_every_s=float(str(value)))
        elif name == "ping_timeout_s" and isinstance(value, int) and _is_seconds(value, least=1):
            config = replace(config, ping_timeout_s=value)
        else:
            raise _unusable(path, f"{name} = {value!r} is not a value for it")
    return config


def _are_lines(value: object) -> TypeGuard[dict[str, str]]:
    return isinstance(value, dict) and all(isinstance(line, str) for line in value.values())


def _is_seconds(value: object, *, least: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= 86_400


def _unusable(path: Path, cause: str) -> ConfigError:
    return ConfigError(
        "The settings cannot be used", cause=f"{path}: {cause}", next_step="Mend the file, or move it away."
    )
