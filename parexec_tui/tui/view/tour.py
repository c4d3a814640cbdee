"""The tour: what a person is told to press, one step after the other, and the facts that say it was done.

A step is over when what it leads to is so, whoever pressed what. A step that leads nowhere any more, because the
session has gone on meanwhile, is passed over. The steps are about the tickets of `sample_plans/tour.toml`.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import TERMINAL, Status
from parexec_tui.core.state.tickets import TicketState

EXAMPLE_TICKET, FAILING_TICKET = "schema", "browser-tests"
"""The ticket that waits for three others, and the one that fails for good."""

OVER = "over"
"""What is noted of a tour that was walked to its end."""


class Facts(NamedTuple):
    """What a step looks at."""

    state: SessionState
    selected: str
    panel: str
    dialog: str
    """The heading of the dialog that is open; empty: none is."""
    looks_back: bool

    def ticket(self, id_: str) -> TicketState | None:
        return self.state.tickets.get(id_)

    def status(self, id_: str) -> Status | None:
        ticket = self.ticket(id_)
        return ticket.status if ticket is not None else None

    @property
    def is_at_work(self) -> bool:
        """Whether something runs, or will."""
        return self.state.finished_at is None and len(self.state.tickets) > sum(
            count for status, count in self.state.counts.items() if status in TERMINAL
        )


class Step(NamedTuple):
    """What to press, and why."""

    do: str
    """With `{action}` where a key stands."""
    say: str
    is_done: Callable[[Facts], object]
    is_possible: Callable[[Facts], object] = lambda _: True


def _is_held(facts: Facts) -> bool:
    ticket = facts.ticket(EXAMPLE_TICKET)
    return ticket is not None and ticket.held is not None


def _can_be_held(facts: Facts) -> bool:
    return facts.status(EXAMPLE_TICKET) is Status.waiting


_PAST_HELP = (Status.succeeded, Status.cancelled, Status.skipped, None)
"""Statuses in which the ticket that fails cannot be done without any more."""


def _tried_again(facts: Facts) -> bool:
    ticket = facts.ticket(FAILING_TICKET)
    if ticket is None or not ticket.attempts:
        return False
    return ticket.attempts > 1 or ticket.status in (Status.waiting, Status.waived)


_LET_GO = Step(
    "press {hold_all}: let the session go",
    "Agents take tickets: in parallel where the plan allows it, else in turn.",
    lambda facts: facts.state.held is None,
)

STEPS: Sequence[Step] = (
    Step(
        f"go to {EXAMPLE_TICKET}: press {{down}} and {{up}}",
        "The session is held, so nothing runs. Rows say what else a ticket waits for.",
        lambda facts: facts.selected == EXAMPLE_TICKET and facts.panel == "tickets",
    ),
    Step(
        f"press {{why}}: why does {EXAMPLE_TICKET} wait?",
        "It names everything that keeps a ticket, and the keys that help.",
        lambda facts: facts.dialog.startswith("Why"),
    ),
    Step("press {back}: close it", "esc goes back everywhere, and never ends work.", lambda facts: not facts.dialog),
    Step(
        f"on {EXAMPLE_TICKET}, press {{hold}}: hold it",
        "It will not start when its turn comes. A key that would be refused is dim.",
        _is_held,
        _can_be_held,
    ),
    Step(
        "press {undo}: take that back",
        "What you do can be taken back while no work is lost; {undo_list} lists it.",
        lambda facts: not _is_held(facts),
    ),
    _LET_GO,
    Step(
        "go to one that runs, and press {freeze}: freeze it",
        "Its processes stand still, and so does the clock of its timeout.",
        lambda facts: facts.state.frozen,
        lambda facts: facts.is_at_work,
    ),
    Step(
        "on the frozen one, press {freeze}: let it go on",
        "The line under the header says what all wait for, while they do.",
        lambda facts: not facts.state.frozen,
    ),
    Step(
        "press {output}: its output, as it comes",
        "With colours and progress bars; {filter} searches, {next_error} finds the errors.",
        lambda facts: facts.panel == "output",
    ),
    Step(
        "press {tickets}: back to the tickets",
        "{next_panel} goes from panel to panel, and every panel has a number.",
        lambda facts: facts.panel == "tickets",
    ),
    Step(
        f"wait until {FAILING_TICKET} fails",
        "It is meant to, in some ten seconds. A failure rings the bell.",
        lambda facts: facts.status(FAILING_TICKET) in TERMINAL or _tried_again(facts),
        lambda facts: facts.is_at_work,
    ),
    Step(
        "press {next_needy}: go to what needs you",
        "It goes through all that failed, is held, or waits for you alone.",
        lambda facts: facts.status(facts.selected) is Status.failed,
        lambda facts: facts.status(FAILING_TICKET) is Status.failed,
    ),
    Step(
        "press {retry}: run it again",
        "It will fail again. What was skipped for it comes back with it.",
        _tried_again,
        lambda facts: facts.status(FAILING_TICKET) is Status.failed,
    ),
    Step(
        f"when {FAILING_TICKET} has failed again, press {{waive}}: waive it, do without it",
        "What needs it may run, as if it had succeeded.",
        lambda facts: facts.status(FAILING_TICKET) is Status.waived,
        lambda facts: facts.is_at_work and facts.status(FAILING_TICKET) not in _PAST_HELP,
    ),
    Step(
        "press {graph}: the dependency graph",
        "Heavy: the path that takes longest. {zoom} gives it the whole screen.",
        lambda facts: facts.panel == "graph",
    ),
    Step(
        "press {back_far}: look back in time",
        "Every panel shows the session as it was then.",
        lambda facts: facts.looks_back,
    ),
    Step(
        "press {last}: back to now",
        "{back_one} and {forward_one} go event by event.",
        lambda facts: not facts.looks_back,
    ),
    Step(
        "press {palette} to find every command by name",
        "It completes, and says what would happen. {help} shows every key.",
        lambda facts: facts.dialog == "Commands",
    ),
    Step("press {back}: close it", "And that was it, nearly.", lambda facts: not facts.dialog),
    Step(
        "press {leave} to leave: the engine stays, and the work goes on",
        "parexec attach comes back; parexec stop ends it. {tour} closes this.",
        lambda _: False,
    ),
)


_SUMMARY = Step(
    "press {back}: close it",
    "The session is finished: this is what failed, and what took longest.",
    lambda _: False,
)
"""Shown instead of the step while the summary is open, which comes by itself."""


class Tour:
    """Which step a person is at."""

    def __init__(self, at: int = 0) -> None:
        self.at = min(at, len(STEPS) - 1)
        self._is_summary_open = False

    @property
    def step(self) -> Step:
        return _SUMMARY if self._is_summary_open else STEPS[self.at]

    @property
    def is_last(self) -> bool:
        return self.at == len(STEPS) - 1

    def advance(self, facts: Facts) -> bool:
        """Go past what is done, and past what cannot be done any more; whether that led to another
        step."""
        before = self.step
        self._is_summary_open = facts.dialog == "Finished"
        while not self.is_last and (self.step.is_done(facts) or not self.step.is_possible(facts)):
            self.at += 1
        return self.step is not before

    @property
    def must_be_done(self) -> bool:
        """Whether all that follows is about what this step leads to, so that it cannot be skipped."""
        return self.step is _LET_GO

    def skip(self) -> None:
        self.at = min(self.at + 1, len(STEPS) - 1)
