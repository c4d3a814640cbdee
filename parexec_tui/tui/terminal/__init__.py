"""Our end of the terminal: what is written to it, and that it is restored."""
