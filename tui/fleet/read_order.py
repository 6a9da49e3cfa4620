"""Which answer about a guest is the newest: questions overtake each other, and a list takes long. Pure."""

from __future__ import annotations


class ReadOrder:
    """Numbers questions as they are asked, and knows of each guest which one it was last answered by.

    An answer to an older question than that tells nothing, neither what the guest is nor that it is gone.
    """

    def __init__(self) -> None:
        self._asked = 0
        self._list = 0
        self._single: dict[str, int] = {}

    def ask(self) -> int:
        """The number of a question that is asked now."""
        self._asked += 1
        return self._asked

    def is_news(self, uuid: str, asked: int) -> bool:
        """Whether the answer to question `asked` is the newest about the guest."""
        return asked >= max(self._list, self._single.get(uuid, 0))

    def answered(self, uuid: str, asked: int) -> None:
        """Note that a question about one guest was answered."""
        self._single[uuid] = asked

    def all_answered(self, asked: int) -> None:
        """Note that a question about all guests was answered."""
        self._list = max(self._list, asked)
        self._single = {uuid: number for uuid, number in self._single.items() if number > asked}
