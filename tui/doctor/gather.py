"""Gathers the facts about one guest: the host's side and the agent's at the same time, each with its deadline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import TypeVar

from tui.doctor import host_look, known_systems
from tui.doctor.definition import Definition, read_definition
from tui.doctor.facts import AgentLook, Facts, HostLook, Patient
from tui.doctor.questions import interrogate
from tui.doctor.systems import UNKNOWN_SYSTEM, Family, System, system_at, system_of
from tui.hosts.domain_xml import MalformedXmlError
from tui.hosts.port import Host, HostError
from tui.model.guest import Channel, DomainFacts, PowerState

T = TypeVar("T")
HOST_DEADLINE_S = 6.0
"""Seconds for the host's own answers; they come at once where it is well."""


async def gather(host: Host, patient: Patient) -> Facts:
    """Look at everything. Changes nothing, raises nothing: what could not be seen is missing from the facts."""
    begun = time.monotonic()
    try:
        async with asyncio.timeout(HOST_DEADLINE_S):
            domain, live_xml = await asyncio.gather(host.read_domain(patient.uuid), host.live_xml(patient.uuid))
            live = read_definition(live_xml)
    except TimeoutError:
        late = HostError("The host did not answer", cause=f"no reply within {HOST_DEADLINE_S:.0f} s")
        return _without_guest(host, patient, late, begun)
    except MalformedXmlError as error:
        return _without_guest(host, patient, HostError(error.title, cause=error.cause, original=error.original), begun)
    except HostError as error:
        return _without_guest(host, patient, error, begun)
    before = await _or(host.processor_time_ns(patient.uuid), None)
    before_at = time.monotonic()
    (agent, seen), stored, warnings, mark = await asyncio.gather(
        _ask_and_look(host, patient, domain, live),
        _or(_stored(host, domain), None),
        _or(host.warnings(patient.uuid), ()),
        _or(host.run_metadata(patient.uuid), None),
    )
    after = await _or(host.processor_time_ns(patient.uuid), None)
    elapsed = time.monotonic() - before_at
    share = None if before is None or after is None or elapsed < 1 else (after - before) / 1e9 / elapsed
    return Facts(
        patient=patient,
        uri=host.uri,
        at=time.time(),
        took_s=time.monotonic() - begun,
        domain=domain,
        live=live,
        stored=stored,
        agent=agent,
        host=seen,
        warnings=warnings,
        mark=mark or "",
        processor_share=share,
        system=_system(patient, agent, live, stored),
    )


def _without_guest(host: Host, patient: Patient, error: HostError, begun: float) -> Facts:
    return Facts(patient, host.uri, time.time(), time.monotonic() - begun, unreachable=error)


async def _or(question: Awaitable[T], default: T) -> T:
    """The answer, or what stands for none: a question at the margin never spoils an examination."""
    try:
        async with asyncio.timeout(HOST_DEADLINE_S):
            return await question
    except (HostError, MalformedXmlError, TimeoutError):
        return default


async def _stored(host: Host, domain: DomainFacts) -> Definition | None:
    return read_definition(await host.stored_xml(domain.uuid)) if domain.persistent else None


async def _ask_and_look(
    host: Host, patient: Patient, domain: DomainFacts, live: Definition
) -> tuple[AgentLook | None, HostLook | None]:
    """Both at once for one guest; among many, the host's processes only where the agent's answer leaves a question."""
    if patient.thorough:
        return await asyncio.gather(
            _ask_agent(host, patient, domain), _or(_look_at_host(host, patient, domain, live), None)
        )
    agent = await _ask_agent(host, patient, domain)
    if agent is not None and agent.ping.trouble is None:
        return agent, None
    return agent, await _or(_look_at_host(host, patient, domain, live), None)


async def _ask_agent(host: Host, patient: Patient, domain: DomainFacts) -> AgentLook | None:
    """None where nothing could answer, and where our own work with the agent must not be disturbed."""
    if patient.held or domain.power is not PowerState.RUNNING or domain.channel not in (Channel.OPEN, Channel.UNKNOWN):
        return None
    look = await interrogate(host.probe_line(patient.uuid), with_trial=patient.thorough)
    if look.os is not None and look.os.id:
        known_systems.remember_soon(patient.uuid, look.os.id, look.os.pretty_name or look.os.name)
    return look


async def _look_at_host(host: Host, patient: Patient, domain: DomainFacts, live: Definition) -> HostLook | None:
    if not host_look.is_this_machine(host.uri) or domain.power is PowerState.OFF:
        return None
    path = next((channel.path for channel in live.agent_channels), "")
    return await host_look.look(domain.name, patient.uuid, path)


def _system(patient: Patient, agent: AgentLook | None, live: Definition, stored: Definition | None) -> System:
    """What the guest runs, by the best evidence there is."""
    if patient.system is not None:
        return System(patient.system, "you said so")
    if agent is not None and agent.os is not None and agent.os.id:
        name = agent.os.pretty_name or agent.os.id
        return system_of(agent.os.id, f"the agent says {name}", agent.os.version_id)
    said = patient.agent_facts
    if said is not None and said.os_id:
        return system_of(said.os_id, f"the agent said {said.os_name or said.os_id}")
    earlier = known_systems.recall(patient.uuid)
    if earlier is not None:
        return system_of(earlier.id, f"the agent said {earlier.name} on {earlier.day}")
    for definition in (live, stored):
        system = system_at(definition.os_url) if definition is not None and definition.os_url else None
        if system is not None:
            return system
    if live.looks_windows:
        return System(Family.WINDOWS, "its devices are set up as for Windows")
    return UNKNOWN_SYSTEM
