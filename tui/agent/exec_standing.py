"""How the guest of a run stands, as its hypervisor says: whoever hears of it tells, the agent is not asked for it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Standing:
    """One per run; only the teller changes it.

    While the guest `is_paused` nothing is asked of it, and its silence is no sign. `end` says why the command cannot go
    on, for good; empty while it can. `may_run_on` is for an end after which nobody here can know: it moved elsewhere.
    """

    is_paused: bool = False
    end: str = ""
    may_run_on: bool = False
