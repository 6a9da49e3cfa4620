"""Entry: what the user typed, handed to the verb it names. Imports textual and libvirt only where a verb needs them."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Sequence

from tui.cli import parser
from tui.model.errors import ExplainedError
from tui.model.text import printable
from tui.system.descriptors import allow_many_descriptors
from tui.system.streams import own_the_streams, silence_stdout

logger = logging.getLogger(__name__)
INTERRUPTED = 130
"""128 + SIGINT, as shells count."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code. No traceback reaches the terminal: the log keeps it."""
    try:
        options = parser.parse(sys.argv[1:] if argv is None else argv)
        return _guarded(options, parser.EXEC_OWN_FAILURE if options.verb == "exec" else parser.OWN_FAILURE)
    except KeyboardInterrupt:
        return INTERRUPTED


def _guarded(options: argparse.Namespace, own_failure: int) -> int:
    from tui.cli.log import MAIN, log_path, start_log, tell_of_threads

    kind = options.verb if options.verb in parser.HIDDEN else MAIN
    start_log(kind)
    tell_of_threads()
    own_the_streams()
    allow_many_descriptors()
    try:
        code = _run(options)
        sys.stdout.flush()
    except ExplainedError as error:
        logger.warning("%s [%s]", error.one_line(), error.original)
        complain(error.one_line())
    except BrokenPipeError:
        silence_stdout()
    except OSError as error:
        logger.exception("input or output failed")
        complain(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")
        silence_stdout()
    except Exception:
        logger.exception("internal error")
        complain(f"internal error; the details are in {log_path(kind)}")
    else:
        return code
    return own_failure


def complain(line: str) -> None:
    """One line on standard error."""
    print(f"qga-tui: {printable(line)}", file=sys.stderr)


def _run(options: argparse.Namespace) -> int:
    from tui.cli.connect import chosen_uris

    if parser.would_change(options):
        _refuse_where_read_only(options)
    return _VERBS.get(options.verb, _hidden)(chosen_uris(options.uris), options)


def _is_read_only(options: argparse.Namespace) -> bool:
    from tui.settings import load_config

    return options.read_only or load_config().read_only


def _refuse_where_read_only(options: argparse.Namespace) -> None:
    from tui.settings import config_path

    if not _is_read_only(options):
        return
    way_out = "Leave --read-only away." if options.read_only else f"It is switched on by read_only in {config_path()}."
    raise ExplainedError(
        f"Nothing was done: this is read-only mode, and {options.verb} with these words changes something",
        next_step=way_out,
    )


def _app(uris: Sequence[str], options: argparse.Namespace) -> int:
    from tui.cli.terminal import need_terminal

    need_terminal()
    from tui.cli.app_verb import leave, run_app

    return leave(run_app(uris, read_only=options.read_only))


def _demo(_uris: Sequence[str], options: argparse.Namespace) -> int:
    from tui.cli.app_verb import leave
    from tui.cli.demo_verb import run_app_with_demo, run_headless
    from tui.cli.terminal import need_terminal

    if options.headless:
        return run_headless(tied=options.tied)
    need_terminal()
    return leave(run_app_with_demo(read_only=options.read_only))


def _list(uris: Sequence[str], options: argparse.Namespace) -> int:
    from tui.cli.list_verb import run_list

    return run_list(uris, as_json=options.json)


def _exec(uris: Sequence[str], options: argparse.Namespace) -> int:
    from tui.cli.exec_options import ExecOptions
    from tui.cli.exec_verb import run_exec

    return run_exec(uris, ExecOptions.of(options))


def _doctor(uris: Sequence[str], options: argparse.Namespace) -> int:
    from tui.cli.doctor_verb import run_doctor

    return run_doctor(uris, options.guest, options.shape, watch=options.watch, read_only=_is_read_only(options))


def _backup(uris: Sequence[str], options: argparse.Namespace) -> int:
    from tui.cli.backup_verb import BackupWish, run_backup

    return run_backup(uris, BackupWish.of(options))


def _jobs(_uris: Sequence[str], options: argparse.Namespace) -> int:
    from tui.cli.jobs_verb import JobsWish, run_jobs

    return run_jobs(JobsWish(options.run, options.cancel, options.settle, options.limit, options.json))


def _verify(_uris: Sequence[str], options: argparse.Namespace) -> int:
    from tui.cli.verify_verb import run_verify

    return run_verify(options.folder, as_json=options.json)


def _restore(uris: Sequence[str], options: argparse.Namespace) -> int:
    from tui.cli.restore_verb import RestoreWish, run_restore

    return run_restore(uris, RestoreWish.of(options))


def _rescue(uris: Sequence[str], options: argparse.Namespace) -> int:
    from tui.cli.rescue_verb import RescueWish, run_rescue

    return run_rescue(uris, RescueWish(tuple(options.guests), options.apply, options.confirm, options.json))


def _hidden(_uris: Sequence[str], options: argparse.Namespace) -> int:
    from tui.cli.workers import run_hidden

    return run_hidden(options.verb, options.folder)


_VERBS: dict[str | None, Callable[[Sequence[str], argparse.Namespace], int]] = {
    None: _app,
    "demo": _demo,
    "list": _list,
    "exec": _exec,
    "doctor": _doctor,
    "backup": _backup,
    "jobs": _jobs,
    "verify": _verify,
    "restore": _restore,
    "rescue": _rescue,
}
"""What each verb does; each imports what it needs, so that `--help` imports nothing."""
