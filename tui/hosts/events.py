"""libvirt's events, turned into the model's facts: one event loop on one daemon thread per process."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

import libvirt

from tui.model.events import (
    AgentPortClosed,
    AgentPortOpened,
    BlockJobChanged,
    BlockJobEnd,
    DomainChanged,
    DomainRemoved,
    HostEvent,
    HostLost,
)
from tui.model.guest import REBOOTED, REVERTED

Sink = Callable[[HostEvent], None]
"""Takes an event on libvirt's thread; must return at once and call nothing of libvirt."""

_started = threading.Lock()
_running = False

_LIFECYCLE = {
    libvirt.VIR_DOMAIN_EVENT_DEFINED: "defined",
    libvirt.VIR_DOMAIN_EVENT_UNDEFINED: "undefined",
    libvirt.VIR_DOMAIN_EVENT_STARTED: "started",
    libvirt.VIR_DOMAIN_EVENT_SUSPENDED: "paused",
    libvirt.VIR_DOMAIN_EVENT_RESUMED: "resumed",
    libvirt.VIR_DOMAIN_EVENT_STOPPED: "stopped",
    libvirt.VIR_DOMAIN_EVENT_SHUTDOWN: "shutting down",
    libvirt.VIR_DOMAIN_EVENT_PMSUSPENDED: "suspended by the guest",
    libvirt.VIR_DOMAIN_EVENT_CRASHED: "crashed",
}

_FROM_SNAPSHOT = {
    (libvirt.VIR_DOMAIN_EVENT_STARTED, libvirt.VIR_DOMAIN_EVENT_STARTED_FROM_SNAPSHOT),
    (libvirt.VIR_DOMAIN_EVENT_RESUMED, libvirt.VIR_DOMAIN_EVENT_RESUMED_FROM_SNAPSHOT),
    (libvirt.VIR_DOMAIN_EVENT_SUSPENDED, libvirt.VIR_DOMAIN_EVENT_SUSPENDED_FROM_SNAPSHOT),
    (libvirt.VIR_DOMAIN_EVENT_STOPPED, libvirt.VIR_DOMAIN_EVENT_STOPPED_FROM_SNAPSHOT),
}

_AGENT_REASON = {
    libvirt.VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_REASON_DOMAIN_STARTED: "guest started",
    libvirt.VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_REASON_CHANNEL: "by the guest",
}

_BLOCK_JOB_END = {
    libvirt.VIR_DOMAIN_BLOCK_JOB_COMPLETED: BlockJobEnd.COMPLETED,
    libvirt.VIR_DOMAIN_BLOCK_JOB_FAILED: BlockJobEnd.FAILED,
    libvirt.VIR_DOMAIN_BLOCK_JOB_CANCELED: BlockJobEnd.CANCELED,
    libvirt.VIR_DOMAIN_BLOCK_JOB_READY: BlockJobEnd.READY,
}


def start_event_loop() -> None:
    """Make libvirt deliver events; must come before the first connection is opened. Idempotent.

    The default implementation is registered once per process and cannot be replaced. libvirtaio is no choice: it
    touches asyncio's loop from whichever thread calls libvirt, and delivers late or not at all.
    """
    global _running
    with _started:
        if _running:
            return
        libvirt.registerErrorHandler(lambda _context, _error: None, None)
        libvirt.virEventRegisterDefaultImpl()
        threading.Thread(target=_run_for_ever, name="libvirt-events", daemon=True).start()
        _running = True


def _run_for_ever() -> None:
    while True:
        libvirt.virEventRunDefaultImpl()


def watch(connection: Any, host: str, sink: Sink) -> None:
    """Register for everything that changes what a guest list shows; what a driver lacks is left out.

    Once per connection, until `unwatch`: libvirt takes one close callback. Raises libvirtError and leaves nothing
    registered then.
    """

    def lifecycle(_conn: Any, domain: Any, event: int, detail: int, _opaque: object) -> None:
        what = _LIFECYCLE.get(event, "changed")
        if event == libvirt.VIR_DOMAIN_EVENT_UNDEFINED:
            sink(DomainRemoved(host, domain.UUIDString(), time.time()))
        else:
            sink(DomainChanged(host, domain.UUIDString(), what, time.time()))
        if (event, detail) in _FROM_SNAPSHOT:
            sink(DomainChanged(host, domain.UUIDString(), REVERTED, time.time()))

    def agent(_conn: Any, domain: Any, state: int, reason: int, _opaque: object) -> None:
        why = _AGENT_REASON.get(reason, "")
        opened = state == libvirt.VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_STATE_CONNECTED
        kind = AgentPortOpened if opened else AgentPortClosed
        sink(kind(host, domain.UUIDString(), why, time.time()))

    def changed(what: str) -> Callable[..., None]:
        return lambda _conn, domain, *_more: sink(DomainChanged(host, domain.UUIDString(), what, time.time()))

    def block_job(_conn: Any, domain: Any, target: str, _kind: int, status: int, _opaque: object) -> None:
        end = _BLOCK_JOB_END.get(status)
        if end is not None:
            sink(BlockJobChanged(host, domain.UUIDString(), target, end, time.time()))

    def closed(_conn: Any, _reason: int, _opaque: object) -> None:
        sink(HostLost(host, "the connection was closed", time.time()))

    callbacks: dict[int, Callable[..., None]] = {
        libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE: lifecycle,
        libvirt.VIR_DOMAIN_EVENT_ID_REBOOT: changed(REBOOTED),
        libvirt.VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE: agent,
        libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_ADDED: changed("device attached"),
        libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED: changed("device detached"),
        libvirt.VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2: block_job,
    }
    try:
        for event_id, callback in callbacks.items():
            _register(connection, event_id, callback)
        connection.registerCloseCallback(closed, None)
    except libvirt.libvirtError:
        unwatch(connection)
        raise


def _register(connection: Any, event_id: int, callback: Callable[..., None]) -> None:
    try:
        connection.domainEventRegisterAny(None, event_id, callback, None)
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_SUPPORT:
            raise


def unwatch(connection: Any) -> None:
    """Undo `watch`, as far as it came and as far as a connection that is gone still lets one."""
    for callback_id in tuple(getattr(connection, "domainEventCallbackID", ())):
        with contextlib.suppress(libvirt.libvirtError):
            connection.domainEventDeregisterAny(callback_id)
    with contextlib.suppress(libvirt.libvirtError):
        connection.unregisterCloseCallback()
