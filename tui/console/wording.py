"""How the end of a command is put into words; the only place for it."""

from __future__ import annotations

import signal

from tui.agent.exec_model import End, Finished


def end_in_words(finished: Finished, pid: int) -> str:
    """One line, raw: `exit 7 after 3.2 s`, `killed by SIGTERM after 3.2 s`, `may still run in the guest (pid 9): …`."""
    if finished.may_still_run:
        words = f"may still run in the guest (pid {pid}): {finished.reason}"
    elif finished.end is End.LOST:
        words = f"its end was not seen: {finished.reason}"
    elif finished.end is End.EXITED:
        words = f"{_verdict(finished)} after {finished.duration_s:.1f} s"
    else:
        words = f"{finished.end} after {finished.duration_s:.1f} s: {_verdict(finished)}"
    return f"{words}; there was more output, which is lost" if finished.truncated else words


def _verdict(finished: Finished) -> str:
    if finished.signal is not None:
        return f"killed by {signal_name(finished.signal)}"
    return "exit code unknown" if finished.exit_code is None else f"exit {finished.exit_code}"


def signal_name(number: int) -> str:
    """SIGTERM for 15; `signal N` where this system has no name for it."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
