"""Runs every benchmark of this folder, or those named: `python -m tests.bench [NAME...]`."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path


def main(wanted: list[str]) -> None:
    """Run them one after another; each prints its own ratios."""
    for path in sorted(Path(__file__).parent.glob("bench_*.py")):
        name = path.stem.removeprefix("bench_")
        if not wanted or name in wanted:
            print(f"== {name.replace('_', ' ')}", flush=True)
            importlib.import_module(f"tests.bench.{path.stem}").main()


if __name__ == "__main__":
    main(sys.argv[1:])
