"""Entry: what the user typed, handed to the verb it names. Imports textual and libvirt only where a verb needs them."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence

from tui.cli import parser
from tui.model.errors import ExplainedError
from tui.model.text import printable

logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code. No traceback reaches the terminal: the log keeps it."""
    options = parser.parse(sys.argv[1:] if argv is None else argv)
    own_failure = parser.EXEC_OWN_FAILURE if options.verb == "exec" else parser.OWN_FAILURE
    from tui.cli.log import log_path, start_log

    start_log()
    try:
        return _run(options)
    except ExplainedError as error:
        logger.warning("%s [%s]", error.one_line(), error.original)
        complain(error.one_line())
        return own_failure
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read the output has left; nothing may be written at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return own_failure
    except Exception:
        logger.exception("internal error")
        complain(f"internal error; the details are in {log_path()}")
        return own_failure


def complain(line: str) -> None:
    """One line on standard error."""
    print(f"qga-tui: {printable(line)}", file=sys.stderr)


def _run(options: argparse.Namespace) -> int:
    from tui.cli.connect import chosen_uris

    uris = chosen_uris(options.uris)
    match options.verb:
        case None:
            from tui.cli.app_verb import run_app

            return run_app(uris)
        case "demo":
            from tui.cli.demo_verb import run_app_with_demo, run_headless

            return run_headless(tied=options.tied) if options.headless else run_app_with_demo()
        case "list":
            from tui.cli.list_verb import run_list

            return run_list(uris, as_json=options.json)
        case "exec":
            from tui.cli.exec_verb import run_exec

            return run_exec(uris, options.guest, options.program, options.timeout)
        case "backup":
            from tui.cli.backup_verb import run_backup

            return run_backup(uris, options.guest, options.to, as_json=options.json)
        case _:
            from tui.cli.workers import run_hidden

            return run_hidden(options.verb, options.folder)
