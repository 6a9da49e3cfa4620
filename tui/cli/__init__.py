"""The command line: verbs on the same functions as the screens."""
