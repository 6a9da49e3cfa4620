"""`qga-tui` without a verb: the program."""

from __future__ import annotations

from collections.abc import Sequence

from tui.app import QgaTui
from tui.cli.connect import hosts_for
from tui.cli.workers import WORKER_ARGV


def run_app(uris: Sequence[str]) -> int:
    """Show the program until the user leaves."""
    app = QgaTui(hosts_for(uris), WORKER_ARGV)
    app.run()
    return app.return_code or 0
