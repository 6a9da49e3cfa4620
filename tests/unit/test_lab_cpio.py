import shutil
import subprocess
from pathlib import Path

import pytest

from tui.lab.cpio import GuestFile, pack


@pytest.mark.skipif(shutil.which("cpio") is None, reason="cpio is the judge of the format")
def test_cpio_unpacks_what_was_packed(tmp_path: Path) -> None:
    archive = pack([GuestFile("/a/b/run", b"#!", 0o755), GuestFile("c", b"12345"), GuestFile("/c", b"later")], ["/d/e"])
    subprocess.run(["cpio", "-idm", "--quiet"], input=archive, cwd=tmp_path, check=True)
    found = {str(path.relative_to(tmp_path)): path for path in tmp_path.rglob("*")}
    assert set(found) == {"a", "a/b", "a/b/run", "c", "d", "d/e"}
    assert found["c"].read_bytes() == b"later"
    assert found["a/b/run"].stat().st_mode & 0o777 == 0o755


def test_parents_come_before_their_children_once_each() -> None:
    archive = pack([GuestFile("/a/b/c", b""), GuestFile("/a/b/d", b"")])
    names = (b"a\0", b"a/b\0", b"a/b/c\0", b"a/b/d\0", b"TRAILER!!!\0")
    positions = [archive.index(name) for name in names]
    assert positions == sorted(positions)
    assert archive.count(b"070701") == len(names)
    assert len(archive) % 4 == 0
