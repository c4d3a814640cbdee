"""Why an engine is done with a session: what `EngineLeft` says, and what else ends its loop."""

from typing import Final, Literal

Outcome = Literal[
    "finished",
    "held",
    "waits for approval",
    "waits for a decision",
    "waits for an answer",
    "drained",
    "stopped",
    "blocked",
    "lost",
]
"""All tickets are over, or what keeps the rest from running. lost: somebody did something to the session's files."""

UNAPPROVED: Final = "waits for approval"
UNDECIDED: Final = "waits for a decision"
"""The same, if all that is left to answer are conflicts."""

UNANSWERED: Final = "waits for an answer"
"""The same, if all that is left are coding agents that were not allowed something, or ask."""

LEFT_FOR_ANSWER: tuple[Outcome, ...] = (UNAPPROVED, UNDECIDED, UNANSWERED)
"""Why an engine left by itself that only waited for a person."""
