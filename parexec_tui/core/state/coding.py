"""What is remembered of tickets that coding agents work on: conversations, questions, figures."""

from typing import Final, NamedTuple

from msgspec import Struct

from parexec_tui.core.state.events import TicketAnswered, TicketAsks
from parexec_tui.core.state.figures import Figures, total
from parexec_tui.core.state.resting import often_text
from parexec_tui.core.state.status import End


class Conversation(NamedTuple):
    """What the agent of an attempt said and heard, which another attempt can go on with."""

    id: str
    agent_type: str
    attempt: int
    """The newest one of it."""
    model: str = ""
    version: str = ""
    mode: str = ""
    used: Figures | None = None
    """What its attempts used that are over; None: that is not known of any."""


class Past(NamedTuple):
    """How an attempt ended, as another one is told it."""

    attempt: int
    end: End
    reason: str
    step: str
    """That whose output tells more."""
    note: str
    """What a person had said to it."""


PAST_KEPT: Final = 3
"""Attempts of a ticket that another one is told of."""


class Coding(Struct, frozen=True):
    """What is remembered of one ticket."""

    conversation: Conversation | None = None
    """The newest one."""
    past: tuple[Past, ...] = ()
    """Its last attempts, the newest at the end, since it last began anew."""
    refused_by: tuple[str, ...] = ()
    """Agent types that do not want to do it, or may not for its budget."""
    outages: int = 0
    """Attempts in a row that ended because the provider did not answer."""
    answered: TicketAnswered | None = None
    """What a person answered, until an attempt has heard it; while it runs, the last of that."""
    allow: tuple[str, ...] = ()
    """What a person allowed it before, in the words of its CLI."""
    asks: TicketAsks | None = None
    """What its agent asks and waits for."""
    asked: int = 0
    """Which of the questions of its attempt was asked last, from 1 on; 0: none, or that is not known."""
    used: tuple[tuple[str, Figures], ...] = ()
    """(agent type, what its attempts on that used), of those that are over."""
    newest: tuple[int, Figures] | None = None
    """(attempt, what it used), of the newest one of which that is known."""

    @property
    def figures(self) -> Figures | None:
        """What all its attempts used that are over; None: there was none."""
        return total(each for _, each in self.used)

    @property
    def allowed(self) -> tuple[str, ...]:
        """All that a person allowed it."""
        return self.allow if self.answered is None else tuple(dict.fromkeys((*self.allow, *self.answered.allow)))

    def used_on(self, agent_type: str) -> Figures | None:
        """What those on one agent type used."""
        return next((each for name, each in self.used if name == agent_type), None)

    def figures_of(self, attempt: int) -> Figures | None:
        """What an attempt used, if it is the newest of which that is known."""
        return self.newest[1] if self.newest is not None and self.newest[0] == attempt else None


NOTHING: Coding = Coding()
"""What is remembered of all other tickets."""


class Rest(Struct, frozen=True):
    """An account that rests, or that is tried."""

    account: str
    since: float
    until: float
    why: str
    is_outage: bool
    is_guess: bool
    times: int
    """How often in a row it was put to rest."""
    tried_at: float | None = None
    """Since when its time is over, and one ticket tries it; None: it rests."""

    @property
    def is_tried(self) -> bool:
        return self.tried_at is not None

    @property
    def word(self) -> str:
        """How it stands, to be said after its name."""
        return f"{'gets no answer' if self.is_outage else 'is limited'}{often_text(self.times)}"


REFUSALS = frozenset((End.refused, End.over_budget))
"""Ends after which another agent type may do what this one does not."""
