"""What an agent says of itself when it starts: kept in bounds, and its absence with a reason."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.unit.test_fleet import guest
from tui.fleet.details import Section, known_sections
from tui.fleet.introduction import COMMANDS_KEPT, NAME_KEPT, introduce
from tui.model.guest import AgentFacts


class FakeNamingAgent:
    """Stands for an agent with a chosen list of commands, or answer to guest-info: a real one has the list it has."""

    def __init__(self, *names: str, disabled: tuple[str, ...] = (), answer: str = "") -> None:
        told = [{"name": name, "enabled": name not in disabled} for name in (*names, *disabled)]
        self._answer = answer or json.dumps({"return": {"version": "8.2", "supported_commands": told}})
        self.asked: list[str] = []

    async def send(self, request: str, _timeout_s: int) -> str:
        """The list, and no answer to the other questions."""
        self.asked.append(json.loads(request)["execute"])
        refused = '{"error": {"class": "CommandNotFound", "desc": "The command has been disabled"}}'
        return self._answer if self.asked[-1] == "guest-info" else refused


def commands_of(facts: AgentFacts | None) -> Section:
    """The section about commands in the details of a guest whose agent said this."""
    sections = known_sections(replace(guest(), agent_facts=facts))
    return next(section for section in sections if section.title == "Commands")


async def test_enabled_and_disabled_commands_are_told_by_one_question() -> None:
    agent = FakeNamingAgent("guest-ping", "guest-info", disabled=("guest-file-open", "guest-exec"))
    section = commands_of(await introduce(agent, 5))
    assert section == Section(
        "Commands",
        (
            "2 enabled, 2 disabled",
            "⊘ disabled: guest-exec, guest-file-open",
            "✓ enabled: guest-info, guest-ping",
        ),
    )
    assert agent.asked.count("guest-info") == 1


async def test_an_agent_that_blocks_nothing_has_no_line_of_disabled_ones() -> None:
    section = commands_of(await introduce(FakeNamingAgent("guest-ping"), 5))
    assert section.lines == ("1 enabled, 0 disabled", "✓ enabled: guest-ping")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ('{"return": {"version": "8.2", "supported_commands": []}}', "its answer to guest-info lists no command"),
        ('{"return": {"version": "8.2"}}', "its member 'supported_commands' is not a list"),
        ('{"error": {"class": "CommandNotFound", "desc": "The command has been disabled"}}', "guest-info"),
    ],
)
async def test_where_no_command_is_told_the_section_says_why(answer: str, why: str) -> None:
    section = commands_of(await introduce(FakeNamingAgent(answer=answer), 5))
    assert section.lines == ()
    assert why in section.trouble


def test_an_agent_that_said_nothing_yet_is_said_to_have_told_nothing() -> None:
    assert commands_of(None) == Section("Commands", trouble="the agent has not said which it has: connected")


async def test_of_any_number_of_any_length_as_much_is_kept_as_agents_have() -> None:
    hostile = tuple(f"{number:04}{'x' * 10_000}" for number in range(COMMANDS_KEPT + 1))
    facts = await introduce(FakeNamingAgent(*hostile, disabled=("guest-exec",)), 5)
    assert len(facts.enabled) == COMMANDS_KEPT
    assert {len(name) for name in facts.enabled} == {NAME_KEPT}
    assert commands_of(facts).lines[0] == f"{COMMANDS_KEPT} or more enabled, 1 disabled"
