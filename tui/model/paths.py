"""A path of this machine as a user types it."""

from __future__ import annotations

import os
from pathlib import Path

from tui.model.errors import ExplainedError

MUST_BEGIN = "The path must begin with / or ~"


def typed_path(typed: str, *, may_be_relative: bool = False) -> Path:
    """The path that is meant, ~ and ~name being home folders; raises ExplainedError where it cannot be one.

    A relative one is refused unless it may be: whoever reads it later may stand in another folder.
    """
    try:
        os.fsencode(typed)
        path = Path(typed).expanduser()
    except RuntimeError as error:
        name = typed.partition("/")[0].removeprefix("~") or "this user"
        raise ExplainedError(f"No home folder of {name} is known", next_step="Name the folder from / on.") from error
    except ValueError as error:
        raise ExplainedError("The path holds characters that no path can hold", original=str(error)) from error
    if "\0" in typed:
        raise ExplainedError("The path holds characters that no path can hold", original="null byte")
    if not (path.is_absolute() or may_be_relative):
        raise ExplainedError(MUST_BEGIN)
    return path
