"""How many files, pipes and sockets the process may have open at a time."""

from __future__ import annotations

import logging
import resource

WANTED = 65_536
"""Descriptors that are enough for a command in thousands of guests; the hard limit may be far above or below."""
_log = logging.getLogger(__name__)


def allow_many_descriptors() -> int:
    """Raise the soft limit (RLIMIT_NOFILE of setrlimit(2)), often 1,024, as far as that is allowed; returns it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED if hard == resource.RLIM_INFINITY else min(WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError) as error:
            _log.info("the limit of open files stays at %d: %s", soft, error)
            return soft
        return wanted
    return soft
