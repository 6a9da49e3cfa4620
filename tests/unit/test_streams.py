"""Property: what the program writes to its standard streams arrives whole, or the write raises."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

WRITE = """
import sys
from tui.system.streams import own_the_streams
own_the_streams()
length = int(sys.argv[1])
try:
    if sys.argv[2] == "bytes":
        sys.stdout.buffer.write(b"x" * length)
        sys.stdout.buffer.flush()
    else:
        print("x" * (length - 1))
        sys.stdout.flush()
except OSError as error:
    print(type(error).__name__, error.errno, file=sys.stderr)
    sys.stderr.flush()
    import os
    os._exit(3)
"""
LENGTH = 3_000_000
UNBUFFERED = {**os.environ, "PYTHONUNBUFFERED": "1"}
BUFFERED = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}


def words(length: int, how: str) -> list[str]:
    return [sys.executable, "-c", WRITE, str(length), how]


@pytest.mark.parametrize("environment", [BUFFERED, UNBUFFERED], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("how", ["bytes", "text"])
def test_a_reader_that_is_slow_gets_everything_also_from_a_pipe_that_does_not_block(
    how: str, environment: dict[str, str]
) -> None:
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETFL, fcntl.fcntl(writer, fcntl.F_GETFL) | os.O_NONBLOCK)
    process = subprocess.Popen(words(LENGTH, how), stdout=writer, stderr=subprocess.PIPE, env=environment)
    os.close(writer)
    got = 0
    while piece := os.read(reader, 10_000):
        got += len(piece)
    os.close(reader)
    _, complaint = process.communicate()
    assert (got, process.returncode, complaint) == (LENGTH, 0, b"")


@pytest.mark.parametrize("environment", [BUFFERED, UNBUFFERED], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("how", ["bytes", "text"])
def test_a_file_that_takes_a_part_only_is_an_error(how: str, environment: dict[str, str], tmp_path: Path) -> None:
    limited = ["prlimit", "--fsize=1000000", *words(LENGTH, how)]
    with (tmp_path / "out").open("wb") as out:
        process = subprocess.run(limited, stdout=out, stderr=subprocess.PIPE, env=environment, check=False)
    assert (tmp_path / "out").stat().st_size <= 1_000_000
    assert (process.returncode, process.stderr) == (3, b"OSError 27\n")


def test_a_writer_that_is_stopped_and_goes_on_loses_nothing() -> None:
    with subprocess.Popen(words(LENGTH, "bytes"), stdout=subprocess.PIPE, env=UNBUFFERED) as process:
        assert process.stdout is not None

        def stop_and_go() -> None:
            for _ in range(20):
                process.send_signal(signal.SIGSTOP)
                time.sleep(0.002)
                process.send_signal(signal.SIGCONT)
                time.sleep(0.002)

        stopping = threading.Thread(target=stop_and_go)
        got = len(process.stdout.read(100_000))
        stopping.start()
        while piece := process.stdout.read(20_000):
            got += len(piece)
        stopping.join()
    assert got == LENGTH


def test_a_reader_that_is_gone_is_a_broken_pipe() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.run(words(10, "bytes"), stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (process.returncode, process.stderr) == (3, b"BrokenPipeError 32\n")


def test_closed_streams_are_the_null_device_and_no_file_gets_what_was_meant_for_them(tmp_path: Path) -> None:
    script = f"""
from tui.system.streams import own_the_streams
own_the_streams()
with open({str(tmp_path / "file")!r}, "w") as file:
    print("lost")
    import sys
    print("lost too", file=sys.stderr)
    file.write("mine")
"""
    closed = ["sh", "-c", 'exec "$0" -c "$1" <&- >&- 2>&-', sys.executable, script]
    assert subprocess.run(closed, check=False).returncode == 0
    assert (tmp_path / "file").read_text() == "mine"
