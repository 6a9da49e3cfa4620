"""What the laboratory says when its packages cannot be had, from the real apt in a real predicament."""

from pathlib import Path

import pytest

from tui.lab.packages import fetch_packages
from tui.lab.programs import LabError


def ignored(line: str) -> None:
    """Progress that nobody looks at."""


async def refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, apt_settings: str) -> LabError:
    (tmp_path / "apt.conf").write_text(apt_settings)
    (tmp_path / "archives").mkdir()
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    with pytest.raises(LabError) as raised:
        await fetch_packages(tmp_path / "archives", tmp_path, ignored)
    return raised.value


async def test_without_a_network_the_mirror_and_the_reason_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = (
        'Acquire::http::Proxy "http://127.0.0.1:9"; Acquire::https::Proxy "http://127.0.0.1:9"; Acquire::Retries "0";'
    )
    error = await refusal(tmp_path, monkeypatch, nowhere)
    assert error.title == "The guests' packages could not be downloaded"
    assert "127.0.0.1:9" in error.cause
    assert "network" in error.next_step


async def test_without_package_lists_apt_get_update_is_advised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lists" / "partial").mkdir(parents=True)
    (tmp_path / "cache").mkdir()
    nothing = f'Dir::State::lists "{tmp_path}/lists"; Dir::State::status "/dev/null"; Dir::Cache "{tmp_path}/cache";'
    error = await refusal(tmp_path, monkeypatch, nothing)
    assert error.title == "The guests' packages could not be found"
    assert "apt-get update" in error.next_step


async def test_without_apt_the_demo_says_where_it_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    error = await refusal(tmp_path, monkeypatch, "")
    assert "apt-get" in error.cause
    assert "Debian" in error.next_step


@pytest.mark.long
async def test_what_was_downloaded_before_is_used_again(tmp_path: Path) -> None:
    archives = tmp_path / "archives"
    archives.mkdir()
    (archives / "old_1_amd64.deb").touch()
    for attempt in ("first", "second"):
        lines: list[str] = []
        (tmp_path / attempt).mkdir()
        kernel, userland = await fetch_packages(archives, tmp_path / attempt, lines.append)
        assert [path.name[:8] for path in (kernel / "boot").glob("vmlinuz-*")] == ["vmlinuz-"]
        assert (userland / "usr/sbin/qemu-ga").is_file()
    assert not [line for line in lines if line.startswith(("fetching", "downloading"))]
    assert not (archives / "old_1_amd64.deb").exists()
