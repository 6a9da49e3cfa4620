"""The live list of guests: events and probes folded into immutable values."""
