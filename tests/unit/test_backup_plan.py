import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.backup_values import STAMP, a_plan
from tui.backup.equivalents import plan_commands
from tui.backup.plan import InvalidPlanError, overlay_beside, read_plan
from tui.model.guest import PowerState


def test_a_plan_comes_back_from_json() -> None:
    plan = a_plan()
    assert read_plan(plan.to_json()) == plan


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("run_id", "../../etc"),
        ("run_id", "0123abcd\n"),
        ("stamp", "now"),
        ("uuid", "x"),
        ("guest", ""),
        ("guest", "a\0b"),
        ("guest", "x" * 5000),
        ("target", "relative"),
        ("target", "/a/../b"),
        ("disks", []),
        ("disks", {"a": 1}),
        ("disks", [None]),
        ("left_out", ["vda"]),
        ("left_out", ["--help me"]),
        ("quiesce", "maybe"),
        ("uri", 7),
    ],
)
def test_a_plan_nobody_would_write_is_refused(key: str, value: object) -> None:
    raw: dict[str, Any] = json.loads(a_plan().to_json())
    raw[key] = value
    with pytest.raises(InvalidPlanError):
        read_plan(json.dumps(raw))


def test_an_overlay_somewhere_else_is_refused() -> None:
    raw = json.loads(a_plan().to_json())
    raw["disks"][0]["overlay"] = "/etc/passwd"
    with pytest.raises(InvalidPlanError, match="foreign overlay"):
        read_plan(json.dumps(raw))


@given(st.text(max_size=300))
def test_no_text_makes_the_reader_fail_otherwise(text: str) -> None:
    with pytest.raises(InvalidPlanError):
        read_plan(text)


@pytest.mark.parametrize("text", ["null", "[" * 100_000, "1", '"a"', "{}"])
def test_json_that_is_no_plan_is_refused(text: str) -> None:
    with pytest.raises(InvalidPlanError):
        read_plan(text)


def test_an_overlay_lies_beside_its_base_under_a_name_that_fits() -> None:
    assert overlay_beside("/a b/web.img", STAMP, "vda") == f"/a b/web.qgatui-{STAMP}.vda.qcow2"
    long = overlay_beside("/a/" + "é" * 120 + ".raw", STAMP, "vdb")
    assert len(Path(long).name.encode()) <= 255
    assert Path(long).parent == Path("/a")


def test_a_guest_that_is_off_or_paused_is_not_frozen_and_one_that_is_off_needs_no_overlay() -> None:
    off = "\n".join(step.command for step in plan_commands(a_plan(), PowerState.OFF))
    assert "sha256sum" in off
    assert not any(word in off for word in ("fsfreeze", "snapshot-create-as", "blockcommit", "rm "))
    paused = "\n".join(step.command for step in plan_commands(a_plan(), PowerState.PAUSED))
    assert "fsfreeze" not in paused
    assert "snapshot-create-as" in paused
    assert "blockcommit" in paused


def test_commands_name_every_disk_and_quote_what_the_shell_would_split() -> None:
    commands = [step.command for step in plan_commands(a_plan(base="/a,b c/web.qcow2"))]
    snapshot = next(command for command in commands if "snapshot-create-as" in command)
    assert f"'vda,snapshot=external,file=/a,,b c/web.qgatui-{STAMP}.vda.qcow2'" in snapshot
    assert "--diskspec sda,snapshot=no" in snapshot
    assert "'web 1'" in snapshot
    assert commands[1].endswith("""'{"execute":"guest-fsfreeze-freeze"}'""")
    assert sum("blockcommit" in command for command in commands) == 2
