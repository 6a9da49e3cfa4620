"""A real host on which one real guest seems to have any definition: none could be made to run all of a corpus."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any, cast

from tui.agent.transport import Transport
from tui.hosts.domain_xml import read_definition
from tui.hosts.port import BlockJob, Host
from tui.model.guest import DomainFacts, PowerState


class FakeDefinitionHost:
    """Passes every question on to `real`, about its guest `uuid`, but for those that the definition answers.

    A guest that is `running` has no jobs; what is asked of QEMU itself cannot be told.
    """

    def __init__(self, real: Host, uuid: str, xml: str, *, running: bool) -> None:
        self._real = real
        self._uuid = uuid
        self._xml = as_libvirt_tells_it(xml)
        self._running = running

    @property
    def as_host(self) -> Host:
        """Itself, typed as what it stands for."""
        return cast("Host", self)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def facts(self) -> DomainFacts:
        """The guest as libvirt would tell of it; raises MalformedXmlError."""
        definition = read_definition(self._xml)
        return DomainFacts(
            uuid=self._uuid,
            name=definition.name,
            power=PowerState.RUNNING if self._running else PowerState.OFF,
            power_reason="booted" if self._running else "shut down",
            channel=definition.channel,
            disks=definition.disks,
            memory_bytes=definition.memory_bytes,
            vcpus=definition.vcpus,
            os_hint=definition.os_hint,
        )

    async def list_domains(self) -> tuple[DomainFacts, ...]:
        """This guest alone."""
        return (self.facts(),)

    async def read_domain(self, _uuid: str) -> DomainFacts:
        """Its facts."""
        return self.facts()

    async def live_xml(self, _uuid: str, *, secrets: bool = False) -> str:
        """The definition."""
        return self._xml

    async def stored_xml(self, _uuid: str, *, secrets: bool = False) -> str:
        """The definition."""
        return self._xml

    async def block_job(self, _uuid: str, _target: str) -> BlockJob | None:
        """None."""
        return None

    async def domain_job_active(self, _uuid: str) -> bool:
        """None either."""
        return False

    def probe_line(self, uuid: str) -> Transport:
        """To the agent of a guest that is off."""
        return self._real.probe_line(uuid)


def as_libvirt_tells_it(xml: str) -> str:
    """The definition with what libvirt fills in where it is silent: a disk is a file, and its image raw.

    virDomainDiskDefParseXML and qemuDomainDeviceDiskDefPostParse in libvirt 9.0.
    """
    root = ET.fromstring(xml)
    for disk in root.findall("./devices/disk"):
        disk.attrib.setdefault("type", "file")
        driver = disk.find("driver")
        if driver is None:
            driver = ET.SubElement(disk, "driver", name="qemu")
        driver.attrib.setdefault("type", "raw")
    return ET.tostring(root, encoding="unicode")
