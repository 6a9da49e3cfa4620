"""Where the style sheets are, in the order in which they apply."""

from __future__ import annotations

from pathlib import Path, PurePath

PACKAGE = Path(__file__).parent.parent

STYLES = (
    "base.tcss",
    "dialogs.tcss",
    "guests.tcss",
    "details.tcss",
    "console.tcss",
    "many.tcss",
    "backup.tcss",
    "doctor.tcss",
    "rescue.tcss",
    "restore.tcss",
)


def style_paths() -> list[str | PurePath]:
    """The style sheets in their order: beside the package once installed, else in the repository."""
    repository = PACKAGE.parent / "styles"
    folder = repository if repository.is_dir() else PACKAGE / "styles"
    return [folder / name for name in STYLES]
