"""The doctor's judgement over made-up facts: pure values, no host."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.agent import errors
from tui.agent.commands import AgentInfo, OsInfo
from tui.doctor.causes import CAUSES, Cause, badness
from tui.doctor.checks import CHECKS
from tui.doctor.definition import read_definition
from tui.doctor.facts import AgentLook, Facts, HostLook, Late, Patient, Reply, SocketClient, Trial
from tui.doctor.findings import Outcome
from tui.doctor.fixes import FixKind, OurFix, TheirFix
from tui.doctor.host_look import parse_ss
from tui.doctor.remedies import remedies
from tui.doctor.report import HIDDEN, as_fields, as_lines, as_markdown, without_secrets
from tui.doctor.systems import CARE, Family, System, family_of
from tui.doctor.verdict import Examination, examination_of
from tui.hosts.port import HostUnreachableError, NoSuchDomainError
from tui.model.guest import Channel, DomainFacts, Happening, HappeningKind, PowerState

AGENT = (
    "<channel type='{kind}'><source path='/run/s'/><target type='virtio' name='{name}' state='connected'/></channel>"
)
NAME = "org.qemu.guest_agent.0"
CONTROLLER = "<controller type='virtio-serial'/>"
ALL = frozenset(
    {
        *("guest-ping", "guest-info", "guest-exec", "guest-exec-status", "guest-fsfreeze-status"),
        *("guest-fsfreeze-freeze", "guest-fsfreeze-thaw", "guest-file-open", "guest-file-close", "guest-file-read"),
        *("guest-file-write", "guest-file-seek", "guest-file-flush", "guest-get-time", "guest-get-osinfo"),
    }
)


def definition_xml(*devices: str) -> str:
    return f"<domain><name>web1</name><devices>{''.join(devices)}</devices></domain>"


WITH_CHANNEL = read_definition(definition_xml(CONTROLLER, AGENT.format(kind="unix", name=NAME)))
BARE = read_definition(definition_xml(CONTROLLER))
BARER = read_definition(definition_xml())
RUNNING = DomainFacts("u1", "web1", PowerState.RUNNING, "booted", Channel.OPEN)
CLOSED = replace(RUNNING, channel=Channel.CLOSED)
NOW = 10_000.0
WELL = AgentLook(
    Reply(2.0),
    frozen=False,
    info=AgentInfo("10.0.2", ALL, frozenset()),
    os=OsInfo("debian"),
    clock_off_s=0.1,
    trial=Trial(user="0"),
)


def facts(**more: object) -> Facts:
    base = Facts(
        Patient("kvm7", "u1", "web1"),
        "qemu:///system",
        NOW,
        domain=RUNNING,
        live=WITH_CHANNEL,
        stored=WITH_CHANNEL,
        agent=WELL,
    )
    return replace(base, **more)  # type: ignore[arg-type]


def verdict(**more: object) -> Cause:
    return examination_of(facts(**more)).verdict.cause


def silent(error: errors.AgentError | Late) -> AgentLook:
    return AgentLook(Reply(5000.0, error))


def without(*names: str, blocked: bool) -> AgentLook:
    info = AgentInfo("2.0", ALL - set(names), frozenset(names) if blocked else frozenset())
    return replace(WELL, info=info, trial=None)


def seen(*lines: tuple[float, HappeningKind], watched_since: float | None = None) -> Patient:
    timeline = tuple(Happening(NOW - ago, str(kind), kind) for ago, kind in lines)
    return Patient("kvm7", "u1", "web1", timeline, watched_since)


OPENED, SHUT, STARTED = HappeningKind.PORT_OPENED, HappeningKind.PORT_CLOSED, HappeningKind.STARTED
STRANGER = HostLook(clients=(SocketClient("socat", 99),))
DENIED_STRANGER = replace(STRANGER, denials=('apparmor="DENIED" profile="libvirt-u1"',))


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({}, Cause.HEALTHY),
        ({"unreachable": HostUnreachableError("Cannot connect", cause="no daemon")}, Cause.HOST_UNREACHABLE),
        ({"unreachable": NoSuchDomainError("gone")}, Cause.GUEST_GONE),
        ({"domain": replace(RUNNING, power=PowerState.OFF, power_reason="shut down")}, Cause.OFF),
        ({"domain": replace(RUNNING, power=PowerState.OFF, power_reason="kernel panic")}, Cause.PANICKED),
        ({"domain": replace(RUNNING, power=PowerState.PAUSED, power_reason="disk I/O error")}, Cause.PAUSED),
        ({"live": BARE, "stored": BARE}, Cause.NO_CHANNEL),
        ({"live": BARER, "stored": BARER}, Cause.NO_CONTROLLER),
        ({"live": BARE}, Cause.STORED_ONLY),
        ({"stored": BARE}, Cause.LIVE_ONLY),
        ({"live": read_definition(definition_xml(AGENT.format(kind="pty", name=NAME)))}, Cause.NOT_A_SOCKET),
        ({"live": read_definition(definition_xml(AGENT.format(kind="unix", name=NAME) * 2))}, Cause.TWO_CHANNELS),
        ({"domain": CLOSED, "agent": None}, Cause.PORT_CLOSED),
        ({"domain": CLOSED, "agent": None, "patient": seen((9, STARTED))}, Cause.NEVER_OPENED),
        ({"domain": CLOSED, "agent": None, "patient": seen((9, STARTED), (8, OPENED), (2, SHUT))}, Cause.WENT_AWAY),
        ({"domain": CLOSED, "agent": None, "warnings": ("tainted: custom guest agent control",)}, Cause.WENT_AWAY),
        ({"patient": seen(*[(30, SHUT), (20, SHUT), (10, SHUT)])}, Cause.FLAPPING),
        ({"patient": seen(*[(330, SHUT), (320, SHUT), (310, SHUT)])}, Cause.HEALTHY),
        ({"patient": seen((30, SHUT), (20, SHUT), (15, STARTED), (10, SHUT))}, Cause.HEALTHY),
        ({"agent": silent(errors.UnansweredError("no"))}, Cause.SILENT),
        ({"agent": silent(errors.UnansweredError("no")), "host": STRANGER}, Cause.HELD_BY_OTHER),
        ({"host": STRANGER}, Cause.HEALTHY),
        ({"agent": silent(errors.LinkBrokenError("no"))}, Cause.LINK_BROKEN),
        ({"agent": silent(errors.AgentBusyError("no"))}, Cause.BUSY),
        ({"agent": silent(Late(7.0))}, Cause.NO_ANSWER_YET),
        ({"agent": silent(Late(7.0)), "host": STRANGER}, Cause.HELD_BY_OTHER),
        ({"agent": silent(errors.UnansweredError("no")), "host": DENIED_STRANGER}, Cause.HELD_BY_OTHER),
        ({"agent": silent(errors.AccessDeniedError("no"))}, Cause.NOT_ALLOWED),
        ({"agent": silent(errors.MalformedReplyError("no", cause="it is not JSON"))}, Cause.GARBLED),
        ({"agent": AgentLook(Reply(2.0), trouble=errors.UnansweredError("no"))}, Cause.UNKNOWN),
        ({"agent": AgentLook(Reply(2.0), trouble=errors.CommandUnavailableError("blocked"))}, Cause.HEALTHY),
        ({"agent": replace(WELL, frozen=True)}, Cause.FROZEN),
        ({"agent": without("guest-exec", "guest-exec-status", blocked=True)}, Cause.BLOCKED),
        ({"agent": without("guest-fsfreeze-freeze", blocked=True)}, Cause.BLOCKED),
        ({"agent": without("guest-exec", blocked=False)}, Cause.TOO_OLD),
        ({"agent": replace(WELL, trial=Trial(refusal="Permission denied"))}, Cause.EXEC_DENIED),
        ({"agent": replace(WELL, trial=Trial(user="1000"))}, Cause.NOT_ROOT),
        ({"agent": replace(WELL, clock_off_s=-400.0)}, Cause.CLOCK_OFF),
        ({"agent": None, "patient": Patient("kvm7", "u1", "web1", held="A backup is at work")}, Cause.AT_WORK),
        ({"domain": replace(RUNNING, channel=Channel.UNKNOWN), "agent": None}, Cause.UNKNOWN),
    ],
)
def test_each_cause_is_told_from_its_evidence_alone(changes: dict[str, object], cause: Cause) -> None:
    assert verdict(**changes) is cause


def test_what_needs_a_failed_check_is_skipped_and_names_it() -> None:
    findings = {each.id: each for each in examination_of(facts(live=BARE, stored=BARE, agent=None)).findings}
    assert findings["channel"].outcome is Outcome.FAILED
    assert findings["port"].outcome is findings["trial"].outcome is Outcome.SKIPPED
    assert findings["trial"].ruling.found == "because of: Channel"
    assert findings["system"].outcome is Outcome.PASSED


def test_checks_need_only_checks_before_them_and_every_cause_has_words_and_can_be_said() -> None:
    made: set[str] = set()
    for check in CHECKS:
        assert made.issuperset(check.needs)
        made.add(check.id)
    assert len(made) == len(CHECKS)
    assert set(CAUSES) == set(Cause)
    assert [badness(cause) for cause in Cause] == sorted(badness(cause) for cause in Cause)


def test_several_causes_are_told_one_first() -> None:
    found = examination_of(facts(stored=BARE, agent=without("guest-exec", blocked=True))).verdict
    assert found.cause is Cause.BLOCKED
    assert [cause for cause, _ in found.also] == [Cause.LIVE_ONLY]


@pytest.mark.parametrize("channel", [Channel.UNKNOWN, Channel.OPEN])
def test_a_port_that_closed_since_the_definition_was_read_is_closed(channel: Channel) -> None:
    """Of a channel that was just plugged in libvirt reports no state at first."""
    agent = silent(errors.NotConnectedError("no", original="QEMU guest agent is not connected"))
    domain = replace(RUNNING, channel=channel)
    assert verdict(domain=domain, agent=agent) is Cause.PORT_CLOSED


def test_an_agent_that_came_and_went_and_answers_now_is_looked_at_to_the_end() -> None:
    comings = [happening for ago in (50, 40, 30) for happening in ((ago, SHUT), (ago - 1, OPENED))]
    look = examination_of(facts(patient=seen(*comings)))
    assert look.verdict.cause is Cause.FLAPPING
    outcomes = {finding.id: finding.outcome for finding in look.findings}
    assert [each for each, outcome in outcomes.items() if outcome is not Outcome.PASSED] == ["history"]


def test_a_channel_that_runs_alone_is_no_claim_that_its_agent_works() -> None:
    found = examination_of(facts(stored=BARE, domain=CLOSED, agent=None)).verdict
    assert found.cause is Cause.PORT_CLOSED
    (live_only,) = found.also
    assert live_only[0] is Cause.LIVE_ONLY
    assert "works" not in live_only[1]


def test_a_class_of_causes_names_its_members_and_what_tells_them_apart() -> None:
    for look in (
        facts(domain=CLOSED, agent=None, patient=seen((9, STARTED))),
        facts(agent=silent(errors.UnansweredError("no"))),
    ):
        others = examination_of(look).verdict.others
        assert len(others) >= 4
        assert all(other.what and other.tells for other in others)


def fixes(**more: object) -> tuple[list[FixKind], str]:
    made = remedies(examination_of(facts(**more)))
    theirs = "\n".join(f"{fix.title}: {fix.command} {fix.note}" for fix in made if isinstance(fix, TheirFix))
    return [fix.kind for fix in made if isinstance(fix, OurFix)], theirs


def test_our_fixes_are_those_that_can_be_done_from_here() -> None:
    assert fixes(live=BARE, stored=BARE)[0] == [FixKind.ATTACH]
    assert fixes(live=BARER, stored=BARER)[0] == [FixKind.ATTACH_STORED]
    assert fixes(live=BARE)[0] == [FixKind.ATTACH_LIVE]
    assert fixes(live=BARER) == ([], fixes(live=BARER)[1])
    assert "full power cycle" in fixes(live=BARER)[1]
    assert fixes(stored=BARE)[0] == [FixKind.ATTACH_STORED]
    assert fixes(agent=replace(WELL, frozen=True))[0] == [FixKind.THAW]
    assert fixes(agent=silent(errors.LinkBrokenError("no")))[0] == [FixKind.RELINK]
    transient = replace(RUNNING, persistent=False)
    assert fixes(live=BARE, stored=None, domain=transient)[0] == [FixKind.ATTACH_LIVE]


@pytest.mark.parametrize("family", list(Family))
def test_every_system_has_its_own_way_to_start_the_agent_and_to_unblock_it(family: Family) -> None:
    system = System(family, "you said so")
    assert CARE[family].start in fixes(domain=CLOSED, agent=None, system=system)[1]
    blocked = fixes(agent=without("guest-exec", blocked=True), system=system)[1]
    assert CARE[family].policy.where in blocked
    assert CARE[family].restart in blocked


@pytest.mark.parametrize(
    ("named", "family"),
    [
        ("debian", Family.DEBIAN),
        ("ubuntu", Family.DEBIAN),
        ("http://ubuntu.com/ubuntu/22.04", Family.DEBIAN),
        ("rhel", Family.RHEL),
        ("ol", Family.RHEL),
        ("http://rockylinux.org/rocky/9", Family.RHEL),
        ("http://fedoraproject.org/fedora/40", Family.RHEL),
        ("opensuse-tumbleweed", Family.SUSE),
        ("http://suse.com/sles/15.5", Family.SUSE),
        ("alpine", Family.ALPINE),
        ("http://archlinux.org/archlinux/rolling", Family.ARCH),
        ("freebsd", Family.FREEBSD),
        ("mswindows", Family.WINDOWS),
        ("http://microsoft.com/win/2k22", Family.WINDOWS),
        ("qga-lab", None),
        ("", None),
    ],
)
def test_a_system_is_known_by_its_id_or_by_libosinfos_url(named: str, family: Family | None) -> None:
    assert family_of(named) is family


def test_the_system_in_the_xml_is_found_in_any_namespace_prefix() -> None:
    url = "http://libosinfo.org/xmlns/libvirt/domain/1.0"
    system = f"<l:libosinfo xmlns:l='{url}'><l:os id='http://debian.org/debian/12'/></l:libosinfo>"
    drive = "<disk device='cdrom'><source file='/iso/virtio-win-0.1.iso'/><target dev='sdb'/></disk>"
    xml = f"<domain><metadata>{system}</metadata><devices>{drive}</devices></domain>"
    definition = read_definition(xml)
    assert definition.os_url == "http://debian.org/debian/12"
    assert definition.cdroms == (("sdb", "/iso/virtio-win-0.1.iso"),)
    assert definition.looks_windows


def test_ss_names_whoever_is_at_the_other_end_and_admits_when_it_may_not() -> None:
    path = "/run/agent.0"
    text = (
        f'u_str LISTEN 0 1 {path} 10 * 0 users:(("qemu-system-x86",pid=1,fd=9))\n'
        f'u_str ESTAB 0 0 {path} 11 * 12 users:(("qemu-system-x86",pid=1,fd=8))\n'
        'u_str ESTAB 0 0 * 12 * 11 users:(("python3",pid=77,fd=3))\n'
        'u_str ESTAB 0 0 * 20 * 21 users:(("other",pid=5,fd=3))\n'
    )
    assert parse_ss(text, path) == (SocketClient("python3", 77),)
    assert parse_ss(text.replace('users:(("python3",pid=77,fd=3))', ""), path) is None
    assert parse_ss("", path) == ()


def told(examination: Examination) -> str:
    return "\n".join((*as_lines(examination), as_markdown(examination), str(as_fields(examination))))


def test_a_report_has_no_secrets_and_no_escapes() -> None:
    words = "login failed password=hunter2 token: abc\x1b[2J at qemu+tcp://root:hunter3@kvm7/"
    look = facts(agent=silent(errors.UnansweredError("no", original=words)), uri="qemu+tcp://root:hunter3@kvm7/system")
    report = as_markdown(examination_of(look))
    assert HIDDEN in report
    assert "\x1b" not in report
    for secret in ("hunter2", "abc", "hunter3"):
        assert secret not in told(examination_of(look)).replace("abcdef", "")


@given(st.text())
def test_taking_secrets_out_never_fails_and_is_done_once(text: str) -> None:
    assert without_secrets(without_secrets(text)) == without_secrets(text)


def test_the_socket_names_who_is_there_before_what_was_denied_and_keeps_both() -> None:
    look = examination_of(facts(agent=silent(errors.UnansweredError("no")), host=DENIED_STRANGER))
    socket = next(each for each in look.findings if each.id == "socket")
    assert "socat (pid 99)" in socket.ruling.found
    assert "DENIED" in socket.ruling.original
    denied = examination_of(facts(host=replace(DENIED_STRANGER, clients=(SocketClient("libvirtd", 1),))))
    assert next(each for each in denied.findings if each.id == "socket").outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("power", list(PowerState))
def test_the_lines_of_the_hosts_log_are_among_the_original_words(power: PowerState) -> None:
    line = "qemu-system-x86_64: terminating on signal 15 from pid 1"
    look = examination_of(facts(host=HostLook(log=(line,)), domain=replace(RUNNING, power=power)))
    original = {each.id: each.ruling.original for each in look.findings}
    assert line in original["power"]
    if power is PowerState.RUNNING:
        assert line in original["socket"]
