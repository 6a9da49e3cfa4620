"""One look at what qga-tui has in a guest: folders of runs, and files that the agent holds open for them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from tui.agent import exec_scripts as scripts
from tui.agent.exec_shell import ask
from tui.agent.owner import is_abandoned
from tui.agent.transport import Transport

_OPEN_FILE = re.compile(r"(\d+) (\d+) (.*)", re.ASCII)
LIST = """
for d in "${TMPDIR:-/tmp}"/qga-tui.*; do
  [ -d "$d" ] && [ -O "$d" ] && [ ! -L "$d" ] || continue
  if [ -n "$(find "$d" -prune -mtime +0)" ] && ! kill -0 "$(cat "$d/pid" 2>/dev/null)" 2>/dev/null; then
    printf 'old %s\\n' "$d"
  else
    printf 'dir %s\\n' "$d"
  fi
  { read -r k h; read -r k h; } 2>/dev/null <"$d/end" && [ "$k" = h ] && printf 'held %s\\n' "$h $d"
done
ls -l "/proc/$PPID/fd" 2>/dev/null | while IFS= read -r l; do
  case $l in *' -> '*/qga-tui.*) ;; *) continue ;; esac
  n=${l%% -> *}
  { read -r w p; } 2>/dev/null <"/proc/$PPID/fdinfo/${n##* }" && printf 'fd %s %s %s\\n' "${n##* }" "$p" "${l#* -> }"
done
exit 0
"""
"""Say what qga-tui has in this guest: `old FOLDER` where nobody used it for a day, else `dir FOLDER`, and for each open
file of the agent `fd DESCRIPTOR POSITION PATH`. The agent is the parent of what it runs."""


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A file that the agent has open: its descriptor there, and where it stands, in bytes."""

    descriptor: int
    position: int


@dataclass(frozen=True, slots=True)
class Seen:
    """What dead runs left: `folders` to be removed, and `files` of theirs that the agent has open.

    `handles` are those that wait with such a folder, `living` those that wait with a folder of a living run.
    """

    folders: tuple[str, ...]
    files: tuple[OpenFile, ...]
    handles: frozenset[int]
    living: frozenset[int]


async def look(transport: Transport) -> Seen:
    """Look. Raises `CommandFailedError` where the guest has no POSIX shell."""
    answer = await ask(transport, scripts.SHELL, "-c", LIST, scripts.SHELL)
    lines = answer.out.decode("utf-8", "surrogateescape").splitlines()
    said = [(kind, rest) for kind, _, rest in (line.partition(" ") for line in lines)]
    folders = tuple(
        rest for kind, rest in said if kind == "old" or (kind == "dir" and is_abandoned(PurePosixPath(rest).name))
    )
    matches = (_OPEN_FILE.fullmatch(rest) for kind, rest in said if kind == "fd")
    leaked = [
        (OpenFile(int(match[1]), int(match[2])), match[3]) for match in matches if match and _is_of_abandoned(match[3])
    ]
    handles: set[int] = set()
    living: set[int] = set()
    for rest in (rest for kind, rest in said if kind == "held"):
        numbers, folder = _split_held(rest)
        if folder not in folders:
            living |= numbers
        elif any(path.startswith(f"{folder}/") for _, path in leaked):
            # Only the agent that still has the files open gave them these numbers.
            handles |= numbers
    return Seen(folders, tuple(file for file, _ in leaked), frozenset(handles), frozenset(living))


def _split_held(rest: str) -> tuple[set[int], str]:
    numbers, slash, path = rest.partition("/")
    return {int(word) for word in numbers.split() if word.isdecimal()}, slash + path


def _is_of_abandoned(path: str) -> bool:
    return any(is_abandoned(part) for part in PurePosixPath(path).parts)
