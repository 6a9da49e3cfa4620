"""Which lines are said to need a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.console.terminal_programs import PROGRAMS, wants_terminal

WANT = [
    "vi /etc/hosts",
    "sudo vi /etc/hosts",
    "sudo -u root -E /usr/bin/vim x",
    "LESS=x EDITOR=y nano f",
    "top",
    "top -d 1",
    "cd /tmp && htop",
    "true; passwd root",
    "env A=1 passwd",
    "while true; do top; done",
    "for i in 1 2\ndo\nvi $i\ndone",
    "ssh root@other",
    "ssh -p 22 other",
    "mysql -u root -p",
    "crontab -e",
    "timeout 5 vi x",
    "python3",
    "nohup nice -n 5 top",
    "echo 'a\nb'; vi x",
    "( vi x )",
    "LESS=x less f",
    "man ls",
    "# that's it\nvi x",
    "watch -n 1 uptime",
]
WANT_NONE = [
    "",
    "uptime",
    "echo vi",
    "ls /usr/bin/vi",
    "man vi | cat",
    "top -bn1",
    "top -b -n 1 | head",
    "echo root:x | chpasswd",
    "echo x | passwd --stdin root",
    "passwd -S root",
    "ssh other uptime",
    "mysql -e 'select 1'",
    "mysql < dump.sql",
    "echo 'select 1' | mysql",
    "python3 -c 'print(1)'",
    "echo 1 | python3",
    "sh x.sh",
    "crontab -l",
    "less /etc/hosts | head",
    "dmesg | less",
    "man --version",
    "psql <<EOF\nselect 1\nEOF",
    "cat > /etc/vi",
    "A=vi",
    "sudo",
    "'",
]


@pytest.mark.parametrize("line", WANT)
def test_a_program_for_a_terminal_is_found_behind_whatever_starts_it(line: str) -> None:
    assert wants_terminal(line) is not None


@pytest.mark.parametrize("line", WANT_NONE)
def test_nothing_else_is_taken_for_one(line: str) -> None:
    assert wants_terminal(line) is None


@given(st.text(st.sampled_from("vi top;|&()<>'\"\\\n -=$`#{}"), max_size=60))
def test_any_text_is_read(line: str) -> None:
    found = wants_terminal(line)
    assert found is None or found.program in PROGRAMS
