"""What may be done with a backup, one line each."""

from __future__ import annotations

from dataclasses import dataclass

from rich.text import Text
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from tui.backup.restore.plan import RestoreWay

VERIFY, INSIDE = "verify", "inside"
LABEL_WIDTH = 21


@dataclass(frozen=True, slots=True)
class Choice:
    """One line; `key` is a RestoreWay's value, or `verify` or `inside`, which write nothing."""

    key: str
    label: str
    what: str

    @property
    def writes(self) -> bool:
        """Whether it writes to this host."""
        return self.key not in (VERIFY, INSIDE)


CHOICES = (
    Choice(RestoreWay.CLONE, "As a second guest", "own name, UUID, MACs, disks; beside the first"),
    Choice(RestoreWay.IN_PLACE, "In place", "the guest itself; present images moved aside"),
    Choice(RestoreWay.DISK, "Disks to a path", "their images alone, for you alone"),
    Choice(RestoreWay.ATTACH, "Disks into a guest", "read-only, into one that runs"),
    Choice(RestoreWay.BOOT_TEST, "Boot test", "start it without network, ask its agent, remove"),
    Choice(INSIDE, "Look inside", "folders and files of a disk, take some out"),
    Choice(VERIFY, "Verify now", "every sum, every image; a restore does it too"),
)


def way_label(way: RestoreWay) -> str:
    """What a way is called, to go on with in a sentence."""
    return next(choice.label.lower() for choice in CHOICES if choice.key == way)


class WayList(OptionList):
    """The choices; those that write are disabled in read-only mode."""

    DEFAULT_CSS = "WayList { text-wrap: nowrap; text-overflow: ellipsis; }"

    def __init__(self, *, read_only: bool) -> None:
        super().__init__(*(_option(choice, disabled=read_only and choice.writes) for choice in CHOICES), id="ways")


def _option(choice: Choice, *, disabled: bool) -> Option:
    line = Text(f"{choice.label:<{LABEL_WIDTH}} ", no_wrap=True, overflow="ellipsis")
    line.append("not in read-only mode" if disabled else choice.what, "dim")
    return Option(line, id=choice.key, disabled=disabled)
