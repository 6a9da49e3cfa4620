"""Live backups: plan, engine, journal, copy and verification, in a process of their own."""
