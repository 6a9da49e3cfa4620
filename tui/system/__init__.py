"""This machine: its processes, signals and streams, known to every room."""
