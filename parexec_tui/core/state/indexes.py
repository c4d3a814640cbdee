"""What follows when a ticket or an agent changes: the indexes of a `SessionState`, kept at O(what changed)."""

from collections.abc import Sequence

from msgspec import structs

from parexec_tui.core.plan.hosts import pinned_host
from parexec_tui.core.plan.waits import Wait
from parexec_tui.core.state.agents import AgentState
from parexec_tui.core.state.process_key import CONDITIONS
from parexec_tui.core.state.reruns import note_rerun
from parexec_tui.core.state.reservation import count_end, drop_reservation
from parexec_tui.core.state.services import count_user
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.stalls import note_stall
from parexec_tui.core.state.status import LIVE, SATISFIED, TERMINAL, Status
from parexec_tui.core.state.step_history import end_question
from parexec_tui.core.state.tickets import TicketState

BY_A_PERSON = "a person runs it"
"""Instead of values, where a person retries what is not wanted."""


def note_warning(state: SessionState, ticket: TicketState) -> None:
    """Note whether something is to be said of a live ticket: what its checks found, or what it waits for."""
    attempt = ticket.live_attempt
    if attempt.failed_checks or attempt.lacks:
        state.warned[ticket.id] = ticket
    else:
        state.warned.pop(ticket.id, None)


def move(state: SessionState, ticket: TicketState, to: Status, at: float) -> None:
    """Change a status, and everything that follows from statuses."""
    from_ = ticket.status
    ticket.status = to
    if from_ is Status.approval and to not in LIVE:
        give_back_claims(state, ticket)
    state.counts[from_] -= 1
    state.counts[to] += 1
    if state.reservation is not None and state.reservation.ticket == ticket.id:
        drop_reservation(state)
    if from_ is Status.waiting:
        state.ready.pop(ticket.id, None)
        if ticket.asking:
            stop_asking(state, ticket)
    if to in LIVE:
        state.live[ticket.id] = ticket
        if state.hosts and from_ not in LIVE:
            _note_live(state, ticket)
    elif from_ in LIVE:
        del state.live[ticket.id]
        state.warned.pop(ticket.id, None)
        if state.hosts:
            _note_not_live(state, ticket)
    if from_ is Status.failed:
        _forget_failure(state, ticket)
    if to is Status.failed:
        _note_failure(state, ticket)
    succeeded = (to in SATISFIED) - (from_ in SATISFIED)
    over = (to in TERMINAL) - (from_ in TERMINAL)
    if succeeded or over:
        if succeeded < 0 or over < 0:
            doubt_reservation(state)
        for id_, wait in state.graph.dependents[ticket.id].items():
            dependent = state.tickets[id_]
            if wait is Wait.success:
                dependent.lost += over - succeeded
                _note_met(state, dependent, succeeded, at)
            else:
                _note_met(state, dependent, over, at)
    if over and (over < 0 or state.rerunning):
        for each in note_rerun(state, ticket, from_):
            if each.asking and each.id in state.stale_needs:
                stop_asking(state, each)
            check_again(state, each)
    if over and ticket.spec.uses_service:
        count_user(state.services, ticket)
    if over:
        _account(state, ticket.group, over, at)
    if state.last:
        _note_end(state, ticket, from_, at)
    if ticket.spec.when:
        note_undecided(state, ticket)
    if ticket.is_unwanted or (to is Status.skipped and (ticket.says_no or state.not_wanted)):
        _note_unwanted(state, ticket, at)
    if ticket.is_stalled or ticket.stalled_needs or ticket.held is not None:
        note_hold(state, ticket)
        note_stall(state, ticket)
    if ticket.spec.approve != "no" or to is Status.approval or from_ is Status.approval:
        note_approval(state, ticket)
    if to is Status.waiting and ticket.missing == 0:
        mark_ready(state, ticket, at)


def note_undecided(state: SessionState, ticket: TicketState) -> None:
    """Update the index of tickets of which it is not known whether they are wanted."""
    if ticket.is_undecided:
        state.undecided[ticket.id] = ticket
        if state.dirty is not None:
            state.dirty.undecided.append(ticket.id)
    else:
        state.undecided.pop(ticket.id, None)


def _note_unwanted(state: SessionState, ticket: TicketState, at: float) -> None:
    """Update the mark of a ticket that may have become unwanted, or wanted; and the marks of what needs it. Some do
    without it, see `SessionState.does_without`."""
    wave = [ticket]
    while wave:
        each = wave.pop()
        if (unwanted := state.should_be_unwanted(each)) is each.is_unwanted:
            continue
        each.is_unwanted = unwanted
        if unwanted:
            state.not_wanted[each.id] = each
        else:
            del state.not_wanted[each.id]
        step = 1 if unwanted else -1
        for id_, wait in state.graph.dependents[each.id].items():
            dependent = state.tickets[id_]
            if wait is Wait.success and state.does_without(dependent, each):
                dependent.lost -= step
                _note_met(state, dependent, step, at)
            elif wait is Wait.success and dependent.status is Status.skipped:
                wave.append(dependent)


def _note_end(state: SessionState, ticket: TicketState, from_: Status, at: float) -> None:
    """Let the dispatcher check again what waited for the end of this ticket because one of them runs at the end."""
    if not ticket.spec.finally_:
        if (ticket.status in TERMINAL) is not (from_ in TERMINAL):
            note_early(state)
        if ticket.status in TERMINAL and not state.before_last():
            for each in state.last.values():
                if each.missing == 0 and each.status is Status.waiting:
                    mark_ready(state, each, at)
    elif from_ in LIVE and ticket.status not in LIVE and state.dirty is not None:
        state.dirty.everything = True


def note_early(state: SessionState) -> None:
    """Update for which of the tickets that run at the end it is too early to be approved of."""
    asked = [ticket for ticket in state.last.values() if ticket.spec.approve == "before"]
    if not asked:
        return
    early = state.is_early_for_last()
    for ticket in asked:
        if ticket.is_early is not early:
            ticket.is_early = early
            note_approval(state, ticket)


def stop_asking(state: SessionState, ticket: TicketState) -> None:
    """Nobody waits any more for the answer whether a ticket is done already."""
    kind = next(kind for kind in CONDITIONS if ticket.asking.startswith(kind))
    was_frozen = ticket.is_check_frozen
    end_question(state, ticket, state.now)
    ticket.asking, ticket.question_clock = "", None
    if was_frozen:
        note_stall(state, ticket)
    del state.asking[ticket.id]
    if state.dirty is not None:
        state.dirty.answered.append(kind)


def _note_met(state: SessionState, ticket: TicketState, step: int, at: float) -> None:
    """One more of its needs has come to what it waits for, or (step -1) one less."""
    if not step:
        return
    ticket.missing -= step
    if step < 0:
        state.ready.pop(ticket.id, None)
        if ticket.asking:
            stop_asking(state, ticket)
    if ticket.held is not None:
        note_hold(state, ticket)
    if ticket.spec.approve != "no":
        note_approval(state, ticket)
    if ticket.missing == 0 and ticket.status is Status.waiting:
        mark_ready(state, ticket, at)


def allow_failure(state: SessionState, ticket: TicketState) -> None:
    """Update the indexes of failures after that of a ticket may have been allowed, or is not any more."""
    if ticket.status is Status.failed and ticket.is_allowed is not (ticket.id in state.allowed):
        _unfile_failure(state, ticket)
        _file_failure(state, ticket)


def _note_failure(state: SessionState, ticket: TicketState) -> None:
    newest = next(reversed(state.failed.values()), None)
    state.failed[ticket.id] = ticket
    _file_failure(state, ticket)
    if newest is not None and (newest.ended or 0.0) > (ticket.ended or 0.0):  # it had failed before, and was waived
        state.failed = dict(sorted(state.failed.items(), key=lambda item: item[1].ended or 0.0))


def _forget_failure(state: SessionState, ticket: TicketState) -> None:
    del state.failed[ticket.id]
    _unfile_failure(state, ticket)


def _file_failure(state: SessionState, ticket: TicketState) -> None:
    ticket.failed_with = ticket.failure
    state.failed_alike.setdefault(ticket.failed_with, {})[ticket.id] = ticket
    if ticket.is_allowed:
        state.allowed[ticket.id] = ticket


def _unfile_failure(state: SessionState, ticket: TicketState) -> None:
    state.allowed.pop(ticket.id, None)
    alike = state.failed_alike[ticket.failed_with]
    del alike[ticket.id]
    if not alike:
        del state.failed_alike[ticket.failed_with]


def note_hold(state: SessionState, ticket: TicketState) -> None:
    """Update the index of tickets that a hold keeps from starting."""
    if ticket.is_held_back:
        state.held_back[ticket.id] = ticket
    else:
        state.held_back.pop(ticket.id, None)


def note_approval(state: SessionState, ticket: TicketState) -> None:
    """Update the index of tickets that only wait for a person to approve."""
    if ticket.awaits_approval:
        if ticket.id not in state.unapproved and ticket.status is Status.waiting and state.dirty is not None:
            state.dirty.unapproved.append(ticket.id)
        state.unapproved[ticket.id] = ticket
    elif state.unapproved.pop(ticket.id, None) is None:
        return
    else:
        ticket.approval_asked = False
    note_stall(state, ticket)
    doubt_reservation(state)


def give_back_claims(state: SessionState, ticket: TicketState) -> None:
    """Let others have what the ticket holds."""
    if ticket.attempt is not None and ticket.attempt.is_lost:
        return  # it held nothing any more when it had succeeded
    freed = state.holdings.give_back(ticket.id)
    if (host := state.held_on.pop(ticket.id, None)) is not None:
        host.holdings.give_back(ticket.id)
        host_changed(state, host.name)
    count_end(state, ticket)
    if state.dirty is not None:
        state.dirty.freed.extend(freed)


def _note_live(state: SessionState, ticket: TicketState) -> None:
    if (host := state.hosts.get(state.host_of(ticket))) is not None:
        state.live_on[ticket.id] = host
        host.live[ticket.id] = None


def _note_not_live(state: SessionState, ticket: TicketState) -> None:
    host = state.live_on.pop(ticket.id, None)
    if host is not None:
        del host.live[ticket.id]
    host_changed(state, "" if host is None else host.name)


def host_changed(state: SessionState, host: str) -> None:
    """Let the dispatcher check what waits for a place on a host; empty: on this machine."""
    if state.dirty is not None:
        state.dirty.hosts.append(host)


def mark_ready(state: SessionState, ticket: TicketState, at: float) -> None:
    """Note that the needs of the ticket are met: as far as they are concerned, it may start from now on."""
    ticket.ready_at, ticket.conflict_at = at, None
    state.ready[ticket.id] = ticket
    if state.dirty is not None:
        state.dirty.ready.append(ticket.id)
        if not ticket.is_decided or (state.not_wanted and (ticket.is_gates or state.needed_whole(ticket))):
            state.dirty.undecided.append(ticket.id)


def check_again(state: SessionState, ticket: TicketState) -> None:
    """Let the dispatcher check a ready ticket again: what blocked it may be gone, or its rank has changed."""
    if state.dirty is not None and ticket.missing == 0 and ticket.status is Status.waiting:
        state.dirty.ready.append(ticket.id)


def doubt_reservation(state: SessionState) -> None:
    """Let the dispatcher look whether the reservation, if there is one, still makes sense."""
    if state.reservation is not None and state.dirty is not None:
        state.dirty.doubtful = True


def check_types_again(state: SessionState, *types: str) -> None:
    """Let the dispatcher check what waits for agents of these types."""
    if state.dirty is not None:
        state.dirty.idle.extend(types)


def _account(state: SessionState, group: int, step: int, at: float) -> None:
    """One more ticket of a group is accounted for, or (step -1) one less."""
    state.group_left[group] -= step
    if step < 0:
        state.finished_at = None
    if group < state.open_group:
        state.open_group = group
    while state.open_group < len(state.groups) and state.group_left[state.open_group] == 0:
        state.open_group += 1
        if state.plan.settings.barrier and state.open_group < len(state.groups):
            for id_ in state.groups[state.open_group]:
                ticket = state.tickets[id_]
                if ticket.missing == 0 and ticket.status is Status.waiting:
                    mark_ready(state, ticket, at)


def refresh_agent(state: SessionState, agent: AgentState) -> None:
    """Update the indexes of available and quarantined agents. One that becomes available is the last of its line."""
    line = state.available[agent.type]
    doubt_reservation(state)
    if not agent.is_available:
        line.pop(agent.id, None)
    elif agent.id not in line:
        state.turn += 1
        agent.turn = state.turn
        line[agent.id] = agent
        check_types_again(state, agent.type)
    if state.hosts:
        there = state.idle_on.setdefault((agent.type, agent.host), {})
        if not agent.is_available:
            there.pop(agent.id, None)
        else:
            there.setdefault(agent.id, agent)
    if agent.quarantined and not agent.stopped:
        state.quarantined[agent.id] = agent
    else:
        state.quarantined.pop(agent.id, None)


def find_types(state: SessionState, ticket: TicketState) -> None:
    """Find the types that may run a ticket: the type that it is pinned to, else all types that can."""
    if not ticket.pin or pinned_host(ticket.pin) is not None:
        ticket.types = state.types_of(ticket.spec)
    else:
        agent = state.agents.get(ticket.pin)
        ticket.types = (agent.type if agent is not None else ticket.pin,)


def agent_with(state: SessionState, ticket: TicketState) -> AgentState | None:
    """The agent that has a live ticket; None if none is busy with it: what was taken back of an attempt that had
    ended, or the gates of a group."""
    agent = state.agents.get(ticket.live_attempt.agent)
    return agent if agent is not None and agent.ticket == ticket.id else None


def thaw(state: SessionState, ticket: TicketState, at: float) -> None:
    """Let the attempt of a live ticket go on, if it is frozen."""
    if state.frozen.pop(ticket.id, None) is None:
        return
    ticket.live_attempt.thaw(at)
    if (agent := agent_with(state, ticket)) is not None:
        agent.is_frozen = False
    note_stall(state, ticket)


def skip(state: SessionState, tickets: Sequence[TicketState], because: str, at: float) -> None:
    """Mark tickets as skipped: they can no longer run, since the ticket `because` has ended."""
    for ticket in tickets:
        ticket.because = because
        ticket.ended = at
        ticket.retry_at = None
        move(state, ticket, Status.skipped, at)


def unskip(state: SessionState, tickets: Sequence[TicketState], at: float) -> None:
    """Let skipped tickets wait again."""
    for ticket in tickets:
        ticket.because, ticket.ended = "", None
        decide_again(ticket)
        move(state, ticket, Status.waiting, at)


def decide_again(ticket: TicketState) -> None:
    """Let it be found out again whether the ticket is wanted: what that follows from may be different now."""
    if ticket.says_no:
        ticket.reason = ""
    ticket.is_decided, ticket.decided_by, ticket.says_no = not ticket.spec.when, "", False


def run_again(
    state: SessionState, ticket: TicketState, note: str, at: float, *, is_wanted: bool | None = None
) -> None:
    """Let a ticket that has run wait for another attempt, with its retries as at first.

    `is_wanted`: True: whatever its `when` says; None: that is asked again.
    """
    ticket.save()
    if is_wanted is None:
        decide_again(ticket)
    elif ticket.says_no:
        ticket.is_decided, ticket.decided_by, ticket.says_no, ticket.reason = True, BY_A_PERSON, False, ""
    ticket.is_asked = True  # who wants it to run again does not want to hear that it is done
    ticket.charged, ticket.charged_lost = 0, 0
    ticket.excluded_agents, ticket.retry_at, ticket.note = (), None, note
    ticket.approved = False
    for name in ticket.spec.uses_service:
        state.services[name].forgive()
    if ticket.id in state.coding:
        state.coding[ticket.id] = structs.replace(state.coding[ticket.id], refused_by=(), outages=0)
    move(state, ticket, Status.waiting, at)


def lost_need(state: SessionState, ticket: TicketState) -> str:
    """A need of the ticket that is over without the success it waits for; empty if there is none."""
    return next((need.id for need in state.lost_needs(ticket)), "")
