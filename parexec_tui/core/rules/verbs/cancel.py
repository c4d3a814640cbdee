"""cancel: tickets that must not run, or not go on."""

from collections.abc import Iterable, Iterator

from parexec_tui.core.rules.answers import Decision, Refused, first_refusal, named, refuse_terminal, refuse_unknown
from parexec_tui.core.rules.downstream import skips
from parexec_tui.core.rules.verbs.approve import taken_back
from parexec_tui.core.rules.verbs.undecide import undecided
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.people import by_whom
from parexec_tui.core.state.process_key import RESTORE
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import LIVE, TERMINAL, Status
from parexec_tui.core.state.steps import takes_back
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import Refusal


def cancel(state: SessionState, asked: rq.Cancel, now: float) -> Decision:
    if refusal := cannot_cancel(state, asked):
        return refusal
    return cancelled(state, named(state, asked.tickets), now, by=asked.by, at_once=asked.now)


def cancelled(
    state: SessionState,
    tickets: Iterable[TicketState],
    now: float,
    *,
    by: str,
    at_once: bool = False,
    gone: Iterable[str] = (),
) -> list[ev.AnyEvent]:
    """The events with which tickets, none of which is over, do not run or do not go on.

    `gone` are tickets that events decided at the same time have taken away already.
    """
    events: list[ev.AnyEvent] = []
    gone = set(gone)
    for ticket in tickets:
        if ticket.id in gone:
            continue
        back_to_decide = [] if ticket.spec.takes_back else undecided(state, ticket, now)
        if ticket.status in LIVE and not back_to_decide:
            events.append(
                ev.AttemptStopRequested(
                    at=now,
                    ticket=ticket.id,
                    attempt=ticket.attempts,
                    why=ticket.live_attempt.stop_reason or "cancelled",
                    by=by,
                    now=at_once,
                )
            )
        elif back := taken_back(state, ticket, by_whom(by).strip(), by, now, then=Status.cancelled):
            events.append(back)
        else:
            skipped = skips(state, ticket, gone)
            gone.update(skipped, (ticket.id,))
            events += back_to_decide
            events.append(ev.TicketCancelled(at=now, ticket=ticket.id, by=by, skipped=skipped))
    return events


def cannot_cancel(state: SessionState, asked: rq.Cancel) -> Refusal | None:
    """Why it would be refused. The answer does not need the dependents of the tickets, so it is cheap."""
    return refuse_unknown(state, asked.tickets) or first_refusal(refused_cancels(state, asked))


def refused_cancels(state: SessionState, asked: rq.Cancel) -> Iterator[Refused]:
    for ticket in named(state, asked.tickets):
        if ticket.status in TERMINAL:
            yield Refused("tickets", ticket.id, refuse_terminal(state, ticket.id))
        elif takes_back(step := ticket.live_attempt.step if ticket.is_live else "") and (
            step == RESTORE or (ticket.status is Status.rolling_back and not asked.now)
        ):
            remedy = "wait for it to end" + (", or kill its rollback: cancel --now" if step != RESTORE else "")
            yield Refused("tickets", ticket.id, Refusal(f"{ticket.id} {ticket.stands}", remedy))
        elif ticket.status is Status.stopping and not asked.now:
            remedy = "wait for it to end, or kill it: cancel --now"
            yield Refused("tickets", ticket.id, Refusal(f"{ticket.id} is being stopped already", remedy))
