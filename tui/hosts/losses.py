"""Tells a connection that is lost from a question that went wrong on it, and whether the question was sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import libvirt

from tui.hosts import faults

T = TypeVar("T")


class ConnectionLostError(Exception):
    """The connection behind `handle` is gone; after `sent` the question may have been carried out all the same."""

    def __init__(self, handle: Any, text: str, *, sent: bool, code: int = 0) -> None:
        super().__init__(text)
        self.handle = handle
        self.text = text
        self.sent = sent
        self.code = code


def ask(handle: Any, question: Callable[[Any], T]) -> T:
    """`question(handle)`; raises ConnectionLostError, and libvirtError for everything else."""
    if not is_alive(handle):
        raise ConnectionLostError(handle, "the connection was closed", sent=False)
    try:
        return question(handle)
    except libvirt.libvirtError as error:
        if is_lost(error, handle):
            code, text = error.get_error_code() or 0, error.get_error_message() or str(error)
            raise ConnectionLostError(handle, text, sent=True, code=code) from error
        raise


def is_alive(handle: Any) -> bool:
    """What libvirt's client knows of the connection, without a call to the daemon."""
    try:
        return bool(handle.raw.isAlive())
    except libvirt.libvirtError as error:
        return bool(error.get_error_code() != faults.INVALID_CONN)  # a driver that cannot say is taken for alive


def is_lost(error: libvirt.libvirtError, handle: Any) -> bool:
    """Whether an error came of the connection's end: the connection says so, not the error's words.

    A modular daemon hands on what it met on its own connection to another one, with the same code, domain and words.
    """
    code, domain = error.get_error_code() or 0, error.get_error_domain() or 0
    may_be = faults.is_connection_loss(code, domain, error.get_error_message() or str(error))
    return (may_be or faults.is_of_transport(code, domain)) and not is_alive(handle)
