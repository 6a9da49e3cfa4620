"""Where what is taken out is offered to go: under its own name, into a folder in which a guest's file can do no harm.

The home folder itself is none: a guest's `.profile` would be read there.
"""

from __future__ import annotations

import itertools
import os
import re
from pathlib import Path

from tui.settings import PRIVATE_FOLDER

FOLDER = "taken-out"
_OFFERED = re.compile(rf"{FOLDER}(-\d+)?")
NAME_BYTES = 240
"""Bytes of the own name that are kept: a number has to fit behind it within NAME_MAX (255)."""


def offered_place(name: str) -> str:
    """A path below the home folder, as one types it, at which nothing is; `name` is the guest's for it. Blocks."""
    home = Path.home()
    folder = next(each for each in _numbered(FOLDER, "") if (home / each).is_dir() or not os.path.lexists(home / each))
    stem, ending = os.path.splitext(_harmless(name))  # noqa: PTH122 - a name, and no path of this machine
    names = _numbered(stem, ending)
    return f"~/{folder}/{next(each for each in names if not os.path.lexists(home / folder / each))}"


def make_offered_folder(target: Path) -> None:
    """Make the folder that was offered, for the user alone; any other one has to be there. Blocks; raises OSError."""
    folder = target.parent
    if folder.parent == Path.home() and _OFFERED.fullmatch(folder.name):
        folder.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)


def _harmless(name: str) -> str:
    """The name with what cannot be typed replaced; another one where nothing is left of it."""
    clean = "".join(c if c.isprintable() and c != "/" else "_" for c in name).strip()
    clean = clean.encode()[:NAME_BYTES].decode("utf-8", "ignore")
    return FOLDER if clean in {"", ".", ".."} else clean


def _numbered(stem: str, ending: str) -> itertools.chain[str]:
    return itertools.chain((f"{stem}{ending}",), (f"{stem}-{number}{ending}" for number in itertools.count(2)))
