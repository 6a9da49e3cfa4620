"""The backups of several guests: one target, one review that names each with its checks, then one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.widgets import Button, ContentSwitcher, Label, Static

from tui.backup.last_target import keep_target
from tui.backup.plan import QuiescePolicy
from tui.backup.propose import propose
from tui.backup.queue import Candidate, launch_queue, room_for_all
from tui.backup.reach_files import file_system
from tui.hosts.port import Host
from tui.model.errors import ExplainedError
from tui.model.guest import Guest
from tui.model.text import printable
from tui.screens.target import TargetScreen
from tui.widgets.key_line import KeyLine
from tui.widgets.queue_text import queue_text
from tui.widgets.tones import styles_of


class BackupQueueScreen(TargetScreen):
    """The wizard for several guests; dismissed with whether their backups were begun."""

    def __init__(
        self,
        hosts: Mapping[str, Host],
        guests: tuple[Guest, ...],
        worker_argv: tuple[str, ...],
        folder: Path,
        *,
        overlays: Path | None = None,
    ) -> None:
        super().__init__(folder, tuple(dict.fromkeys(guest.id.host for guest in guests)), overlays=overlays)
        self._hosts = hosts
        self._guests = guests
        self._worker_argv = worker_argv
        self._candidates: tuple[Candidate, ...] = ()
        self._accepted: dict[str, tuple[str, ...]] = {}

    def compose(self) -> ComposeResult:
        """The two parts, one at a time."""
        yield Static(Text(f"Backup of {len(self._guests)} guests, one after the other"), id="title")
        with ContentSwitcher(initial="choose"):
            names = ", ".join(guest.name for guest in self._guests)
            yield from self.choosing(
                (Label("Guests, each with all disks that can be backed up"), Static(Text(printable(names)), id="names"))
            )
            yield from self.reviewing()
        yield KeyLine()

    def on_mount(self) -> None:
        """Begin with the folder."""
        self.choose()

    async def plan_it(self, folder: Path, policy: QuiescePolicy) -> None:
        """Plan each guest's backup; one that cannot be planned holds the others up as little as one that must wait."""
        found: list[Candidate] = []
        for number, guest in enumerate(self._guests, 1):
            self.doing(f"Checking {guest.name}, {number} of {len(self._guests)} …")
            found.append(await self._candidate(guest, folder, policy))
        self._candidates = tuple(found)
        ready = [each.proposal for each in found if each.proposal is not None and each.may_begin]
        room = room_for_all(ready, await asyncio.to_thread(file_system, str(folder)))
        count = len(ready) if len(ready) == len(found) else f"{len(ready)} of {len(found)}"
        without = [
            f"{each.guest}: {', '.join(each.proposal.red)}"
            for each in found
            if each.proposal is not None and each.proposal.waits_for_acceptance
        ]
        self.review(
            queue_text(self._candidates, room, styles_of(self.app.theme_variables)),
            f"Back up {count} guests" if ready else "",
            f"Go without {'; '.join(without)}" if without else "",
        )

    async def _candidate(self, guest: Guest, folder: Path, policy: QuiescePolicy) -> Candidate:
        host = self._hosts[guest.id.host]
        accepted = self._accepted.get(guest.id.uuid, ())
        try:
            facts = await host.read_domain(guest.id.uuid)
            proposal = await propose(
                host, facts, folder, quiesce=policy, accepted=accepted, overlays=self.overlays_folder()
            )
            return Candidate(guest.name, proposal)
        except ExplainedError as error:
            return Candidate(guest.name, trouble=error)

    @on(Button.Pressed, "#accept")
    def _accept(self) -> None:
        for each in self._candidates:
            if each.proposal is not None and each.proposal.waits_for_acceptance:
                self._accepted[each.proposal.plan.uuid] = each.proposal.red
        self.check()

    @on(Button.Pressed, "#start")
    def _start(self) -> None:
        plans = [each.proposal.plan for each in self._candidates if each.proposal is not None and each.may_begin]
        try:
            launch_queue(plans, self._worker_argv)
        except OSError as error:
            self.choose()
            self.trouble(ExplainedError("The backups' processes could not be started", cause=str(error)))
            return
        keep_target({plan.host for plan in plans}, Path(plans[0].target))
        self.dismiss(True)
