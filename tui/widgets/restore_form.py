"""What a restore has to be told before it can be planned: a name, a place, a disk, another guest."""

from __future__ import annotations

from dataclasses import replace

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Button, Checkbox, Input, Label, Select, Static

from tui.backup.clone_xml import clone_name
from tui.backup.restore.plan import RestoreWay
from tui.backup.restore.saved import SavedBackup
from tui.backup.restore.wishes import Wishes
from tui.model.errors import ExplainedError
from tui.model.guest import Guest, PowerState
from tui.model.quantities import size
from tui.model.text import printable
from tui.widgets.disk_list import DiskList

ASKED: dict[RestoreWay, frozenset[str]] = {
    RestoreWay.CLONE: frozenset({"name", "place", "disks", "link"}),
    RestoreWay.DISK: frozenset({"disks", "place"}),
    RestoreWay.ATTACH: frozenset({"disks", "other"}),
    RestoreWay.BOOT_TEST: frozenset({"place"}),
    RestoreWay.IN_PLACE: frozenset({"disks"}),
}
"""What is asked for each way."""
TAKES_ALL = frozenset({RestoreWay.CLONE, RestoreWay.IN_PLACE})
"""The ways that take all disks, unless some are left out."""
DISKS_WORDS = {True: "Disks: space leaves one out", False: "Disks: space takes one"}
PLACE_WORDS: dict[RestoreWay, str] = {
    RestoreWay.CLONE: "Folder in which the guest gets a folder for its disks",
    RestoreWay.BOOT_TEST: "Folder in which the disks are for the length of the test",
    RestoreWay.DISK: "Folder for the images, or the path of one",
}


def asked_of(way: RestoreWay, saved: SavedBackup) -> frozenset[str]:
    """What is asked for a way; no disk can be left out of a backup that has one."""
    return ASKED[way] - {"disks"} if way in TAKES_ALL and len(saved.disks) < 2 else ASKED[way]


class RestoreForm(VerticalScroll):
    """Shows the fields of a way and makes `Wishes` of them."""

    def __init__(self, saved: SavedBackup, guests: tuple[Guest, ...]) -> None:
        super().__init__(id="form")
        self._saved = saved
        self._guests = tuple(guest for guest in guests if guest.facts.power is PowerState.RUNNING)

    def compose(self) -> ComposeResult:
        """Each field under its label."""
        yield Label("Name of the new guest", classes="name")
        yield Input(clone_name(self._saved.guest), id="name", classes="name")
        yield Label(id="place-label", classes="place")
        yield Input(id="place", classes="place")
        yield Label(id="disks-label", classes="disks")
        disks = [
            (Text(printable(f"{disk.target}  {disk.format}  {size(disk.virtual_bytes)}", 60)), disk.target)
            for disk in self._saved.disks
        ]
        yield DiskList(*disks, id="disks", classes="disks")
        yield Label("Guest that gets them, read-only, while it runs", classes="other")
        others = [(Text(printable(guest.name, 60)), guest.id.uuid) for guest in self._guests]
        yield Select(others, prompt="no guest runs" if not others else "choose", id="other", classes="other")
        yield Checkbox("Network links down, until you raise them", value=True, id="link", classes="link")
        yield Static(id="trouble")
        yield Button("Check and show the plan", id="check", variant="primary")

    def ask_anew(self, way: RestoreWay) -> None:
        """Show what `way` needs, with the disks marked that it takes by itself."""
        disks = self.query_one("#disks", DiskList)
        disks.deselect_all()
        if way in TAKES_ALL:
            disks.select_all()
        else:
            disks.select(self._saved.disks[0].target)
        self.ask(way)

    def ask(self, way: RestoreWay) -> None:
        """Show what `way` needs as it was filled in, and put the cursor there."""
        for field in ("name", "place", "disks", "other", "link"):
            for widget in self.query(f".{field}"):
                widget.display = field in asked_of(way, self._saved)
        self.query_one("#disks-label", Label).update(DISKS_WORDS[way in TAKES_ALL])
        self.query_one("#place-label", Label).update(PLACE_WORDS.get(way, ""))
        beside = "beside the images that were saved"
        self.query_one("#place", Input).placeholder = "your home folder" if way is RestoreWay.DISK else beside
        self.query_one("#trouble", Static).update("")
        self._preselect(way)
        first = {RestoreWay.CLONE: "#name", RestoreWay.BOOT_TEST: "#place", RestoreWay.IN_PLACE: "#check"}
        self.query_one(first.get(way, "#disks")).focus()

    def _preselect(self, way: RestoreWay) -> None:
        other = self.query_one("#other", Select)
        if way is RestoreWay.ATTACH and other.is_blank() and self._guests:
            other.value = self._guests[0].id.uuid

    def wishes(self, wishes: Wishes) -> Wishes:
        """`wishes` with what is in the fields that its way asks for; raises ExplainedError where one is missing."""
        asked = asked_of(wishes.way, self._saved)
        other = self.query_one("#other", Select)
        if "other" in asked and other.is_blank():
            raise ExplainedError("No guest is chosen", next_step="Start one first, or restore the disks to a path.")
        disks = tuple(self.query_one("#disks", DiskList).selected) if "disks" in asked else ()
        if "disks" in asked and not disks:
            raise ExplainedError("No disk is chosen", next_step="Mark those that are wanted with the space bar.")
        if wishes.way in TAKES_ALL and len(disks) == len(self._saved.disks):
            disks = ()
        place = self.query_one("#place", Input).value.strip()
        if not place and wishes.way is RestoreWay.DISK:
            place = "~"
        return replace(
            wishes,
            name=self.query_one("#name", Input).value.strip() if "name" in asked else "",
            to=place if "place" in asked else "",
            disks=disks,
            attach=str(other.value) if "other" in asked else "",
            # What was agreed to was about the disks that were chosen then.
            accepted=wishes.accepted if disks == wishes.disks else (),
            link_down=self.query_one("#link", Checkbox).value,
        )

    def say(self, words: Text) -> None:
        """Say above the button what is wrong, or what is being done."""
        self.query_one("#trouble", Static).update(words)
