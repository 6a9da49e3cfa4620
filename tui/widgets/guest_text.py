"""The lines around the guest table: hosts above it, the guest under the cursor below it, reasons when it is empty."""

from __future__ import annotations

import time
from collections.abc import Mapping

from rich.text import Text

from tui.backup.attention import at_work
from tui.backup.runstate import RunState
from tui.backup.telling import headline
from tui.doctor.booting import booting_left_s
from tui.doctor.reasons import next_step
from tui.fleet import words
from tui.fleet.fleet import Fleet, HostStatus, Link
from tui.fleet.introduction import badges
from tui.fleet.view import ListView
from tui.model.guest import Guest
from tui.model.text import Shown, printable
from tui.widgets.tones import AGENT_TONES, LINK_GLYPHS, LINK_TONES

READ_ONLY = (
    "libvirt lets you only look here: no console, backup or power, and agents are not asked. "
    "Join the group libvirt on the host for more."
)


def count_words(fleet: Fleet, view: ListView, shown: int, styles: dict[str, str]) -> Text:
    """How many guests are shown and marked."""
    line = Text()
    total = len(fleet.guests)
    if view.filter:
        line.append(f"{shown}/{total} guests match {printable(view.filter, 40)}   ", styles["primary"])
    elif total:
        line.append(f"{total} guest{'s' if total != 1 else ''}   ", "dim")
    marked = len(view.marked & fleet.guests.keys())
    return line.append(f"{marked} marked   " if marked else "", styles["primary"])


def backup_words(backups: Mapping[str, RunState]) -> Text:
    """How many backups run and wait."""
    waiting = sum(bool(state.waits_behind) for state in backups.values())
    line = Text()
    if running := len(backups) - waiting:
        line.append(f"▸ {running} backup{'s' if running != 1 else ''} running   ")
    return line.append(f"· {waiting} waiting   " if waiting else "", "dim")


def host_words(fleet: Fleet, styles: dict[str, str]) -> Text:
    """Each host with its link, the lost ones first."""
    line = Text()
    for host in sorted(fleet.hosts, key=lambda each: not each.is_away):
        line.append(f"{LINK_GLYPHS[host.link]} ", styles[LINK_TONES[host.link]])
        line.append(printable(host.name, 40), "bold")
        line.append(f" {_link_words(host)}   ", "dim")
    return line


def why_lost(fleet: Fleet, styles: dict[str, str]) -> tuple[Text, ...]:
    """Why each host that is lost is so, and what to do; none where an empty table says it."""
    lost = [host for host in fleet.hosts if host.is_away and host.why and fleet.guests]
    return tuple(Text(f"✗ {printable(host.name, 40)}: {printable(host.why)}", styles["error"]) for host in lost)


def _link_words(host: HostStatus) -> str:
    if host.link is Link.CONNECTED and host.read_only:
        return f"{host.link}, read-only"
    if not host.is_away or host.since is None:
        return str(host.link)
    return f"{host.link} since {time.strftime('%H:%M:%S', time.localtime(host.since))}, trying again"


def why_unasked(fleet: Fleet, backups: Mapping[str, RunState], guest: Guest | None) -> Shown:
    """Why nobody is to ask about a guest now; empty where that is fine."""
    if guest is not None and fleet.is_lost(guest.id.host):
        return printable("its host is lost")
    return printable("a backup is at work on it" if guest is not None and at_work(backups, guest.id.uuid) else "")


def why_empty(fleet: Fleet, view: ListView) -> Text:
    """What stands in place of an empty table: each host's reason, or the filter's."""
    if fleet.guests and view.filter:
        return Text(f"No guest matches {printable(view.filter, 60)}. esc shows all again.")
    text = Text()
    for host in fleet.hosts:
        match host.link:
            case Link.CONNECTING:
                text.append(f"Connecting to {printable(host.uri)} …\n")
            case Link.LOST | Link.SILENT:
                text.append(f"{printable(host.why)}\n\n")
            case Link.CONNECTED:
                text.append(f"{printable(host.name)} has no guests.\n")
    if any(host.is_away for host in fleet.hosts):
        text.append("Trying again by itself; r tries at once, q leaves.", "dim")
    return text


def guest_lines(
    guest: Guest, backup: RunState | None, styles: dict[str, str], command: str = "", *, read_only: bool = False
) -> tuple[Text, Text]:
    """State and reason, then what is at work there (`command` as typed), else the way on.

    `read_only` is about the guest's host, which lets this user only look.
    """
    text = Text()
    text.append(printable(guest.name, 40), "bold")
    text.append(f"  {words.GLYPHS[guest.agent.state]} {guest.agent.state}", styles[AGENT_TONES[guest.agent.state]])
    if guest.agent.since is not None:
        text.append(f" since {time.strftime('%H:%M:%S', time.localtime(guest.agent.since))}", "dim")
    if guest.agent.reason:
        text.append(f"  {printable(guest.agent.reason)}")
    missing = badges(guest.agent_facts)
    for badge in missing:
        text.append(f"  ⊘ {badge}", styles["warning"])
    if backup is not None:
        return text, Text(f"▸ {printable(headline(backup))}; b shows it", styles["primary"])
    if command:
        return text, Text(f"▸ running {printable(command, 60)}; enter shows it", styles["primary"])
    if read_only:
        return text, Text(READ_ONLY, styles["warning"])
    step = next_step(guest, booting=booting_left_s(guest, time.time()) > 0)
    well = f"{'D tells what it lacks, ' if missing else ''}enter opens its console, b backs it up, i tells more."
    return text, Text(f"{step} D tells more." if step else well, "dim")
