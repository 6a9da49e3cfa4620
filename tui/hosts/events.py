"""libvirt's events, turned into the model's facts: one event loop on one daemon thread per process."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

import libvirt

from tui.model.events import (
    IO_ERROR,
    PAUSED,
    STOPPED,
    AgentPortClosed,
    AgentPortOpened,
    BlockJobChanged,
    BlockJobEnd,
    DomainChanged,
    DomainRemoved,
    HostEvent,
    HostLost,
)
from tui.model.guest import MIGRATED_AWAY, REBOOTED, REVERTED, SAVED

Sink = Callable[[HostEvent], None]
"""Takes an event on libvirt's thread; must return at once and call nothing of libvirt."""

_started = threading.Lock()
_running = False

_LIFECYCLE = {
    libvirt.VIR_DOMAIN_EVENT_DEFINED: "defined",
    libvirt.VIR_DOMAIN_EVENT_UNDEFINED: "undefined",
    libvirt.VIR_DOMAIN_EVENT_STARTED: "started",
    libvirt.VIR_DOMAIN_EVENT_SUSPENDED: PAUSED,
    libvirt.VIR_DOMAIN_EVENT_RESUMED: "resumed",
    libvirt.VIR_DOMAIN_EVENT_STOPPED: STOPPED,
    libvirt.VIR_DOMAIN_EVENT_SHUTDOWN: "shutting down",
    libvirt.VIR_DOMAIN_EVENT_PMSUSPENDED: "suspended by the guest",
    libvirt.VIR_DOMAIN_EVENT_CRASHED: "crashed",
}

_WHY_STOPPED = {
    libvirt.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN: "shut down",
    libvirt.VIR_DOMAIN_EVENT_STOPPED_DESTROYED: "forced off",
    libvirt.VIR_DOMAIN_EVENT_STOPPED_CRASHED: "crashed",
    libvirt.VIR_DOMAIN_EVENT_STOPPED_MIGRATED: MIGRATED_AWAY,
    libvirt.VIR_DOMAIN_EVENT_STOPPED_SAVED: SAVED,
    libvirt.VIR_DOMAIN_EVENT_STOPPED_FAILED: "failed",
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


def _of_lifecycle(host: str, uuid: str, event: int, detail: int) -> tuple[HostEvent, ...]:
    """What an event of VIR_DOMAIN_EVENT_ID_LIFECYCLE tells."""
    if event == libvirt.VIR_DOMAIN_EVENT_UNDEFINED:
        return (DomainRemoved(host, uuid, time.time()),)
    why = _WHY_STOPPED.get(detail, "") if event == libvirt.VIR_DOMAIN_EVENT_STOPPED else ""
    happened = DomainChanged(host, uuid, _LIFECYCLE.get(event, "changed"), time.time(), why)
    if (event, detail) not in _FROM_SNAPSHOT:
        return (happened,)
    return happened, DomainChanged(host, uuid, REVERTED, time.time())


def watch(connection: Any, host: str, sink: Sink) -> None:
    """Register for everything that changes what a guest list shows; what a driver lacks is left out.

    Once per connection, until `unwatch`: libvirt takes one close callback. Raises libvirtError and leaves nothing
    registered then.
    """

    def lifecycle(_conn: Any, domain: Any, event: int, detail: int, _opaque: object) -> None:
        for each in _of_lifecycle(host, domain.UUIDString(), event, detail):
            sink(each)

    def io_error(_conn: Any, domain: Any, _path: str, _alias: str, action: int, reason: str, _opaque: object) -> None:
        # Errors that are passed on to the guest may come by the thousand, and stop nothing.
        if action == libvirt.VIR_DOMAIN_EVENT_IO_ERROR_PAUSE:
            sink(DomainChanged(host, domain.UUIDString(), IO_ERROR, time.time(), reason))

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
        libvirt.VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON: io_error,
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
