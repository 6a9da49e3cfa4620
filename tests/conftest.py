"""What every test needs: folders of its own instead of the user's, and none of his clipboards."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """State and configuration under a temporary folder; the cache stays, it holds what is costly to make."""
    home = tmp_path_factory.mktemp("home")
    for variable in ("XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(variable, str(home / variable.lower()))
    monkeypatch.delenv("LIBVIRT_DEFAULT_URI", raising=False)
    return home


@pytest.fixture(autouse=True)
def bare_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """No desktop and no tmux, to which a test would copy for real."""
    for variable in ("DISPLAY", "WAYLAND_DISPLAY", "TMUX"):
        monkeypatch.delenv(variable, raising=False)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the counts that tests recorded as `corpus`: what they were made of may differ from machine to machine."""
    for report in (each for word in ("passed", "failed") for each in terminalreporter.getreports(word)):
        for name, words in report.user_properties:
            if name == "corpus" and report.when == "call":
                terminalreporter.write_line(f"{report.nodeid.rpartition('::')[2]}: {words}")
