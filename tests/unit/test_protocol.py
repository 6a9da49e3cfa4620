import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.agent.errors import (
    CommandFailedError,
    CommandUnavailableError,
    MalformedReplyError,
    RequestTooLargeError,
)
from tui.agent.protocol import EXCERPT, MAX_REQUEST, Fields, Json, encode, integer, parse_reply, text

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
members = st.sampled_from(["return", "error", "class", "desc", "other"])


@given(st.text() | json_values.map(json.dumps) | st.dictionaries(members, json_values).map(json.dumps))
def test_hostile_replies_raise_nothing_but_agent_errors(reply: str) -> None:
    try:
        outcome = repr(parse_reply(reply, "guest-ping"))
    except MalformedReplyError as error:
        is_fine = len(error.original) <= EXCERPT
    except CommandFailedError:
        is_fine = "error" in json.loads(reply)
    else:
        # Compared as text: NaN is not equal to itself.
        is_fine = outcome == repr(json.loads(reply)["return"])
    assert is_fine


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "[" * 200_000,
        '{"return":' * 100_000,
        '{"return": ' + "9" * 5_000 + "}",
        "[]",
        "null",
        "{}",
        '{"error": 3}',
        '{"error": {"class": 1, "desc": []}}',
        '{"return": 1}{"return": 2}',
    ],
    ids=range(10),
)
def test_broken_replies_are_malformed(reply: str) -> None:
    with pytest.raises(MalformedReplyError) as caught:
        parse_reply(reply, "guest-ping")
    assert len(caught.value.original) <= EXCERPT


@given(json_values)
def test_typed_access_gives_the_type_or_says_malformed(value: Json) -> None:
    fields = Fields({"x": value}, "guest-info")
    readings: tuple[Callable[[], bool], ...] = (
        lambda: isinstance(fields.text("x"), str),
        lambda: abs(fields.integer("x")) <= 2**63,
        lambda: isinstance(fields.flag("x"), bool),
        lambda: isinstance(fields.data("x"), bytes),
        lambda: all(isinstance(entry, Fields) for entry in fields.objects("x")),
        lambda: isinstance(integer(value, "guest-file-open"), int),
        lambda: isinstance(text(value, "guest-fsfreeze-status"), str),
    )
    for reading in readings:
        try:
            is_fine = reading()
        except MalformedReplyError as error:
            is_fine = len(error.original) <= EXCERPT
        assert is_fine


def test_truth_values_are_no_numbers() -> None:
    with pytest.raises(MalformedReplyError):
        integer(True, "guest-file-open")


def test_errors_of_a_raw_socket_keep_the_agents_words() -> None:
    with pytest.raises(CommandFailedError) as failed:
        parse_reply('{"error": {"class": "GenericError", "desc": "Invalid parameter \'pid\'"}}', "guest-exec-status")
    assert not isinstance(failed.value, CommandUnavailableError)
    assert failed.value.original == "Invalid parameter 'pid'"
    with pytest.raises(CommandUnavailableError, match="does not offer guest-exec"):
        parse_reply('{"error": {"class": "CommandNotFound", "desc": "has been disabled"}}', "guest-exec")


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=40), max_size=4))
def test_requests_are_one_line_of_ascii_json(arguments: dict[str, str]) -> None:
    request = encode("guest-exec", arguments)
    assert request.isascii()
    assert "\n" not in request
    assert json.loads(request).get("arguments", {}) == arguments


def test_requests_that_a_line_would_swallow_are_not_sent() -> None:
    with pytest.raises(RequestTooLargeError):
        encode("guest-file-write", {"buf-b64": "x" * MAX_REQUEST})
