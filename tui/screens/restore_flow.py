"""Opens what has to do with restoring: the list of backups, and the wizard of one on the right host."""

from __future__ import annotations

from tui.backup.restore.catalogue import FoundBackup
from tui.backup.restore.saved import SavedBackup
from tui.fleet.fleet import Fleet
from tui.model.guest import Guest
from tui.screens.flow import Flow
from tui.screens.pick import PickScreen, among
from tui.screens.restore import RestoreScreen
from tui.screens.restores import RestoresScreen


class RestoreFlow(Flow):
    """Opens them for the app."""

    def open_list(self, guest: Guest | None) -> None:
        """The backups that can be found, those of `guest` first."""
        self._app.push_screen(RestoresScreen(guest, self._folder))

    def open_backup(self, fleet: Fleet, found: FoundBackup) -> None:
        """The wizard of a backup; where it is not clear on which host, that is asked."""
        if found.saved is not None:
            self._app.run_worker(self._open(fleet, found, found.saved), name="restore")

    async def _open(self, fleet: Fleet, found: FoundBackup, saved: SavedBackup) -> None:
        name: str | None = next(
            (name for name in (saved.host, *self._where_it_is(fleet, saved)) if name in self._hosts), ""
        )
        if not name and len(self._hosts) == 1:
            name = next(iter(self._hosts))
        elif not name:
            name = await self._app.push_screen_wait(PickScreen("On which host?", among(sorted(self._hosts))))
        if name:
            guests = tuple(guest for guest in fleet.guests.values() if guest.id.host == name)
            screen = RestoreScreen(
                self._hosts[name], found, saved, guests, self._worker_argv, read_only=self._read_only
            )
            await self._app.push_screen(screen)

    def _where_it_is(self, fleet: Fleet, saved: SavedBackup) -> tuple[str, ...]:
        """The hosts that have the guest."""
        return tuple(guest.id.host for guest in fleet.guests.values() if guest.id.uuid == saved.uuid)
