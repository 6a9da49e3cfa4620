"""The commands of the doctor's fixes: each can be pasted as it is."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace

import pytest

from tests.unit.test_doctor import BARE, BARER, CLOSED, RUNNING, WELL, facts, silent
from tui.agent import errors
from tui.doctor.facts import Patient
from tui.doctor.fixes import OurFix
from tui.doctor.remedies import remedies
from tui.doctor.verdict import examination_of
from tui.hosts.port import HostUnreachableError
from tui.model.guest import PowerState
from tui.widgets.examination_text import fix_text

SOCKET = "qemu:///session?socket=/run/my lab/libvirt-sock"


@pytest.mark.parametrize("uri", ["qemu:///system", "qemu+ssh://root@kvm7/system", SOCKET])
@pytest.mark.parametrize(
    "changes",
    [
        {"domain": replace(RUNNING, power=PowerState.OFF)},
        {"domain": replace(RUNNING, power=PowerState.PAUSED)},
        {"domain": replace(RUNNING, power=PowerState.OFF, power_reason="kernel panic")},
        {"live": BARE, "stored": BARE},
        {"live": BARER, "stored": BARER},
        {"live": BARER},
        {"domain": CLOSED, "agent": None},
        {"agent": replace(WELL, frozen=True)},
        {"agent": replace(WELL, clock_off_s=400.0)},
        {"agent": silent(errors.UnansweredError("no"))},
        {"agent": silent(errors.LinkBrokenError("no"))},
        {"agent": silent(errors.AgentBusyError("no"))},
        {"unreachable": HostUnreachableError("Cannot connect")},
    ],
)
def test_every_virsh_command_names_the_guests_connection(changes: dict[str, object], uri: str) -> None:
    look = examination_of(facts(patient=Patient("kvm7", "u1", "web 1"), uri=uri, **changes))
    commands = [
        command
        for fix in remedies(look)
        for command in (fix.virsh if isinstance(fix, OurFix) else (fix.command,))
        if re.search(r"\bvirsh\b", command)
    ]
    assert commands
    for command in commands:
        words = shlex.split(command)
        assert words[:3] == ["virsh", "-c", uri]
        assert words[3] == "list" or "web 1" in words


@pytest.mark.parametrize("width", [56, 76])
def test_a_command_that_is_longer_than_the_line_is_shown_whole(width: int) -> None:
    look = examination_of(facts(domain=replace(RUNNING, power=PowerState.OFF), uri=f"{SOCKET}{'-' * 60}"))
    (fix,) = remedies(look)
    assert not isinstance(fix, OurFix)
    title, *lines = fix_text(fix, {"primary": "", "muted": ""}, width).plain.split("\n")
    assert "Start it" in title
    assert max(map(len, lines)) <= width
    assert re.sub(r"\s", "", "".join(lines)) == re.sub(r"\s", "", fix.command)
