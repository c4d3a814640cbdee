"""What an attempt did in its worktree is committed, tried, merged; or it conflicts with what was merged meanwhile."""

from msgspec import structs

from parexec_tui.core.rules.conflicts import decided_conflict, is_decided
from parexec_tui.core.rules.reports.again import conflict_text
from parexec_tui.core.rules.reports.claims import breaks_rule, wrote_unclaimed
from parexec_tui.core.rules.reports.ends import StepReport, attempt_ended, exit_text, passed, reported, step_ended
from parexec_tui.core.rules.reports.failures import failed
from parexec_tui.core.rules.reports.host import host_short, on_host_short
from parexec_tui.core.rules.reports.stops import ended_on_purpose
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.accounts import coding_of
from parexec_tui.core.state.isolation import branch_of, conflict_of, lost_text, target_of
from parexec_tui.core.state.process_key import COMMIT, MERGE
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import PENDING, End, Status
from parexec_tui.core.state.steps import after_merge, first_gate, is_resolve, next_resolve, step_started
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq


def on_worktree_made(state: SessionState, report: rq.WorktreeMade, now: float) -> list[ev.AnyEvent]:
    ticket = state.live.get(report.ticket)
    if ticket is None or ticket.attempts != report.attempt:
        return []
    before = state.worktrees.get(ticket.id)
    if is_resolve(report.step) and report.aside:
        return [
            ev.ResolutionLeft(
                at=now, ticket=ticket.id, attempt=report.attempt, aside=report.aside, why=report.why_aside
            )
        ]
    if before is not None and before.made.attempt == report.attempt:
        return []
    return [
        ev.WorktreeMade(
            at=now,
            ticket=ticket.id,
            attempt=report.attempt,
            path=report.path,
            branch=branch_of(state, ticket.id),
            target=target_of(state, ticket),
            base=report.base,
            aside=report.aside,
            why_aside=report.why_aside,
        )
    ]


def on_work_tried(state: SessionState, report: rq.WorkTried, now: float) -> list[ev.AnyEvent]:
    ticket = reported(state, report)
    if ticket is None:
        return []
    is_merge = report.step != COMMIT
    if is_merge and report.work is not None:  # it is done, whatever was asked for meanwhile
        return [_merged(ticket, report, report.work, now), *passed(state, ticket, report, after_merge(ticket), now)]
    if ticket.live_attempt.stop_reason is not None:
        return ended_on_purpose(state, ticket, report, now)
    if report.lacks:
        if report.lacks == ticket.live_attempt.lacks:
            return []
        if report.step not in (COMMIT, MERGE):
            looked = bool(state.secrets)  # else the engine is about to
            awaits = ev.SecretAwaited(at=now, ticket=ticket.id, attempt=report.attempt, text=report.lacks)
            return [awaits] if looked else []
        return [ev.RoomAwaited(at=now, ticket=ticket.id, attempt=report.attempt, text=report.lacks)]
    if report.problem and (ticket.live_attempt.is_in_conflict or ticket.live_attempt.is_lost):
        return [_asked_again(state, ticket, report, report.problem, now)]
    if report.problem:
        return failed(state, ticket, report, End.failed, report.problem, now)
    told: list[ev.AnyEvent] = []
    if report.holds and state.worktrees[ticket.id].holds != report.holds:
        told.append(ev.RepositoryLeft(at=now, ticket=ticket.id, attempt=report.attempt, path=report.holds))
    if report.unclaimed is not None:
        told += wrote_unclaimed(state, ticket, report.unclaimed, now)
        if breaks_rule(state, ticket, report.unclaimed):
            return [*told, *failed(state, ticket, report, End.failed, report.unclaimed.outside, now)]
    return [*told, *_tried(state, ticket, report, now)]


def _tried(state: SessionState, ticket: TicketState, report: rq.WorkTried, now: float) -> list[ev.AnyEvent]:
    """What follows from a commit, or from a merge that was not to be, if nothing else is wrong."""
    if report.conflict is not None:
        return _conflicted(state, ticket, report, report.conflict, now)
    if report.work is None:
        moved = step_ended(ticket, report, now, passed=False, reason="others merged first: the gates look again")
        return [moved, step_started(state, ticket, COMMIT, now)]
    done = report.work
    committed = ev.WorkCommitted(
        at=now, ticket=ticket.id, attempt=report.attempt, commit=done.commit, onto=done.onto, merged=done.merged
    )
    return [committed, *passed(state, ticket, report, first_gate(state, ticket), now)]


def _merged(ticket: TicketState, report: rq.WorkTried, done: rq.Work, now: float) -> ev.WorkMerged:
    return ev.WorkMerged(
        at=now,
        ticket=ticket.id,
        attempt=report.attempt,
        commit=done.merged,
        before=done.onto,
        checkout=report.checkout,
    )


def _conflicted(
    state: SessionState, ticket: TicketState, report: rq.WorkTried, found: rq.Conflict, now: float
) -> list[ev.AnyEvent]:
    policy, attempt = _policy(state, ticket), ticket.live_attempt
    then = ("wins" if _wins(state, ticket, found) else "requeue") if policy == "priority" else policy
    told = conflict_text(target_of(state, ticket), found.files, found.count, found.tickets)
    note = (
        f"{told}. This attempt begins at what is merged by now; what the last one did is commit {found.commit[:12]}, "
        f"see: git show {found.commit[:12]}"
    )
    event = ev.WorkConflicted(
        at=now,
        ticket=ticket.id,
        attempt=report.attempt,
        commit=found.commit,
        onto=found.onto,
        files=found.files,
        count=found.count,
        tickets=found.tickets,
        then="hold" if then == "hold" else "wins" if then == "wins" else "requeue",
        note=note if then == "requeue" else "",
    )
    if then == "wins":
        tried = step_ended(ticket, report, now, passed=False, reason=f"{told}: it has the higher class, and wins")
        return [event, tried, step_started(state, ticket, COMMIT, now)]
    if then == "hold":
        decided = decided_conflict(state, ticket)
        runs_again = attempt.side == "by" and not attempt.is_approved
        if runs_again and decided is not None and is_decided(found, decided):
            moved = step_ended(ticket, report, now, passed=False, reason=f"{told}: the command runs again for that")
            again = next_resolve(attempt.resolves)
            return [event, moved, ev.StepStarted(at=now, ticket=ticket.id, attempt=attempt.number, step=again)]
        if attempt.side:
            told += "; others merged since the conflict was looked at, so you are asked again"
        return [event, attempt_ended(ticket, report, End.succeeded, Status.approval, now, reason=told)]
    return [event, attempt_ended(ticket, report, End.stopped, Status.waiting, now, reason=told)]


def _policy(state: SessionState, ticket: TicketState) -> str:
    return state.plan.agents[state.agents[ticket.live_attempt.agent].type].on_conflict


def _wins(state: SessionState, ticket: TicketState, found: rq.Conflict) -> bool:
    """Whether all that it conflicts with is known, and of a lower class."""
    others = [state.tickets[id_] for id_ in found.tickets if id_ in state.tickets]
    is_known = bool(others) and len(others) == len(found.tickets)
    return is_known and all(ticket.spec.priority.rank < other.spec.priority.rank for other in others)


def on_worktree_sized(state: SessionState, report: rq.WorktreeSized, now: float) -> list[ev.AnyEvent]:
    """What is not merged is kept, within a budget: of more, the oldest go, but for what no commit can stand for, and
    where a coding agent goes on."""
    found = state.worktrees.get(report.ticket)
    if found is None or found.made.attempt != report.attempt or found.size is not None or report.ticket in state.live:
        return []
    events: list[ev.AnyEvent] = [
        ev.WorktreeKept(at=now, ticket=report.ticket, attempt=report.attempt, size=report.size, stays=report.stays)
    ]
    excess = state.worktrees_size + report.size - state.plan.settings.keep_worktrees
    for id_, kept in state.worktrees.items():
        if excess <= 0:
            break
        size, stays = (report.size, report.stays) if kept is found else (kept.size, kept.holds)
        if size is not None and not stays and not _is_to_go_on(state, id_):
            events.append(ev.WorktreeDropped(at=now, ticket=id_, attempt=kept.made.attempt))
            excess -= size
    return events


def _is_to_go_on(state: SessionState, id_: str) -> bool:
    """Whether a coding agent is to go on in a worktree, with what git ignores there."""
    ticket = state.tickets.get(id_)
    return ticket is not None and ticket.status in PENDING and coding_of(state, ticket).conversation is not None


def conflict_resolved(
    state: SessionState, ticket: TicketState, report: rq.ProcessEnded | rq.ProcessLost, now: float
) -> list[ev.AnyEvent]:
    """The command is over by which a person resolves a conflict. If it failed, they are to decide again."""
    attempt = ticket.live_attempt
    if isinstance(report, rq.ProcessEnded) and report.host_short_of and attempt.stop_reason is None:
        return on_host_short(state, host_short(report), now)  # the engine starts it when there is enough
    if attempt.stop_reason is not None or report.stopped_for is not None:
        return [_asked_again(state, ticket, report, "it was stopped", now)]
    if isinstance(report, rq.ProcessEnded) and report.code == 0 and not report.problem:
        return passed(state, ticket, report, COMMIT, now)
    if isinstance(report, rq.ProcessLost) and not report.began:
        return [ev.StepStarted(at=now, ticket=ticket.id, attempt=attempt.number, step=next_resolve(attempt.resolves))]
    why = report.problem or exit_text(report) if isinstance(report, rq.ProcessEnded) else report.reason
    return [_asked_again(state, ticket, report, why, now)]


def _asked_again(
    state: SessionState, ticket: TicketState, report: StepReport, why: str, now: float
) -> ev.AttemptEnded:
    """What a person decided about a conflict came to nothing: that is no failure of the ticket, and they decide
    again, as they do about what was merged and is lost."""
    attempt, worktree = ticket.live_attempt, state.worktrees[ticket.id]
    found, lost, target = worktree.conflict, worktree.lost, worktree.made.target
    told = lost_text(target, lost.commit) if lost is not None else ""
    if found is not None:
        told = conflict_text(target, found.files, found.count, found.tickets)
    said = f"`{attempt.resolution}`: {why}" if attempt.resolution else why
    reason = "; ".join(filter(None, (said, told)))
    return attempt_ended(ticket, report, End.stopped, Status.approval, now, reason=reason)


def on_conflict_seen(state: SessionState, report: rq.ConflictSeen, now: float) -> list[ev.AnyEvent]:
    """Of a conflict that waits for a decision, what people see is what they decide; one that is gone needs none."""
    ticket = state.tickets.get(report.ticket)
    shown = conflict_of(state, ticket) if ticket is not None else None
    found = report.conflict
    if ticket is None or shown is None or report.attempt != shown.attempt:
        return []
    if report.is_gone and state.stopping is None and state.draining is None:  # else the next engine looks again
        return [ev.MergeStarted(at=now, ticket=ticket.id, attempt=ticket.attempts, step=COMMIT)]
    if found is None or found.commit != shown.commit:
        return []
    told = conflict_text(target_of(state, ticket), found.files, found.count, found.tickets)
    return [
        structs.replace(
            shown,
            at=now,
            onto=found.onto,
            files=found.files,
            count=found.count,
            tickets=found.tickets,
            reason=told,
        )
    ]


def on_conflicts_foreseen(state: SessionState, report: rq.ConflictsForeseen, now: float) -> list[ev.AnyEvent]:
    """What is new of the coming conflicts between tickets, and what is not so any more."""
    found = {(each.one, each.other): each for each in report.found}
    events: list[ev.AnyEvent] = [
        ev.ConflictAverted(at=now, ticket=pair[0], other=pair[1])
        for pair in state.foreseen
        if pair not in found and set(pair) <= set(report.tickets)
    ]
    for pair, each in found.items():
        known = state.foreseen.get(pair)
        if (known is None or known.files != each.files) and state.live.keys() >= set(pair):
            events.append(
                ev.ConflictForeseen(at=now, ticket=pair[0], other=pair[1], files=each.files, count=each.count)
            )
    return events
