"""The demo's guests in a process of their own, for scripts that want a real fleet."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

ALL_UP_S = 180.0


@contextmanager
def headless_lab() -> Iterator[str]:
    """The URI of a running demo whose three healthy guests answer; gone without a trace afterwards."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tui", "demo", "--headless", "--tied"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    if process.stdout is None or process.stdin is None:
        raise AssertionError("the pipes were asked for")
    try:
        uri = process.stdout.readline().decode().strip()
        if not uri:
            raise RuntimeError("the demo did not start")
        _wait_until_all_are_up(uri)
        yield uri
    finally:
        process.stdin.close()
        process.wait()


def _wait_until_all_are_up(uri: str) -> None:
    """Ask as a script would: each `list` is a program of its own, which ends, so there is no event to wait for."""
    deadline = time.monotonic() + ALL_UP_S
    wanted = {"web1": "responding", "db1": "responding", "win7": "responding", "mute": "disconnected", "spare": "off"}
    wanted["bare"] = "no-channel"
    while True:
        command = [sys.executable, "-m", "tui", "-c", uri, "list", "--json"]
        listed = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
        if {each["name"]: each["agent"]["state"] for each in listed} == wanted:
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"the demo's guests did not come up: {listed}")
        # The command tells how things are once, so that it is run anew, as a script would.
        time.sleep(1)
