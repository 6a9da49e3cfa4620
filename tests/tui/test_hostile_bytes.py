"""Whatever a guest or libvirt says, no control of theirs reaches the terminal: looked at in the bytes themselves."""

from __future__ import annotations

import dataclasses
import re
from enum import Enum
from types import MappingProxyType
from typing import Any, ClassVar, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from textual.drivers import headless_driver
from textual.drivers.headless_driver import HeadlessDriver

from tests.tui import sample
from tui.app import QgaTui
from tui.fleet.columns import ALL
from tui.fleet.fleet import Fleet, HostStatus, Link
from tui.fleet.view import ListView
from tui.hosts.libvirt_host import LibvirtHost
from tui.model.disk import Disk
from tui.model.guest import Address, AddressSource, AgentFacts, AgentState, Guest, Happening
from tui.screens.details import DetailsScreen
from tui.screens.guests import GuestsScreen

TOKEN = "EVIL"
CONTROLS = st.characters(categories=("Cc", "Cf", "Cs", "Zl", "Zp"))
MARKUP = ["[/foo]", "[@click=app.quit]", "[red]", "\\[", "]", "[link=http://x]"]
HOSTILE = st.one_of(
    st.builds(lambda controls: f"x{''.join(controls)}{TOKEN}", st.lists(CONTROLS, min_size=1, max_size=4)),
    st.sampled_from([f"{each}x\x1b{TOKEN}" for each in MARKUP]),
    st.just("y" * 150 + "\x9b" + TOKEN),
)
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


def with_hostile_texts(value: Any, text: str) -> Any:
    """The value with every plain string in it replaced, as deep as its dataclasses go; states and ids stay."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        hints = get_type_hints(type(value))
        fields = {
            field.name: with_hostile_texts(getattr(value, field.name), text)
            for field in dataclasses.fields(value)
            if field.name != "id" and hints[field.name] is not type(None)
        }
        return dataclasses.replace(value, **fields)
    if isinstance(value, tuple):
        return tuple(with_hostile_texts(each, text) for each in value)
    if isinstance(value, frozenset):
        return frozenset(with_hostile_texts(each, text) for each in value)
    return text if isinstance(value, str) and not isinstance(value, Enum) else value


def a_full_guest() -> Guest:
    """A guest in which every field that a guest or libvirt can fill is filled."""
    guest = sample.guest("name", AgentState.RESPONDING)
    disk = Disk("vda", "disk", "file", "/images/a", "qcow2", "virtio", backing=("/images/b",))
    facts = AgentFacts(
        "8.2", frozenset({"guest-exec"}), "id", "name", "host", Address("192.0.2.1", AddressSource.AGENT)
    )
    return dataclasses.replace(
        guest,
        facts=dataclasses.replace(guest.facts, disks=(disk,), os_hint="hint", power_reason="booted"),
        agent_facts=facts,
        host_address=Address("192.0.2.2", AddressSource.ARP),
        timeline=(Happening(1.0, "started"),),
    )


async def show_everywhere(app: QgaTui, guest: Guest, host: HostStatus) -> None:
    """Draw the guest in the list with all columns, filtered away, in the details and in a notification."""
    async with app.run_test(size=(200, 40)) as pilot:
        screen = app.screen
        assert isinstance(screen, GuestsScreen)
        screen.view = ListView(columns=tuple(ALL), filter="")
        app.fleet = Fleet((host,), MappingProxyType({guest.id: guest}))
        await pilot.pause()
        screen.view = ListView(filter=f"no such {TOKEN}")
        await pilot.pause()
        silent = LibvirtHost("test:///default", "kvm7")
        app.push_screen(DetailsScreen(silent, guest, app.fleet, app.backups))
        await pilot.pause()
        app.notify(str(guest.facts.power_reason), markup=False)
        await pilot.pause()


@pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=HOSTILE)
async def test_no_control_of_a_guest_or_of_libvirt_reaches_the_terminal(text: str) -> None:
    CapturingDriver.written.clear()
    guest = with_hostile_texts(a_full_guest(), text)
    host = with_hostile_texts(HostStatus("kvm7", "qemu:///system", Link.LOST, "why", 1.0), text)
    host = dataclasses.replace(host, name=guest.id.host)
    app = QgaTui(())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(headless_driver, "HeadlessDriver", CapturingDriver)
        await show_everywhere(app, guest, host)
    written = "".join(CapturingDriver.written)
    assert TOKEN in written
    assert not LEAKED.search(written)
