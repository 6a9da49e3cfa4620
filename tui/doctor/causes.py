"""Every cause the doctor can name: how it is recognised, what is said, what mends it. README shows them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Cause(StrEnum):
    """A class of trouble as fine as the host can honestly tell, and no finer; in the order in which they are worst."""

    HOST_UNREACHABLE = "host-unreachable"
    GUEST_GONE = "guest-gone"
    PANICKED = "panicked"
    FROZEN = "frozen"
    SILENT = "open-no-answer"
    HELD_BY_OTHER = "held-by-another-program"
    NO_ANSWER_YET = "no-answer-yet"
    LINK_BROKEN = "link-broken"
    GARBLED = "garbled-answers"
    FLAPPING = "flapping"
    WENT_AWAY = "went-away"
    NEVER_OPENED = "never-opened"
    PORT_CLOSED = "port-closed"
    NO_CONTROLLER = "no-channel-no-controller"
    NO_CHANNEL = "no-channel"
    STORED_ONLY = "channel-only-stored"
    WRONG_NAME = "channel-of-another-name"
    NOT_A_SOCKET = "channel-not-a-unix-socket"
    ISA_SERIAL = "agent-on-a-serial-port"
    TWO_CHANNELS = "two-channels"
    NOT_ALLOWED = "may-not-ask"
    BUSY = "busy"
    BLOCKED = "commands-blocked"
    TOO_OLD = "agent-too-old"
    EXEC_DENIED = "programs-denied"
    NOT_ROOT = "agent-not-root"
    LIVE_ONLY = "channel-only-live"
    CLOCK_OFF = "clock-off"
    PAUSED = "paused"
    OFF = "off"
    UNKNOWN = "unknown"
    AT_WORK = "backup-at-work"
    HEALTHY = "healthy"


@dataclass(frozen=True, slots=True)
class Possibility:
    """A cause that fits the same evidence, and what would tell it from the others."""

    what: str
    tells: str


@dataclass(frozen=True, slots=True)
class CauseWords:
    """How a cause is recognised and told; `said` has {fields} that the check which found it fills in."""

    recognised: str
    said: str
    mends: str
    others: tuple[Possibility, ...] = ()


BOOTING = Possibility("it is still booting", "wait: this turns green by itself")
NO_DRIVER = Possibility("Windows lacks the vioserial driver", "Device Manager: an unknown PCI device")
_NOTHING_INSIDE = (
    BOOTING,
    Possibility("no agent is installed", "the package qemu-guest-agent is missing"),
    Possibility("its service does not run", "systemctl status qemu-guest-agent: inactive"),
    NO_DRIVER,
)
PANICS = frozenset({"kernel panic", "crashed"})
"""libvirt's words for how a domain whose kernel crashed came to its state."""
_START_IT = "Install the agent in the guest and start its service; on Windows the vioserial driver comes first."

CAUSES: dict[Cause, CauseWords] = {
    Cause.HOST_UNREACHABLE: CauseWords(
        "no connection to libvirt",
        "The host cannot be reached: {why}.",
        "What the line says; try the same with `virsh -c URI list`.",
    ),
    Cause.GUEST_GONE: CauseWords(
        "libvirt has no such domain",
        "There is no such guest on this host any more.",
        "See which guests there are: `qga-tui list`.",
    ),
    Cause.PANICKED: CauseWords(
        "the domain is crashed (a panic device reported it)",
        "The guest's kernel crashed: {why}.",
        "Look at its console or dump, then reset it: `virsh reset`, or `virsh destroy` and `virsh start`.",
    ),
    Cause.FROZEN: CauseWords(
        "`guest-fsfreeze-status` answers `frozen`",
        "The agent answers, but the guest's file systems are frozen{since}: programs that write in it hang.",
        "Thaw it, unless a backup is at work: `virsh domfsthaw`.",
    ),
    Cause.SILENT: CauseWords(
        "the port is open and `guest-sync`/`guest-ping` gets no answer (error 86, 112)",
        "Something in the guest has the agent's port open, but does not answer{patience}.",
        "Restart the agent in the guest; if its console is dead too, reset the guest.",
        (
            Possibility("the agent is stopped or hung", "in the guest, ps: state T or D"),
            Possibility("its policy blocks guest-sync", "it never answered; see block-rpcs"),
            Possibility("the guest's kernel panicked or hangs", "its console is dead too"),
            Possibility("another program holds the channel", "on the host: ss -xp"),
        ),
    ),
    Cause.HELD_BY_OTHER: CauseWords(
        "`ss -xp` on the host: not libvirt, but another program is connected to the channel's socket",
        "Another program on the host, {who}, is connected to the agent's socket in libvirt's place.",
        "End that program, or have it use libvirt (`virsh qemu-agent-command`); libvirt then takes over by itself.",
    ),
    Cause.NO_ANSWER_YET: CauseWords(
        "no answer within 7 s, and libvirt's call still waits: for the agent, or for its turn",
        "No answer yet after {waited}: the agent is silent, or busy with another program's command.",
        "Wait for libvirt's word, which tells the two apart; restart nothing before.",
        (
            Possibility("another program's command has its turn", "libvirt says so after 30 s"),
            Possibility("the agent is silent", "libvirt gives up on it after 10 s"),
            Possibility("the host is overloaded", "look again: the answer is late, but comes"),
        ),
    ),
    Cause.LINK_BROKEN: CauseWords(
        "error 86 with “due to an error”, or 38 after a reply over 10 MiB",
        "libvirt gave up on the link to the agent, for every program: {why}.",
        "Detach and attach the channel live, or kill the agent in the guest with SIGKILL; its service restarts it.",
    ),
    Cause.GARBLED: CauseWords(
        "the reply is not what the agent's protocol promises",
        "Something answers on the agent's port, but not as a guest agent does: {why}.",
        "See which program in the guest has the port open; restart the agent.",
    ),
    Cause.FLAPPING: CauseWords(
        "the port closed three times or more within ten minutes, as the events said",
        "The agent comes and goes: its port closed {count} times in {span}.",
        "See in the guest's log why it ends: `journalctl -u qemu-guest-agent`.",
        (
            Possibility("it crashes or is killed", "the guest's log, or dmesg: OOM killer"),
            Possibility("two agents fight for the port", "in the guest: ps shows two qemu-ga"),
            Possibility("the guest reboots again and again", "its uptime is small"),
            Possibility("somebody restarted it while mending", "wait a minute: this turns green by itself"),
        ),
    ),
    Cause.WENT_AWAY: CauseWords(
        "the port is closed, and was open since the guest's start (an event, or libvirt's mark of an agent command)",
        "The agent was there and went away{since}: nothing in the guest has its port open now.",
        "Start its service in the guest again, and see in its log why it ended.",
        (
            Possibility("the service was stopped or failed", "systemctl status qemu-guest-agent"),
            Possibility("the guest is rebooting", "wait: this turns green by itself"),
            Possibility("the package is being updated", "it comes back within a minute"),
        ),
    ),
    Cause.NEVER_OPENED: CauseWords(
        "the port is closed, the start was seen, and no opening since",
        "The agent's port was never opened since the guest started {ago} ago: {guess}.",
        _START_IT,
        _NOTHING_INSIDE,
    ),
    Cause.PORT_CLOSED: CauseWords(
        "the port is closed, and nothing tells whether it was open before we looked",
        "Nothing in the guest has the agent's port open{ago}: {guess}.",
        _START_IT,
        (*_NOTHING_INSIDE, Possibility("the agent ran and ended", "its log in the guest")),
    ),
    Cause.NO_CONTROLLER: CauseWords(
        "neither a channel `org.qemu.guest_agent.0` nor a virtio-serial controller in the running XML (error 74)",
        "The guest has no agent channel, and no virtio-serial controller to plug one into while it runs.",
        "Add the channel to the stored XML: needs a full power cycle, a reboot is not enough.",
    ),
    Cause.NO_CHANNEL: CauseWords(
        "no channel `org.qemu.guest_agent.0` in the running XML, but a virtio-serial controller (error 74)",
        "The guest has no agent channel; it has a controller, so that one can be plugged in while it runs.",
        "Attach the channel, live and in the stored XML.",
    ),
    Cause.STORED_ONLY: CauseWords(
        "the channel is in the stored XML alone",
        "The agent channel waits in the stored definition: the running guest was started before it was added.",
        "Shut the guest down and start it again; a reboot is not enough. With a controller: attach it live too.",
    ),
    Cause.WRONG_NAME: CauseWords(
        "a virtio channel whose name is nearly `org.qemu.guest_agent.0`",
        "The guest's channel is named {name}; libvirt looks for org.qemu.guest_agent.0 alone.",
        "Attach a channel of the right name; the other one may stay.",
    ),
    Cause.NOT_A_SOCKET: CauseWords(
        "the channel's source is not `unix`",
        "The agent channel is of the kind {kind}; libvirt speaks to the agent through a unix socket alone.",
        "Change it to `<channel type='unix'>` in the stored XML, then power cycle.",
    ),
    Cause.ISA_SERIAL: CauseWords(
        "no virtio channel, but a serial port with a socket behind it",
        "The guest has no virtio channel, but {name} leads to a socket: an agent there is out of libvirt's sight.",
        "Attach a virtio channel, and start the agent with its default method.",
        (
            Possibility(
                "that port is for something else", "in the guest: qemu-ga runs with --method=isa-serial, or not"
            ),
        ),
    ),
    Cause.TWO_CHANNELS: CauseWords(
        "two channels of the agent's name in the XML",
        "The definition has {count} channels of the agent's name; libvirt uses the first, the guest maybe another.",
        "Remove all but one from the stored XML, then power cycle.",
    ),
    Cause.NOT_ALLOWED: CauseWords(
        "a read-only connection, or libvirt's access control refuses",
        "This connection may look at the guest, but not speak to its agent.",
        "Connect with write access: as root, or as a member of the group libvirt.",
    ),
    Cause.BUSY: CauseWords(
        "error 68 after 30 s: another program's call holds the domain's agent job, and libvirt names it",
        "The agent is busy with another program's command, {holder}.",
        "Wait for it; a freeze with a slow hook can take minutes.",
    ),
    Cause.BLOCKED: CauseWords(
        "`guest-info` lists commands as disabled",
        "The agent is fine, but its configuration blocks {commands}: {consequence}.",
        "Allow them in the agent's configuration, then restart the agent.",
    ),
    Cause.TOO_OLD: CauseWords(
        "`guest-info` does not list a command at all",
        "The agent ({version}) is too old to know {commands}: {consequence}.",
        "Update qemu-guest-agent in the guest.",
    ),
    Cause.EXEC_DENIED: CauseWords(
        "a harmless trial program could not be run in the guest",
        "The agent may start programs, but the guest's system does not let it: {why}.",
        "Look for SELinux, noexec or fapolicyd in the guest, as the line says.",
        (
            Possibility("SELinux confines the agent", "in the guest: ausearch -m avc -c qemu-ga"),
            Possibility("the file system is mounted noexec", "in the guest: findmnt -O noexec"),
            Possibility("fapolicyd refuses it", "in the guest: fapolicyd-cli --list"),
        ),
    ),
    Cause.NOT_ROOT: CauseWords(
        "the trial program ran under another user than root",
        "The agent does not run as root, but as user {user}: files and freezing may fail.",
        "Let the service run as root.",
    ),
    Cause.LIVE_ONLY: CauseWords(
        "the channel is in the running XML alone",
        "The agent's channel is in the running definition alone: it is gone after the next power cycle.",
        "Add the channel to the stored XML too.",
    ),
    Cause.CLOCK_OFF: CauseWords(
        "`guest-get-time` differs from the host's clock",
        "The agent works; the guest's clock is {off} off the host's.",
        "Set it: `virsh domtime --sync`, and run a time service in the guest.",
    ),
    Cause.PAUSED: CauseWords(
        "the domain is paused (error 55)",
        "The guest is paused: {why}.",
        "Resume it.",
    ),
    Cause.OFF: CauseWords(
        "the domain is off",
        "The guest is off: {why}.",
        "Start it: `p` in the list, or `virsh start`.",
    ),
    Cause.UNKNOWN: CauseWords(
        "the host does not report what would tell",
        "The host does not say enough: {why}.",
        "Look at the guest with `virsh dumpxml`.",
    ),
    Cause.AT_WORK: CauseWords(
        "a backup of ours works on the guest",
        "{who}; its agent is not asked until that has ended.",
        "Wait for the backup, or look at it with `b` in the list.",
    ),
    Cause.HEALTHY: CauseWords(
        "all checks passed",
        "The agent is well: it answers in {ping}{able}.",
        "Nothing to mend.",
    ),
}

_WORST = {cause: place for place, cause in enumerate(Cause)}


def badness(cause: Cause) -> int:
    """The place of a cause when the worst come first."""
    return _WORST[cause]
