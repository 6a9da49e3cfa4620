"""What may be typed on the command line. Imports nothing that costs time: `--help` is answered from here."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import NoReturn, TypeAlias

from tui import __version__
from tui.model.quantities import a_number, a_rate

OWN_FAILURE = 2
"""Exit code for wrong usage and for failures of the program's own."""

EXEC_OWN_FAILURE = 255
"""The same for `exec`, whose smaller codes are the guest's."""

MOST_AT_ONCE = 256
"""Guests that `exec --parallel` may ask at a time."""

HIDDEN = ("backup-worker", "thaw-watchdog")
"""The verbs of processes that the program starts itself."""

EXEC_USAGE = (
    "qga-tui exec [-c URI] GUEST [--stdin] [--cwd D] [--env K=V]... [--encoding E] "
    "[--timeout S] [--wait S] [--json] "
    "-- PROGRAM [ARG ...]\n"
    "       qga-tui exec ... GUEST ... --shell sh|cmd|powershell -- 'one line'\n"
    "       qga-tui exec ... --all | --match PATTERN [--parallel N] [--stop-at-first-failure] ... -- PROGRAM [ARG ...]"
)


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line and leaves with the exit code that the verb promises."""

    own_failure = OWN_FAILURE

    def error(self, message: str) -> NoReturn:
        """Leave, saying why."""
        self.exit(self.own_failure, f"{self.prog}: {message} (see {self.prog} --help)\n")


VerbAdder: TypeAlias = Callable[..., Parser]
"""The `add_parser` of the verbs' parsers; argparse has no public name for what it belongs to."""


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """What the user wants; `verb` is None for the app. Leaves by SystemExit on wrong usage and for --help.

    Everything after the first `--` is a program for the guest: its words are never read as options of ours.
    """
    head, dashes, program = _split_at_dashes(argv)
    parser = build_parser()
    options, unknown = parser.parse_known_args(head)
    owner: Parser = getattr(options, "parser", parser)
    if unknown:
        hint = "; the program stands behind --" if options.verb == "exec" and not dashes else ""
        owner.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
    if options.verb == "exec" and not program:
        owner.error("name the program to run after --")
    if options.verb == "exec" and sum(map(bool, (options.guest, options.all, options.match))) != 1:
        owner.error("name one guest, or --all, or --match PATTERN")
    if options.verb == "exec" and options.guest and (options.parallel or options.stop_at_first_failure):
        owner.error("--parallel and --stop-at-first-failure are for --all and --match")
    if options.verb != "exec" and dashes:
        owner.error("-- is for exec alone")
    if options.verb == "doctor" and options.all == bool(options.guest):
        owner.error("name a guest, or --all")
    if options.verb == "doctor" and options.all and options.watch:
        owner.error("--watch is for one guest")
    if options.verb == "restore":
        _check_restore(owner, options)
    options.program = program
    options.uris = (*options.uris, *getattr(options, "verb_uris", ()))
    return options


def _check_restore(owner: Parser, options: argparse.Namespace) -> None:
    if options.name and (options.in_place or options.undo or options.attach):
        owner.error("--as is for a clone")
    if options.attach and not options.disk:
        owner.error("--attach is for --disk")
    if options.attach and options.in_place:
        owner.error("--attach and --in-place exclude each other")
    if options.to and (options.in_place or options.undo):
        owner.error("--to is for a clone or --disk")
    if options.disk and (options.boot_test or options.undo):
        owner.error("--disk is not for --boot-test or --undo")
    if options.disk and not (options.to or options.attach or options.in_place or options.name):
        owner.error("--disk needs --in-place, --as NAME, --to PATH or --attach GUEST")
    if options.stop != "none" and not options.in_place:
        owner.error("--stop is for --in-place")


def would_change(options: argparse.Namespace) -> bool:
    """Whether what was typed changes a guest, a backup or a run: what read-only mode refuses."""
    match options.verb:
        case "exec":
            return True
        case "backup" | "restore":
            return not options.dry_run
        case "rescue":
            return bool(options.apply)
        case "jobs":
            return bool(options.cancel or options.settle or options.limit is not None)
        case _:
            return False


def _split_at_dashes(argv: Sequence[str]) -> tuple[list[str], bool, list[str]]:
    words = list(argv)
    if "--" not in words:
        return words, False, []
    place = words.index("--")
    return words[:place], True, words[place + 1 :]


def build_parser() -> Parser:
    """The whole command line."""
    parser = Parser(
        prog="qga-tui",
        description="See, use and back up QEMU/KVM guests through their guest agent. Without a verb: the program.",
    )
    parser.add_argument("--version", action="version", version=f"qga-tui {__version__}")
    _add_uris(parser, "uris")
    parser.add_argument("--read-only", action="store_true", help="refuse whatever changes a guest")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", parser_class=Parser)
    saving = (_add_backup, _add_jobs, _add_verify, _add_restore, _add_rescue)
    for add_verb in (_add_demo, _add_list, _add_exec, _add_doctor, *saving):
        add_verb(verbs.add_parser)
    for hidden in HIDDEN:
        verbs.add_parser(hidden).add_argument("folder")
    return parser


def _add_demo(add_verb: VerbAdder) -> None:
    demo = add_verb("demo", help="the program with six small real guests of its own")
    demo.add_argument("--headless", action="store_true", help="only run the guests: prints their URI, ends on SIGINT")
    demo.add_argument("--tied", action="store_true", help=argparse.SUPPRESS)


def _add_list(add_verb: VerbAdder) -> None:
    listing = add_verb("list", help="every guest with the true state of its agent")
    _add_uris(listing, "verb_uris")
    listing.add_argument("--json", action="store_true", help="for scripts")


def _add_exec(add_verb: VerbAdder) -> None:
    execute = add_verb("exec", help="run a program in a guest", usage=EXEC_USAGE, description=EXEC_HELP)
    execute.own_failure = EXEC_OWN_FAILURE
    execute.set_defaults(parser=execute)
    _add_uris(execute, "verb_uris")
    execute.add_argument("guest", metavar="GUEST", nargs="?", help=GUEST_HELP)
    execute.add_argument("--all", action="store_true", help="in every running guest; exits with the worst code")
    execute.add_argument("--match", metavar="PATTERN", help="in every running guest whose name matches, as in web*")
    execute.add_argument("--shell", choices=("sh", "bash", "cmd", "powershell"), help="one line for this shell")
    execute.add_argument("--stdin", action="store_true", help="hand our standard input to the program")
    execute.add_argument("--cwd", metavar="D", default="", help="the folder in the guest in which it runs")
    execute.add_argument("--env", metavar="K=V", action="append", default=[], type=_pair, help="may be repeated")
    execute.add_argument("--encoding", metavar="E", default="auto", help="of its output, for a terminal and for --json")
    execute.add_argument("--json", action="store_true", help="one object per guest in place of its output")
    execute.add_argument("--wait", metavar="S", type=_seconds, help=WAIT_HELP)
    execute.add_argument("--parallel", metavar="N", type=_count, help="of many guests, N at a time (default 8)")
    execute.add_argument("--stop-at-first-failure", action="store_true", help=STOP_HELP)
    execute.add_argument("--timeout", metavar="S", type=_seconds, help="seconds after which it is ended in the guest")


def _add_doctor(add_verb: VerbAdder) -> None:
    doctor = add_verb("doctor", help="why a guest's agent does not answer, and what mends it")
    doctor.set_defaults(parser=doctor)
    _add_uris(doctor, "verb_uris")
    doctor.add_argument("guest", metavar="GUEST", nargs="?", help=GUEST_HELP)
    doctor.add_argument("--all", action="store_true", help="every guest, grouped by cause, the worst first")
    doctor.add_argument("--watch", action="store_true", help="tell every change until interrupted")
    shape = doctor.add_mutually_exclusive_group()
    shape.add_argument("--json", dest="shape", action="store_const", const="json", help="for scripts")
    shape.add_argument("--markdown", dest="shape", action="store_const", const="markdown", help="for a ticket")
    doctor.set_defaults(shape="text")


def _add_backup(add_verb: VerbAdder) -> None:
    backup = add_verb("backup", help="back guests up while they run")
    _add_uris(backup, "verb_uris")
    backup.add_argument("guests", metavar="GUEST", nargs="+", help=f"{GUEST_HELP}; several are done one by one")
    backup.add_argument("--to", metavar="FOLDER", required=True, help="where the backup's folder is made")
    backup.add_argument("--disk", metavar="TARGET", action="append", default=[], help="only this one (vda); repeatable")
    backup.add_argument("--quiesce", choices=("required", "preferred", "off"), default="required", help=QUIESCE_HELP)
    backup.add_argument("--compact", action="store_true", help="compressed qcow2 copies instead of the same bytes")
    backup.add_argument("--source", choices=("auto", "file", "stream"), default="auto", help=SOURCE_HELP)
    backup.add_argument("--overlays", metavar="FOLDER", default="", help=OVERLAYS_HELP)
    backup.add_argument("--accept", metavar="NAME", action="append", default=[], help="be without what cannot be saved")
    backup.add_argument("--limit", metavar="MB/S", type=_megabytes, default=0, help="bound the copy's rate")
    backup.add_argument("--dry-run", action="store_true", help="show the checks and the plan, do nothing")
    backup.add_argument("--json", action="store_true", help="one line per step and per progress tick, for scripts")


def _add_jobs(add_verb: VerbAdder) -> None:
    jobs = add_verb("jobs", help="backups that run, ended or need rescue")
    jobs.add_argument("run", metavar="RUN", nargs="?", default="", help="one of them, by its id")
    jobs.add_argument("--cancel", action="store_true", help="merge the guest back safely and give the copy up")
    jobs.add_argument("--settle", action="store_true", help="pause the guest until its disks are merged")
    jobs.add_argument("--limit", metavar="MB/S", type=_megabytes, help="bound its copy's rate from now on; 0 is none")
    jobs.add_argument("--json", action="store_true", help="for scripts")


def _add_verify(add_verb: VerbAdder) -> None:
    verify = add_verb("verify", help="read a backup's folder anew: every sum, every image")
    verify.add_argument("folder", metavar="FOLDER")
    verify.add_argument("--json", action="store_true", help="for scripts")


def _add_restore(add_verb: VerbAdder) -> None:
    restore = add_verb("restore", help="bring a backup back: beside its guest, in place, or disks of it alone")
    restore.set_defaults(parser=restore)
    _add_uris(restore, "verb_uris")
    restore.add_argument("folder", metavar="FOLDER", help="the backup's")
    way = restore.add_mutually_exclusive_group()
    way.add_argument("--in-place", action="store_true", help="in place of its guest; the present images are kept aside")
    way.add_argument("--boot-test", action="store_true", help="boot a clone without network, ask its agent, remove it")
    way.add_argument("--undo", action="store_true", help="put back what the last restore of this backup replaced")
    restore.add_argument(
        "--as", dest="name", metavar="NAME", default="", help="the clone's name (default: as NAME-restored)"
    )
    restore.add_argument(
        "--disk",
        metavar="TARGET",
        action="append",
        default=[],
        help="this disk alone (vda), with --in-place, --as, --to or --attach; repeatable",
    )
    restore.add_argument(
        "--to",
        metavar="PATH",
        default="",
        help="of one disk's image; a folder for those of several, or for a clone's folder",
    )
    restore.add_argument(
        "--attach", metavar="GUEST", default="", help="give the disks to this running guest, read-only"
    )
    restore.add_argument("--link-up", action="store_true", help="leave a clone's network links as they were")
    restore.add_argument(
        "--stop", choices=("shutdown", "force"), default="none", help="put the guest off for --in-place"
    )
    restore.add_argument("--change", metavar="CHANGE", action="append", default=[], help=CHANGE_HELP)
    restore.add_argument("--accept", metavar="NAME", action="append", default=[], help=ACCEPT_HELP)
    restore.add_argument("--limit", metavar="MB/S", type=_megabytes, default=0, help="bound the copy's rate")
    restore.add_argument("--dry-run", action="store_true", help="show the findings and the plan, do nothing")
    restore.add_argument("--json", action="store_true", help="one line per step and per progress tick, for scripts")


def _add_rescue(add_verb: VerbAdder) -> None:
    rescue = add_verb("rescue", help="what backups left behind, and setting it right")
    _add_uris(rescue, "verb_uris")
    rescue.add_argument("guests", metavar="GUEST", nargs="*", help="all guests without one")
    rescue.add_argument("--apply", action="store_true", help="go the one safe way; without it, nothing is changed")
    rescue.add_argument("--confirm", metavar="GUEST", default="", help="merge what another tool left on this guest")
    rescue.add_argument("--json", action="store_true", help="for scripts")


EXEC_HELP = (
    "Run a program in a guest with exact arguments, no shell; its output streams to standard output and error. "
    "Exits with the program's code, 128 + signal, 124 on timeout, 255 for failures of qga-tui's own."
)
WAIT_HELP = "wait up to S seconds for an agent that does not answer yet, as after a start or a reboot"
STOP_HELP = "of many guests, start in no further one once one failed; those that run are not ended"
CHANGE_HELP = "what is offered where this host lacks something, as in network:default=lan; repeatable"
ACCEPT_HELP = (
    "restore it though it is broken; moments: take disks of then beside others of now; users: though it is not known "
    "whether other guests use the images; devices: boot test without the first guest's folders and devices; repeatable"
)
QUIESCE_HELP = (
    "freeze the guest's file systems: no backup without it (required, the default), if it can be, or not at all"
)
SOURCE_HELP = (
    "read the images as files, through libvirt's storage streams, or as files where this user may (auto, the default)"
)
OVERLAYS_HELP = (
    "where guests write to while they are backed up (default: beside their images; for devices, the roomiest folder of "
    "images)"
)
GUEST_HELP = "its name, its UUID or HOST/NAME"


def _add_uris(parser: argparse.ArgumentParser, destination: str) -> None:
    parser.add_argument(
        "-c",
        "--connect",
        dest=destination,
        metavar="URI",
        action="append",
        default=[],
        help="libvirt URI; may be repeated (default: $LIBVIRT_DEFAULT_URI, else qemu:///system)",
    )


def _pair(text: str) -> str:
    if not text.partition("=")[1]:
        raise argparse.ArgumentTypeError(f"not NAME=VALUE: {text}")
    return text


def _megabytes(text: str) -> int:
    try:
        return a_rate(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _count(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text[:6]) <= MOST_AT_ONCE:
        raise argparse.ArgumentTypeError(f"not a number from 1 to {MOST_AT_ONCE}: {text}")
    return int(text)


def _seconds(text: str) -> float:
    value = a_number(text)
    if not 0 < value < 10**7:
        raise argparse.ArgumentTypeError(f"not a number of seconds: {text}")
    return value
