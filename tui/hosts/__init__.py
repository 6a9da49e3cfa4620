"""Where guests live: the port every room speaks to, and its libvirt adapter."""
