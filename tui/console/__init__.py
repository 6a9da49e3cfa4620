"""Commands run in guests: sessions and their output."""
