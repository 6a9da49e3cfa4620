"""Restoring: what a backup's folder holds, what would be done with it, and doing it."""
