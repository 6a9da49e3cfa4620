"""How the end of a command is put into words; the only place for it."""

from __future__ import annotations

import signal

from tui.agent.exec_model import End, Finished
from tui.agent.leftovers import Sweep

NOT_EXECUTABLE = 126
"""The exit code of POSIX shells for a program that was found and could not be executed."""


def end_in_words(finished: Finished, pid: int, *, timed: bool = True) -> str:
    """One line, raw: `exit 7 after 3.2 s`, `killed by SIGTERM after 3.2 s`, `may still run in the guest (pid 9): …`.

    `pid` is 0 where the command was not started. Without `timed`, how long it took is left out.
    """
    after = f" after {finished.duration_s:.1f} s" if timed else ""
    if finished.end is End.CANCELLED and not pid:
        return f"{finished.end} before it began"
    if finished.may_still_run:
        words = f"may still run in the guest (pid {pid}): {finished.reason}"
    elif finished.end is End.LOST:
        words = f"its end was not seen: {finished.reason}"
    elif finished.end is End.EXITED:
        words = f"{_verdict(finished)}{after}"
    else:
        words = f"{finished.end}{after}: {_verdict(finished)}"
    return f"{words}; there was more output, which is lost" if finished.truncated else words


def advice_on(finished: Finished) -> str:
    """What helps against the end of a command of a POSIX guest where its exit code alone tells, else nothing."""
    if finished.end is not End.EXITED or finished.exit_code != NOT_EXECUTABLE:
        return ""
    return (
        "126 is said of a program that was found and may not be executed: see its mode in the guest. "
        "Where that allows it, D in the guest list tells what does not."
    )


def failure_in_words(error: Exception) -> str:
    """Why a command could not be run or followed, where that is not the guest's or the agent's doing."""
    if isinstance(error, OSError):
        about = f" ({error.filename})" if error.filename else ""
        return f"Input or output failed on this machine: {error.strerror or error}{about}"
    return f"The program met an error of its own, its log says more: {type(error).__name__}: {error}"


def kept_in_words(trouble: str) -> str:
    """What becomes of output that the disk does not take."""
    return (
        f"The disk takes no more output: {trouble}. The newest of it stays in memory; older output is no longer kept."
    )


def _verdict(finished: Finished) -> str:
    if finished.signal is not None:
        return f"killed by {signal_name(finished.signal)}"
    code = finished.exit_code
    if code is None:
        return "exit code unknown"
    # A shell reports a program that was killed by a signal as 128 + its number.
    killed = f" ({signal_name(code - 128)})" if 128 < code < 160 and is_signal(code - 128) else ""
    return f"exit {code}{killed}"


def signal_name(number: int) -> str:
    """SIGTERM for 15; `signal N` where this system has no name for it."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def is_signal(number: int) -> bool:
    """Whether this system has a name for the signal."""
    return number in {each.value for each in signal.Signals}


def sweep_in_words(swept: Sweep) -> str:
    """What was done about the leftovers of crashed runs, raw."""
    parts = []
    if swept.folders:
        parts.append(f"removed the temporary folders of {swept.folders} earlier runs that crashed")
    if swept.hung_up:
        parts.append(f"hung up what still ran of them (pid {', '.join(swept.hung_up)})")
    if swept.closed:
        parts.append(f"closed {swept.closed} files that they left open in the agent")
    if swept.pinned:
        parts.append(f"{swept.pinned} of their files stay open in the agent until it is restarted")
    return "; ".join(parts).capitalize() + "."
