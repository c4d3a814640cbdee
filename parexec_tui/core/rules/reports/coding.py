"""What a coding agent says, while it works and of its end: what that means for ticket, account and agent type."""

from collections.abc import Callable
from typing import Final
from zlib import crc32

from parexec_tui.core.plan.coding import account_of
from parexec_tui.core.rules.reports.ends import attempt_ended, passed, reported
from parexec_tui.core.rules.reports.failures import failed, failed_for_good, spent_by
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.accounts import coding_of
from parexec_tui.core.state.coding import Coding
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import WORD_COUNTS, End, Status
from parexec_tui.core.state.steps import first_proof, gates_of
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq

GUESSES: Final = (300.0, 600.0, 1200.0, 1800.0)
"""Seconds that an account rests that is limited nobody knows until when: longer each time."""

OUTAGES: Final = (30.0, 60.0, 120.0, 300.0, 600.0)
"""Seconds that it rests when its provider does not answer."""

MOST_OUTAGES: Final = 5
"""Attempts in a row that may end so and cost a ticket nothing."""

SPREAD: Final = 60.0
"""Seconds within which accounts of many people come back after the same reset; a tenth of the rest, if less."""

FARTHEST: Final = 400 * 86_400.0
"""Seconds: a reset further ahead is not meant, as one in milliseconds is not."""

Answer = Callable[[SessionState, TicketState, rq.ProcessEnded, rq.Said, float], list[ev.AnyEvent]]


def coding_ended(
    state: SessionState, ticket: TicketState, report: rq.ProcessEnded, said: rq.Said, now: float
) -> list[ev.AnyEvent]:
    """The events that follow when the agent of a ticket is done, as it says itself."""
    before = [
        *_known(state, ticket, said.session, said.model, now),
        *_well(state, ticket, said, now),
    ]
    return [*before, *_ENDS.get(said.end, _failed)(state, ticket, report, said, now)]


def _succeeded(
    state: SessionState, ticket: TicketState, report: rq.ProcessEnded, _said: rq.Said, now: float
) -> list[ev.AnyEvent]:
    if report.bad_values:
        return failed(state, ticket, report, End.failed, f"its values: {report.bad_values}", now)
    return passed(state, ticket, report, first_proof(state, ticket), now)


def _failed(
    state: SessionState, ticket: TicketState, report: rq.ProcessEnded, said: rq.Said, now: float
) -> list[ev.AnyEvent]:
    reason = said.why if said.end == "failed" else f"{said.end}: {said.why}" if said.why else said.end
    return failed(state, ticket, report, End.failed, reason or "its agent failed", now)


def _limited(
    state: SessionState, ticket: TicketState, report: rq.ProcessEnded, said: rq.Said, now: float
) -> list[ev.AnyEvent]:
    again = attempt_ended(ticket, report, End.limited, Status.waiting, now, reason=said.why)
    return [again, *_rests(state, ticket, said, GUESSES, now, is_outage=False)]


def _unavailable(
    state: SessionState, ticket: TicketState, report: rq.ProcessEnded, said: rq.Said, now: float
) -> list[ev.AnyEvent]:
    if coding_of(state, ticket).outages + 1 >= MOST_OUTAGES:
        return failed(state, ticket, report, End.failed, f"its provider does not answer: {said.why}", now)
    again = attempt_ended(ticket, report, End.unavailable, Status.waiting, now, reason=said.why)
    return [again, *_rests(state, ticket, said, OUTAGES, now, is_outage=True)]


def _rests(
    state: SessionState,
    ticket: TicketState,
    said: rq.Said,
    guesses: tuple[float, ...],
    now: float,
    *,
    is_outage: bool,
) -> list[ev.AnyEvent]:
    account = _account(state, ticket)
    before = state.accounts.get(account)
    times = 0 if before is None else before.times
    is_known = said.until is not None and now < said.until <= now + FARTHEST
    if before is not None and not before.is_tried and not is_known:
        return []  # others ran beside the one that was told of first
    until = (said.until or now) if is_known else now + guesses[min(times, len(guesses) - 1)]
    if is_known and not is_outage:
        until += min(SPREAD, (until - now) / 10.0) * crc32(f"{state.session}/{account}".encode()) / 2**32
    if before is not None and not before.is_tried and until <= before.until:
        return []
    if times > 1:  # what the provider told did not hold
        until = max(until, now + guesses[min(times - 2, len(guesses) - 1)])
    return [
        ev.AccountRests(
            at=now, account=account, until=until, why=said.why, is_outage=is_outage, is_guess=not is_known
        )
    ]


def _interrupted(
    state: SessionState, ticket: TicketState, report: rq.ProcessEnded, said: rq.Said, now: float
) -> list[ev.AnyEvent]:
    """The engine did not want that: somebody else ended it, or a wrapper says so of itself."""
    if report.signal is not None:
        why = f"ended from outside by signal {report.signal}"
    elif said.why.startswith("stopped by "):
        why = f"ended from outside by {said.why.removeprefix('stopped by ')}"
    else:
        why = f"interrupted: {said.why}" if said.why else "interrupted"
    return failed(state, ticket, report, End.lost, why, now)


def _held(end: End) -> Answer:
    """What is wrong with the type of its agent, and holds it until a person has mended it."""

    def answer(
        state: SessionState, ticket: TicketState, report: rq.ProcessEnded, said: rq.Said, now: float
    ) -> list[ev.AnyEvent]:
        assert ticket.agent is not None
        type_ = state.agents[ticket.agent].type
        again = attempt_ended(ticket, report, end, Status.waiting, now, reason=said.why)
        if type_ in state.held_types:
            return [again]
        return [again, ev.AgentTypeHeld(at=now, type=type_, reason=f"{end}: {said.why}" if said.why else str(end))]

    return answer


def _needs_you(
    state: SessionState, ticket: TicketState, report: rq.ProcessEnded, said: rq.Said, now: float
) -> list[ev.AnyEvent]:
    on_denied = ticket.spec.on_denied or ("accept" if ticket.spec.outputs or gates_of(state, ticket) else "person")
    is_denied = said.why.startswith("denied: ")
    if is_denied and on_denied == "accept":
        return _succeeded(state, ticket, report, said, now)
    if is_denied and on_denied == "fail":
        return failed(state, ticket, report, End.failed, said.why, now)
    reason = said.why or "its agent does not say what for"
    return [attempt_ended(ticket, report, End.needs_you, Status.approval, now, reason=reason)]


def _another(end: End) -> Answer:
    """Another type may do it, if the plan names one; else it has failed."""

    def answer(
        state: SessionState, ticket: TicketState, report: rq.ProcessEnded, said: rq.Said, now: float
    ) -> list[ev.AnyEvent]:
        assert ticket.agent is not None
        refused = {*coding_of(state, ticket).refused_by, state.agents[ticket.agent].type}
        why = (spent_by(state, ticket, report) if end is End.over_budget else "") or said.why
        if refused.issuperset(ticket.types):
            return failed_for_good(state, ticket, report, end, why, now)
        return [attempt_ended(ticket, report, end, Status.waiting, now, reason=why, charged=True)]

    return answer


_ENDS: dict[str, Answer] = {
    "succeeded": _succeeded,
    "limited": _limited,
    "unavailable": _unavailable,
    "auth": _held(End.not_logged_in),
    "bad setup": _held(End.bad_setup),
    "needs you": _needs_you,
    "refused": _another(End.refused),
    "budget": _another(End.over_budget),
    "interrupted": _interrupted,
}
"""By what a minder says the rule; all else is a failure."""


def on_agent_said(state: SessionState, report: rq.AgentSaid, now: float) -> list[ev.AnyEvent]:
    ticket = reported(state, report)
    if ticket is None:
        return []
    events = _known(state, ticket, report.conversation, report.model, now, version=report.version, mode=report.mode)
    if report.speaks:
        events += _is_well(state, ticket, now)
    told = coding_of(state, ticket)
    if told.asks is not None and 0 < told.asks.number <= report.asked and report.number != told.asks.number:
        events.append(
            ev.QuestionWithdrawn(at=now, ticket=ticket.id, attempt=ticket.attempts, question=told.asks.question)
        )
    if report.question and _is_new(told, report):
        events.append(
            ev.TicketAsks(
                at=now,
                ticket=ticket.id,
                attempt=ticket.attempts,
                question=report.question,
                what=report.asks,
                choices=report.choices,
                number=report.number,
            )
        )
    return events


def _is_new(told: Coding, report: rq.AgentSaid) -> bool:
    """Whether what an agent asks was not asked or answered before."""
    if told.asked and report.number:
        return report.number > told.asked
    return report.question not in {each.question for each in (told.asks, told.answered) if each is not None}


def on_rest_elapsed(state: SessionState, report: rq.RestElapsed, now: float) -> list[ev.AnyEvent]:
    rest = state.accounts.get(report.account)
    if rest is None or rest.is_tried or now < rest.until:
        return []
    return [ev.AccountTried(at=now, account=report.account)]


def last_word(state: SessionState, ticket: TicketState, report: rq.ProcessEnded) -> rq.Said | None:
    """How the agent of an attempt had ended already when that was told to end, if this counts; else None.

    What a person cancelled stays so. Who stops the session does not wait for gates: then the attempt runs again.
    """
    said, reason = report.said, ticket.live_attempt.stop_reason or report.stopped_for
    if said is None or said.is_least or said.end == "interrupted":
        return None
    if reason == "stopped" and said.end in ("succeeded", "needs you") and gates_of(state, ticket):
        return None
    return said if reason in WORD_COUNTS else None


def known_at_end(state: SessionState, ticket: TicketState, report: rq.ProcessEnded, now: float) -> list[ev.AnyEvent]:
    """That the conversation of an attempt is known that was ended on purpose, perhaps before anybody looked."""
    said = report.said
    return [] if said is None else _known(state, ticket, said.session, said.model, now)


def _known(
    state: SessionState,
    ticket: TicketState,
    conversation: str,
    model: str,
    now: float,
    *,
    version: str = "",
    mode: str = "",
) -> list[ev.AnyEvent]:
    """That its conversation is known, if that is new."""
    known = coding_of(state, ticket).conversation
    if not conversation or (known is not None and (known.id, known.attempt) == (conversation, ticket.attempts)):
        return []
    return [
        ev.ConversationKnown(
            at=now,
            ticket=ticket.id,
            attempt=ticket.attempts,
            conversation=conversation,
            model=model,
            version=version,
            mode=mode,
        )
    ]


def _well(state: SessionState, ticket: TicketState, said: rq.Said, now: float) -> list[ev.AnyEvent]:
    """That the provider answers again, if an end says that: a verdict of it, or tokens."""
    has_used = any((said.inp, said.out, said.cached)) and said.end not in _UNWELL
    return _is_well(state, ticket, now) if has_used or said.end in _ANSWERED else []


_UNWELL = frozenset(("limited", "unavailable", "auth", "bad setup"))
_ANSWERED = frozenset(("succeeded", "needs you", "refused", "budget"))
"""Ends to which none comes whose provider does not answer."""


def _is_well(state: SessionState, ticket: TicketState, now: float) -> list[ev.AnyEvent]:
    account = _account(state, ticket) if state.accounts else ""
    rest = state.accounts.get(account)
    return [ev.AccountWell(at=now, account=account)] if rest is not None and rest.is_tried else []


def _account(state: SessionState, ticket: TicketState) -> str:
    assert ticket.agent is not None
    return account_of(state.agents[ticket.agent].type, state.plan.agents)
