"""Whose a guest's pause is: one whose processors ran since is its user's, and is neither put off nor resumed here."""

from __future__ import annotations

from tui.backup.acts import force_off, resume
from tui.backup.meanwhile import PAUSED_BY_IO_ERROR
from tui.backup.plan import BackupPlan
from tui.backup.session import HostSession
from tui.model.guest import PowerState

NEVER_RAN_NS = 100_000_000
"""Processor time of a guest that was started with its processors stopped: what setting up their threads takes."""
STANDS_STILL_NS = 20_000_000
"""The same of a guest that was paused all the while: two ticks of the kernel's count."""


async def guest_time(session: HostSession, plan: BackupPlan) -> int | None:
    """Nanoseconds that the guest's processors have run, None where that is not known."""
    return await session.ask(lambda host: host.guest_time_ns(plan.uuid))


async def put_off_again(session: HostSession, plan: BackupPlan) -> tuple[str, ...]:
    """Put a guest off that was started with its processors stopped, if they never ran; returns what is worth saying.

    One that runs, or ran and was paused since, is somebody's who uses it.
    """
    facts = await session.ask(lambda host: host.read_domain(plan.uuid))
    if facts.power is not PowerState.PAUSED or facts.power_reason == PAUSED_BY_IO_ERROR:
        return ()
    ran = await guest_time(session, plan)
    if ran is None or ran > NEVER_RAN_NS:
        return (f"{plan.guest} was used since it was started for the merge; it is paused, and left as it is",)
    await force_off(session, plan.uuid)
    return ()


async def resume_if_ours(session: HostSession, plan: BackupPlan, paused_at_ns: int | None) -> tuple[str, ...]:
    """Let a guest go on that was paused here, if it did not run since; returns what is worth saying.

    `paused_at_ns` is its processors' time right after it was paused. A guest that ran since was resumed by somebody,
    whose its next pause is.
    """
    facts = await session.ask(lambda host: host.read_domain(plan.uuid))
    if facts.power is not PowerState.PAUSED:
        return ()
    now = await guest_time(session, plan)
    if paused_at_ns is None or now is None or not 0 <= now - paused_at_ns <= STANDS_STILL_NS:
        return (f"{plan.guest} is paused, and it is not known by whom: it is left so. To let it run on: virsh resume",)
    await resume(session, plan.uuid)
    return ()
