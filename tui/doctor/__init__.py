"""Why an agent does not answer, in words, and what mends it."""
