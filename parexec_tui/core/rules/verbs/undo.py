"""undo: take back the last thing that a person did."""

from collections.abc import Iterator, Sequence

from parexec_tui.core.rules.answers import Decision
from parexec_tui.core.rules.verbs.amend import amend
from parexec_tui.core.rules.verbs.drain import drain
from parexec_tui.core.rules.verbs.freeze import freeze
from parexec_tui.core.rules.verbs.hold import hold
from parexec_tui.core.rules.verbs.on_failure import change_policy
from parexec_tui.core.rules.verbs.prioritise import prioritise
from parexec_tui.core.rules.verbs.put_back import cannot_put_back, put_back
from parexec_tui.core.rules.verbs.reassign import reassign
from parexec_tui.core.rules.verbs.release import release
from parexec_tui.core.rules.verbs.scale import scale, set_budget
from parexec_tui.core.rules.verbs.thaw import thaw
from parexec_tui.core.rules.verbs.undecide import can_undecide
from parexec_tui.core.state import events as ev
from parexec_tui.core.state import undo as stored
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import Refusal


def undo(state: SessionState, asked: rq.Undo, now: float) -> Decision:
    action = meant(state, asked, now)
    if isinstance(action, Refusal):
        return action
    answer = _taken_back(state, action, asked.by, now)
    return _too_late(action, answer) if isinstance(answer, Refusal) else answer


def history(state: SessionState, now: float) -> Iterator[tuple[ev.OperatorActed, str]]:
    """The actions, newest first, and why each cannot be taken back; empty if it can, after those above it.

    They are tried down to the first that can be taken back. The others were undoable when they were done; what
    followed may have changed that. One that it is too late for keeps nothing older from being taken back.
    """
    barrier = ""
    is_tried = True
    for action in reversed(state.actions):
        why = barrier
        if not action.inverse:
            why = action.why_final or "nothing takes it back"
            barrier = barrier or f'"{action.text}" is newer and stays'
        elif _is_replaced(state, action):
            why = why or "that is no longer in force: it was decided otherwise since"
        elif is_tried and not barrier:
            refused = _cannot_take_back(state, action, now)
            why = refused.reason if refused is not None else ""
            is_tried = refused is not None
        yield action, why


def _is_replaced(state: SessionState, action: ev.OperatorActed) -> bool:
    """Whether it decided conflicts, and all of them were decided otherwise before an engine was there."""
    steps = [
        step for step in action.inverse if isinstance(step, stored.PutTicketsBack) and step.since == "validating"
    ]
    tickets = [state.tickets[id_] for step in steps for id_ in step.tickets if id_ in state.tickets]
    return bool(tickets) and all(
        can_undecide(state, ticket) and ticket.live_attempt.started != action.at for ticket in tickets
    )


def next_undo(state: SessionState, now: float) -> tuple[ev.OperatorActed | None, Sequence[str]]:
    """The newest action that can be taken back, past those that it is too late for; and of these, what they were and
    why it is too late. No action, if none can be, or one was meant for good before it."""
    passed: list[str] = []
    for action, why in history(state, now):
        if not why:
            return action, passed
        if not action.inverse:
            break
        passed.append(f'too late to undo "{action.text}": {why}')
    return None, ()


def cannot_undo(state: SessionState, asked: rq.Undo, now: float) -> Refusal | None:
    """Why it would be refused. It does not try to put tickets back: the cost of that is O(what depends on them)."""
    action = meant(state, asked, now)
    if isinstance(action, Refusal):
        return action
    refusal = _cannot_take_back(state, action, now)
    return _too_late(action, refusal) if refusal is not None else None


def _cannot_take_back(state: SessionState, action: ev.OperatorActed, now: float) -> Refusal | None:
    if all(isinstance(step, stored.PutTicketsBack) for step in action.inverse):
        steps = (step for step in action.inverse if isinstance(step, stored.PutTicketsBack))
        refusals = (cannot_put_back(state, _put_back(step, "")) for step in steps)
        return next(filter(None, refusals), None)
    answer = _taken_back(state, action, "", now)
    return answer if isinstance(answer, Refusal) else None


def meant(state: SessionState, asked: rq.Undo, now: float) -> ev.OperatorActed | Refusal:
    """The action that is to be taken back: the last, or the one that is named if it is too late for all after it.
    Where none is named, one before the last is not looked at: it is not what a person means."""
    if not state.actions:
        return Refusal("there is nothing that could be undone")
    action = last = state.actions[-1]
    if not _is_named(action, asked):
        found, _ = next_undo(state, now)
        if found is None or not _is_named(found, asked):
            return Refusal(f'it is not the last action any more: that is "{last.text}", by {last.by}')
        action = found
    if not action.inverse:
        why = f": {action.why_final}" if action.why_final else ""
        return Refusal(f'the last action, "{action.text}", cannot be taken back{why}')
    return action


def _is_named(action: ev.OperatorActed, asked: rq.Undo) -> bool:
    return asked.text in ("", action.text) and asked.at in (None, action.at)


def _taken_back(state: SessionState, action: ev.OperatorActed, by: str, now: float) -> Decision:
    """The events of all steps, or why it is too late for them."""
    events: list[ev.AnyEvent] = []
    for step in action.inverse:
        answer = _take(state, step, by, now, events)
        if isinstance(answer, Refusal):
            return answer
        events += answer
    for event in events:
        if isinstance(event, ev.AttemptStopRequested) and event.why != "undone":
            return Refusal(f"{event.ticket} has started since", f"cancel {event.ticket}")
    return events


def _too_late(action: ev.OperatorActed, refused: Refusal) -> Refusal:
    return Refusal(f'too late to undo "{action.text}": {refused.reason}', refused.remedy)


def _is_planned_anew(type_: str, before: Sequence[ev.AnyEvent]) -> bool:
    """Whether a step before has changed an agent type back: that has made its limit and budget those of the plan."""
    return any(isinstance(event, ev.PlanAmended) and type_ in event.agents for event in before)


def _put_back(step: stored.PutTicketsBack, by: str) -> rq.PutBack:
    return rq.PutBack(tickets=step.tickets, since=step.since, by=by)


def _take(
    state: SessionState, step: stored.AnyUndoStep, by: str, now: float, before: Sequence[ev.AnyEvent]
) -> Decision:
    """The events of one step, or why it cannot be taken any more. `before`: those of the steps before it."""
    match step:
        case stored.PutTicketsBack():
            return put_back(state, _put_back(step, by), now)
        case stored.PinTickets(tickets=tickets, agent=agent):
            return reassign(state, rq.Reassign(tickets=tickets, agent=agent, by=by), now, may_be_gone=True)
        case stored.SetPriority(tickets=tickets, priority=priority):
            return prioritise(state, rq.Prioritise(tickets=tickets, priority=priority, by=by), now)
        case stored.RevertPlan():
            asked = rq.Amend(**{name: getattr(step, name) for name in step.__struct_fields__}, by=by)
            return amend(state, asked, now, after=before)
        case stored.ThawTickets(tickets=tickets):
            return thaw(state, rq.Thaw(tickets=tickets, by=by), now)
        case stored.FreezeTickets(tickets=tickets):
            return freeze(state, rq.Freeze(tickets=tickets, by=by), now)
        case stored.ThawServices(services=services):
            return thaw(state, rq.Thaw(services=services, by=by), now)
        case stored.FreezeServices(services=services):
            return freeze(state, rq.Freeze(services=services, by=by), now)
        case stored.ReleaseHolds(tickets=tickets, agents=agents, types=types, hosts=hosts):
            return release(state, rq.Release(tickets=tickets, agents=agents, types=types, hosts=hosts, by=by), now)
        case stored.HoldAgain(tickets=(), agents=(), types=(), hosts=()):
            held = ev.SessionHeld(at=now, reason=step.reason, by=step.by, freeze=step.freeze)
            return [] if state.held is not None else [held]
        case stored.HoldAgain(tickets=tickets, agents=agents, types=types, hosts=hosts):
            return hold(state, rq.Hold(tickets=tickets, agents=agents, types=types, hosts=hosts, by=step.by), now)
        case stored.DrainAgain(agents=agents, hosts=hosts, reason=reason):
            return drain(state, rq.Drain(agents=agents, hosts=hosts, reason=reason, by=by), now)
        case stored.SetLimit(most=most, type=str(type_)) if _is_planned_anew(type_, before):
            return [ev.TypeScaled(at=now, type=type_, most=most, by=by)]
        case stored.SetBudget(type=type_, budget=budget) if _is_planned_anew(type_, before):
            return [ev.BudgetChanged(at=now, type=type_, budget=budget, by=by)]
        case stored.SetLimit(most=most, type=type_, auto=auto):
            return scale(state, rq.Scale(most=most, type=type_, auto=auto, by=by), now)
        case stored.SetBudget(type=type_, budget=budget):
            return set_budget(state, type_, budget, now, by=by)
        case stored.SetFailurePolicy(policy=policy):
            return change_policy(state, policy, now, by=by)
