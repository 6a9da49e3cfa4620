"""Which encodings a guest's output may have, which one is likely, and how a user names them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tui.agent.decode import Decoder

AUTO = "auto"
CHOICES = (
    AUTO,
    "utf-8",
    "utf-16-le",
    "cp866",
    "cp850",
    "cp437",
    "cp852",
    "cp1251",
    "cp1252",
    "cp932",
    "cp936",
    "cp949",
    "cp950",
    "koi8-r",
    "latin-1",
)
"""What is offered; any other text encoding of Python may be named too."""
_PAGE = re.compile(rb"\b(\d{3,5})\b")


@dataclass(frozen=True, slots=True)
class Charset:
    """How bytes are read: `choice` is AUTO or an encoding's name, `oem_page` the guest's code page in AUTO."""

    choice: str = AUTO
    oem_page: str = ""

    def decoder(self) -> Decoder:
        """A decoder of one stream; raises LookupError for an unknown encoding."""
        return Decoder(self.oem_page) if self.choice == AUTO else Decoder(only=self.choice)

    @property
    def label(self) -> str:
        """For the status line: `utf-8`, `auto: cp866`."""
        return self.choice if self.choice != AUTO else f"auto: {self.oem_page or 'utf-8'}"


def page_of(said: bytes) -> str:
    """The codec of the code page that chcp.com(1) named, in whatever language; empty where none is known."""
    found = _PAGE.search(said)
    if found is None:
        return ""
    number = int(found[1])
    name = "utf-8" if number == 65001 else f"cp{number}"
    try:
        Decoder(only=name)
    except LookupError:
        return ""
    return "" if name == "utf-8" else name
