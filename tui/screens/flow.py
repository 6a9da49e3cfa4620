"""What everything that opens screens of backups and restores has in common."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from textual.app import App

from tui.hosts.port import Host


class Flow:
    """Owned by the app; `folder` is the place for backups that is offered first."""

    def __init__(
        self,
        app: App[None],
        hosts: Mapping[str, Host],
        worker_argv: tuple[str, ...],
        folder: Path | None,
        *,
        read_only: bool,
    ) -> None:
        self._app = app
        self._hosts = hosts
        self._worker_argv = worker_argv
        self._folder = folder or Path.home() / "backups"
        self._read_only = read_only
