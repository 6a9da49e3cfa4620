"""The folder for overlays is named on the command line, in the settings, or in the wizard, in that order of words."""

from __future__ import annotations

from pathlib import Path

import pytest

from tui.cli.backup_verb import BackupWish
from tui.cli.parser import parse
from tui.settings import config_path


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    config_path().parent.mkdir(parents=True)
    return config_path()


def wish(*words: str) -> BackupWish:
    return BackupWish.of(parse(["backup", "web1", "--to", "/backups", *words]))


def test_without_a_word_they_lie_beside_the_images(settings: Path) -> None:
    assert not settings.exists()
    assert wish().overlays is None


def test_the_settings_name_a_folder_and_the_command_line_another(settings: Path) -> None:
    settings.write_text('overlays_folder = "/srv/overlays"\n')
    assert wish().overlays == Path("/srv/overlays")
    assert wish("--overlays", "/mnt/big").overlays == Path("/mnt/big")
    assert wish("--overlays", "here").overlays == Path("here").absolute()
