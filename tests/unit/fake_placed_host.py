"""A host that says where its daemon runs, and nothing else: a real one on another machine is not to be had."""

from __future__ import annotations

import os
from typing import cast

from tui.hosts.daemon_process import DaemonProcess
from tui.hosts.port import Host


class FakePlacedHost:
    """Stands for a host whose daemon is this very process, or for one of which `doubt` says why that is not proven."""

    def __init__(self, uri: str, doubt: str = "") -> None:
        self.uri, self.name = uri, "kvm7"
        self._doubt = doubt

    @property
    def as_host(self) -> Host:
        """Itself, typed as what it stands for."""
        return cast("Host", self)

    async def daemon_process(self) -> DaemonProcess:
        """This process, or the doubt."""
        return DaemonProcess(doubt=self._doubt) if self._doubt else DaemonProcess(pid=os.getpid())
