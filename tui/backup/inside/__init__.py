"""Looking into the disks of a backup: file systems, folders and files, read-only and with nothing mounted."""
