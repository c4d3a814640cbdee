"""What happens when memory is short: whom the kernel ends first, and how one sees that it did.

Attempts are to be ended rather than the engine that looks after them, so each makes itself a likelier victim than
the engine is.
"""

from functools import cache
from pathlib import Path
from typing import Final

_SCORE = "/proc/self/oom_score_adj"

_LIKELIER: Final = 200
"""Added to the score of the engine, in thousandths of all memory."""

_HIGHEST: Final = 1000


@cache
def exposing() -> str:
    """A line for the shell of an attempt, which offers itself; empty where the kernel has no such score."""
    try:
        ours = int(Path(_SCORE).read_text(encoding="ascii"))
        Path(_SCORE).write_text(str(ours), encoding="ascii")
    except (OSError, ValueError):
        return ""
    return f"echo {min(ours + _LIKELIER, _HIGHEST)} >{_SCORE}\n"
