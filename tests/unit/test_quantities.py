"""Bytes in words."""

import pytest

from tui.model.quantities import size


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (1024**2 - 1, "1.0 MiB"),
        (1023.9 * 1024**3, "1023.9 GiB"),
        (1024**4 - 1, "1.0 TiB"),
        (2048 * 1024**4, "2048.0 TiB"),
    ],
)
def test_a_size_never_has_1024_of_a_unit_that_is_not_the_last(count: float, words: str) -> None:
    assert size(count) == words
