"""Entry: what the user typed, handed to the verb it names."""

from __future__ import annotations


def main() -> int:
    """Run the command line; returns the exit code."""
    return 0
