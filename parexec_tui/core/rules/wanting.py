"""Whether tickets are wanted: what their `when` says, before anything of them starts."""

from collections.abc import Iterable

from parexec_tui.core.plan.wanted import early_answer, run_look
from parexec_tui.core.plan.when import Answer, UnknownError, WhenError, answer
from parexec_tui.core.rules.downstream import skips
from parexec_tui.core.rules.reports.failures import family_ends
from parexec_tui.core.rules.verbs.on_failure import on_failure
from parexec_tui.core.schedule.readiness import display_status
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import Status
from parexec_tui.core.state.tickets import TicketState

NONE_WANTED = "none of its tickets is wanted"
"""Why gates are not wanted."""


def find_wanted(state: SessionState, now: float, *, foresees: bool = False) -> list[ev.AnyEvent]:
    """What follows for the tickets of which it may be known by now whether they are wanted; nothing once all is said.

    `foresees`: nothing runs, so what depends on values that nobody told is wanted.
    """
    dirty = state.dirty
    if dirty is None or not dirty.undecided:
        return []
    ids, dirty.undecided = dict.fromkeys(dirty.undecided), []
    return answers(state, ids, now, foresees=foresees)


def answers(state: SessionState, ids: Iterable[str], now: float, *, foresees: bool = False) -> list[ev.AnyEvent]:
    """The events by which it is known of these tickets whether they are wanted, as far as that can be known now.

    After one whose `when` has no answer the others come next time: its failure may end them.
    """
    events: list[ev.AnyEvent] = []
    gone: set[str] = set()
    left = iter(ids)
    for id_ in left:
        ticket = state.tickets.get(id_)
        if ticket is None or id_ in gone:
            continue
        if ticket.is_gates:
            found = _answer_of_gates(state, ticket)
        elif ticket.status is Status.waiting and (found := _answer_of_families(state, ticket)) is not None:
            pass
        elif not ticket.is_undecided:
            continue
        elif (early := early_answer(ticket.spec, state.plan.variables)) is not None and not early.wanted:
            found = early
        elif ticket.missing:
            continue
        else:
            try:
                found = early or _answer(state, ticket)
            except WhenError as error:
                if not (foresees and isinstance(error, UnknownError)):
                    if state.dirty is not None:
                        state.dirty.undecided.extend(left)
                    return [*events, *_fails(state, ticket, error, gone, now)]
                found = Answer(True, "")
        if found is not None:
            skipped = () if found.wanted else skips(state, ticket, gone, are_unwanted=True)
            gone.update(skipped)
            events.append(
                ev.WhenAnswered(at=now, ticket=id_, wanted=found.wanted, because=found.because, skipped=skipped)
            )
    return events


def _answer(state: SessionState, ticket: TicketState) -> Answer:
    def status_of(id_: str) -> str:
        if id_ not in state.tickets:
            raise UnknownError(f"{id_} is not in this session")
        return str(display_status(state, state.tickets[id_]))

    return answer(ticket.spec.when, run_look(ticket.spec, state.plan.variables, state.values, status_of))


def _answer_of_gates(state: SessionState, gates: TicketState) -> Answer | None:
    """Gates are not wanted if none of the tickets is that they are about; None: they wait, or are run."""
    if gates.id not in state.ready or not state.not_wanted:
        return None
    return Answer(False, NONE_WANTED) if all(need.is_unwanted for need in state.needs(gates.id)) else None


def _answer_of_families(state: SessionState, ticket: TicketState) -> Answer | None:
    """Who needs a whole family is not wanted if none of that is; None: that is not so, or not known yet."""
    if ticket.id not in state.ready or not state.not_wanted:
        return None
    for name in state.needed_whole(ticket):
        if all(need.is_unwanted for need in state.needs(ticket.id) if need.spec.family == name):
            return Answer(False, f"none of {name} is wanted")
    return None


def _fails(
    state: SessionState, ticket: TicketState, error: WhenError, gone: set[str], now: float
) -> list[ev.AnyEvent]:
    skipped = skips(state, ticket, gone)
    gone.update(skipped, (ticket.id,))
    reason = f"when {ticket.spec.when}: {error}"
    failed = ev.TicketUnrunnable(at=now, ticket=ticket.id, reason=reason, skipped=skipped)
    return [failed, *on_failure(state, ticket, now), *family_ends(state, ticket, gone, now)]
