"""Regular expressions of a person, some of which take for ever on some texts: each search has a time limit."""

import re
import signal

WITHIN = 0.25
"""Seconds that a search may take."""


class _TooSlowError(Exception):
    """A search took too long."""


def search(pattern: str, text: str) -> bool:
    """Whether a pattern finds something in a text in time; a wrong one does not. Only for the main thread."""
    return bool(_found(pattern, text))


def is_slow(pattern: str) -> bool:
    """Whether a pattern takes too long on a text that is made for that, out of one of its characters."""
    return any(_found(pattern, f"{each * 40}\0") is None for each in sorted({*pattern, "0"}))


def _found(pattern: str, text: str) -> bool | None:
    """None: it took too long."""
    before = signal.signal(signal.SIGALRM, _ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, WITHIN)
        return re.search(pattern, text, re.IGNORECASE) is not None
    except _TooSlowError:
        return None
    except re.error:
        return False
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _ring(*_: object) -> None:
    raise _TooSlowError
