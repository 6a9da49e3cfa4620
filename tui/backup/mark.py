"""The mark a run leaves in the guest's metadata, so that others see it from any machine."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from tui.backup.errors import BackupError
from tui.backup.journal import RunStage
from tui.backup.plan import BackupPlan
from tui.backup.session import HostSession
from tui.hosts.domain_xml import MalformedXmlError, parse_tree


def mark_xml(plan: BackupPlan, stage: RunStage) -> str:
    """The element: which run, started from which host, how far."""
    return ET.tostring(ET.Element("run", id=plan.run_id, host=plan.host, stage=stage), encoding="unicode")


def run_id_of(xml: str) -> str:
    """The run that left a mark, empty where it cannot be read."""
    try:
        return parse_tree(xml).get("id", "")
    except MalformedXmlError:
        return ""


def host_of(xml: str) -> str:
    """The name of the host that left a mark, empty where it cannot be read."""
    try:
        return parse_tree(xml).get("host", "")
    except MalformedXmlError:
        return ""


async def set_mark(session: HostSession, plan: BackupPlan, stage: RunStage) -> None:
    """Leave the mark and read it back; raises HostError, and BackupError where another run's mark is there instead."""
    await session.ask(lambda host: host.set_run_metadata(plan.uuid, mark_xml(plan, stage)))
    there = await session.ask(lambda host: host.run_metadata(plan.uuid))
    if there is None or run_id_of(there) != plan.run_id:
        raise BackupError("The guest could not be marked", cause=f"its metadata says {there}", next_step="Try again.")


async def clear_mark(session: HostSession, plan: BackupPlan, run_id: str) -> None:
    """Take the mark of run `run_id` off and read that it is gone; any other run's mark stays.

    Raises HostError and BackupError.
    """
    there = await session.ask(lambda host: host.run_metadata(plan.uuid))
    if there is None or run_id_of(there) != run_id:
        return
    await session.ask(lambda host: host.set_run_metadata(plan.uuid, None))
    if await session.ask(lambda host: host.run_metadata(plan.uuid)) is not None:
        raise BackupError("The guest's mark could not be taken off", next_step="A later backup will ask about it.")
