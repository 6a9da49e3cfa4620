"""Gathers the facts about one guest: the host's side and the agent's at the same time, the host's with a deadline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable
from dataclasses import replace
from typing import TypeVar

from tui.doctor import host_look, known_systems
from tui.doctor.definition import Definition, read_definition
from tui.doctor.facts import AgentLook, Facts, HostLook, Patient
from tui.doctor.questions import Interrogation
from tui.doctor.systems import UNKNOWN_SYSTEM, Family, System, system_at, system_of
from tui.hosts.domain_xml import MalformedXmlError
from tui.hosts.port import Host, HostError
from tui.hosts.same_files import are_here
from tui.model.guest import Channel, DomainFacts, PowerState
from tui.system.audit_log import AuditTarget, audit_is_wanted

T = TypeVar("T")
HOST_DEADLINE_S = 6.0
"""Seconds for the host's own answers; they come at once where it is well."""
FIRST_S = 7.0
"""Seconds after which the first facts are complete, whatever question to the agent still waits.

libvirt gives a silent agent 5 s, or 10 where it refused a first sync, and a question that waits behind another
program's command 30: what waits longer than this may be either.
"""
LEAST_S = 2.0
"""Seconds for an agent's answer where the host's took all the time."""
AT_MOST_S = 80.0
"""Seconds after which nobody waits for a question's end any more: twice what libvirt lets one wait."""


async def gather(host: Host, patient: Patient) -> AsyncGenerator[Facts, None]:
    """Look at everything; once more where a question to the agent still waited then, as soon as it has ended.

    Changes nothing, raises nothing: what could not be seen is missing from the facts.
    """
    begun = time.monotonic()
    try:
        domain, live = await _guest_and_definition(host, patient.uuid)
    except HostError as error:
        yield _without_guest(host, patient, error, begun)
        return
    meter = await _Meter.start(host, patient.uuid)
    asked = _begin_asking(host, patient, domain)
    try:
        until = max(begun + FIRST_S, time.monotonic() + LEAST_S)
        (agent, seen), stored, warnings, mark = await asyncio.gather(
            _answers_and_host(host, patient, domain, live, asked, until),
            _or(_stored(host, domain), None),
            _or(host.warnings(patient.uuid), ()),
            _or(host.run_metadata(patient.uuid), None),
        )
        facts = Facts(
            patient=patient,
            uri=host.uri,
            at=time.time(),
            domain=domain,
            live=live,
            stored=stored,
            host=seen,
            warnings=warnings,
            mark=mark or "",
        )
        yield await _with_answers(facts, agent, live, meter, begun)
        if asked is not None and agent is not None and agent.waits:
            agent = await _answers(patient, asked, AT_MOST_S)
            facts = replace(facts, domain=await _or(host.read_domain(patient.uuid), domain))
            yield await _with_answers(facts, agent, live, meter, begun)
    finally:
        if asked is not None:
            asked.leave()


async def _guest_and_definition(host: Host, uuid: str) -> tuple[DomainFacts, Definition]:
    try:
        async with asyncio.timeout(HOST_DEADLINE_S):
            domain, live_xml = await asyncio.gather(host.read_domain(uuid), host.live_xml(uuid))
            return domain, read_definition(live_xml)
    except TimeoutError as error:
        raise HostError("The host did not answer", cause=f"no reply within {HOST_DEADLINE_S:.0f} s") from error
    except MalformedXmlError as error:
        raise HostError(error.title, cause=error.cause, original=error.original) from error


async def _with_answers(facts: Facts, agent: AgentLook | None, live: Definition, meter: _Meter, begun: float) -> Facts:
    """The facts as they are with what the agent has said by now."""
    return replace(
        facts,
        at=time.time(),
        took_s=time.monotonic() - begun,
        agent=agent,
        processor_share=await meter.share(),
        system=_system(facts.patient, agent, live, facts.stored),
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


class _Meter:
    """How much processor time a guest uses from `start` on."""

    def __init__(self, host: Host, uuid: str, before: int | None) -> None:
        self._host = host
        self._uuid = uuid
        self._before = before
        self._begun = time.monotonic()

    @classmethod
    async def start(cls, host: Host, uuid: str) -> _Meter:
        """Read the clock for the first time."""
        return cls(host, uuid, await _or(host.processor_time_ns(uuid), None))

    async def share(self) -> float | None:
        """Of one processor; None where it is not known, or too little time has passed to tell."""
        after = await _or(self._host.processor_time_ns(self._uuid), None)
        elapsed = time.monotonic() - self._begun
        return None if self._before is None or after is None or elapsed < 1 else (after - self._before) / 1e9 / elapsed


def _begin_asking(host: Host, patient: Patient, domain: DomainFacts) -> Interrogation | None:
    """None where nothing could answer, and where our own work with the agent must not be disturbed."""
    if patient.held or domain.power is not PowerState.RUNNING or domain.channel not in (Channel.OPEN, Channel.UNKNOWN):
        return None
    target = AuditTarget(host.uri, domain.name, patient.uuid) if audit_is_wanted() else None
    return Interrogation(host.probe_line(patient.uuid), with_trial=patient.may_be_tried, target=target)


async def _answers(patient: Patient, asked: Interrogation, seconds: float) -> AgentLook:
    look = await asked.within(seconds)
    if look.os is not None and look.os.id:
        known_systems.remember_soon(patient.uuid, look.os.id, look.os.pretty_name or look.os.name)
    return look


async def _answers_and_host(
    host: Host, patient: Patient, domain: DomainFacts, live: Definition, asked: Interrogation | None, until: float
) -> tuple[AgentLook | None, HostLook | None]:
    """Both at once for one guest; among many, the host's processes only where the agent does not answer soon."""
    if asked is None:
        return None, await _or(_look_at_host(host, patient, domain, live), None)
    if not patient.thorough:
        agent = await _answers(patient, asked, LEAST_S)
        if asked.is_over and agent.ping.trouble is None:
            return agent, None
    return await asyncio.gather(
        _answers(patient, asked, until - time.monotonic()), _or(_look_at_host(host, patient, domain, live), None)
    )


async def _look_at_host(host: Host, patient: Patient, domain: DomainFacts, live: Definition) -> HostLook | None:
    if domain.power is PowerState.OFF or not await are_here(host):
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
