"""A host and a guest of it that answer every question with a hostile text: no real one says all of that at once."""

from __future__ import annotations

import json
from collections import Counter
from xml.sax.saxutils import quoteattr

from tui.agent.transport import Transport
from tui.hosts.libvirt_host import LibvirtHost
from tui.hosts.port import BlockSizes, HostError


class FakeHostileLine(Transport):
    """Stands for an agent each of whose strings is the hostile one."""

    def __init__(self, text: str, asked: Counter[str]) -> None:
        self._text, self._asked = text, asked

    async def send(self, request: str, timeout_s: int) -> str:
        """A well-formed answer, so that it is shown; an error with such a text to what is not known."""
        command, text = json.loads(request)["execute"], self._text
        self._asked[command] += 1
        address = {"ip-address": text, "ip-address-type": "ipv4", "prefix": 24}
        answers: dict[str, object] = {
            "guest-network-get-interfaces": [{"name": text, "hardware-address": text, "ip-addresses": [address]}],
            "guest-get-fsinfo": [{"name": text, "mountpoint": text, "type": text, "disk": []}],
            "guest-get-users": [{"user": text, "domain": text, "login-time": 1.0}],
        }
        if command in answers:
            return json.dumps({"return": answers[command]})
        return json.dumps({"error": {"class": "GenericError", "desc": text}})


class FakeHostileHost(LibvirtHost):
    """Stands for a host that is lost for all but a guest's details, and whose every word is the hostile one."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__("test:///default", name)
        self._text = text
        self.asked: Counter[str] = Counter()

    async def open(self) -> None:
        """Fail."""
        raise HostError(self._text, cause=self._text, next_step=self._text, original=self._text)

    async def block_sizes(self, _uuid: str, _target: str) -> BlockSizes:
        """Fail."""
        self.asked["block_sizes"] += 1
        raise HostError(self._text, cause=self._text)

    async def live_xml(self, _uuid: str, *, secrets: bool = False) -> str:
        """A definition whose channel has the hostile text wherever XML lets it stand."""
        self.asked["live_xml"] += 1
        path = quoteattr("".join(char for char in self._text if _may_stand_in_xml(char)))
        name = quoteattr("org.qemu.guest_agent.0")
        return (
            f"<domain><devices><channel type='unix'><source path={path}/>"
            f"<target type='virtio' name={name} state={path}/></channel></devices></domain>"
        )

    def probe_line(self, _uuid: str) -> Transport:
        """A line to the hostile agent."""
        return FakeHostileLine(self._text, self.asked)


def _may_stand_in_xml(char: str) -> bool:
    """Char of XML 1.0, which has C1 controls and directional overrides in it."""
    return char in "\t\n\r" or "\x20" <= char <= "\ud7ff" or "\ue000" <= char <= "\ufffd" or char > "\uffff"
