"""What events change of accounts and conversations."""

from typing import Any

from msgspec import structs

from parexec_tui.core.plan.coding import types_of_account
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.accounts import coding_of, conversation_from, is_coded
from parexec_tui.core.state.attempts import Attempt
from parexec_tui.core.state.coding import PAST_KEPT, REFUSALS, Conversation, Past, Rest
from parexec_tui.core.state.figures import NOT_KNOWN, Figures, total
from parexec_tui.core.state.indexes import check_types_again, doubt_reservation, move
from parexec_tui.core.state.process_key import RUN
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import PUT_BACK, End, Status
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.state.transitions import IllegalEventError, moving_ticket, named_ticket


def on_account_rests(state: SessionState, event: ev.AccountRests) -> None:
    before = state.accounts.get(event.account)
    times = 1 if before is None else before.times + (event.at >= before.until)
    state.accounts[event.account] = Rest(
        event.account,
        event.at if before is None else before.since,
        event.until,
        event.why,
        event.is_outage,
        event.is_guess,
        times,
    )
    doubt_reservation(state)
    _check_again(state, event.account)  # a fallback may take what waits


def on_account_tried(state: SessionState, event: ev.AccountTried) -> None:
    state.accounts[event.account] = structs.replace(_rest(state, event), tried_at=event.at)
    _check_again(state, event.account)


def on_account_well(state: SessionState, event: ev.AccountWell) -> None:
    _rest(state, event)
    del state.accounts[event.account]
    _check_again(state, event.account)


def _rest(state: SessionState, event: ev.AccountTried | ev.AccountWell) -> Rest:
    rest = state.accounts.get(event.account)
    if rest is None:
        raise IllegalEventError(f"{event!r}: it does not rest")
    return rest


def _check_again(state: SessionState, account: str) -> None:
    types = types_of_account(account, state.plan.agents)
    fallbacks = [each for name in types for each in state.plan.agents[name].fallback]
    check_types_again(state, *dict.fromkeys((*types, *fallbacks)))


def on_conversation_known(state: SessionState, event: ev.ConversationKnown) -> None:
    ticket = named_ticket(state, event)
    attempt = ticket.attempt
    if attempt is None or event.attempt != ticket.attempts:
        raise IllegalEventError(f"{event!r}: there is no such attempt, or a newer one")
    agent_type = state.agents[attempt.agent].type
    before = coding_of(state, ticket).conversation or conversation_from(state, ticket)
    used = before.used if before is not None and before.id == event.conversation else None
    known = Conversation(event.conversation, agent_type, event.attempt, event.model, event.version, event.mode, used)
    remember(state, ticket, conversation=known)


def on_ticket_asks(state: SessionState, event: ev.TicketAsks) -> None:
    ticket = state.live.get(event.ticket)
    if ticket is None or ticket.attempts != event.attempt:
        raise IllegalEventError(f"{event!r}: there is no such attempt")
    if ticket.live_attempt.asks_since is None:
        ticket.live_attempt.asks_since = event.at
    remember(state, ticket, asks=event, answered=None, asked=event.number)


def on_question_withdrawn(state: SessionState, event: ev.QuestionWithdrawn) -> None:
    ticket = state.live.get(event.ticket)
    asks = coding_of(state, ticket).asks if ticket is not None else None
    if ticket is None or ticket.attempts != event.attempt or asks is None or asks.question != event.question:
        raise IllegalEventError(f"{event!r}: it is not asked")
    ticket.live_attempt.note_answer(event.at)
    remember(state, ticket, asks=None)


def on_ticket_answered(state: SessionState, event: ev.TicketAnswered) -> None:
    ticket = named_ticket(state, event)
    told = coding_of(state, ticket)
    if event.question:
        if told.asks is None or told.asks.question != event.question:
            raise IllegalEventError(f"{event!r}: {ticket.id} does not ask that")
        ticket.live_attempt.note_answer(event.at)
        remember(state, ticket, asks=None, answered=event, allow=(*told.allow, *event.allow))
        return
    if not ticket.needs_you:
        raise IllegalEventError(f"{event!r}: {ticket.id} does not need that")
    moving_ticket(state, event, Status.waiting)
    remember(state, ticket, answered=event)
    ticket.save()
    ticket.reason = "answered" + (f" by {event.by}" if event.by else "")
    move(state, ticket, Status.waiting, event.at)


def take_back_answer(state: SessionState, ticket: TicketState) -> None:
    """What a person answered was not meant."""
    if coding_of(state, ticket).answered is not None:
        remember(state, ticket, answered=None)


def remember(state: SessionState, ticket: TicketState, **what: Any) -> None:
    """Change what is remembered of a ticket."""
    state.coding[ticket.id] = structs.replace(coding_of(state, ticket), **what)


def note_end(state: SessionState, ticket: TicketState, event: ev.AttemptEnded) -> None:
    """Remember of a coding agent what matters for the next attempt of its ticket, and what it used."""
    if not is_coded(state, ticket):
        return
    figures, attempt = event.figures or NOT_KNOWN, ticket.attempt
    assert attempt is not None
    if figures.is_known or _may_have_used(attempt, event):
        note_figures(state, ticket, figures, is_usual=event.end not in _CUT_SHORT)
    told = coding_of(state, ticket)
    past = told.past
    if event.end is not End.could_not_start:
        step = attempt.told_step if event.end is not End.succeeded else ""
        past = (*past, Past(event.attempt, event.end, event.reason, step, ticket.note))[-PAST_KEPT:]
    is_refusal, was_heard = event.end in REFUSALS, event.end not in _UNHEARD
    refused_by = (*told.refused_by, state.agents[event.agent].type) if is_refusal else told.refused_by
    outages = told.outages + 1 if event.end is End.unavailable else 0
    answered, allow = (None, told.allowed) if was_heard else (told.answered, told.allow)
    if answered is not None and answered.question:  # it was an answer to that attempt alone
        answered = None
    remember(
        state,
        ticket,
        asks=None,
        asked=0,
        outages=outages,
        refused_by=refused_by,
        answered=answered,
        allow=allow,
        past=past,
    )


def note_figures(state: SessionState, ticket: TicketState, figures: Figures, *, is_usual: bool = True) -> None:
    """What an attempt of a coding agent used, when its command is over. Of one attempt it is counted once.

    `is_usual`: whether it came to an end of its own."""
    told, attempt = coding_of(state, ticket), ticket.attempt
    assert attempt is not None
    if told.figures_of(attempt.number) is not None:
        return
    type_ = state.agents[attempt.agent].type
    used = dict(told.used)
    used[type_] = used[type_].then(figures) if type_ in used else figures
    conversation = told.conversation
    if conversation is not None and conversation.attempt == attempt.number:
        conversation = conversation._replace(used=total(filter(None, (conversation.used, figures))))
    remember(state, ticket, used=tuple(used.items()), newest=(attempt.number, figures), conversation=conversation)
    state.tally.of(type_).note_figures(figures, is_usual=is_usual)
    if state.budgets:
        check_types_again(state, *state.plan.agents)  # there may be room for more attempts than one


def _may_have_used(attempt: Attempt, event: ev.AttemptEnded) -> bool:
    """Whether a provider may have been asked for something in an attempt that did not tell what it used."""
    if event.end in _USED_NOTHING:
        return False
    return event.step != RUN or attempt.pid is not None


_USED_NOTHING = frozenset((End.could_not_start, End.not_logged_in, End.bad_setup))
"""Ends of attempts in which no provider was asked for anything."""

_CUT_SHORT = frozenset((End.stopped, End.cancelled, End.could_not_start, End.lost, *PUT_BACK))
"""Ends of attempts that may have done next to nothing of their tickets."""

_UNHEARD = frozenset((End.stopped, *PUT_BACK))
"""Ends after which it is not known whether the agent heard what a person answered."""
