"""What clients may ask without folding events themselves."""

from collections.abc import Callable, Iterable
from functools import partial
from itertools import islice

from msgspec.structs import replace

from parexec_tui.core.rules.answers import refuse_unknown, unknown_ticket
from parexec_tui.core.rules.attention import asking_needs
from parexec_tui.core.rules.verbs.answer import asked_of, refused_words
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import PENDING, Status
from parexec_tui.core.wire.protocol import Asks, Names, Question
from parexec_tui.core.wire.requests import AnswerAgent, Refusal
from parexec_tui.core.wire.scopes import scope
from parexec_tui.core.wire.selectors import SelectorError, select
from parexec_tui.text.reasons import roots_report, why_report
from parexec_tui.text.session_facts import session_report
from parexec_tui.text.status_facts import status_report

MAX_REASONS = 1000
"""The most tickets whose reasons are given if the question names no ticket."""

MAX_NAMES = 500
"""The most names of each kind that are given to complete a word."""


def answer(
    state: SessionState,
    question: Question,
    now: float,
    trouble: str = "",
) -> object | Refusal:
    """The facts that are asked for, as the running engine knows them; or why there are none.

    `trouble`: why the engine can start nothing.
    """
    match question.about:
        case "status":
            return replace(status_report(state, now), trouble=trouble)
        case "report":
            return replace(session_report(state), trouble=trouble)
        case "why":
            return _about(state, question.tickets, partial(why_report, now=now, me=question.me))
        case "roots":
            return _about(state, question.tickets, roots_report)
        case "asks":
            return _asks(state, question.tickets or tuple(_waiting(state)))
        case "select":
            return _selected(state, question.words)
        case "scope":
            return scope(state, question.words)
        case "names":
            return _names(state, question.words[0] if question.words else "")


def _about(
    state: SessionState, tickets: tuple[str, ...], report: Callable[[SessionState, Iterable[str]], object]
) -> object | Refusal:
    for id_ in tickets:
        if id_ not in state.tickets and id_ not in state.services:
            if id_ in state.plan.without_members:
                return unknown_ticket(state, id_)
            kind = "ticket or service" if state.services else "ticket"
            return Refusal(f"there is no {kind} {id_}")
    return report(state, tickets or _waiting(state))


def _asks(state: SessionState, tickets: tuple[str, ...]) -> dict[str, Asks] | Refusal:
    if (unknown := refuse_unknown(state, tickets)) is not None:
        return unknown
    refused = {each.name: each.refusal for each in refused_words(state, AnswerAgent(tickets=tickets, answer="no"))}
    if len(refused) == len(tickets) == 1:
        return refused[tickets[0]]
    return asked_of(state, (id_ for id_ in tickets if id_ not in refused))


def _waiting(state: SessionState) -> list[str]:
    waits, short = PENDING | {Status.approval}, {id_ for id_, each in state.warned.items() if each.live_attempt.lacks}
    asking = {need.subject.name for need in asking_needs(state)}
    lost = {id_ for host in state.hosts.values() if host.status == "unreachable" for id_ in host.live}
    told = state.frozen.keys() | short | asking | lost | {id_ for pair in state.foreseen for id_ in pair}
    waiting = (id_ for id_, ticket in state.tickets.items() if ticket.status in waits or id_ in told)
    return [id_ for id_, _ in zip(waiting, range(MAX_REASONS), strict=False)]


def _selected(state: SessionState, words: tuple[str, ...]) -> Names | Refusal:
    try:
        return Names(tickets=tuple(select(state, words)))
    except SelectorError as error:
        return Refusal(str(error))


def _names(state: SessionState, beginning: str) -> Names:
    up = (agent.id for agent in state.agents.values() if not agent.stopped)
    kinds = state.tickets, up, state.available, state.services, state.hosts
    return Names(*(_some(names, beginning) for names in kinds))


def _some(names: Iterable[str], beginning: str) -> tuple[str, ...]:
    return tuple(islice((name for name in names if name.startswith(beginning)), MAX_NAMES))
