"""How many more disks a guest can be given while it runs. Pure."""

from __future__ import annotations

from tui.hosts.domain_xml import parse_tree

_PORTS = frozenset({"pcie-root-port", "pcie-switch-downstream-port"})
"""What takes one device each while the guest runs; libvirt adds none to a guest that runs."""


def free_slots(live_xml: str) -> int | None:
    """The PCI Express ports that nothing is plugged into; None for a guest without PCI Express, which has slots enough.

    Raises MalformedXmlError.
    """
    root = parse_tree(live_xml)
    controllers = root.findall("./devices/controller[@type='pci']")
    if all(controller.get("model") != "pcie-root" for controller in controllers):
        return None
    ports = {int(each.get("index", "0")) for each in controllers if each.get("model") in _PORTS}
    used = {int(address.get("bus", "0"), 0) for address in root.findall("./devices//address[@type='pci']")}
    return len(ports - used)
