"""What the program talks about: frozen values, free of I/O."""
