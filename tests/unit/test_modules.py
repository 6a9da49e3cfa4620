"""Every module can be imported, so that a fault in the body of a class is found before its screen is opened."""

import importlib
import pkgutil

import tui


def test_every_module_can_be_imported() -> None:
    names = [found.name for found in pkgutil.walk_packages(tui.__path__, "tui.")]
    assert "tui.console.session" in names
    assert [importlib.import_module(name).__name__ for name in names] == names
