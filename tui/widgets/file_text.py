"""The beginning of a file of a guest's, as text where it is text, else as bytes."""

from __future__ import annotations

from rich.text import Text

from tui.model.text import printable

ROW = 16
BYTES_SHOWN = 4096
LINES_SHOWN = 5_000


def file_text(content: bytes) -> Text:
    """Lines where there is no zero byte in it, else rows of 16 bytes with what of them can be printed."""
    if not content:
        return Text("The file is empty.", "dim")
    if b"\0" in content:
        return Text("\n".join(_row(content, at) for at in range(0, min(len(content), BYTES_SHOWN), ROW)))
    lines = content.decode("utf-8", "replace").expandtabs().splitlines()
    return Text("\n".join(printable(line) for line in lines[:LINES_SHOWN]))


def _row(content: bytes, at: int) -> str:
    piece = content[at : at + ROW]
    shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in piece)
    return f"{at:08x}  {piece.hex(' '):<{3 * ROW}} {shown}"
