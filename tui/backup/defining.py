"""Defining a guest by a definition that libvirt may hold already though its own schema refuses it."""

from __future__ import annotations

from tui.hosts.faults import XML_INVALID_SCHEMA
from tui.hosts.port import Host, HostError


async def define_as_it_is(host: Host, xml: str) -> str:
    """Replace the stored definition, without validation against the schema where it fails that.

    libvirt validates only when it is asked to, and its schema knows less than its parser: a guest may have been defined
    with what the schema refuses. Returns what has to be said then, else nothing. Raises HostError.
    """
    try:
        await host.define(xml)
    except HostError as error:
        if error.code != XML_INVALID_SCHEMA:
            raise
        await host.define(xml, validated=False)
        told = " ".join((error.original or error.one_line()).split())
        return f"the guest is defined without validation, for libvirt's schema refuses its definition: {told}"
    return ""
