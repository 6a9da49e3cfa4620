"""What reaches a program through cmd.exe as the look-alike reads it: carets, quotes and variables as the real one."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tui.agent import exec_cmd
from tui.agent.errors import CommandFailedError
from tui.agent.exec_model import CmdLine, ExecRequest, Program
from tui.lab.seed import WINDOWS_FILES

PROGRAMS = WINDOWS_FILES / "usr/bin"


def ran(folder: Path, request: ExecRequest, redirections: str = "", data: bytes = b"") -> bytes:
    words = exec_cmd.switches(exec_cmd.argument(request, redirections))
    env: Mapping[str, str] = {**os.environ, "PATH": f"{PROGRAMS}:{os.environ['PATH']}", "A": "of the agent"}
    return subprocess.run(
        [PROGRAMS / "cmd.exe", *words], cwd=folder, env=env, input=data, capture_output=True, check=False
    ).stdout


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(["sp \\", 'q\\"', "a\\\\ b"])
@given(st.lists(st.text(alphabet="ab \"'%^&|<>()\\!:~A=,;$`", max_size=8), min_size=1, max_size=3))
def test_a_program_gets_its_arguments_as_they_are(tmp_path: Path, arguments: list[str]) -> None:
    request = ExecRequest(Program("printf", ("[%s]", *arguments)))
    assert ran(tmp_path, request).decode() == "".join(f"[{each}]" for each in arguments)


@pytest.mark.parametrize(
    ("line", "printed"),
    [
        ('echo "a & b"', '"a & b" '),
        ("echo a ^& b", "a & b"),
        ('echo "%A%" 50% 100%', '"of the agent" 50% 100%'),
        ("echo %A:~0,2%", "of"),
        ("echo 1 (x) & echo 2", "1 (x) \r\n2"),
        ("echo no | findstr o", "no "),
    ],
)
def test_a_line_is_read_once_as_a_user_would_have_it(tmp_path: Path, line: str, printed: str) -> None:
    assert ran(tmp_path, ExecRequest(CmdLine(line))).decode().rstrip() == printed.rstrip()


def test_a_line_with_quotes_and_variables_leaves_standard_input_to_the_command(tmp_path: Path) -> None:
    line = CmdLine('findstr "am"', {"X": "1"})
    assert ran(tmp_path, ExecRequest(line), data=b"whoami\nname %X%\nver\n") == b"whoami\nname %X%\n"


def test_the_outputs_go_where_they_are_sent(tmp_path: Path) -> None:
    printed = ran(tmp_path, ExecRequest(CmdLine('echo "1" & nonsense')), r">C:\o 2>C:\e <nul ")
    assert printed == b""
    assert (tmp_path / r"C:\o").read_bytes() == b'"1" \r\n'
    assert (tmp_path / r"C:\e").read_bytes().startswith(b'"nonsense"')


@pytest.mark.parametrize(
    ("request_", "cause"),
    [
        (ExecRequest(CmdLine("a\nb")), "line break"),
        (ExecRequest(Program('a"b')), "a quote"),
        (ExecRequest(CmdLine("a"), env={"A": 'x"y'}), "a quote or a line break"),
        (ExecRequest(CmdLine("a"), cwd='C:\\"'), "a quote or a line break"),
        (ExecRequest(CmdLine("a" * 9000)), "takes 8000"),
    ],
)
def test_what_cmd_cannot_be_given_is_refused(request_: ExecRequest, cause: str) -> None:
    with pytest.raises(CommandFailedError, match=cause):
        exec_cmd.argument(request_, "")


def test_a_folder_is_taken_only_by_a_name_that_needs_no_quotes() -> None:
    assert exec_cmd.folder_of(b"C:\\Windows\\Temp\\qga-tui.0-1.x\r\n") == r"C:\Windows\Temp\qga-tui.0-1.x"
    for said in (b"", b"/tmp/x", b"C:\\a b\\x", b"C:\\a&b", b"C:\\\xe0\\x", b"one\r\nC:\\two"):
        assert exec_cmd.folder_of(said) == ""
