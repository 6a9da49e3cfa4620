"""Property: whatever an agent says of itself, what is kept and told of it is short, and quickly made."""

from __future__ import annotations

import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.agent import commands
from tui.doctor.report import TOLD, without_secrets
from tui.fleet.introduction import introduce

BIG = 3_000_000


class FakeLoquaciousAgent:
    """Stands for an agent that answers with as much as a line carries: a real one has not so much to say."""

    async def send(self, request: str, timeout_s: int) -> str:
        match json.loads(request)["execute"]:
            case "guest-info":
                many = [{"name": f"guest-{number}-{'n' * 500}", "enabled": number % 2 == 0} for number in range(5000)]
                return json.dumps({"return": {"version": "v" * BIG, "supported_commands": many}})
            case "guest-get-osinfo":
                return json.dumps({"return": {"id": "i" * BIG, "pretty-name": "p" * BIG}})
            case "guest-get-host-name":
                return json.dumps({"return": {"host-name": "h" * BIG}})
            case _:
                address = {"ip-address": "9" * BIG, "ip-address-type": "ipv4", "prefix": 8}
                faces = [{"name": "e" * 999, "hardware-address": "a" * 999, "ip-addresses": [address]}] * 50
                return json.dumps({"return": faces})


async def test_what_is_kept_of_an_agent_that_says_much_is_little() -> None:
    facts = await introduce(FakeLoquaciousAgent(), 5)
    address = "" if facts.address is None else facts.address.text
    texts = (facts.version, facts.os_id, facts.os_name, facts.host_name, address, *facts.blocked, *facts.enabled)
    assert sum(map(sys.getsizeof, texts)) < 150_000
    assert facts.version == "v" * 200


async def test_what_the_doctor_asks_is_bounded_too() -> None:
    info = await commands.info(FakeLoquaciousAgent())
    assert len(info.version) == 4096
    assert len(info.enabled) + len(info.disabled) == 1024


HEAVY = ["a-" * 16_000, "password" * 4_000, 'token="' * 5_000, "api-key=  " * 3_000, "://a:" * 6_000, "Bearer " * 5_000]


@pytest.mark.parametrize("text", HEAVY)
def test_looking_for_secrets_takes_steps_in_proportion_to_the_text(text: str) -> None:
    # A pattern that backtracks took over a minute for these; the runner's own limit would end it.
    told = without_secrets(text)
    assert len(told) <= 3 * TOLD


@given(st.text(max_size=40), st.sampled_from(["password", "db_passwd", "SECRET", "my-token", "api_key", "apikey"]))
def test_a_secret_is_taken_out_whatever_stands_before_it(before: str, name: str) -> None:
    told = without_secrets(f"{before} {name}=hunter2 rest")
    assert "hunter2" not in told
    assert told.endswith("rest")


def test_the_rest_of_a_long_text_is_counted() -> None:
    assert without_secrets("x" * (TOLD + 5)) == f"{'x' * TOLD} … (5 more characters)"
