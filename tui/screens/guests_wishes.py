"""The keys that say what is to be done with the guests of the list; the app does it."""

from __future__ import annotations

from textual import on
from textual.message import Message

from tui.fleet.view import ListView, targets
from tui.model.command import Where
from tui.model.guest import Guest, GuestId
from tui.model.text import printable
from tui.screens.guests_view import ViewScreen
from tui.widgets.bindings import is_refused
from tui.widgets.guest_rows import GuestRows
from tui.widgets.held_keys import hold_keys

OPEN_PROMPTS = frozenset({"console", "many"})
"""Actions that open a prompt, for which keys are kept that are typed before it is there."""


class WishesScreen(ViewScreen):
    """Each key becomes a message. `read_only` refuses those that change a guest."""

    class Wanted(Message):
        """The user wants the command `action` carried out on `guests`."""

        def __init__(self, action: str, guests: tuple[Guest, ...]) -> None:
            super().__init__()
            self.action = action
            self.guests = guests

    class JobsWanted(Message):
        """The user wants to see all backups."""

    class RestoreWanted(Message):
        """The user wants to see the backups that can be found, those of `guest` first."""

        def __init__(self, guest: Guest | None) -> None:
            super().__init__()
            self.guest = guest

    class PingWanted(Message):
        """Somebody looks at a guest: its agent's answer is to be fresh. `relist` asks for the lists too."""

        def __init__(self, guest_id: GuestId | None, *, relist: bool) -> None:
            super().__init__()
            self.guest_id = guest_id
            self.relist = relist

    class ColumnsShown(Message):
        """The columns that are on the screen now: what they show has to be known."""

        def __init__(self, keys: frozenset[str]) -> None:
            super().__init__()
            self.keys = keys

    read_only = False

    @property
    def under_cursor(self) -> Guest | None:
        """The guest under the cursor."""
        guest_id = self.rows.guest_id
        return None if guest_id is None else self.fleet.guests.get(guest_id)

    def _want(self, action: str, *, one: bool = False) -> None:
        """Ask the app to act on the marked guests, or on the one under the cursor where only one makes sense."""
        if is_refused(Where.GUESTS, action, read_only=self.read_only):
            return
        view = ListView() if one else self.view
        guests = targets(self.fleet, view, self.rows.guest_id)
        able = tuple(
            guest
            for guest in guests
            if not is_refused(Where.GUESTS, action, read_only=self.fleet.is_read_only(guest.id))
        )
        if len(able) < len(guests):
            left_out = ", ".join(guest.name for guest in guests if guest not in able)
            self.notify(printable(f"Left out, their hosts are read-only: {left_out}", 200), markup=False)
        if able:
            if action in OPEN_PROMPTS:
                hold_keys(self)
            self.post_message(self.Wanted(action, able))

    @on(GuestRows.Chosen)
    def action_console(self) -> None:
        """Open the console of the guest under the cursor."""
        self._want("console", one=True)

    def action_backup(self) -> None:
        """Open the backup of the guest under the cursor, or back the marked ones up."""
        self._want("backup")

    def action_details(self) -> None:
        """Open the details of the guest under the cursor."""
        self._want("details", one=True)

    def action_serial(self) -> None:
        """Open the serial console of the guest under the cursor."""
        self._want("serial", one=True)

    def action_many(self) -> None:
        """Run one command in the marked guests."""
        self._want("many")

    def action_power(self) -> None:
        """Ask what to do to the power of the marked guests."""
        self._want("power")

    def action_doctor(self) -> None:
        """Call the doctor to the guest under the cursor."""
        self._want("doctor", one=True)

    def action_rounds(self) -> None:
        """Have the doctor look at the marked guests, or at every one."""
        marked = [guest for key, guest in self.fleet.guests.items() if key in self.view.marked]
        wanted = tuple(marked) or tuple(self.fleet.guests.values())
        if wanted:
            self.post_message(self.Wanted("rounds", wanted))

    def action_jobs(self) -> None:
        """Open the list of backups."""
        self.post_message(self.JobsWanted())

    def action_restore(self) -> None:
        """Open the list of backups to restore."""
        self.post_message(self.RestoreWanted(self.under_cursor))

    def action_ping(self) -> None:
        """Ask anew."""
        self.post_message(self.PingWanted(self.rows.guest_id, relist=True))
