"""What is added to a libvirt URI before it is opened."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit


def is_remote(uri: str) -> bool:
    """Whether the URI names another machine."""
    return bool(urlsplit(uri).hostname)


def is_ssh(uri: str) -> bool:
    """Whether the way to the host is ssh, by whichever program or library."""
    return urlsplit(uri).scheme.endswith(("+ssh", "+libssh", "+libssh2"))


def ssh_words(uri: str) -> str:
    """What to write after `ssh` to get to the URI's host: port, user and name."""
    parts = urlsplit(uri)
    user = "" if parts.username is None else f"{parts.username}@"
    port = "" if parts.port is None else f"-p {parts.port} "
    return f"{port}{user}{parts.hostname}"


def without_prompts(uri: str) -> str:
    """An ssh URI whose ssh never asks anything on the terminal (libvirt's `no_tty`); any other URI as it is."""
    parts = urlsplit(uri)
    if not is_ssh(uri):
        return uri
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if "no_tty" in options:
        return uri
    query = "&".join(part for part in (parts.query, urlencode({"no_tty": "1"})) if part)
    return urlunsplit(parts._replace(query=query))
