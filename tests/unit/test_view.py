"""Which guests the list shows, in which order, and what a command is about."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tui import sample
from tui.fleet import columns
from tui.fleet.kept_view import keep_view, kept_view_path, load_view
from tui.fleet.view import ListView, matching_pattern, shown_guests, targets
from tui.model.guest import Address, AddressSource, AgentFacts, AgentState, Guest

WEB = replace(
    sample.guest("Web1", AgentState.RESPONDING),
    agent_facts=AgentFacts(
        "8.2.0",
        frozenset({"guest-exec"}),
        "debian",
        "Debian GNU/Linux 12",
        "web1",
        Address("192.0.2.7", AddressSource.AGENT),
    ),
)
DB = replace(sample.guest("db1", AgentState.UNRESPONSIVE, seen_s_ago=500), cpu_share=0.5)
OLD = replace(
    sample.guest("attic", AgentState.DISCONNECTED, seen_s_ago=10),
    agent_facts=AgentFacts("10.1.0", os_name="Alpine"),
    cpu_share=0.02,
)
FLEET = sample.fleet(WEB, DB, OLD)


def names(guests: list[Guest]) -> list[str]:
    return [guest.name for guest in guests]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("", ["attic", "db1", "Web1"]),
        ("web", ["Web1"]),
        ("Web", ["Web1"]),
        ("WEB", []),
        ("!web", ["attic", "db1"]),
        ("respon !unres", ["Web1"]),
        ("192.0.2", ["Web1"]),
        ("debian", ["Web1"]),
        ("no exec", ["Web1"]),
        ("alp", ["attic"]),
        ("!", ["attic", "db1", "Web1"]),
        ("running !disc", ["db1", "Web1"]),
    ],
)
def test_the_filter_looks_at_name_state_system_and_address_with_smart_case(pattern: str, found: list[str]) -> None:
    assert names(shown_guests(FLEET, ListView(filter=pattern))) == found


@pytest.mark.parametrize(
    ("key", "reverse", "order"),
    [
        ("name", False, ["attic", "db1", "Web1"]),
        ("name", True, ["Web1", "db1", "attic"]),
        ("agent", False, ["db1", "attic", "Web1"]),
        ("version", False, ["Web1", "attic", "db1"]),
        ("version", True, ["attic", "Web1", "db1"]),
        ("cpu", True, ["db1", "attic", "Web1"]),
        ("since", False, ["attic", "db1", "Web1"]),
    ],
)
def test_columns_sort_by_their_meaning_and_empty_cells_come_last(key: str, reverse: bool, order: list[str]) -> None:
    assert names(shown_guests(FLEET, ListView(sort_by=key, reverse=reverse))) == order


def test_sorting_again_turns_the_order_round() -> None:
    once = ListView().sorted_by("agent")
    assert (once.sort_by, once.reverse) == ("agent", False)
    assert once.sorted_by("agent").reverse
    assert not once.sorted_by("agent").sorted_by("name").reverse


def test_commands_are_about_the_marked_guests_even_when_the_filter_hides_them() -> None:
    view = ListView(filter="web").toggled(DB.id).toggled(OLD.id)
    assert [guest.name for guest in targets(FLEET, view, WEB.id)] == ["attic", "db1"]
    assert targets(FLEET, view.toggled(DB.id).toggled(OLD.id), WEB.id) == (WEB,)
    assert targets(FLEET, ListView(), None) == ()
    assert targets(FLEET.without(DB.id, OLD.id), view, WEB.id) == (WEB,)


def test_marks_by_pattern_are_shell_patterns_on_names() -> None:
    assert matching_pattern(FLEET, "*1") == {WEB.id, DB.id}
    assert matching_pattern(FLEET, "web*") == frozenset()


def test_a_badge_tells_what_the_policy_blocks() -> None:
    assert columns.cell(WEB, columns.ALL["reason"], 0.0) == "answered the last ping · no exec"
    assert columns.cell(WEB, columns.ALL["name"], 0.0, marked=True) == "✔ ⊘ Web1"
    assert columns.cell(WEB, columns.ALL["address"], 0.0) == "192.0.2.7 agent"


def test_the_view_is_kept_between_runs_without_its_marks(own_folders: Path) -> None:
    keep_view(ListView(columns=("name", "cpu", "agent"), sort_by="cpu", reverse=True, filter="x").toggled(WEB.id))
    assert load_view() == ListView(columns=("name", "cpu", "agent"), sort_by="cpu", reverse=True)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"columns": 3, "sort_by": "x", "reverse": 0}', "\x00" * 50])
def test_a_spoilt_file_gives_the_default_view(own_folders: Path, text: str) -> None:
    kept_view_path().parent.mkdir(parents=True)
    kept_view_path().write_text(text)
    assert load_view() == ListView()


def test_a_kept_view_never_loses_the_guest_and_its_agent(own_folders: Path) -> None:
    kept_view_path().parent.mkdir(parents=True)
    kept_view_path().write_text('{"columns": ["cpu", "bogus"], "sort_by": "bogus", "reverse": true}')
    assert load_view() == ListView(columns=("name", "agent", "cpu"), sort_by="name", reverse=True)


@given(st.text(alphabet="0123456789.٣x", max_size=40) | st.integers(1, 6000).map(lambda count: "9" * count))
def test_any_version_that_an_agent_claims_is_sorted_before_none(version: str) -> None:
    claimed = replace(WEB, agent_facts=AgentFacts(version))
    for reverse in (False, True):
        fleet = sample.fleet(claimed, DB, OLD)
        assert len(shown_guests(fleet, ListView(sort_by="version", reverse=reverse))) == 3
    is_empty, number = columns.ALL["version"].sort(claimed)
    assert is_empty or 0 <= float(number) < float("inf")
