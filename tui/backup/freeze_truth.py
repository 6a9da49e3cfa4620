"""Whether a freeze is proven to have held until the snapshot was there. Pure.

A status alone proves nothing: it is a flag of the agent. On Windows it stays `frozen` after VSS let the writes go, ten
seconds after it held them, which the thaw alone tells (qga/vss-win32, qga/commands-win32.c). On Linux the file systems
may have been thawed one by one (fsfreeze -u), which the count of the thaw tells (qga/commands-linux.c).
"""

from __future__ import annotations

from dataclasses import dataclass

HOLD_S = 9.0
"""Seconds for which a freeze is believed to hold where it ends by itself after ten."""
THAWED_ITSELF = "the guest thawed itself before the snapshot was proven to be taken"
UNKNOWN_THAW = "it is not known whether the guest was still frozen when the snapshot was taken"
NOT_THAWED = "the guest could not be thawed and may still be frozen: virsh domfsthaw GUEST"


@dataclass(frozen=True, slots=True)
class FreezeFacts:
    """What was seen of a freeze: `frozen` and `thawed` count file systems, `held_s` from its answer to the snapshot's.

    `still_frozen` is the agent's status after the snapshot; `thawed` is what the first thaw said, None where it said
    nothing, and `thaw_error` its own words where it failed; `may_end_itself` where the guest is Windows, or unknown.
    """

    frozen: int
    still_frozen: bool | None
    held_s: float
    thawed: int | None
    thaw_error: str = ""
    may_end_itself: bool = False


def doubt(facts: FreezeFacts) -> str:
    """Why the freeze is not proven to have held until the snapshot, in words; empty where it is."""
    if facts.still_frozen is None:
        return UNKNOWN_THAW
    if not facts.still_frozen:
        return THAWED_ITSELF
    if facts.thaw_error:
        return f"the guest did not hold its writes until the thaw: {facts.thaw_error}"
    if facts.may_end_itself and facts.held_s >= HOLD_S:
        return f"the snapshot came {facts.held_s:.1f} s after the freeze, which Windows ends by itself after 10 s"
    if facts.thawed is not None and facts.thawed < facts.frozen:
        return f"{facts.frozen} file systems were frozen, and {facts.thawed} of them were still frozen at the thaw"
    return ""
