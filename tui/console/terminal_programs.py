"""Programs that need a terminal, which a command in a guest does not have, and what each of them would do without."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

_ASKS = "it asks for a password on the terminal"
_EDITS = "it edits on the whole screen"
_DRAWS = "it draws on the whole screen"
_TALKS = "it reads commands from the terminal"
_PAGES = "it shows text page by page, and writes all of it at once here"
_BEFORE = frozenset(
    {"sudo", "doas", "env", "nohup", "nice", "ionice", "time", "exec", "command", "builtin", "setsid", "stdbuf"}
    | {"if", "then", "else", "elif", "while", "until", "do", "!", "{", "chroot", "timeout"}
)
"""Words that stand before the program that they run."""
_WITH_VALUE: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "sudo": frozenset({"-u", "-g", "-h", "-p", "-C", "-T", "-D", "-R", "-r", "-t", "-U"}),
        "doas": frozenset({"-u", "-C"}),
        "env": frozenset({"-u", "-C", "-S"}),
        "nice": frozenset({"-n"}),
        "ionice": frozenset({"-c", "-n", "-p"}),
        "stdbuf": frozenset({"-i", "-o", "-e"}),
        "timeout": frozenset({"-s", "-k"}),
    }
)
"""Options of these that take the next word."""
_TAKES_A_WORD = frozenset({"timeout", "chroot"})
"""Of these, the ones whose first own word is no program."""
_ENDS = frozenset(";&|()\n")
_SSH_VALUES = frozenset(f"-{letter}" for letter in "BbcDEeFIiJLlmOopQRSWw")

Rule = Callable[[Sequence[str]], bool]


@dataclass(frozen=True, slots=True)
class WantsTerminal:
    """`program` needs a terminal: `why` says for what."""

    program: str
    why: str


def _always(_args: Sequence[str]) -> bool:
    return True


def _without(*flags: str) -> Rule:
    """True where none of the flags is among the arguments; `-b` is found in `-bn1` too."""

    def rule(args: Sequence[str]) -> bool:
        short = {flag[1] for flag in flags if len(flag) == 2}
        return not any(
            arg in flags
            or arg.partition("=")[0] in flags
            or (len(arg) > 1 and arg[0] == "-" and arg[1] != "-" and not short.isdisjoint(arg[1:]))
            for arg in args
        )

    return rule


def _with(*words: str) -> Rule:
    return lambda args: any(arg in words for arg in args)


def _asks_a_host(args: Sequence[str]) -> bool:
    """Whether ssh is given a host and no command."""
    rest, words = list(args), 0
    while rest:
        word = rest.pop(0)
        if word in _SSH_VALUES and rest:
            rest.pop(0)
        elif not word.startswith("-"):
            words += 1
    return words == 1


def _with_words(args: Sequence[str]) -> bool:
    return any(not arg.startswith("-") for arg in args)


def _without_words(count: int) -> Rule:
    """True where at most `count` arguments are no options."""
    return lambda args: sum(not arg.startswith("-") for arg in args) <= count


_PASSWD_WITHOUT = (
    *("-S", "-l", "-u", "-d", "-e", "-x", "-n", "-w", "-i"),
    *("--status", "--lock", "--unlock", "--delete", "--expire"),
)
"""Options of passwd with which it asks for nothing."""
_ALL: tuple[tuple[str, str, Rule], ...] = (
    ("vi vim vim.tiny vim.basic nvim view vimdiff nano pico emacs jed joe mcedit micro ne hx helix", _EDITS, _always),
    ("visudo vipw vigr sudoedit", _EDITS, _without("-c", "--check")),
    ("crontab", _EDITS, _with("-e")),
    ("top", _DRAWS, _without("-b", "--batch", "--batch-mode", "-h", "-v", "--version", "--help")),
    ("htop btop atop glances nmon nethogs iftop bmon mc ranger ncdu", _DRAWS, _always),
    ("cfdisk nmtui alsamixer dialog whiptail", _DRAWS, _always),
    ("iotop", _DRAWS, _without("-b", "--batch")),
    ("powertop", _DRAWS, _without("--csv", "--html", "-C", "-r")),
    ("watch", _DRAWS, _always),
    ("tmux", _DRAWS, _without_words(0)),
    ("screen", _DRAWS, _without("-ls", "-list", "-dm", "-X", "-wipe", "-v")),
    ("passwd", _ASKS, _without("--stdin", *_PASSWD_WITHOUT)),
    ("smbpasswd", _ASKS, _without("-s", "-x", "-d", "-e", "-n")),
    ("mysql_secure_installation", _ASKS, _always),
    ("ssh", _TALKS, _asks_a_host),
    ("less more most man info", _PAGES, _with_words),
    ("mysql mariadb", _TALKS, _without("-e", "--execute", "-V", "--version", "--help")),
    ("psql", _TALKS, _without("-c", "-f", "-l", "--command", "--file", "--list", "-V", "--version", "--help")),
    ("telnet ftp sftp", _TALKS, _without("-b")),
    ("python python3 node irb bash sh dash zsh fish redis-cli sqlite3 gdb", _TALKS, lambda args: not args),
)  # fmt: skip
PROGRAMS: Mapping[str, tuple[str, Rule]] = MappingProxyType(
    {name: (why, rule) for names, why, rule in _ALL for name in names.split()}
)
SAID_WITHOUT_TERMINAL = (
    "not a tty",
    "not a terminal",
    "must be run from a terminal",
    "TERM environment variable not set",
    "Error opening terminal",
    "a terminal is required",
    "failed tty get",
    "no tty present",
    "Inappropriate ioctl for device",
    "cannot open terminal",
    "'unknown': I need something more specific",
)
"""What programs say that looked for a terminal and found none."""


def wants_terminal(text: str, *, has_input: bool = False) -> WantsTerminal | None:
    """The first program of a shell's text that needs a terminal, by its name and arguments; None where none is known.

    `has_input` is for a command that is given something to read. The text is read as a shell would, as far as that
    goes without running it: a program whose name is computed is not found, one in a here-document may be.
    """
    for command in _commands(text):
        found = _program(command.words)
        if found is None:
            continue
        name, args = found
        why, rule = PROGRAMS.get(name, ("", None))
        is_served = (why == _TALKS and (command.is_fed or has_input)) or (why == _PAGES and command.feeds)
        if rule is not None and rule(args) and not is_served:
            return WantsTerminal(name, why)
    return None


def looked_for_terminal(last_line: str) -> bool:
    """Whether a command's last words say that it wanted a terminal."""
    return any(words in last_line for words in SAID_WITHOUT_TERMINAL)


@dataclass(frozen=True, slots=True)
class _Command:
    """A simple command; `is_fed` by a pipe, a file or a here-document, and whether it `feeds` another one or a file."""

    words: tuple[str, ...]
    is_fed: bool
    feeds: bool


def _commands(text: str) -> Iterator[_Command]:
    words: list[str] = []
    is_fed = feeds = False
    for word in (*_words(text.replace("\\\n", " ")), "\n"):
        if _ENDS.issuperset(word):
            is_pipe = word.strip() in {"|", "|&"}
            yield _Command(tuple(words), is_fed, feeds or is_pipe)
            words, is_fed, feeds = [], is_pipe, False
        elif word[:1] == "<":
            is_fed = True
        elif word[:1] == ">":
            feeds = True
        else:
            words.append(word)


def _words(text: str) -> list[str]:
    lexer = shlex.shlex(text, posix=True, punctuation_chars="();<>|&\n")
    lexer.whitespace, lexer.commenters, lexer.whitespace_split = " \t", "", True
    try:
        return list(lexer)
    except ValueError:  # a quote without its end, as in a comment
        return text.replace("\n", " \n ").split(" ")


def _program(words: Sequence[str]) -> tuple[str, Sequence[str]] | None:
    """The name and the arguments of what a simple command runs in the end."""
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name = word.rpartition("/")[2]
        if name in _BEFORE:
            _drop_options(rest, _WITH_VALUE.get(name, frozenset()))
            if name in _TAKES_A_WORD and rest:
                rest.pop(0)
        elif not _is_assignment(word):
            return name, rest
    return None


def _drop_options(rest: list[str], with_value: frozenset[str]) -> None:
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        if option in with_value and rest:
            rest.pop(0)


def _is_assignment(word: str) -> bool:
    name, equals, _ = word.partition("=")
    return bool(equals) and name.replace("_", "a").isalnum() and not name[:1].isdigit()
