"""The shell text that runs in POSIX guests: fixed scripts, everything variable is a positional parameter.

They keep to what dash, bash and busybox share, and assign no variable that a command could inherit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

SHELL = "/bin/sh"

KEPT_READY_S = 600
"""Seconds for which a folder and its pumps wait in the guest for a command; without one they are gone by themselves."""

BOOT_ID = "/proc/sys/kernel/random/boot_id"
"""Names the guest's present run, random(4)."""

NO_CWD, NO_SPACE, NO_TOOL = 91, 92, 93
"""Exit codes of PREPARE."""

PREPARE = f"""
if [ -n "$1" ]; then CDPATH= cd -- "$1" || exit {NO_CWD}; fi
for t in setsid mktemp mkfifo dd; do command -v "$t" >/dev/null 2>&1 || {{ echo "$t"; exit {NO_TOOL}; }}; done
umask 077
d=$(mktemp -d -t "$2.XXXXXX") || exit {NO_SPACE}
if mkfifo "$d/o" "$d/e" ${{3:+"$d/i"}} && : >"$d/kept" >"$d/pid" && echo >"$d/end"; then printf '%s\\n' "$d"
else rm -rf "$d"; exit {NO_SPACE}; fi
{{ IFS= read -r b <{BOOT_ID} && printf '%s\\n' "$b" >"$d/boot"; }} 2>/dev/null
[ -n "$4" ] && [ -d /proc/self/fd ] && mkfifo "$d/go" && : >"$d/o.0" && : >"$d/e.0" || exit 0
exec 3<>"$d/o" 4<>"$d/e" 5<"$d/o" 6<"$d/e" 7<>"$d/go"
( setsid "$0" -c "$4" "$0" "$d" o <&5 >/dev/null 2>&1 3<&- 4<&- 5<&- 6<&- 7<&- & )
( setsid "$0" -c "$4" "$0" "$d" e <&6 >/dev/null 2>&1 3<&- 4<&- 5<&- 6<&- 7<&- & )
setsid sleep {KEPT_READY_S} </dev/null >/dev/null 2>&1 5<&- 6<&- &
printf '%s\\n' "$!" >"$d/holder" && printf '%s\\n' "$!"
"""
"""Make the private folder of a run and print its path. Prints the tool that is missing, where one is.

$1 the folder the command shall run in, or empty; $2 the name of the run's folder; $3 not empty where input is fed; $4
the text of `pump` where the pumps are to wait for a command that WAITING becomes later, else empty. They do while a
process, whose pid is printed then, holds the FIFOs open: for KEPT_READY_S seconds at most. Each stream's first segment
exists then, so that it can be opened before the command. The file `boot` names the guest's run, where the system does.
"""

SURROUND = """
if [ -n "$1" ]; then CDPATH= cd -- "$1" || exit 125; fi
if [ "$3" = 1 ]; then
  [ "$2" = 0 ] || eval "$(dd bs=1 count="$2" 2>/dev/null)"
else
  [ "$2" = 0 ] || eval "$(cat)"
  exec <"$3"
fi
shift 3
exec "$@"
"""
"""Become the command. $1 its folder or empty, $2 bytes of shell text at the head of standard input that sets its
environment, $3 `1` where the rest of standard input is the command's, else the file that is; then the command."""

STREAMED = (
    """
[ -p "$3/o" ] && [ -p "$3/e" ] || exit 125
( setsid "$0" -c "$1" "$0" "$3" o <"$3/o" >/dev/null 2>&1 & )
( setsid "$0" -c "$1" "$0" "$3" e <"$3/e" >/dev/null 2>&1 & )
[ -z "$2" ] || ( setsid "$0" -c "$2" "$0" "$3" $$ >"$3/i" 2>/dev/null </dev/null & )
exec >"$3/o" 2>"$3/e"
echo $$ >>"$3/pid"
shift 3
"""
    + SURROUND
)
"""SURROUND with each output in a FIFO that a pump of its own empties. $0 the shell, $1 the text of `pump`, $2 that of
FEED or empty, $3 the folder that PREPARE made, then SURROUND's parameters.

The pumps lead sessions of their own and are no children of the command: they outlive its signals until they have
delivered its last words, and it does not meet them when it waits for its children.
"""

WAITING = """
exec 3<"$1/go" </dev/null || exit 125
printf 'h %s\\nt %s\\n' "$3" "$4" >>"$1/end"
IFS= read -r _qga_end <&3 && [ "$_qga_end" != stop ] || exit 125
set -- "$1" "$2" ""
until IFS= read -r _qga_line <&3 || exit 125; [ "$_qga_line" = "$_qga_end" ]; do
  set -- "$1" "$2" "$3$_qga_line
"
done
exec 3<&- >"$1/o" 2>"$1/e" || exit 125
unset _qga_line _qga_end
echo b >>"$1/end" && echo $$ >>"$1/pid" || exit 125
[ "/proc/$2/fd/3" -ef "$1/o" ] && kill "$2"
eval "set --
$3"
"""
"""Wait for a command as shell text and become it; end without one when the process that holds the FIFOs ends. $1 the
folder that PREPARE made ahead, $2 that process, $3 the numbers of the agent's handles that wait with it, $4 a word that
proves to who reads it through such a handle that this is it still.

The text comes in the FIFO `go` between two lines that are the same; `stop` in place of them ends the waiting. The file
`end` gets `h` and the handles, `t` and the word, then `b` when a command begins: only who has said so runs it. Until
then the FIFOs of the outputs are left to the holder, since the pumps end with it and tell the waiting to stop.
"""


def command_text(cwd: str, exported: bytes, program: Sequence[str]) -> bytes:
    """The text for WAITING: as SURROUND does it, without input. `exported` is shell text that sets the environment.

    A line for SHELL is read by the waiting shell itself.
    """
    enter = f"CDPATH= cd -- {quoted(cwd)} || exit 125\n" if cwd else ""
    match program:
        case [shell, "-c", line] if shell == SHELL:
            become = line
        case _:
            become = "exec " + " ".join(map(quoted, program))
    encoded = [text.encode("utf-8", "surrogateescape") for text in (enter, become + "\n")]
    return encoded[0] + exported + encoded[1]


MARK = """
cd "$1" || exit 1
for s in $3; do
  [ -p "$s" ] || continue
  h=
  for f in /proc/[0-9]*/fd/*; do
    [ "$f" -ef "$s" ] || continue
    p=${f#/proc/}
    p=${p%%/*}
    { while read -r k v; do case $k$v in flags:*[12]) h=$p ;; esac; done } 2>/dev/null <"/proc/$p/fdinfo/${f##*/}"
    [ -z "$h" ] || break
  done
  if [ -z "$h" ] && [ -d /proc/self/fdinfo ] && [ -r /proc/1/fd ]; then printf '%s free\\n' "$s"; continue; fi
  printf '%s %s\\n' "$s" "${h:-?}"
  ( setsid "$0" -c 'printf %s "$1" 1<>"$2"' "$0" "$2" "$1/$s" </dev/null >/dev/null 2>&1 & )
done
exit 0
"""
"""Ask about the streams $3 of the folder $1, whose command has ended: `NAME free` where nobody can write to one any
more, else `NAME PID` of one who can, or `NAME ?` where the system does not tell. Into those of the latter two the text
$2 is written: what comes before it was written before, for a FIFO keeps the order (fifo(7)), and less than PIPE_BUF
bytes are never mixed with others' (pipe(7)). Who has a file open for writing has 1 or 2 as the last digit of `flags`
(proc_pid_fdinfo(5)).
"""

REMOVE = """
for d do
  IFS= read -r h 2>/dev/null <"$d/holder" && [ "/proc/$h/fd/3" -ef "$d/o" ] && kill "$h"
  [ ! -p "$d/go" ] || echo stop 1<>"$d/go"
  rm -rf -- "$d" 2>/dev/null
  [ -d "$d" ] || continue
  mv -- "$d" "$d.x" 2>/dev/null && d=$d.x
  for i in 1 2 3 4 5; do
    rm -rf -- "$d" 2>/dev/null
    [ -d "$d" ] || continue 2
    sleep 0.1 2>/dev/null || sleep 1
  done
  printf '%s\\n' "$d"
done
exit 0
"""
"""Remove folders; prints those that are still there. A pump that still writes finds its folder moved away and writes
one segment more at most."""

FEED_AHEAD = 4
"""Pieces of input that may wait in the guest."""

FEED = f"""
cd "$1" || exit 1
umask 077
n=0 m=0
: >i.end
while :; do
  while [ "$m" -lt $((n + {FEED_AHEAD})) ]; do : >"i.$m.ok"; : >"i.$m"; m=$((m + 1)); done
  i=0
  while [ ! -s "i.$n.ok" ]; do
    if [ -s i.end ] && [ ! -s "i.$n.ok" ]; then exit 0; fi
    [ -d "$1" ] && kill -0 "$2" 2>/dev/null || exit 1
    i=$((i + 1))
    if [ "$i" -lt 50 ]; then sleep 0.02 2>/dev/null || sleep 1; else sleep 0.2 2>/dev/null || sleep 1; fi
  done
  cat "i.$n" || exit 1
  rm -f "i.$n" "i.$n.ok"
  n=$((n + 1))
done
"""
"""Pieces i.0, i.1 ... to standard output as they come, until i.end is not empty. $1 the folder, $2 the command's pid.

Each piece exists, empty and private, before the writer may fill it: so it knows how far ahead it may be. It is whole
when its `.ok` is not empty.
"""


def keeping(folder: str, shell: str) -> str:
    """The head of a line for `shell` that leaves its folder and environment in `folder`/kept when the shell ends.

    Before that it says `x` and its exit code in `folder`/end.
    """
    say = f"echo x $? 2>/dev/null >>{quoted(folder + '/end')}"
    save = f"""{{ pwd; printf '\\0'; {_exported(shell)}; }} 2>/dev/null >>{quoted(folder + "/kept")}"""
    return f"trap {quoted(f'{say}; {save}')} EXIT; "


def _exported(shell: str) -> str:
    """Text for `shell` that prints the environment as SHELL reads it."""
    return "export -p" if shell == SHELL else f"{SHELL} -c 'export -p'"


def quoted(text: str) -> str:
    """One word for a POSIX shell, whatever it holds."""
    return "'" + text.replace("'", "'\\''") + "'"


GUARD = 1_000_000
"""Bytes of each stream that a guarded capture lets through: both, in base64, share one
reply of at most 4 MiB."""

GUARDED = """
exec 5>&1 6>&2
if command -v head >/dev/null 2>&1; then cut() { head -c "$1"; cat >/dev/null; }
else cut() { dd bs=1 count="$1" 2>/dev/null; cat >/dev/null; }; fi
s=$({ { { ( shift 2; exec SHELL -c "$0" SHELL "$@" 3>&- 4>&- 5>&- 6>&- ); echo $? >&3; } 2>&4 |
cut "$1" >&5 3>&- 4>&- 6>&-; } 4>&1 | cut "$1" >&6 3>&- 5>&-; } 3>&1)
c=${s##*
}
[ "$c" = "$s" ] || printf '%s' "$2${s%?"$c"}"
exit "$c"
""".replace("SHELL", SHELL)
"""SURROUND with both outputs cut; what comes behind the cut is read and dropped, so that the command lives to its end.
$0 is the text of SURROUND, $1 how many bytes of each are let through, $2 what is put
between the output and what a line that began with `keeping_in_output` left; then SURROUND's parameters."""


def keeping_in_output(limit: int, shell: str) -> str:
    """The head of a line of `shell` that hands GUARDED its folder and environment, `limit` bytes at most.

    The guard's own pipe is opened only when the shell ends: no child of it can hold the pipe open.
    """
    say = f"printf '%s\\n' \"$1\"; {_exported(shell)}"
    kept = f"""set -- "$(pwd)"; case $1 in *'\n'*) ;; *) {{ {say}; }} | head -c {limit} ;; esac; echo"""
    return f"trap {quoted(f'{{ {kept}; }} 2>/dev/null >/proc/$PPID/fd/3')} EXIT; "


GROUP = """
g=$2
alive() { [ "$3" = "$g" ] && [ "$1" != Z ] && [ "$1" != X ]; }
[ -z "$1" ] || kill -"$1" "-$g" 2>/dev/null
if [ ! -d /proc/self ]; then kill -0 "-$g" 2>/dev/null && echo "$g (?)"; exit 0; fi
for f in /proc/[0-9]*/stat; do
  { IFS= read -r l <"$f"; } 2>/dev/null || continue
  alive ${l##*) } && printf '%s\\n' "${l%%)*})"
done
exit 0
"""
"""Signal a process group and list who is in it, one `PID (NAME)` a line. $1 the signal's name or empty, $2 the group.

/proc/PID/stat is `pid (comm) state ppid pgrp ...` (proc(5)); zombies have ended and do not count.
"""

ONE_PROCESS = """
[ -z "$1" ] || kill -"$1" "$2" 2>/dev/null
kill -0 "$2" 2>/dev/null && echo "$2"
exit 0
"""
"""Like GROUP for a lone process."""

STILL_RUNS = f"""
IFS= read -r was <"$1/boot" && IFS= read -r now <{BOOT_ID} && [ "$was" = "$now" ] || exit 1
IFS= read -r l <"/proc/$2/stat" || exit 1
p=$2
set -- ${{l##*) }}
[ "$3" = "$p" ] && [ "$1" != Z ] && [ "$1" != X ]
"""
"""Succeeds while the command $2 of the folder $1 runs: a leader of its group, in the run of the guest that began it."""

WITHDRAW = (
    """
[ "/proc/$2/fd/3" -ef "$1/go" ] && kill -KILL "$2"
"""
    + STILL_RUNS
)
"""End the shell $2 that waits in the folder $1, then STILL_RUNS. One that begins has closed `go`, and is let be."""


def exports(env: Mapping[str, str]) -> str:
    """Shell text that exports the variables. Names are valid identifiers; values may hold anything but NUL."""
    return "".join(f"export {name}={quoted(value)}\n" for name, value in env.items())
