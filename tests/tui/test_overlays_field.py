"""The wizard's field for overlays offers the folder of the settings, and takes another one or none."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Input

from tests.live.piloted import until
from tests.tui.sample import guest
from tui.app import QgaTui
from tui.hosts.libvirt_host import LibvirtHost
from tui.model.errors import ExplainedError
from tui.model.guest import AgentState
from tui.screens.backup import BackupScreen


async def test_the_folder_of_the_settings_is_offered_and_another_one_is_taken(tmp_path: Path) -> None:
    app = QgaTui(())
    async with app.run_test(size=(80, 24)) as pilot:
        one = guest("web1", AgentState.RESPONDING, host="here")
        host = LibvirtHost("test:///default", "here")
        screen = BackupScreen(host, one, (), tmp_path, overlays=Path("/srv/overlays"))
        await app.push_screen(screen)
        await until(pilot, lambda: screen.query_one("#folder").has_focus)
        field = screen.query_one("#overlays", Input)
        assert (field.value, screen.overlays_folder()) == ("/srv/overlays", Path("/srv/overlays"))
        field.value = " /mnt/big "
        assert screen.overlays_folder() == Path("/mnt/big")
        field.value = ""
        assert screen.overlays_folder() is None
        field.value = "relative"
        with pytest.raises(ExplainedError):
            screen.overlays_folder()
