"""A disk that cannot be backed up, or hardly, beside two ordinary ones: it has its reason, and they are planned."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.corpus.fake_definition_host import FakeDefinitionHost
from tests.corpus.odd_disks import ODD_DISKS, TARGET, plain_guest
from tests.corpus.planned import Tally, plan_definition
from tests.live.test_corpus import UUID, daemon, stood_in
from tui.hosts.port import Host

__all__ = ["daemon", "stood_in"]


@pytest.mark.parametrize("running", [False, True], ids=["off", "running"])
async def test_an_odd_disk_is_named_and_spoils_no_other(
    running: bool, stood_in: Host, target: Path, tmp_path: Path
) -> None:
    wrong: dict[str, object] = {}
    for number, odd in enumerate(ODD_DISKS):
        images = tmp_path / f"images{number}"
        images.mkdir()
        xml, tally = plain_guest(images).replace("@ODD@", odd.made(images)), Tally()

        await plan_definition(FakeDefinitionHost(stood_in, UUID, xml, running=running), xml, odd.name, target, tally)

        spoiled = {"vda", "vdb"} - set(odd.takes) - tally.possible
        if tally.broken or spoiled or TARGET not in tally.possible | tally.named | tally.refused:
            wrong[odd.name] = list(tally.broken) or spoiled or "it is not named"
    assert wrong == {}
