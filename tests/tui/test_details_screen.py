"""The details of a guest where there is little room."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from rich.cells import cell_len

from tests.tui import sample
from tests.tui.test_guests_screen import text_of, until
from tui.app import QgaTui
from tui.hosts.libvirt_host import LibvirtHost
from tui.model.guest import AgentFacts, AgentState
from tui.screens.details import DetailsScreen
from tui.widgets.guest_details import MARGINS

BLOCKED = frozenset({"guest-exec", "guest-file-open"})
ENABLED = frozenset(
    (
        *("guest-fsfreeze-freeze", "guest-fsfreeze-freeze-list", "guest-fsfreeze-status", "guest-fsfreeze-thaw"),
        *("guest-get-memory-block-info", "guest-get-memory-blocks", "guest-network-get-interfaces", "guest-ping"),
        *("guest-ssh-add-authorized-keys", "guest-ssh-get-authorized-keys", "guest-ssh-remove-authorized-keys"),
    )
)


def commands_drawn(app: QgaTui) -> list[str]:
    """The lines of the section about commands, as they are drawn."""
    section = text_of(app, "#sections").partition("Commands\n")[2].partition("\n\n")[0]
    return section.split("\n")


async def test_all_commands_stand_in_lines_that_fit_disabled_ones_first_and_further_lines_indented() -> None:
    told = AgentFacts("8.2", blocked=BLOCKED, enabled=ENABLED)
    guest = replace(sample.guest("web1", AgentState.RESPONDING), agent_facts=told)
    app = QgaTui(())
    async with app.run_test(size=(100, 20)) as pilot:
        app.fleet = sample.fleet(guest)
        await app.push_screen(DetailsScreen(LibvirtHost("test:///default", "kvm7"), guest, app.fleet, app.backups))
        for width in (80, 60):
            await pilot.resize_terminal(width, 20)
            await until(pilot, partial(is_within, app, width - MARGINS))
            lines = commands_drawn(app)
            assert lines[:2] == [f"  {len(ENABLED)} enabled, 2 disabled", f"  ⊘ disabled: {', '.join(sorted(BLOCKED))}"]
            assert lines[2].startswith("  ✓ enabled: guest-")
            assert all(line.startswith("    guest-") for line in lines[3:])
            named = " ".join(lines[2:]).partition(": ")[2].split()
            assert [name.rstrip(",") for name in named] == sorted(ENABLED)


def is_within(app: QgaTui, cells: int) -> bool:
    """Whether the commands are drawn in lines of so many cells."""
    return max(map(cell_len, commands_drawn(app))) <= cells
