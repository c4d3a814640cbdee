"""How an attempt of a coding CLI can end, and the exit code by which its minder says so.

The codes mean this only where an agent type has a `kind`, or says `speaks = "facts"`: an ordinary command's 75 is a
plain failure.
"""

SUCCEEDED = "succeeded"
FAILED = "failed"
REFUSED = "refused"
UNAVAILABLE = "unavailable"
CRASHED = "crashed"
BUDGET = "budget"
LIMITED = "limited"
AUTH = "auth"
BAD_SETUP = "bad setup"
NEEDS_YOU = "needs you"
INTERRUPTED = "interrupted"

EXIT_CODES = {
    SUCCEEDED: 0,
    FAILED: 1,
    REFUSED: 65,
    UNAVAILABLE: 69,
    CRASHED: 70,
    BUDGET: 73,
    LIMITED: 75,
    AUTH: 77,
    BAD_SETUP: 78,
    NEEDS_YOU: 79,
    INTERRUPTED: 80,
}
"""By end the exit code of a minder, so that the exit record alone tells the end when the facts are torn."""

FARTHEST = 400 * 86_400.0
"""Seconds: a reset further ahead is not meant, as one in milliseconds is not."""

ENDS = tuple(EXIT_CODES)

END_OF_CODE = {code: end for end, code in EXIT_CODES.items()}


def end_of(code: int) -> str:
    """The end that an exit code means; any other is a plain failure."""
    return END_OF_CODE.get(code, FAILED)
