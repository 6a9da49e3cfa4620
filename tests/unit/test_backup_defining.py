"""A definition that libvirt's schema refuses and its parser takes, on libvirt's test driver."""

from __future__ import annotations

from pathlib import Path

import pytest

from tui.backup.defining import define_as_it_is
from tui.hosts.libvirt_host import LibvirtHost
from tui.hosts.port import HostError

UUID = "00000000-0000-4000-8000-0000000000dd"
DOMAIN = f"""<domain type='test'><name>odd</name><uuid>{UUID}</uuid><memory>65536</memory>
<os><type>hvm</type></os><devices/>@MORE@</domain>"""


@pytest.fixture
def node(tmp_path: Path) -> str:
    (tmp_path / "node.xml").write_text("<node/>")
    return f"test://{tmp_path}/node.xml"


async def test_what_the_schema_refuses_is_defined_and_told(node: str) -> None:
    host = LibvirtHost(node, "test")
    await host.open()
    odd = DOMAIN.replace("@MORE@", "<left-by-another-program/>")
    with pytest.raises(HostError):
        await host.define(odd)
    remark = await define_as_it_is(host, odd)
    assert "without validation" in remark
    assert [facts.name for facts in await host.list_domains()] == ["odd"]
    assert await define_as_it_is(host, DOMAIN.replace("@MORE@", "")) == ""
    await host.close()


async def test_what_the_parser_refuses_stays_refused(node: str) -> None:
    host = LibvirtHost(node, "test")
    await host.open()
    with pytest.raises(HostError):
        await define_as_it_is(host, DOMAIN.replace("@MORE@", "").replace("65536", "-1"))
    assert await host.list_domains() == ()
    await host.close()
