"""Definitions of domains that others wrote, for properties that hold over all of them."""
