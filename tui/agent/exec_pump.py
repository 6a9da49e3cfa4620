"""The shell text that takes in a command's output in a POSIX guest, in segments, and bounds what waits there."""

from __future__ import annotations

SEGMENT = 1024 * 1024
"""Bytes that a segment of streamed output holds at most."""
WINDOW = 24
"""Segments of a stream that may wait for us; then the command waits."""
_BLOCK = 4096
_BLOCKS = SEGMENT // _BLOCK

_PUMP = f"""
cd "$1" || exit 1
umask 077
n=0 w=
while :; do
  [ -d "$1" ] || break
  m=$((n - {WINDOW})) i=0
  while [ -s "$2.$m" ]; do
    if sleep 0.1 2>/dev/null; then i=$((i + 1)); else sleep 1; i=$((i + 10)); fi
    [ "$i" -ge UNREAD ] || continue
    [ -z "$w" ] || exec rm -rf -- "$1"
    w=unread i=0
    echo "$2 $n $w" >>end
    exec </dev/null
  done
  [ -z "$w" ] || exit 1
  [ "$m" -lt 0 ] || rm -f "$2.$m"
  s=$(dd bs={_BLOCK} count={_BLOCKS} of="$2.$n" 2>&1) || w=lost
  [ -s "$2.$n" ] || break
  n=$((n + 1))
  [ -z "$w" ] || break
  case ${{s%% *}} in *[!0-9+]* | +* | *+) ;; *+*) [ "$((${{s%% *}}))" -ge {_BLOCKS} ] || break ;; esac
done
[ -d "$1" ] || exec cat >/dev/null
if [ -s pid ]; then echo "$2 $n $w" >>end; exit; fi
[ ! -p go ] || echo stop 1<>go
rm -rf -- "$1"
"""
"""Standard input into the segments NAME.0, NAME.1 ... as it comes, then a line in the file `end`: NAME, how many
segments there are, and `lost` where one could not be written. $1 the folder, $2 NAME.

A segment is complete when the next one exists. The reader empties what it has read; while segment n - WINDOW is not
empty the pump waits, and with it the command, UNREAD tenths of a second at most. Then its line says `unread`, and
nobody takes in what the command writes: SIGPIPE ends it. After as long again the folder goes, unless it was read.

dd(1) says how many blocks it read, as WHOLE+PARTIAL: when it is less than it was told to, the input has ended. When the
folder is gone nobody listens any more: whoever still writes is not made to stop by it. A folder with an empty `pid`
never got its command: what waits in it for one is told to stop.
"""


def pump(unread_s: float) -> str:
    """The text of a pump that takes output for abandoned when nobody read it for `unread_s` seconds."""
    return _PUMP.replace("UNREAD", str(max(1, round(unread_s * 10))))
