"""What is inside a backup's disks, in words: the cells of a row, how much there is, how much was taken out."""

from __future__ import annotations

from rich.text import Text

from tui.backup.inside.debugfs import Entry, EntryKind, Listing
from tui.backup.inside.extract import Extracted
from tui.backup.inside.partitions import Part
from tui.backup.restore.saved import SavedDisk
from tui.model.quantities import moment, size
from tui.model.text import printable

ROWS_LIMIT = 5_000
Row = SavedDisk | Part | Entry
KIND_SIGNS: dict[EntryKind, str] = {
    EntryKind.FOLDER: "/",
    EntryKind.FILE: "",
    EntryKind.LINK: "@",
    EntryKind.OTHER: "=",
}
"""As `ls -F` marks them, roughly."""


def row_cells(row: Row) -> tuple[Text, Text, Text]:
    """Name, size and time of what is in a row."""
    match row:
        case SavedDisk():
            return Text(f"{row.target}  {row.format}"), Text(size(row.virtual_bytes)), Text("")
        case Part():
            name = f"part {row.number}" if row.number else "whole disk"
            about = "  ".join(filter(None, (name, row.kind, row.label, row.mounted)))
            return Text(printable(about, 60)), Text(size(row.size)), Text("")
        case Entry():
            changed = "" if row.modified is None else moment(row.modified)
            counted = size(row.size) if row.kind is EntryKind.FILE else ""
            style = "bold" if row.kind is EntryKind.FOLDER else ""
            shown = printable(f"{row.name}{KIND_SIGNS[row.kind]}", 300)
            return Text(shown, style, no_wrap=True, overflow="ellipsis"), Text(counted), Text(changed)


def count_words(listing: Listing) -> str:
    """How much is in a folder, and how much of it is shown."""
    count = len(listing.entries)
    words = f"{count} entr{'y' if count == 1 else 'ies'}"
    if listing.is_cut:
        return f"more than {words}"
    return f"{words}, the first {ROWS_LIMIT} shown" if count > ROWS_LIMIT else words


def taken_words(so_far: Extracted, end: str) -> str:
    """What was taken out so far, and where to."""
    files, folders = _counted(so_far.files, "file"), _counted(so_far.folders, "folder")
    return f"{files}, {folders}, {size(so_far.bytes)} in {so_far.target} {end}".rstrip()


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
