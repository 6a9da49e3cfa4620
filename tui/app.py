"""The application: hosts in, screens out."""
