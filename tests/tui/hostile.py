"""Hostile texts, values full of them, and a terminal that keeps the bytes that would reach it."""

from __future__ import annotations

import dataclasses
import re
from enum import Enum
from typing import Any, ClassVar

from hypothesis import strategies as st
from textual.drivers.headless_driver import HeadlessDriver

from tests.tui import sample
from tests.unit import test_doctor as examples
from tui.agent import errors
from tui.agent.commands import AgentInfo, OsInfo
from tui.doctor.definition import PortDevice
from tui.doctor.facts import AgentLook, Facts, HostLook, Patient, Reply, SocketClient, Trial
from tui.doctor.systems import Family, System
from tui.hosts.port import HostUnreachableError
from tui.model.disk import Disk
from tui.model.errors import ExplainedError
from tui.model.guest import Address, AddressSource, AgentFacts, AgentState, DomainFacts, Guest, Happening

TOKEN = "EVIL"
CONTROLS = st.characters(categories=("Cc", "Cf", "Cs", "Zl", "Zp"))
MARKUP = ["[/foo]", "[@click=app.quit]", "[red]", "\\[", "]", "[link=http://x]"]
HOSTILE = st.one_of(
    st.builds(lambda controls: f"x{''.join(controls)}{TOKEN}", st.lists(CONTROLS, min_size=1, max_size=4)),
    st.sampled_from([f"x\x1b{TOKEN}{each}" for each in MARKUP]),
    st.just("y\x9b" + TOKEN + "y" * 150),
)
ENDLESS = f"\x1b]52;c;{TOKEN}" + f"\u202e{TOKEN}\x9b[31m" * 1000 + "\x1b["
"""Ten thousand characters."""
LEAKED = re.compile(
    rf"[^\x20-\x7e\xa0-\ud7ff\ue000-\U0010ffff]{TOKEN}|[\u202a-\u202e\u2066-\u2069\u200b-\u200f]{TOKEN}"
)


class CapturingDriver(HeadlessDriver):
    """A terminal that keeps what is written to it."""

    written: ClassVar[list[str]] = []

    @property
    def is_headless(self) -> bool:
        """No: the program is to write as it does to a real one."""
        return False

    def write(self, data: str) -> None:
        """Keep it."""
        self.written.append(data)


KEPT: dict[type, frozenset[str]] = {
    DomainFacts: frozenset({"unread"}),
    Patient: frozenset({"held"}),
    PortDevice: frozenset({"element", "source", "target", "name"}),
    AgentInfo: frozenset({"enabled"}),
}
"""Fields that stay: were they hostile too, they would be the verdict, and nothing else would be judged."""


def with_hostile_texts(value: Any, text: str) -> Any:
    """The value with every plain string in it replaced, as deep as its dataclasses go; states and ids stay."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {
            field.name: with_hostile_texts(getattr(value, field.name), text)
            for field in dataclasses.fields(value)
            if field.name != "id" and field.name not in KEPT.get(type(value), ())
        }
        return dataclasses.replace(value, **fields)
    if isinstance(value, tuple):
        return tuple(with_hostile_texts(each, text) for each in value)
    if isinstance(value, frozenset):
        return frozenset(with_hostile_texts(each, text) for each in value)
    if isinstance(value, ExplainedError):
        return type(value)(text, cause=text, next_step=text, original=text)
    return text if isinstance(value, str) and not isinstance(value, Enum) else value


def a_full_guest(state: AgentState = AgentState.RESPONDING) -> Guest:
    """A guest in which every field that a guest or libvirt can fill is filled."""
    guest = sample.guest("name", state)
    disk = Disk("vda", "disk", "file", "/images/a", "qcow2", "virtio", backing=("/images/b",))
    facts = AgentFacts(
        "8.2",
        frozenset({"guest-exec"}),
        "id",
        "name",
        "host",
        Address("192.0.2.1", AddressSource.AGENT),
        frozenset({"guest-ping"}),
        "unlisted",
    )
    return dataclasses.replace(
        guest,
        facts=dataclasses.replace(guest.facts, disks=(disk,), os_hint="hint", power_reason="booted"),
        agent_facts=facts,
        host_address=Address("192.0.2.2", AddressSource.ARP),
        timeline=(Happening(1.0, "started"),),
    )


def full_examinations() -> tuple[Facts, ...]:
    """What the doctor may have gathered of guests in trouble, every field of it filled in one or the other."""
    patient = Patient(
        "kvm7", "u1", "web1", (Happening(1.0, "x"),), 1.0, agent_facts=AgentFacts("8.2", frozenset({"guest-exec"}))
    )
    system = System(Family.DEBIAN, "the agent says so", "12")
    look = HostLook(7, 1.0, "label", "owner", (SocketClient("socat", 9),), 1, ("denied",), ("log",))
    silent = AgentLook(Reply(5000.0, errors.UnansweredError("no")))
    denied = dataclasses.replace(
        examples.WELL,
        os=OsInfo("debian"),
        trial=Trial("refused", "1000", "virt_qemu_ga_t", enforcing=True),
        trouble=errors.UnansweredError("no"),
    )
    base = examples.facts(patient=patient, host=look, warnings=("tainted",), mark="<mark/>", system=system)
    return (
        base,
        dataclasses.replace(base, agent=silent),
        dataclasses.replace(base, agent=silent, host=None),
        dataclasses.replace(base, agent=denied),
        dataclasses.replace(base, domain=examples.CLOSED, agent=None),
        dataclasses.replace(base, live=examples.BARE, agent=None),
        dataclasses.replace(base, unreachable=HostUnreachableError("no")),
    )
