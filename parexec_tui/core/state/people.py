"""Who did or does something, in words: the one place that turns how requests are signed into what a reader sees."""


def who(by: str, me: str = "") -> str:
    """Who signed it: `you`, if `me` is how the requests of the reader are signed. Empty if no person did it."""
    return "you" if by and by == me else by


def by_whom(by: str, me: str = "") -> str:
    """The same behind what was done: ` by you`, ` by bo@pts/2`; empty if no person did it."""
    return f" by {who(by, me)}" if by else ""


def as_read_by(me: str, reason: str) -> str:
    """The reason of a ticket as that person reads it: `by you`, if it is that they did it."""
    return "by you" if me and reason == by_whom(me).strip() else reason


def on_agent(agent: str | None) -> str:
    """Where an attempt runs, in words: `on builder-1`; `by the engine` if no agent has it."""
    return f"on {agent}" if agent else "by the engine"
