"""The checks of what the agent itself says: right, link, answer, freeze, commands, a trial program, clock, system."""

from __future__ import annotations

from tui.agent import errors
from tui.agent.profile import EXEC_COMMANDS, FILE_COMMANDS
from tui.doctor.causes import Cause
from tui.doctor.facts import AgentLook, Facts, Late
from tui.doctor.findings import Check, Ruling, failed, passed, skipped, unknown
from tui.doctor.holders import holder_words
from tui.doctor.systems import care_of
from tui.model.quantities import clock_time, duration

CLOCK_TOLERANCE_S = 5.0
BUSY_PROCESSOR = 0.9
FREEZE = ("guest-fsfreeze-status", "guest-fsfreeze-freeze", "guest-fsfreeze-thaw")


def _trouble(facts: Facts) -> errors.AgentError | Late | None:
    return None if facts.agent is None else facts.agent.ping.trouble


def _original(trouble: errors.AgentError | Late | None) -> str:
    return trouble.original if isinstance(trouble, errors.AgentError) else ""


def _asked(facts: Facts) -> AgentLook:
    assert facts.agent is not None  # noqa: S101 - the checks before it made sure
    return facts.agent


def _right(facts: Facts) -> Ruling:
    trouble = _trouble(facts)
    if facts.agent is None:
        return skipped("the agent was not asked")
    if isinstance(trouble, errors.AccessDeniedError):
        return failed(Cause.NOT_ALLOWED, "libvirt refuses agent commands on this connection", trouble.original)
    return passed("this connection may ask the agent")


def _link(facts: Facts) -> Ruling:
    trouble = _trouble(facts)
    if isinstance(trouble, errors.LinkBrokenError):
        why = "an answer was too large or not understood, most often output of more than 7 MB"
        return failed(Cause.LINK_BROKEN, "libvirt has given up on it", trouble.original, why=why)
    return passed("libvirt's link to the agent is sound")


def _busy(facts: Facts) -> Ruling:
    trouble = _trouble(facts)
    if isinstance(trouble, errors.AgentBusyError):
        holder = holder_words(trouble.original)
        return failed(Cause.BUSY, f"another program holds it: {holder}", trouble.original, holder=holder)
    if isinstance(trouble, Late):
        waited = duration(round(trouble.after_s, 1))
        return failed(Cause.NO_ANSWER_YET, f"no answer yet after {waited}; the question still waits", waited=waited)
    return passed("no other program has its turn")


def _answer(facts: Facts) -> Ruling:
    agent = _asked(facts)
    trouble = agent.ping.trouble
    match trouble:
        case None | errors.CommandFailedError():
            return passed(f"answered in {agent.ping.ms:.0f} ms")
        case errors.UnansweredError():
            return _silent(facts, agent, trouble)
        case errors.MalformedReplyError():
            return failed(Cause.GARBLED, trouble.cause, trouble.original, why=trouble.cause)
        case errors.AgentError():
            why = (trouble.cause or trouble.title).rstrip(".")
            return failed(Cause.UNKNOWN, trouble.title, trouble.original, why=why)
        case _:
            return unknown("it was not asked")


def _silent(facts: Facts, agent: AgentLook, trouble: errors.UnansweredError) -> Ruling:
    waited = duration(agent.ping.ms / 1000)
    found = f"no answer within {waited}"
    answered = [
        line.at for line in facts.patient.timeline if "responding" in line.what and "unresponsive" not in line.what
    ]
    if answered:
        found += ", though it did answer before"
    if facts.processor_share is not None:
        share = f"{facts.processor_share * 100:.0f} %"
        found += f"; the guest used {share} of a processor meanwhile"
    panic = facts.live is not None and not facts.live.has_panic_device
    if panic:
        found += "; without a panic device a kernel panic would look the same"
    return failed(Cause.SILENT, found, trouble.original, patience=f" within {waited}")


def _frozen(facts: Facts) -> Ruling:
    agent = _asked(facts)
    if agent.frozen is None:
        return unknown("the agent does not say", _original(agent.trouble))
    if not agent.frozen:
        return passed("its file systems are not frozen")
    seen = [line for line in facts.patient.timeline if line.what.startswith("agent frozen")]
    since = f" (seen at {clock_time(seen[-1].at)})" if seen else ""
    backup = "; a backup of qga-tui has marked this guest" if facts.mark else ""
    return failed(Cause.FROZEN, f"guest-fsfreeze-status says frozen{since}{backup}", facts.mark, since=since)


def _version(facts: Facts) -> Ruling:
    agent = _asked(facts)
    if agent.info is None:
        return _unsaid(agent)
    blocked = f"; blocked: {', '.join(sorted(agent.info.disabled))}" if agent.info.disabled else ""
    return passed(f"qemu-ga {agent.info.version}, {len(agent.info.enabled)} commands{blocked}")


def _unsaid(agent: AgentLook) -> Ruling:
    if isinstance(agent.trouble, errors.CommandUnavailableError):
        return unknown("its policy blocks guest-info", agent.trouble.original)
    if isinstance(agent.trouble, errors.MalformedReplyError):
        return failed(Cause.GARBLED, agent.trouble.cause, agent.trouble.original, why=agent.trouble.cause)
    return unknown("no answer came after the ping's", _original(agent.trouble))


def _offered(facts: Facts, wanted: tuple[str, ...], can: str, consequence: str) -> Ruling:
    info = _asked(facts).info
    if info is None:
        return unknown("the agent did not list its commands")
    blocked = [name for name in wanted if name in info.disabled]
    absent = [name for name in wanted if name not in info.disabled and name not in info.enabled]
    if blocked:
        names = " and ".join(blocked) if len(blocked) < 3 else f"{blocked[0]} and {len(blocked) - 1} more"
        found = f"{', '.join(blocked)} disabled: see {care_of(facts.system).policy.lists}"
        return failed(Cause.BLOCKED, found, "guest-info: enabled=false", commands=names, consequence=consequence)
    if absent:
        names = ", ".join(absent)
        return failed(
            Cause.TOO_OLD, f"{names} unknown to it", commands=names, consequence=consequence, version=info.version
        )
    return passed(can)


def _exec(facts: Facts) -> Ruling:
    return _offered(facts, EXEC_COMMANDS, "programs can be run", "no console, no commands")


def _trial(facts: Facts) -> Ruling:
    trial = _asked(facts).trial
    if trial is None and facts.patient.read_only:
        return skipped("no program is run in read-only mode")
    if trial is None and not facts.patient.thorough:
        return skipped("no program is run when many guests are looked at")
    if trial is None:
        return unknown("no trial was made", _original(_asked(facts).trouble))
    if trial.refusal:
        why = trial.refusal
        return failed(Cause.EXEC_DENIED, "the trial program was refused", trial.refusal, why=why)
    confined = f"; SELinux {'enforces' if trial.enforcing else 'watches'} {trial.confined}" if trial.confined else ""
    if trial.user not in ("", "0"):
        return failed(Cause.NOT_ROOT, f"it ran as user {trial.user}{confined}", user=trial.user)
    return passed(f"a trial program ran{' as root' if trial.user else ''}{confined}", trial.confined)


def _files(facts: Facts) -> Ruling:
    return _offered(facts, FILE_COMMANDS, "files can be read and written", "output of commands comes late")


def _freeze(facts: Facts) -> Ruling:
    return _offered(facts, FREEZE, "file systems can be frozen for a backup", "backups are as after a power cut")


def _clock_off(facts: Facts) -> Ruling:
    off = _asked(facts).clock_off_s
    if off is None:
        return unknown("the agent does not say")
    if abs(off) > CLOCK_TOLERANCE_S:
        words = f"{duration(abs(off))} {'ahead of' if off > 0 else 'behind'}"
        return failed(Cause.CLOCK_OFF, f"{words} the host's", off=duration(abs(off)))
    return passed("within a few seconds of the host's")


def _system(facts: Facts) -> Ruling:
    system = facts.system
    return passed(f"{system.family}: {system.known_from}")


AGENT_CHECKS: tuple[Check, ...] = (
    Check("right", "Right to ask", "whether libvirt lets this connection ask", ("port", "backup"), _right),
    Check("link", "Link", "libvirt's error, if it gave up on the link", ("right",), _link),
    Check("busy", "Turn", "whether another program holds the agent's job", ("link",), _busy),
    Check("answer", "Answer", "guest-sync and guest-ping", ("socket", "busy"), _answer),
    Check("frozen", "Frozen", "guest-fsfreeze-status", ("answer",), _frozen),
    Check("version", "Agent", "guest-info", ("frozen",), _version),
    Check("exec", "Programs", "guest-exec in guest-info", ("version",), _exec),
    Check("trial", "Trial program", "a shell that prints its user and label", ("exec",), _trial),
    Check("files", "Files", "guest-file-* in guest-info", ("version",), _files),
    Check("freeze", "Freezing", "guest-fsfreeze-* in guest-info", ("version",), _freeze),
    Check("clock", "Clock", "guest-get-time against the host's clock", ("frozen",), _clock_off),
    Check("system", "System", "guest-get-osinfo, earlier answers, libosinfo in the XML", ("power",), _system),
)
