"""Aliases of libvirt.conf: resolved before a connection is opened, as libvirt itself does it."""

from pathlib import Path

import pytest

from tui.hosts import uri_aliases
from tui.hosts.uri_aliases import read_aliases, resolved
from tui.hosts.uris import without_prompts

SETTINGS = """\
# uri_aliases = [ "old=qemu+ssh://gone/system" ]
uri_default = "prod1"
uri_aliases = [
  "prod1=qemu+ssh://root@prod1.example.org/system?keyfile=/k=1",
  # "off=qemu+ssh://off/system",
  'sleet=xen+tls://sleet.cloud.example.com/',
]
"""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "libvirt.conf"
    path.write_text(SETTINGS)
    monkeypatch.setattr(uri_aliases, "settings_file", lambda: path)
    return path


def test_aliases_are_read_and_comments_are_not() -> None:
    assert read_aliases(SETTINGS) == {
        "prod1": "qemu+ssh://root@prod1.example.org/system?keyfile=/k=1",
        "sleet": "xen+tls://sleet.cloud.example.com/",
    }
    assert read_aliases("uri_default = 'x'") == {}


def test_an_alias_gets_the_options_of_the_uri_it_stands_for(settings: Path) -> None:
    assert without_prompts(resolved("prod1")).endswith("?keyfile=/k=1&no_tty=1")
    assert resolved("unknown") == "unknown"
    assert resolved("qemu:///system") == "qemu:///system"
    settings.unlink()
    assert resolved("prod1") == "prod1"


def test_root_has_the_settings_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert str(uri_aliases.settings_file()) == "/etc/libvirt/libvirt.conf"
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert uri_aliases.settings_file().parts[-2:] == ("libvirt", "libvirt.conf")
