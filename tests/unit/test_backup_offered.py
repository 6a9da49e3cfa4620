"""Where what is taken out of a backup is offered to go."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tui.backup.inside.offered import make_offered_folder, offered_place
from tui.model.paths import typed_path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_a_file_keeps_its_name_and_a_taken_one_gets_a_number(home: Path) -> None:
    assert offered_place("hosts.conf") == "~/taken-out/hosts.conf"
    (home / "taken-out").mkdir()
    (home / "taken-out/hosts.conf").write_text("")
    (home / "taken-out/hosts-2.conf").symlink_to("nowhere")
    assert offered_place("hosts.conf") == "~/taken-out/hosts-3.conf"


def test_where_the_folders_name_is_a_files_another_folder_is_offered(home: Path) -> None:
    (home / "taken-out").write_text("")
    assert offered_place(".profile") == "~/taken-out-2/.profile"


def test_the_offered_folder_is_made_for_the_user_alone_and_no_other_one(home: Path) -> None:
    for _ in range(2):
        make_offered_folder(home / "taken-out-2/hosts")
    make_offered_folder(home / "taken-outside/hosts")
    make_offered_folder(home / "deeper/taken-out/hosts")
    (made,) = home.iterdir()
    assert (made.name, stat.S_IMODE(made.stat().st_mode)) == ("taken-out-2", 0o700)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.text(max_size=300))
def test_any_name_of_a_guest_leads_into_the_folder_and_can_be_typed_and_made(home: Path, name: str) -> None:
    offered = offered_place(name)
    assert offered.isprintable()
    assert offered == offered.strip()
    place = typed_path(offered)
    assert place.parent == home / "taken-out"
    assert len(os.fsencode(place.name)) <= 255
    assert place.name not in {"", ".", ".."}
