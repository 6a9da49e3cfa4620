"""Short, unique names for hosts, made from their URIs alone."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit


def short_name(uri: str) -> str:
    """The URI's host without its domain; this machine's name for a local URI, the driver's for the test driver."""
    parts = urlsplit(uri)
    driver = parts.scheme.partition("+")[0]
    if driver == "test":
        return "test"
    return (parts.hostname or socket.gethostname()).partition(".")[0] or "localhost"


def name_hosts(uris: tuple[str, ...]) -> tuple[str, ...]:
    """One name per URI, in order; a repeated name gets a number."""
    taken: set[str] = set()
    names: list[str] = []
    for uri in uris:
        base = short_name(uri)
        candidates = (base if number == 1 else f"{base}-{number}" for number in range(1, len(uris) + 2))
        name = next(candidate for candidate in candidates if candidate not in taken)
        taken.add(name)
        names.append(name)
    return tuple(names)
