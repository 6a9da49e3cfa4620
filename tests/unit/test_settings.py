"""config.toml: what it may say, and how a mistake in it is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tui.settings import Config, ConfigError, config_path, load_config


def write(text: str) -> None:
    config_path().parent.mkdir(parents=True)
    config_path().write_text(text)


def test_without_a_file_the_defaults_hold() -> None:
    assert load_config() == Config()


def test_what_is_set_is_taken_and_the_rest_stays() -> None:
    write('ping_every_s = 0\nread_only = true\nbackups_folder = "/srv/backups"\noverlays_folder = "/srv/o"\n')
    assert load_config() == Config(
        ping_every_s=0.0, read_only=True, backups_folder=Path("/srv/backups"), overlays_folder=Path("/srv/o")
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ping_evry_s = 3", "does not know ping_evry_s"),
        ('ping_every_s = "often"', "is not a value"),
        ("ping_every_s = -1", "is not a value"),
        ("ping_timeout_s = 1.5", "is not a value"),
        ("read_only = 1", "is not a value"),
        ('backups_folder = "here"', "is not a value"),
        ('overlays_folder = "here"', "is not a value"),
        ('backups_folder = "~nobody-is-called-so/x"', "is not a value"),
        ('backups_folder = "/a\\u0000b"', "is not a value"),
        (f"x = {'[' * 5000}", "recursion"),
        ("= =", "config.toml"),
    ],
)
def test_a_mistake_is_named_with_the_file(text: str, words: str) -> None:
    write(text)
    with pytest.raises(ConfigError, match="settings cannot be used") as caught:
        load_config()
    assert words in caught.value.one_line()


def test_a_pipe_in_its_place_is_refused_and_not_waited_for() -> None:
    config_path().parent.mkdir(parents=True)
    os.mkfifo(config_path())
    with pytest.raises(ConfigError) as caught:
        load_config()
    assert "no plain file" in caught.value.one_line()
