"""Why a connection to libvirt could not be opened, and the way to mend it; libvirt passes ssh's own words through."""

from __future__ import annotations

from shlex import quote

from tui.hosts.faults import is_denial
from tui.hosts.port import HostUnreachableError
from tui.hosts.uris import is_remote, is_ssh, ssh_words

Explained = tuple[str, str]
"""Cause and next step."""


def connect_error(uri: str, code: int, text: str) -> HostUnreachableError:
    """The error of a connection that could not be opened; `code` is libvirt's, `text` its message."""
    cause, next_step = (_why_ssh_failed(uri, text.lower()) if is_ssh(uri) else None) or _why_libvirt_failed(
        uri, code, text
    )
    return HostUnreachableError(
        f"Cannot connect to {uri}", cause=cause or text, next_step=next_step, original=text, code=code
    )


def _why_ssh_failed(uri: str, text: str) -> Explained | None:
    """None where ssh did its part: what is wrong then is wrong with libvirt."""
    to = ssh_words(uri)
    if "identification has changed" in text:
        forget = "Make sure that it is still the same host; then ssh-keygen -R forgets the old key."
        return "the host's ssh key is not the one that is known here", forget
    if "host key verification failed" in text:
        return "the host's ssh key is not known here", f"Connect once by hand and accept the key: ssh {to}"
    if "could not resolve hostname" in text or "name or service not known" in text:
        return "there is no host of that name", "Check the name in the URI."
    if "permission denied (" in text or "too many authentication failures" in text:
        return "ssh refused to log in", f"Set up an ssh key for that user: ssh-copy-id {to}"
    if "connect to host" in text and "connection refused" in text:
        return "nothing answers on the host's ssh port", "Check that sshd runs there, and the port in the URI."
    if "connect to host" in text:
        return "the host does not answer", "Check that it runs, and that the network and its firewall let ssh through."
    if "not found" in text and ("nc:" in text or ": nc" in text):
        return "the host has no program that leads on to libvirt", "Install netcat there, or libvirt 6.8 or newer."
    return None


def _why_libvirt_failed(uri: str, code: int, text: str) -> Explained:
    there = " on that host" if is_remote(uri) else ""
    low = text.lower()
    if "permission denied" in low or is_denial(code, text) or "authentication" in low:
        refused = "this user may not open libvirt's socket" if "socket" in low else "libvirt refused this user"
        return refused, f"Join the group libvirt{there} (usermod -aG libvirt USER), then log in again."
    if "no such file" in low or "connection refused" in low or "failed to connect socket" in low:
        step = f"Start it{there}: systemctl start libvirtd (or virtqemud.socket)."
        step = "Start the daemon that makes the socket which the URI names." if "socket=" in uri else step
        return "no libvirt daemon listens there", step
    if "no connection driver available" in low:
        return "this libvirt does not know that kind of URI", "Check the URI; qemu:///system is the usual one."
    return "", f"Try the same with: virsh -c {quote(uri)} list"
