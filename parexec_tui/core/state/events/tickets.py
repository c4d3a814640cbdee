"""What happened to tickets between their attempts."""

from parexec_tui.core.plan.ticket import Priority
from parexec_tui.core.state.events.event import Event
from parexec_tui.core.state.status import Status


class BackoffEnded(Event, frozen=True, tag="backoff_ended"):
    ticket: str


class TicketHeld(Event, frozen=True, tag="ticket_held"):
    ticket: str
    by: str = ""


class TicketReleased(Event, frozen=True, tag="ticket_released"):
    ticket: str
    by: str = ""


class TicketCancelled(Event, frozen=True, tag="ticket_cancelled"):
    """A ticket that was not running will not run."""

    ticket: str
    by: str = ""
    skipped: tuple[str, ...] = ()


class TicketUnrunnable(Event, frozen=True, tag="ticket_unrunnable"):
    """No agent is left that could run it."""

    ticket: str
    reason: str
    skipped: tuple[str, ...] = ()


class TicketsGenerated(Event, frozen=True, tag="tickets_generated"):
    """The command of a ticket generated others, and they are in the plan: the events before this one changed it."""

    ticket: str
    family: str
    members: tuple[str, ...] = ()
    """The tickets that the family has now."""
    left: dict[str, str] = {}  # noqa: RUF012 - msgspec copies it
    """{ticket: why it is as it was before, although it was generated otherwise, or not at all}"""


class TicketRetried(Event, frozen=True, tag="ticket_retried"):
    """The ticket will run again, with its retries as at first."""

    ticket: str
    by: str = ""
    restored: tuple[str, ...] = ()
    """Tickets that were skipped and may run again."""
    rerun: tuple[str, ...] = ()
    """Tickets downstream that have run, and will run again as well."""
    note: str = ""
    """Why, or what to mind this time."""


class FinallyAgain(Event, frozen=True, tag="finally_again"):
    """Other tickets run again, so those that run at the end will do so once more."""

    tickets: tuple[str, ...]
    """Those that have run."""
    restored: tuple[str, ...] = ()
    """Those of them that were skipped, and may run again."""


class ApprovalAsked(Event, frozen=True, tag="approval_asked"):
    """A ticket could start but for the approval of a person; once for each time that it gets there."""

    ticket: str


class TicketApproved(Event, frozen=True, tag="ticket_approved"):
    """A person approved: a ticket that waited for that before its start may start, one whose attempt is over has
    succeeded."""

    ticket: str
    by: str = ""
    """`--yes` where the option of that name approved."""
    note: str = ""
    """What to mind; the next attempt gets it."""


class TicketRejected(Event, frozen=True, tag="ticket_rejected"):
    """A person did not approve. A ticket whose attempt is over will run again, with its retries as they were; one
    that had yet to start will not run."""

    ticket: str
    by: str = ""
    note: str = ""
    """Why; the next attempt gets it."""
    skipped: tuple[str, ...] = ()
    """Tickets that can no longer run because of this."""


class TicketWaived(Event, frozen=True, tag="ticket_waived"):
    """A person decided that the ticket will not run, and that its dependents may run without it."""

    ticket: str
    by: str = ""
    restored: tuple[str, ...] = ()
    """Tickets that were skipped and may run again."""


class TicketPutBack(Event, frozen=True, tag="ticket_restored"):
    """A cancel, waive, retry, approval or rejection of the ticket was undone: it is what it was before."""

    ticket: str
    then: Status
    by: str = ""
    skipped: tuple[str, ...] = ()
    restored: tuple[str, ...] = ()
    is_in_conflict: bool = False
    """Whether it waits for a decision on its conflict again."""


class TicketPinned(Event, frozen=True, tag="ticket_pinned"):
    """Only this agent, or agents of this type, may run the ticket; empty: any agent that can."""

    ticket: str
    agent: str
    by: str = ""


class PriorityChanged(Event, frozen=True, tag="priority_changed"):
    ticket: str
    priority: Priority
    by: str = ""
