"""Which guests the list shows and in which order: filter, sort, marks. Pure."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass, replace

from tui.fleet import columns
from tui.fleet.fleet import Fleet
from tui.fleet.introduction import badges
from tui.model.guest import Guest, GuestId


@dataclass(frozen=True, slots=True)
class ListView:
    """What the user made of the list. `marked` survives sorting, filtering and refreshing.

    `beside` wants the details of the guest under the cursor beside the list, where there is room.
    """

    columns: tuple[str, ...] = columns.DEFAULT_KEYS
    sort_by: str = "name"
    reverse: bool = False
    filter: str = ""
    marked: frozenset[GuestId] = frozenset()
    beside: bool = True

    def sorted_by(self, key: str) -> ListView:
        """Sorted by another column, or the other way round by the same."""
        return replace(self, sort_by=key, reverse=not self.reverse if key == self.sort_by else False)

    def toggled(self, guest_id: GuestId) -> ListView:
        """With one guest's mark set or taken away."""
        return replace(self, marked=self.marked ^ {guest_id})


def shown_guests(fleet: Fleet, view: ListView) -> list[Guest]:
    """The guests that pass the filter, in order; ties are broken by host, then name."""
    places = {host.name: place for place, host in enumerate(fleet.hosts)}
    guests = [guest for guest in fleet.guests.values() if matches(guest, view.filter)]
    guests.sort(key=lambda guest: (places[guest.id.host], guest.name.casefold(), guest.id.uuid))
    if view.sort_by in columns.ALL and view.sort_by != "host":
        key = columns.ALL[view.sort_by].sort
        present = [guest for guest in guests if not key(guest)[0]]
        empty = [guest for guest in guests if key(guest)[0]]
        present.sort(key=lambda guest: key(guest)[1], reverse=view.reverse)
        return present + empty
    return guests[::-1] if view.reverse else guests


def matches(guest: Guest, pattern: str) -> bool:
    """Whether every word of `pattern` is found in the guest; a word with `!` before it must not be.

    Searched are name, host, state words, operating system and address. Capitals in a word make it case-sensitive.
    """
    text = searchable(guest)
    folded = text.casefold()
    for word in pattern.split():
        wanted = not word.startswith("!")
        bare = word if wanted else word[1:]
        if not bare:
            continue
        found = bare in (text if bare != bare.casefold() else folded)
        if found is not wanted:
            return False
    return True


def searchable(guest: Guest) -> str:
    """What the filter looks at."""
    facts = guest.agent_facts
    parts = [guest.name, guest.id.host, guest.id.uuid, guest.facts.power, guest.agent.state, *badges(facts)]
    if facts is not None:
        parts += [facts.os_name, facts.os_id, facts.host_name, facts.version]
    if guest.address is not None:
        parts.append(guest.address.text)
    return " ".join(parts)


def matching_pattern(fleet: Fleet, pattern: str) -> frozenset[GuestId]:
    """The guests whose name matches a shell pattern such as `web*`."""
    return frozenset(guest.id for guest in fleet.guests.values() if fnmatch.fnmatchcase(guest.name, pattern))


def targets(fleet: Fleet, view: ListView, under_cursor: GuestId | None) -> tuple[Guest, ...]:
    """What a command is about: the marked guests that still exist, else the one under the cursor."""
    marked = tuple(guest for guest in shown_guests(fleet, replace(view, filter="")) if guest.id in view.marked)
    if marked:
        return marked
    guest = None if under_cursor is None else fleet.guests.get(under_cursor)
    return () if guest is None else (guest,)
