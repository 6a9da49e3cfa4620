"""What may be typed, what is answered without loading anything heavy, and the one line that errors are."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.backup_values import a_plan
from tui.backup.journal import Journal, RunStage
from tui.backup.runs import create_run
from tui.cli.main import main
from tui.cli.parser import EXEC_OWN_FAILURE, OWN_FAILURE, parse, would_change

HEAVY = ("textual", "rich", "libvirt", "asyncio")


@pytest.mark.parametrize("words", [("--help",), ("--version",), ("exec", "--help"), ("backup", "--help")])
def test_help_and_version_load_nothing_heavy(words: Sequence[str]) -> None:
    script = (
        "import sys, json\nfrom tui.cli.main import main\n"
        f"try: main({list(words)!r})\nexcept SystemExit as end: code = end.code\n"
        f"print(json.dumps([code, [name for name in {HEAVY!r} if name in sys.modules]]))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    assert json.loads(run.stdout.splitlines()[-1]) == [0, []]


def test_words_behind_the_dashes_are_the_guests_and_never_options_of_ours() -> None:
    options = parse(
        ["-c", "test:///default", "exec", "web1", "--timeout", "5", "--", "sh", "-c", "exit", "--", "--help"]
    )
    assert (options.guest, options.timeout, options.uris) == ("web1", 5.0, ("test:///default",))
    assert options.program == ["sh", "-c", "exit", "--", "--help"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["exec", "web1"], EXEC_OWN_FAILURE),
        (["exec", "web1", "--bogus", "--", "true"], EXEC_OWN_FAILURE),
        (["exec", "web1", "--timeout", "-3", "--", "true"], EXEC_OWN_FAILURE),
        (["exec"], EXEC_OWN_FAILURE),
        (["backup", "web1"], OWN_FAILURE),
        (["list", "--", "x"], OWN_FAILURE),
        (["nonsense"], OWN_FAILURE),
    ],
)
def test_wrong_usage_is_one_line_and_the_verbs_own_code(
    words: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        parse(words)
    assert end.value.code == code
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["backup", "web1", "--to", "/tmp", "--limit", "abc"], "not a rate in MB/s: abc"),
        (["restore", "/b", "--limit", "-1"], "not a rate in MB/s: -1"),
        (["jobs", "--limit", "nan"], "not a rate in MB/s: nan"),
        (["jobs", "--limit", "0.0000001"], "less than one byte per second: 0.0000001"),
        (["exec", "web1", "--timeout", "soon", "--", "true"], "not a number of seconds: soon"),
    ],
)
def test_a_number_that_cannot_be_meant_is_refused_in_words_of_the_users(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse(words)
    assert said in capsys.readouterr().err


def test_a_limit_is_in_megabytes_and_0_is_none() -> None:
    assert [parse(["jobs", "--limit", text]).limit for text in ("0", "0.5", "1e3")] == [0, 500_000, 10**9]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["-c", "test:///default", "exec", "nobody", "--", "true"], 255, "There is no guest nobody"),
        (["-c", "test:///default", "backup", "nobody", "--to", "/tmp"], 2, "There is no guest nobody"),
        (["-c", "qemu:///session?socket=/nowhere", "exec", "web1", "--", "true"], 255, "no libvirt daemon listens"),
        (["-c", "qemu:///session?socket=/nowhere", "list"], 2, "Start the daemon"),
        (["-c", "nonsense://", "list"], 2, "Cannot connect to nonsense://"),
        (["-c", "test:///default", "exec", "test", "--", "true"], 255, "qga-tui: "),
    ],
)
def test_failures_are_one_line_with_the_next_step_and_the_promised_code(
    words: list[str], code: int, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == code
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("qga-tui: ")
    assert said in line


CHANGING: tuple[list[str], ...] = (
    ["exec", "nobody", "--", "true"],
    ["backup", "nobody", "--to", "/tmp"],
    ["restore", "/nowhere"],
    ["rescue", "--apply"],
    ["jobs", "r1", "--cancel"],
    ["jobs", "r1", "--limit", "0"],
)


@pytest.mark.parametrize("from_config", [False, True])
@pytest.mark.parametrize("words", CHANGING)
def test_read_only_refuses_every_verb_that_changes_something(
    words: list[str], from_config: bool, own_folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if from_config:
        config = own_folders / "xdg_config_home" / "qga-tui" / "config.toml"
        config.parent.mkdir(parents=True)
        config.write_text("read_only = true\n")
    code = EXEC_OWN_FAILURE if words[0] == "exec" else OWN_FAILURE
    assert main([*([] if from_config else ["--read-only"]), "-c", "test:///default", *words]) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("qga-tui: Nothing was done")
    assert ("config.toml" in line) is from_config


@pytest.mark.parametrize(
    "words",
    [
        ["list"],
        ["doctor", "--all"],
        ["backup", "web1", "--to", "/tmp", "--dry-run"],
        ["restore", "/x", "--dry-run"],
        ["rescue"],
        ["jobs"],
        ["verify", "/x"],
    ],
)
def test_read_only_lets_everybody_look(words: list[str]) -> None:
    assert not would_change(parse(words))


def test_the_list_as_json_has_the_promised_fields(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-c", "test:///default", "list", "--json"]) == 0
    (guest,) = json.loads(capsys.readouterr().out)
    assert set(guest) == {"host", "name", "uuid", "state", "agent"}
    assert (guest["host"], guest["name"], guest["state"]) == ("test", "test", "running")
    assert guest["agent"] == {
        "state": "no-channel",
        "since": None,
        "reason": "the guest has no agent device",
        "ping_ms": None,
    }


def test_a_host_that_is_away_takes_no_answer_of_another_with_it(
    own_folders: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = create_run(replace(a_plan(str(own_folders / "web.qcow2")), uri="test:///default"))
    Path(run.plan.disks[0].overlay).touch()
    Journal(run.folder).write(RunStage.COPIED)
    both = ["-c", "test:///default", "-c", "qemu:///session?socket=/nowhere", "rescue"]
    assert main([*both, "--json"]) == 3
    ours, away = json.loads(capfd.readouterr().out)
    assert (ours["run"], ours["way"], ours["open"]) == (run.plan.run_id, "explain", True)
    assert away["open"]
    assert "no libvirt daemon listens" in away["error"]
    assert main(both) == 3
    assert "no libvirt daemon listens" in capfd.readouterr().out
    # Nothing was told of a host alone: it is an error as any other.
    assert main([*both[2:], "--json"]) == 2
    assert capfd.readouterr().out == ""


def test_the_log_is_private(own_folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["-c", "test:///default", "exec", "nobody", "--", "true"])
    (log,) = own_folders.rglob("qga-tui.log")
    assert log.stat().st_mode & 0o777 == 0o600
    assert log.parent.stat().st_mode & 0o777 == 0o700
    assert "There is no guest nobody" in log.read_text(encoding="utf-8")
    assert capsys.readouterr().err


@pytest.mark.parametrize("words", [["doctor"], ["doctor", "web1", "--all"], ["doctor", "--all", "--watch"]])
def test_the_doctor_wants_one_guest_or_all(words: list[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parse(words)
    assert end.value.code == OWN_FAILURE


def test_the_doctor_exits_with_1_for_findings_and_2_where_it_could_not_look(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-c", "test:///default", "doctor", "test", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["verdict"]["cause"] == "no-channel-no-controller"
    assert {check["outcome"] for check in told["checks"]} <= {"passed", "failed", "unknown", "skipped"}
    assert main(["-c", "test:///default", "doctor", "--all"]) == 1
    assert "no-channel-no-controller (1)" in capsys.readouterr().out
    assert main(["-c", "test:///default", "doctor", "--all", "--markdown"]) == 1
    assert capsys.readouterr().out.startswith("## Guest agent of test")
    assert main(["-c", "qemu:///session?socket=/nowhere", "doctor", "web1"]) == 2
    assert main(["-c", "qemu:///session?socket=/nowhere", "doctor", "--all"]) == 2
