"""The folder of a host's last backup, as it is kept between runs."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tui.backup.last_target import keep_target, last_target, last_targets_path


def test_each_host_keeps_the_folder_of_its_last_backup() -> None:
    assert last_target("kvm1") is None
    keep_target(("kvm1", "kvm2"), Path("/mnt/one"))
    keep_target(("kvm2",), Path("/mnt/\udcff two"))
    assert (last_target("kvm1"), last_target("kvm2")) == (Path("/mnt/one"), Path("/mnt/\udcff two"))
    assert last_target("kvm3") is None
    assert stat.S_IMODE(last_targets_path().stat().st_mode) == 0o600


@pytest.mark.parametrize("text", ["", "[]", "{", '{"kvm1": 1}', '{"kvm1": "relative"}', "[" * 90_000])
def test_what_somebody_else_made_of_it_offers_nothing_and_is_replaced(text: str) -> None:
    last_targets_path().parent.mkdir(parents=True)
    last_targets_path().write_text(text)
    assert last_target("kvm1") is None
    keep_target(("kvm1",), Path("/mnt"))
    assert last_target("kvm1") == Path("/mnt")


def test_without_a_place_to_write_nothing_is_kept_and_nothing_breaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    keep_target(("kvm1",), Path("/mnt"))
    assert last_target("kvm1") is None
