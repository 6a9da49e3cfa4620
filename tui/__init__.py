"""qga-tui: see, use and back up QEMU/KVM guests through their guest agent, from a terminal."""

__version__ = "0.1.0"
