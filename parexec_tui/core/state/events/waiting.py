"""What happened to tickets that could start: conflicts, reservations, and the question whether they are done."""

from msgspec import field

from parexec_tui.core.state.events.event import Event


class ConflictFound(Event, frozen=True, tag="conflict_found"):
    """A ticket that could start has to wait for a claim of another; once for each time that it gets ready."""

    ticket: str
    holder: str
    reason: str


class ReservationMade(Event, frozen=True, tag="reservation_made"):
    """A ticket has waited long for resources or claims: from now on others of its class may not delay it.

    There is one reservation at most: this ends the one before. It ends when the ticket waits no more.
    """

    ticket: str
    start_at: float | None = None
    """When it could start; None if nothing tells."""
    ending: tuple[str, ...] = ()
    """The tickets whose ends it waits for."""


class ReservationEnded(Event, frozen=True, tag="reservation_ended"):
    """Nothing is kept free for the ticket any more, though it waits: something else keeps it now."""

    ticket: str


class WhenAnswered(Event, frozen=True, tag="when_answered"):
    """It was found out whether a ticket is wanted: by its `when`; for gates, by the tickets that they are about."""

    ticket: str
    wanted: bool
    because: str = ""
    """The values that it follows from: `split.count is 0`."""
    skipped: tuple[str, ...] = ()
    """Tickets that can no longer run because it is not wanted."""


class QuestionAsked(Event, frozen=True, tag="check_started"):
    """Before its first attempt, a ticket is asked whether it is done. Remembered before there is a process."""

    ticket: str
    step: str
    """As in ProcessKey; the attempt of that is 0."""


class QuestionFrozen(Event, frozen=True, tag="check_frozen"):
    """The command that says whether the ticket is done stands still, and so does the clock of its timeout."""

    ticket: str
    by: str = ""


class QuestionThawed(Event, frozen=True, tag="check_thawed"):
    ticket: str
    by: str = ""


class QuestionAnswered(Event, frozen=True, tag="check_ended"):
    """The ticket is not done already, so it may start; or nobody could tell."""

    ticket: str
    reason: str = ""
    """Why nobody could tell; empty if the answer was no."""
    again: bool = False
    """It is asked once more before it may start."""
    stale: str = ""
    """Why it is not up to date; empty if that was not asked."""


class TicketSatisfied(Event, frozen=True, tag="ticket_satisfied"):
    """The ticket is done already: it has succeeded without an attempt."""

    ticket: str
    reason: str
    values: dict[str, str] = field(default_factory=dict)
    """What its command told when it last ran: see `plan.values`."""
