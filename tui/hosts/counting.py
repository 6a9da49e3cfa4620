"""Counts the calls that reach libvirt, by function: what a screen shows to whoever wonders about the load."""

from __future__ import annotations

from collections import Counter
from typing import Any


class Counted:
    """Stands before a libvirt object: each method called through it is counted, on it and on what it returns.

    `raw` is the object itself, for functions that want it as an argument. Counting from several threads may lose a
    call now and then, which a display can bear.
    """

    def __init__(self, raw: Any, calls: Counter[str]) -> None:
        self.raw = raw
        self._calls = calls

    def count(self, name: str) -> None:
        """Count a call that is made with `raw`."""
        self._calls[name] += 1

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self.raw, name)
        if not callable(attribute):
            return attribute

        def counted(*args: Any, **kwargs: Any) -> Any:
            self._calls[name] += 1
            return self._wrapped(attribute(*args, **kwargs))

        return counted

    def _wrapped(self, result: Any) -> Any:
        if isinstance(result, list):
            return [self._wrapped(each) for each in result]
        if isinstance(result, tuple):
            return tuple(self._wrapped(each) for each in result)
        # Domains, snapshots and the like live in libvirt's module; plain values do not.
        return Counted(result, self._calls) if type(result).__module__ == "libvirt" else result
