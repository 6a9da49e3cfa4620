"""One worker per guest: a lock that ends with the process that holds it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from tui.backup.errors import BackupError
from tui.settings import PRIVATE_FILE, private_folder, state_folder


@contextmanager
def guest_lock(uuid: str) -> Iterator[None]:
    """Hold the guest for this process; raises BackupError where another worker of this user holds it.

    Workers of other users and machines are kept off by the mark in the guest's metadata.
    """
    path = private_folder(state_folder() / "locks") / f"{uuid}.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, PRIVATE_FILE)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BackupError(
                "Another backup of this guest is running", next_step="Wait for it to end, or cancel it."
            ) from error
        yield
    finally:
        os.close(descriptor)
