"""What is remembered of a step of a ticket."""

from msgspec import Struct


class StepRecord(Struct, frozen=True, gc=False):
    """A step of the newest attempt of a ticket, or a question before the first one whether it is done."""

    attempt: int
    """0: it is a question."""
    step: str
    """As in ProcessKey."""
    title: str = ""
    number: int = 0
    of: int = 0
    """As in StepStarted."""
    seconds: float | None = None
    """How long it ran, without the time it was frozen. None: it is not over."""
    passed: bool | None = None
    """None: it is not over, or was ended before it could tell."""
    reason: str = ""
    """Why it did not pass; of a question, the answer."""
    signal: int | None = None
    error_line: str = ""
    """As in AttemptEnded."""
