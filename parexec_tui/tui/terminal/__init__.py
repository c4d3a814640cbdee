"""The terminal: what is written to it, what is read from it, and how it is restored."""
