"""libvirt's domain states and reasons in words (virDomainState and the vir*Reason enums of libvirt-domain.h)."""

from __future__ import annotations

from tui.model.guest import (
    MIGRATED_AWAY,
    MIGRATED_HERE,
    POST_COPY,
    RESTORED,
    REVERTED,
    SAVED,
    STARTING_UP,
    PowerState,
)

_STATES = {
    1: PowerState.RUNNING,
    2: PowerState.RUNNING,
    3: PowerState.PAUSED,
    4: PowerState.RUNNING,
    5: PowerState.OFF,
    6: PowerState.OFF,
    7: PowerState.PAUSED,
}

_REASONS: dict[int, dict[int, str]] = {
    1: {
        1: "booted",
        2: MIGRATED_HERE,
        3: RESTORED,
        4: REVERTED,
        5: "resumed",
        6: "migration cancelled",
        7: "save cancelled",
        8: "woken up",
        9: "running on after a crash",
        10: POST_COPY,
    },
    3: {
        1: "paused by a user",
        2: "migrating",
        3: "being saved",
        4: "being dumped",
        5: "disk I/O error",
        6: "watchdog",
        7: REVERTED,
        8: "shutting down",
        9: "being snapshotted",
        10: "crashed",
        11: STARTING_UP,
        12: POST_COPY,
        13: "post-copy migration failed",
    },
    4: {0: "shutting down", 1: "shutting down"},
    5: {
        1: "shut down",
        2: "forced off",
        3: "crashed",
        4: MIGRATED_AWAY,
        5: SAVED,
        6: "failed to start",
        7: REVERTED,
        8: "left by the daemon",
    },
    6: {0: "crashed", 1: "kernel panic"},
    7: {0: "suspended by the guest"},
}


_PAUSED_BY_LIBVIRT = {(3, 9), (3, 11)}


def power_of(state: int, reason: int) -> tuple[PowerState, str]:
    """The power state and why; crashed counts as off and pmsuspended as paused, and the reason says so.

    libvirt calls a domain paused while it sets QEMU up, and for the time of its own snapshots; nobody paused that one.
    """
    if (state, reason) in _PAUSED_BY_LIBVIRT:
        return PowerState.RUNNING, _REASONS[state][reason]
    return _STATES.get(state, PowerState.UNKNOWN), _REASONS.get(state, {}).get(reason, "")
