"""What must hold for any definition, over those of the test suites of libvirt and virt-manager."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import libvirt
import pytest
import pytest_asyncio

from tests.corpus.accepted import Acceptance, Judge
from tests.corpus.definitions import CORPORA, Corpus, corpus
from tests.corpus.fake_definition_host import FakeDefinitionHost
from tests.corpus.images_for import with_images
from tests.corpus.planned import Tally, plan_definition
from tests.corpus.source_package import SourcePackage
from tui.hosts.libvirt_host import LibvirtHost
from tui.hosts.port import Host
from tui.lab.daemon import Daemon
from tui.lab.remains import LabFolder

UUID = "0f7ab5a4-9a3c-4a35-8d0a-6b7c4a5b2c11"
STAND_IN = f"""<domain type='qemu'><name>corpus</name><uuid>{UUID}</uuid><memory>65536</memory>
<os><type arch='x86_64'>hvm</type></os></domain>"""
SAMPLE = 40
"""Every so many-th definition is looked at in the short run."""

Tell = Callable[[str, object], None]


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def daemon() -> AsyncIterator[Daemon]:
    """A libvirtd of the module's own: some definitions of newer versions kill it."""
    folder = LabFolder.claim()
    daemon = Daemon(folder)
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    try:
        await daemon.start()
        yield daemon
    finally:
        folder.remove()


@pytest_asyncio.fixture(loop_scope="session")
async def stood_in(daemon: Daemon) -> AsyncIterator[Host]:
    """A host with one guest, which seems to have any definition."""
    host = LibvirtHost(daemon.uri, "lab")
    await host.open()
    await host.define(STAND_IN)
    yield host
    await host.undefine(UUID)
    await host.close()


async def test_every_disk_of_a_sample_is_planned_or_named(stood_in: Host, target: Path, record_property: Tell) -> None:
    await _plan(stood_in, corpus(CORPORA[0]), target, record_property, every=SAMPLE)


@pytest.mark.long
@pytest.mark.parametrize("package", CORPORA, ids=str)
async def test_every_disk_is_planned_or_named(
    package: SourcePackage, stood_in: Host, target: Path, record_property: Tell
) -> None:
    await _plan(stood_in, corpus(package), target, record_property)


async def test_clones_of_a_sample_are_accepted_and_share_nothing(daemon: Daemon, record_property: Tell) -> None:
    await _judge(daemon, corpus(CORPORA[0]), record_property, every=SAMPLE)


@pytest.mark.long
@pytest.mark.parametrize("package", CORPORA, ids=str)
async def test_what_libvirt_accepts_is_accepted_as_a_clone_that_shares_nothing(
    package: SourcePackage, daemon: Daemon, record_property: Tell
) -> None:
    await _judge(daemon, corpus(package), record_property)


async def _plan(host: Host, whole: Corpus, target: Path, record_property: Tell, every: int = 1) -> None:
    tally, images = Tally(), target.parent / "images"
    for file in whole.taken(every):
        xml = with_images(file.xml, images)
        for running in (False, True):
            stand_in = FakeDefinitionHost(host, UUID, xml, running=running)
            await plan_definition(stand_in, xml, file.name, target, tally)
        shutil.rmtree(images, ignore_errors=True)
    record_property("corpus", f"{whole.words}: {tally.words}")
    assert tally.broken == {}
    assert tally.planned > 0


async def _judge(daemon: Daemon, whole: Corpus, record_property: Tell, every: int = 1) -> None:
    tally, judge = Acceptance(), Judge(daemon)
    for file in whole.taken(every):
        await judge.judge(file, tally)
    record_property("corpus", f"{whole.words}: {tally.words}")
    assert tally.broken == {}
    assert tally.clones > 0
