"""What happened between coding agents, their providers and persons."""

from parexec_tui.core.state.events.event import Event


class AccountRests(Event, frozen=True, tag="account_rests"):
    """A provider does not answer an account: no ticket starts with it until then."""

    account: str
    until: float
    why: str
    """What the provider said."""
    is_outage: bool = False
    """True: the provider could not be reached, or failed; else it is a limit of the account."""
    is_guess: bool = False
    """True: nobody said until when."""


class AccountTried(Event, frozen=True, tag="account_tried"):
    """The rest of an account is over. One ticket tries whether the provider answers; the others wait for that."""

    account: str
    by: str = ""


class AccountWell(Event, frozen=True, tag="account_well"):
    """The provider answers an account again."""

    account: str


class ConversationKnown(Event, frozen=True, tag="conversation_known"):
    """The agent of an attempt has begun a conversation, or goes on with one, which another attempt can go on with."""

    ticket: str
    attempt: int
    conversation: str
    model: str = ""
    version: str = ""
    mode: str = ""
    """What it may do, in the words of the CLI."""


class TicketAsks(Event, frozen=True, tag="ticket_asks"):
    """The agent of an attempt asks a person something, and waits."""

    ticket: str
    attempt: int
    question: str
    """Its id."""
    what: str
    choices: tuple[str, ...] = ()
    number: int = 0
    """Which of the questions of its attempt, from 1 on; 0: that is not known."""


class QuestionWithdrawn(Event, frozen=True, tag="question_withdrawn"):
    """The agent of an attempt does not ask that any more: nobody has to answer it."""

    ticket: str
    attempt: int
    question: str
    """As in `TicketAsks`."""


class TicketAnswered(Event, frozen=True, tag="ticket_answered"):
    """A person answered what an agent asked: one that waits goes on, one that had ended for it runs again."""

    ticket: str
    answer: str
    question: str = ""
    """As in `TicketAsks`; empty: its attempt is over."""
    by: str = ""
    allow: tuple[str, ...] = ()
    """What it may do from now on, in the words of its CLI."""
    what: str = ""
    """What it asked, in a line."""
    denies: bool = False
    """True: it was to be allowed something, and words that are no yes are a no, which it is told."""
