"""What can go wrong with an engine, in words for the person at the terminal."""


class EngineFailedError(Exception):
    """No engine came up; the message says why, as far as it is known, and where to look."""
