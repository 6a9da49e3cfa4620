import base64

import pytest

from tui.agent.commands import AgentInfo, OsInfo
from tui.agent.errors import CommandFailedError
from tui.agent.exec_model import CmdLine, CommandLine, End, ExecPace, ExecRequest, Finished, Program
from tui.agent.exec_watch import Escalation
from tui.agent.profile import GuestProfile
from tui.console.shells import Shell, default_shell, request_for_line, setting_of
from tui.console.wording import advice_on, end_in_words

INFO = AgentInfo("7.2.22", frozenset(), frozenset())


def finished(**facts: object) -> Finished:
    base: dict[str, object] = {"end": End.EXITED, "exit_code": None, "signal": None, "duration_s": 3.21}
    return Finished(**{**base, "out_bytes": 0, "err_bytes": 0, **facts})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"exit_code": 7}, "exit 7 after 3.2 s"),
        ({"exit_code": 0, "truncated": True}, "exit 0 after 3.2 s; there was more output, which is lost"),
        ({"signal": 15}, "killed by SIGTERM after 3.2 s"),
        ({"signal": 99}, "killed by signal 99 after 3.2 s"),
        ({"end": End.CANCELLED, "signal": 9}, "cancelled after 3.2 s: killed by SIGKILL"),
        ({"end": End.TIMED_OUT, "exit_code": 1}, "timed out after 3.2 s: exit 1"),
        ({"end": End.LOST, "reason": "why"}, "its end was not seen: why"),
        ({"end": End.LOST, "reason": "why", "may_still_run": True}, "may still run in the guest (pid 123): why"),
    ],
)
def test_every_end_has_its_words(facts: dict[str, object], words: str) -> None:
    assert end_in_words(finished(**facts), 123) == words


@pytest.mark.parametrize("facts", [{"exit_code": 127}, {"exit_code": 126, "end": End.TIMED_OUT}, {"signal": 126}])
def test_only_a_plain_exit_126_is_advised_about(facts: dict[str, object]) -> None:
    assert "may not be executed" in advice_on(finished(exit_code=126))
    assert advice_on(finished(**facts)) == ""


def test_a_command_without_a_pid_did_not_begin() -> None:
    assert end_in_words(finished(end=End.CANCELLED, reason="why"), 0) == "cancelled before it began"


def test_term_comes_first_then_kill_each_until_it_arrived() -> None:
    steps = Escalation(End.CANCELLED, 100.0, ExecPace(grace=5, kill=3))
    assert steps.signal_due(100.0) == "TERM"
    assert steps.signal_due(101.0) == "TERM"
    steps.sent("TERM")
    assert steps.signal_due(102.0) == ""
    assert not steps.is_exhausted(200.0)
    assert steps.signal_due(105.0) == "KILL"
    assert not steps.is_exhausted(107.9)
    assert steps.is_exhausted(108.0)


@pytest.mark.parametrize(
    ("os_id", "line", "command"),
    [
        ("debian", 'echo "a"', CommandLine('echo "a"')),
        ("", "ls", CommandLine("ls")),
        ("mswindows", 'dir "a b"', CmdLine('dir "a b"')),
    ],
)
def test_a_line_goes_to_the_shell_of_the_guest(os_id: str, line: str, command: CommandLine | CmdLine) -> None:
    request = request_for_line(line, default_shell(GuestProfile(INFO, OsInfo(id=os_id))))
    assert (request.command, request.stdin) == (command, b"")


@pytest.mark.parametrize(
    ("command", "env"),
    [(Program(""), {}), (CommandLine("a\0b"), {}), (CommandLine("a"), {"A-B": ""}), (CommandLine("a"), {"A": "\0"})],
)
def test_what_no_guest_could_be_given_is_refused(command: Program | CommandLine, env: dict[str, str]) -> None:
    with pytest.raises(CommandFailedError, match=r"NUL|needs a program|variable"):
        ExecRequest(command, env=env)


@pytest.mark.parametrize(
    ("line", "shell", "setting"),
    [
        ("set A=b c", Shell.CMD, ("A", "b c")),
        ('SET "Program Files(x86)=C:\\x"', Shell.CMD, ("Program Files(x86)", "C:\\x")),
        ("set A=", Shell.CMD, ("A", "")),
        ("set A=%B%", Shell.CMD, None),
        ("set /a A=1", Shell.CMD, None),
        ("set A=1 & del x", Shell.CMD, None),
        ("set A", Shell.CMD, None),
        ("$env:A = 'it''s'", Shell.POWERSHELL, ("A", "it's")),
        ('$env:A = "$(rm x)"', Shell.POWERSHELL, None),
        ("set A=b", Shell.SH, None),
    ],
)
def test_a_windows_line_that_sets_a_plain_variable_is_known(
    line: str, shell: Shell, setting: tuple[str, str] | None
) -> None:
    assert setting_of(line, shell) == setting


def test_variables_are_set_before_a_windows_line_where_it_can_see_them() -> None:
    in_cmd = request_for_line("echo %A%", Shell.CMD, cwd="C:\\", settings={"A": "1"})
    assert (in_cmd.command, in_cmd.cwd, in_cmd.stdin) == (CmdLine("echo %A%", {"A": "1"}), "C:\\", b"")
    in_powershell = request_for_line("$env:A", Shell.POWERSHELL, settings={"A": "it's"})
    assert base64.b64decode(in_powershell.program.args[-1]).decode("utf-16-le") == "${env:A} = 'it''s'; $env:A"
