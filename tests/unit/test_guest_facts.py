"""What a guest tells of itself, whatever it tells."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.agent.guest_facts import users


class FakeAgent:
    """Gives one reply."""

    def __init__(self, reply: str) -> None:
        self._reply = reply

    async def send(self, request: str, timeout_s: int) -> str:
        return self._reply


numbers = st.integers() | st.floats() | st.integers(1, 4000).map(lambda count: 10**count) | st.booleans() | st.none()


async def since(login_time: str) -> float:
    (user,) = await users(FakeAgent(f'{{"return": [{{"user": "root", "login-time": {login_time}}}]}}'))
    return user.since


@given(numbers)
async def test_any_login_time_is_one_that_a_clock_shows(number: float | None) -> None:
    assert time.localtime(await since(json.dumps(number))).tm_year < 2300


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("1700000000.5", 1700000000.5), ("9" * 400, 0), ("1e400", 0), ("-1", 0), ("NaN", 0), ("true", 0), ('"x"', 0)],
)
async def test_a_login_time_is_none_or_as_it_was_said(said: str, seconds: float) -> None:
    assert await since(said) == seconds
