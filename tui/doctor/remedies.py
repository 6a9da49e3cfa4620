"""What mends a cause: our own fixes with what they change, and commands for people, fit for the guest's system."""

from __future__ import annotations

from shlex import quote

from tui.agent.profile import EXEC_COMMANDS, FILE_COMMANDS
from tui.doctor.causes import Cause
from tui.doctor.checks_agent import FREEZE
from tui.doctor.definition import CHANNEL_XML
from tui.doctor.facts import Facts
from tui.doctor.fixes import IN_GUEST, ON_HOST, POWER_CYCLE, Fix, FixKind, OurFix, TheirFix, virsh_at
from tui.doctor.systems import CARE, Care, Family, care_of
from tui.doctor.verdict import Examination

_NOT_OPEN = frozenset({Cause.NEVER_OPENED, Cause.PORT_CLOSED, Cause.WENT_AWAY})
_WAIT = TheirFix(
    IN_GUEST,
    "Wait first: it may still be booting",
    note="it turns green by itself; if it stays so, go on below",
)
_SEE_PROCESS = TheirFix(IN_GUEST, "See whether it is stopped (T) or hangs (D)", "ps -o pid,stat,args -C qemu-ga")


def remedies(examination: Examination) -> tuple[Fix, ...]:
    """What mends the first cause, ours first, then what mends the further ones; of a guest that boots, to wait."""
    facts = examination.facts
    fixes: list[Fix] = []
    for cause in (examination.verdict.cause, *(cause for cause, _ in examination.verdict.also)):
        fixes += [fix for fix in _for_cause(cause, facts) if fix not in fixes]
    waits = (_WAIT,) if examination.verdict.cause in _NOT_OPEN and facts.may_be_booting else ()
    return (*waits, *sorted(fixes, key=lambda fix: isinstance(fix, TheirFix)))


def _for_cause(cause: Cause, facts: Facts) -> list[Fix]:
    virsh, name, care = virsh_at(facts.uri), quote(facts.patient.name), care_of(facts.system)
    match cause:
        case Cause.NO_CHANNEL | Cause.WRONG_NAME | Cause.ISA_SERIAL | Cause.STORED_ONLY | Cause.NO_CONTROLLER:
            return [*_channel_fixes(cause, facts), *_after_channel(cause, facts, care)]
        case Cause.LIVE_ONLY:
            return [_attach(facts, live=False, stored=True)]
        case Cause.NEVER_OPENED | Cause.PORT_CLOSED | Cause.WENT_AWAY:
            return _bring_up(cause, facts, care)
        case Cause.FLAPPING:
            return [TheirFix(IN_GUEST, "See why it ends", care.log), TheirFix(IN_GUEST, "Restart it", care.restart)]
        case Cause.SILENT | Cause.GARBLED | Cause.NO_ANSWER_YET:
            return _for_silence(cause, facts, care)
        case Cause.LINK_BROKEN:
            return [_relink(facts), TheirFix(IN_GUEST, "Or kill the agent; its service restarts it", _kill(facts))]
        case Cause.HELD_BY_OTHER:
            return _for_stranger(facts)
        case Cause.PAUSED:
            return [OurFix(FixKind.RESUME, "Resume the guest", ("no XML changes",), (f"{virsh} resume {name}",))]
        case Cause.FROZEN:
            return [_thaw(facts)]
        case Cause.BLOCKED:
            return _unblock(facts, care)
        case Cause.EXEC_DENIED:
            return _for_denial()
        case _:
            return _by_command(cause, facts, care)


def _channel_fixes(cause: Cause, facts: Facts) -> list[Fix]:
    has_stored = facts.stored is not None and bool(facts.stored.agent_channels)
    with_controller = facts.live is not None and facts.live.has_controller
    persistent = facts.domain is None or facts.domain.persistent
    fixes: list[Fix] = []
    if with_controller:
        fixes.append(_attach(facts, live=True, stored=persistent and not has_stored))
    elif cause is not Cause.STORED_ONLY and persistent:
        fixes.append(_attach(facts, live=False, stored=True))
    if cause is Cause.STORED_ONLY or not with_controller:
        virsh, name = virsh_at(facts.uri), quote(facts.patient.name)
        fixes.append(TheirFix(ON_HOST, f"Power cycle ({POWER_CYCLE})", f"{virsh} shutdown {name} --mode acpi"))
        fixes.append(TheirFix(ON_HOST, "Then, when it is off, start it", f"{virsh} start {name}"))
    return fixes


def _attach(facts: Facts, *, live: bool, stored: bool) -> OurFix:
    virsh, name = virsh_at(facts.uri), quote(facts.patient.name)
    both = live and stored
    kind = FixKind.ATTACH if both else FixKind.ATTACH_LIVE if live else FixKind.ATTACH_STORED
    where = "live and in the stored XML" if both else "live" if live else "in the stored XML only"
    flags = f"{' --live' if live else ''}{' --config' if stored else ''}"
    changes = [f"{'running and stored' if both else 'running' if live else 'stored'} definition:", f"+ {CHANNEL_XML}"]
    runs_with_it = facts.live is not None and bool(facts.live.agent_channels)
    definition = facts.live if live else facts.stored or facts.live
    if not live and definition is not None and not definition.has_controller:
        changes.append("+ <controller type='virtio-serial' index='0'/>  (libvirt adds it by itself)")
    changes.append("  (libvirt adds an <address> to each)")
    title = f"Attach the channel {where}"
    if runs_with_it:
        title = "Add the channel to the stored XML too"
    elif not live:
        title += f": {POWER_CYCLE}"
    return OurFix(
        kind,
        title,
        tuple(changes),
        (f'printf "%s" "{CHANNEL_XML}" >channel.xml', f"{virsh} attach-device {name} channel.xml{flags}"),
        "" if live or runs_with_it else f"This {POWER_CYCLE}.",
    )


def _after_channel(cause: Cause, facts: Facts, care: Care) -> list[Fix]:
    if cause is Cause.ISA_SERIAL:
        return [TheirFix(IN_GUEST, "Then drop --method=isa-serial from the agent's options and", care.restart)]
    return _in_guest(facts, care)


def _in_guest(facts: Facts, care: Care) -> list[Fix]:
    if facts.system.family is Family.WINDOWS:
        return _windows_steps()
    fixes: list[Fix] = []
    if care.install:
        fixes.append(TheirFix(IN_GUEST, "Install the agent, if it is not there", care.install))
    else:
        packages = "the package qemu-guest-agent, by apt, dnf, zypper, apk, pkg or pacman"
        fixes.append(TheirFix(IN_GUEST, "Install the agent, if it is not there", note=packages))
    fixes.append(TheirFix(IN_GUEST, "Start its service", care.start))
    return fixes


def _bring_up(cause: Cause, facts: Facts, care: Care) -> list[Fix]:
    if facts.system.family is Family.WINDOWS:
        drivers = [_insert_drivers(facts)] if facts.live is not None and facts.live.cdroms else []
        return [*drivers, *_windows_steps()]
    if cause is Cause.WENT_AWAY:
        return [TheirFix(IN_GUEST, "Start its service", care.start), TheirFix(IN_GUEST, "See why it ended", care.log)]
    see = f"{virsh_at(facts.uri)} console {quote(facts.patient.name)}"
    return [*_in_guest(facts, care), TheirFix(ON_HOST, "See its console, if it has one", see)]


def _windows_steps() -> list[Fix]:
    return [
        TheirFix(
            IN_GUEST,
            "Device Manager: give the PCI device its driver, vioserial",
            note="PCI Simple Communications Controller, Update driver, the CD virtio-win",
        ),
        TheirFix(IN_GUEST, "The same without clicking", r"pnputil /add-driver D:\vioserial\w11\amd64\*.inf /install"),
        TheirFix(IN_GUEST, "Install the agent", CARE[Family.WINDOWS].install),
        TheirFix(IN_GUEST, 'Start the service "QEMU Guest Agent"', CARE[Family.WINDOWS].start),
        TheirFix(
            IN_GUEST,
            'For freezing: the service "QEMU Guest Agent VSS Provider"',
            'powershell -Command "Get-Service QEMU*"',
        ),
    ]


def _insert_drivers(facts: Facts) -> OurFix:
    virsh, name = virsh_at(facts.uri), quote(facts.patient.name)
    target = facts.live.cdroms[0][0] if facts.live is not None else ""
    medium = facts.live.cdroms[0][1] if facts.live is not None else ""
    return OurFix(
        FixKind.INSERT_DRIVERS,
        f"Insert the virtio-win ISO into the CD drive {target}",
        (f"running definition, drive {target}:", f"- {medium or 'empty'}", "+ <source file='virtio-win.iso'/>"),
        (f"{virsh} change-media {name} {target} virtio-win.iso --update --live",),
        f"It replaces {medium}." if medium else "",
        needs_medium=True,
    )


def _for_waiting(facts: Facts, care: Care) -> list[Fix]:
    """Looks alone: a restart would break a command of another program's that is at work."""
    watch = f"qga-tui -c {quote(facts.uri)} doctor {quote(facts.patient.name)} --watch"
    see = [] if facts.system.family is Family.WINDOWS else [_SEE_PROCESS]
    return [
        TheirFix(ON_HOST, "Wait for libvirt's word on the question that waits", watch),
        *see,
        *_by_command(Cause.BUSY, facts, care),
    ]


def _for_silence(cause: Cause, facts: Facts, care: Care) -> list[Fix]:
    if cause is Cause.NO_ANSWER_YET:
        return _for_waiting(facts, care)
    virsh, name = virsh_at(facts.uri), quote(facts.patient.name)
    fixes: list[Fix] = [TheirFix(IN_GUEST, "Restart the agent", care.restart)]
    if facts.system.family is not Family.WINDOWS:
        fixes.append(_SEE_PROCESS)
    fixes.append(TheirFix(IN_GUEST, "See whether its policy blocks guest-sync", care.see_policy))
    fixes.append(TheirFix(ON_HOST, "See whether its console lives", f"{virsh} console {name}"))
    fixes.append(TheirFix(ON_HOST, "See who is connected to the channel", "ss -xp | grep guest_agent"))
    return fixes


def _for_stranger(facts: Facts) -> list[Fix]:
    clients = facts.host.clients if facts.host is not None and facts.host.clients else ()
    fixes: list[Fix] = []
    for client in (client for client in clients if not client.is_libvirt):
        fixes.append(TheirFix(ON_HOST, f"See what {client.program} is", f"ps -fp {client.pid}"))
        fixes.append(TheirFix(ON_HOST, f"End {client.program}, if it has no right there", f"kill {client.pid}"))
    return fixes


def _kill(facts: Facts) -> str:
    return "taskkill /F /IM qemu-ga.exe" if facts.system.family is Family.WINDOWS else "pkill -KILL qemu-ga"


def _relink(facts: Facts) -> OurFix:
    virsh, name = virsh_at(facts.uri), quote(facts.patient.name)
    channels = facts.live.agent_channels if facts.live is not None else ()
    alias = quote(channels[0].alias) if channels and channels[0].alias else "channel0"
    return OurFix(
        FixKind.RELINK,
        "Heal the link: detach the channel and attach it again, live",
        ("running definition:", "- the agent's channel", f"+ {CHANNEL_XML}", "  stored definition: unchanged"),
        (
            f"{virsh} detach-device-alias {name} {alias} --live",
            f'printf "%s" "{CHANNEL_XML}" >channel.xml',
            f"{virsh} attach-device {name} channel.xml --live",
        ),
        "Commands that run in the guest now lose their connection.",
    )


def _thaw(facts: Facts) -> OurFix:
    warning = "A backup may be at work: thawed before its snapshot is taken, the backup is not consistent."
    if facts.mark:
        warning = "A backup of qga-tui marked this guest and may be at work. " + warning
    return OurFix(
        FixKind.THAW,
        "Thaw its file systems",
        ("no XML changes; guest-fsfreeze-thaw is sent to the agent",),
        (f"{virsh_at(facts.uri)} domfsthaw {quote(facts.patient.name)}",),
        warning,
    )


def _unblock(facts: Facts, care: Care) -> list[Fix]:
    info = facts.agent.info if facts.agent is not None else None
    blocked = (
        ", ".join(sorted(info.disabled.intersection(EXEC_COMMANDS + FILE_COMMANDS + FREEZE)))
        if info is not None
        else ""
    )
    policy, steps = care.policy, []
    where = f"in {policy.where}"
    if policy.block:
        steps.append(TheirFix(IN_GUEST, f"Take out of {policy.block}: {blocked}", note=where))
    if policy.allow:
        add = f"Or add to {policy.allow}, if set" if policy.block else f"Add to {policy.allow}"
        steps.append(TheirFix(IN_GUEST, f"{add}: {blocked}", note=where))
    return [
        TheirFix(IN_GUEST, "See the line that blocks", care.see_policy),
        *steps,
        TheirFix(IN_GUEST, "Then restart the agent", care.restart),
    ]


def _for_denial() -> list[Fix]:
    return [
        TheirFix(IN_GUEST, "See what SELinux refused", "ausearch -m avc -c qemu-ga --start recent"),
        TheirFix(
            IN_GUEST,
            "Let programs labelled virt_qemu_ga_unconfined_exec_t run",
            "setsebool -P virt_qemu_ga_run_unconfined on",
        ),
        TheirFix(IN_GUEST, "See file systems without programs", "findmnt -O noexec"),
    ]


def _by_command(cause: Cause, facts: Facts, care: Care) -> list[Fix]:
    virsh, name = virsh_at(facts.uri), quote(facts.patient.name)
    if cause is Cause.TOO_OLD:
        return [TheirFix(IN_GUEST, "Update the agent", care.install)] if care.install else []
    commands: dict[Cause, tuple[tuple[str, str], ...]] = {
        Cause.OFF: (("Start it", f"{virsh} start {name}"),),
        Cause.PANICKED: (
            ("See its last words", f"{virsh} console {name}"),
            ("Keep its memory for later", f"{virsh} dump {name} {name}.core --memory-only"),
            ("Reset it", f"{virsh} reset {name}"),
        ),
        Cause.BUSY: (
            ("See its libvirt job", f"{virsh} domjobinfo {name}"),
            ("See who is connected to libvirt, and since when", "virt-admin client-list libvirtd"),
        ),
        Cause.NOT_ALLOWED: (("Join the group, then log in again", "sudo usermod -aG libvirt $USER"),),
        Cause.HOST_UNREACHABLE: (("Try the connection", f"{virsh} list"),),
        Cause.CLOCK_OFF: (("Set the guest's clock", f"{virsh} domtime {name} --sync"),),
        Cause.TWO_CHANNELS: (("Remove all but one", f"{virsh} edit {name}"),),
        Cause.NOT_A_SOCKET: (("Make it <channel type='unix'>", f"{virsh} edit {name}"),),
        Cause.UNKNOWN: (("See its definition", f"{virsh} dumpxml {name}"),),
    }
    return [TheirFix(ON_HOST, title, command) for title, command in commands.get(cause, ())]
