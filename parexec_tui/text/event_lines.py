"""What happened, for people: the lines of each event."""

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from msgspec.structs import replace

from parexec_tui.core.plan.family import limits_text
from parexec_tui.core.plan.gates import PLAN_GATES
from parexec_tui.core.plan.reading.faults import listed
from parexec_tui.core.plan.units import format_count, format_duration, format_size, write_factor
from parexec_tui.core.rules.wording import POLICIES, UNRESTRICTED, budget_words, hosts_lines, types_lines
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.one_line import one_line, question_line
from parexec_tui.core.state.people import by_whom, on_agent, who
from parexec_tui.core.state.process_key import COMMIT, MERGE
from parexec_tui.core.state.status import SATISFIED, TERMINAL, End, Flag, Status
from parexec_tui.core.state.steps import gate_text, takes_back
from parexec_tui.text.pressure import eased_text, step_text
from parexec_tui.text.roots import merge_command
from parexec_tui.text.tuning import tuned_text
from parexec_tui.text.variables import variables_line
from parexec_tui.text.words import Line, clock, log_cut, printable, selection_text, why_ended
from parexec_tui.text.worktree_lines import worktree_lines

if TYPE_CHECKING:
    from parexec_tui.core.state.session import SessionState

_MAX_SKIPPED = 10
"""Skipped tickets of one event that get a line each."""


_MAX_LEFT_OUT = 3
"""Reasons of a request for which it was not granted as a whole, that are named."""

_MOST_LEFT = 5
"""Generated tickets of which it is told one by one that they stay as they were."""


_EARLIER = "in earlier sessions of the plan"


def lines(state: "SessionState", event: ev.AnyEvent, me: str = "") -> Iterator[Line]:
    """The lines of an event; none if it does not matter to a person. `state` is the state after it.

    `me`: how the requests of the reader are signed.
    """
    return map(_printable, _lines(state, event, me))


def brief_lines(state: "SessionState", event: ev.AnyEvent) -> Iterator[Line]:
    """As `lines`, but only of tickets that are over by the event, and of what may keep all others from starting."""
    match event:
        case ev.SessionOpened() if state.plan.without_members:
            yield from list(lines(state, event))[1:]
        case ev.AttemptEnded():
            if event.then in TERMINAL:
                first, *others = lines(state, event)
                yield replace(first, text=f"{first.text}, attempt {event.attempt}") if event.attempt > 1 else first
                yield from others
            elif event.then is Status.approval:
                yield from lines(state, event)
        case ev.PlanAmended() | ev.TicketPutBack():
            yield from (line for line in lines(state, event) if line.word == "skipped")
        case (
            ev.TicketUnrunnable()
            | ev.WorkLost()
            | ev.RepositoryLeft()
            | ev.ResolutionLeft()
            | ev.RoomAwaited()
            | ev.SecretAwaited()
            | ev.TicketCancelled()
            | ev.TicketWaived()
            | ev.ApprovalAsked()
            | ev.TicketSatisfied()
            | ev.TicketsGenerated()
        ):
            yield from lines(state, event)
        case ev.TicketApproved(ticket=id_) | ev.TicketRejected(ticket=id_) if state.tickets[id_].status in TERMINAL:
            yield from lines(state, event)
        case (
            ev.SessionHeld() | ev.SessionReleased() | ev.SessionDraining() | ev.SessionStopping()
            | ev.SessionInterrupted() | ev.MonitoringStarted() | ev.AgentQuarantined()
            | ev.HostPressed() | ev.HostRelieved() | ev.PressureRaised() | ev.ServiceEnded(died=True)
            | ev.HostUnreachable() | ev.HostUnusable()
        ):  # fmt: skip
            yield from lines(state, event)
        case _:
            pass


def lines_alone(event: ev.AnyEvent, me: str = "") -> Iterator[Line]:
    """As `lines`, for events that need no state to be explained: all that a request can lead to."""
    return map(_printable, _lines_alone(event, me))


def _printable(line: Line) -> Line:
    """The line without what could act on a terminal: its words come from plans, people and the system."""
    return replace(line, subject=printable(line.subject), text=printable(line.text))


def _lines(state: "SessionState", event: ev.AnyEvent, me: str) -> Iterator[Line]:
    match event:
        case ev.AttemptStarted() if state.hosts:
            yield _started(event, _where(state, event.agent))
        case ev.SessionOpened() if state.plan.without_members:
            yield from _lines_alone(event, me)
            for name, why in state.plan.without_members.items():
                yield Line(event.at, "no tickets", f"family {name}", why, "warn")
        case ev.WhenAnswered(wanted=False):
            when = state.tickets[event.ticket].spec.when if event.ticket in state.tickets else ""
            said = ": ".join(filter(None, (when and f"when {when}", event.because)))
            yield Line(event.at, str(Flag.unwanted), event.ticket, said)
            yield from _with_it(event.at, str(Flag.unwanted), event.ticket, event.skipped)
        case ev.AttemptEnded():
            yield _ended(state, event)
            yield from _skipped(event.at, event.ticket, event.skipped)
        case ev.AttemptStopRequested(why="stopped", by="") if state.stopping is not None and state.stopping.reason:
            yield Line(event.at, "stopping", event.ticket, f"with the session: {state.stopping.reason}", "warn")
        case ev.SessionStopping(skips_finally=True):
            line = _session(event, me)
            left = tuple(id_ for id_, ticket in state.last.items() if ticket.status not in TERMINAL)
            yield replace(line, text=f"{line.text}; skipped at the end: {_names(left)}".removeprefix("; "))
        case ev.EngineLeft():
            yield Line(
                event.at,
                "left",
                state.session,
                f"{event.reason}: {format_count(state.unfinished, 'ticket')} not over",
            )
        case ev.SessionFinished():
            took = f"in {format_duration(event.seconds)}"
            unproved = _unproved(state)
            look = ("bad",) if unproved else ()
            yield Line(event.at, "finished", state.session, f"{took}{unproved}", *look)
        case ev.MonitoringStarted() if event.at != state.opened_at:
            yield _engine(event, state.session)
        case ev.SessionInterrupted():
            yield Line(event.at, "interrupted", state.session, event.reason, "bad")
        case _:
            yield from _lines_alone(event, me)


def _how_many(event: ev.SessionOpened) -> str:
    return (
        selection_text(event.tickets, event.of, event.selected)
        if event.selected
        else format_count(event.tickets, "ticket")
    )


def _unrestricted(event: ev.SessionOpened) -> str:
    return f"; agents of {listed(event.unrestricted)} {UNRESTRICTED}" if event.unrestricted else ""


def _lines_alone(event: ev.AnyEvent, me: str) -> Iterator[Line]:
    at = event.at
    match event:
        case ev.SessionOpened():
            yield Line(
                at,
                "opened",
                event.session,
                f"{event.plan}: {_how_many(event)}, {event.parallel} at once{' to begin with' if event.auto else ''}"
                f"{_unrestricted(event)}",
            )
        case ev.TicketsQueued():
            sizes = ", ".join(map(str, event.groups[:8])) + (", ..." if len(event.groups) > 8 else "")
            yield Line(at, "queued", "", f"in {format_count(len(event.groups), 'group')} of {sizes}")
        case ev.AttemptStarted():
            yield _started(event, on_agent(event.agent))
        case ev.AttemptEnded(then=Status.approval):
            yield Line(at, "restored", event.ticket, "waits for your decision again")
        case ev.StepStarted(number=int(number)) if number:
            yield Line(at, "validating", event.ticket, gate_text(event.title, number, event.of))
        case ev.RollbackStarted():
            yield Line(at, "rolling back", event.ticket, _before_rollback(event, me), "warn")
        case ev.RollbackAsked():
            again = ", then they run again" if event.rerun else ""
            yield Line(
                at, "rollback", "session", f"of {_names(event.tickets)} {_by(event.by, me)}".strip() + again, "warn"
            )
        case ev.RollbackEnded():
            text = f"ended early: {event.reason}" if event.reason else "done"
            yield Line(at, "rollback", "session", text, "bad" if event.reason else "")
        case ev.StepEnded(passed=False, step=str(step)) if takes_back(step):
            said = why_ended(event.reason, event.signal, event.error_line)
            yield Line(at, "rollback", event.ticket, f"failed: {said}", "bad")
        case ev.StepEnded(passed=False, step=str(step)) if step in (COMMIT, MERGE):
            yield Line(at, "again", event.ticket, event.reason)
        case ev.StepEnded(passed=False):
            yield Line(
                at, "gate failed", event.ticket, why_ended(event.reason, event.signal, event.error_line), "warn"
            )
        case (
            ev.WorktreeMade()
            | ev.WorkConflicted()
            | ev.ConflictForeseen()
            | ev.ConflictAverted()
            | ev.WorkMerged()
            | ev.RepositoryLeft()
            | ev.ResolutionLeft()
            | ev.RoomAwaited()
            | ev.SecretAwaited()
            | ev.WorkLost()
            | ev.WorktreeKept()
            | ev.WorktreeDropped()
            | ev.MergeStarted()
        ):
            yield from worktree_lines(event, _by(event.by, me) if isinstance(event, ev.MergeStarted) else "")
        case ev.CheckFailed():
            yield Line(at, "check failed", event.ticket, f"{event.check}: {event.reason}", "warn")
        case ev.CheckHeld():
            yield Line(at, "check holds", event.ticket, event.check)
        case ev.ApprovalAsked():
            text = f"it waits for your approval before it starts: parexec approve {event.ticket}"
            yield Line(at, str(Status.approval), event.ticket, text, "warn")
        case ev.QuestionAnswered(reason=str(reason)) if reason:
            yield Line(at, "not skipped", event.ticket, f"skip_if gives no answer, so it is run: {reason}", "warn")
        case ev.QuestionAnswered(stale=str(stale)) if stale:
            yield Line(at, "to run", event.ticket, stale)
        case ev.TicketSatisfied():
            yield Line(at, "succeeded", event.ticket, event.reason, "good")
        case ev.ConflictFound():
            yield Line(at, "waits", event.ticket, event.reason)
        case ev.DurationsLearned():
            yield Line(
                at,
                "learned",
                "",
                f"what {format_count(len(event.seconds), 'ticket')} took {_EARLIER}",
            )
        case ev.OrderFound():
            less = f"{format_duration(event.seconds)} instead of {format_duration(event.before)}"
            yield Line(at, "ordered", "", f"an order was found that takes {less}, if the estimates are right")
        case ev.ReservationMade():
            yield Line(at, "is next", event.ticket, "it has waited long: others of its class may not delay it")
        case ev.ReservationEnded():
            yield Line(at, "waits", event.ticket, "others may go before it again: something else keeps it")
        case ev.TicketUnrunnable():
            yield Line(at, "could not start", event.ticket, event.reason, "bad")
            yield from _skipped(at, event.ticket, event.skipped)
        case ev.AttemptStopRequested(detail=str(detail)) if detail:
            yield Line(at, "stopping", event.ticket, detail, "warn")
        case ev.AttemptStopRequested():
            yield Line(at, "stopping", event.ticket, f"{event.why} {_by(event.by, me)}".strip(), "warn")
        case ev.QuestionFrozen() | ev.QuestionThawed():
            word = "frozen" if isinstance(event, ev.QuestionFrozen) else "thawed"
            yield Line(at, word, event.ticket, f"its skip_if {_by(event.by, me)}".strip())
        case ev.AttemptFrozen(reason=str(reason)) if reason:
            yield Line(at, "frozen", event.ticket, reason, "warn")
        case ev.AttemptFrozen() | ev.TicketHeld():
            yield Line(
                at, "frozen" if isinstance(event, ev.AttemptFrozen) else "held", event.ticket, _by(event.by, me)
            )
        case ev.AttemptThawed() | ev.TicketReleased():
            word = "thawed" if isinstance(event, ev.AttemptThawed) else "released"
            yield Line(at, word, event.ticket, _by(event.by, me))
        case ev.StraysEnded():
            what = format_count(event.count, "process", "processes") if event.count > 1 else "a process"
            more = ", ..." if event.count > len(event.commands) else ""
            leaver = f"its check {event.check}" if event.check else "it"
            text = f"ended {what} that {leaver} left behind: {', '.join(dict.fromkeys(event.commands))}{more}"
            yield Line(at, "strays", event.ticket, text, "warn")
        case ev.WroteUnclaimed():
            yield Line(at, "unclaimed", event.ticket, printable(event.found.text(event.ticket)), "warn")
        case ev.LogCut():
            yield Line(at, "log cut", event.ticket, log_cut(event.left_out, event.limit, event.problem), "warn")
        case ev.AgentQuarantined():
            yield Line(at, "quarantined", event.agent, event.reason, "bad")
        case ev.AgentHeld() | ev.AgentDraining() | ev.AgentReleased():
            word = {ev.AgentHeld: "held", ev.AgentDraining: "draining", ev.AgentReleased: "released"}[type(event)]
            yield Line(at, word, event.agent, _by(event.by, me))
        case ev.AgentTypeHeld(reason=str(reason)) if reason:
            yield Line(at, "needs you", event.type, f"{reason}; then parexec release {event.type}", "bad")
        case ev.AgentTypeHeld() | ev.AgentTypeReleased():
            word = "held" if isinstance(event, ev.AgentTypeHeld) else "released"
            yield Line(at, word, event.type, _by(event.by, me))
        case ev.DrainEnded():
            yield Line(at, "goes on", "session", f"drains no more {_by(event.by, me)}".strip())
        case ev.SessionHeld() | ev.SessionDraining() | ev.SessionStopping() | ev.SessionReleased():
            yield _session(event, me)
        case ev.NeighboursSeen():
            for each in event.neighbours:
                yield Line(at, "beside", each.session, f"it lives and claims the same: {each.conflict}", "warn")
            if not event.neighbours:
                yield Line(at, "alone", "session", "no living session claims the same any more")
        case ev.HostPressed():
            yield Line(at, "pressed", "host", f"short of {event.resource}: {event.text}", "warn")
        case ev.HostRelieved():
            yield Line(at, "relieved", "host", f"no more short of {event.resource}")
        case ev.PeaksLearned():
            text = f"how much memory {format_count(len(event.peaks), 'ticket')} used {_EARLIER}"
            yield Line(at, "learned", "", text)
        case ev.StartedAnyway():
            text = (
                f"needs {format_size(event.needs)}, {format_size(event.available)} are available; nothing else runs"
            )
            yield Line(at, "memory", event.ticket, text, "warn")
        case ev.PressureRaised():
            yield Line(at, "pressed", event.resource, f"{step_text(event)}: {event.text}", "warn")
        case ev.PressureEased():
            yield Line(at, "eased", event.resource, f"{eased_text(event)}: {event.text}")
        case ev.ParallelTuned():
            yield Line(at, "tuned", "session", tuned_text(event))
        case (
            ev.HostReached() | ev.HostUnreachable() | ev.HostUnusable() | ev.HostHeld() | ev.HostDraining()
            | ev.HostReleased() | ev.HostScaled()
        ):  # fmt: skip
            yield _of_host(event, me)
        case ev.UnitsSetAside(resource=resource, units=units):
            if units:
                yield Line(at, "aside", "host", f"other programs have {resource} {', '.join(units)}", "warn")
            else:
                yield Line(at, "free", "host", f"no other program has a {resource} of the plan any more")
        case ev.SecretsLooked(unknown=unknown):
            for name, problem in unknown.items():
                yield Line(at, "secret", name, f"is not known: {problem}", "warn")
        case ev.OperatorActed():
            yield Line(
                at, "asked", who(event.by, me), "; left out: ".join(filter(None, (event.text, _left_out(event))))
            )
        case (
            ev.PoolInitialised() | ev.AgentsDeployed() | ev.MonitoringStarted() | ev.FailuresHandled()
            | ev.CompletionValidated() | ev.AgentStarted() | ev.AgentStopped() | ev.AttemptSpawned()
            | ev.BackoffEnded() | ev.QuestionAsked() | ev.QuestionAnswered() | ev.StepStarted() | ev.StepEnded()
            | ev.SnapshotTaken() | ev.SnapshotDropped() | ev.ServiceSpawned() | ev.MemoryMeasured()
            | ev.EtaTold() | ev.WhenAnswered()
            | ev.WorkCommitted()
        ):  # fmt: skip
            pass  # of no interest to a person
        case (
            ev.ServiceStarted() | ev.ServiceReady() | ev.ServiceFrozen() | ev.ServiceThawed()
            | ev.ServiceStopRequested() | ev.ServiceEnded() | ev.ServiceRenewed()
        ):  # fmt: skip
            yield from _of_service(event, me)
        case (
            ev.AccountRests() | ev.AccountTried() | ev.AccountWell() | ev.ConversationKnown()
            | ev.TicketAsks() | ev.TicketAnswered() | ev.QuestionWithdrawn()
        ):  # fmt: skip
            yield from _of_coding(event, me)
        case ev.AttemptEnded() | ev.EngineLeft() | ev.SessionFinished() | ev.SessionInterrupted():
            pass  # no request leads to these, and `_lines` has theirs
        case _:
            yield from _changes(event, me)


def _started(event: ev.AttemptStarted, where: str) -> Line:
    again = f", attempt {event.attempt}" if event.attempt > 1 else ""
    return Line(event.at, "started", event.ticket, f"{where}{again}")


def _where(state: "SessionState", agent: str) -> str:
    """On which agent, and on which host, where that is another machine."""
    host = state.host_of_agent(agent) if state.hosts else ""
    return f"{on_agent(agent)}{f' of {host}' if host else ''}"


def _of_host(
    event: ev.HostReached
    | ev.HostUnreachable
    | ev.HostUnusable
    | ev.HostHeld
    | ev.HostDraining
    | ev.HostReleased
    | ev.HostScaled,
    me: str,
) -> Line:
    match event:
        case ev.HostReached():
            has = f"{event.cpus:g} cpus, {format_size(event.memory)}"
            skew = f", its clock {format_duration(abs(event.skew))} {'ahead' if event.skew > 0 else 'behind'}"
            return Line(
                event.at, "reached", event.host, has + (skew if abs(event.skew) >= _MUCH_SKEW else ""), "good"
            )
        case ev.HostUnreachable():
            return Line(event.at, "unreachable", event.host, event.reason, "warn")
        case ev.HostUnusable():
            return Line(event.at, "unusable", event.host, event.reason, "bad")
        case ev.HostHeld():
            return Line(event.at, "held", event.host, by_whom(event.by, me).strip())
        case ev.HostDraining():
            return Line(event.at, "draining", event.host, by_whom(event.by, me).strip())
        case ev.HostReleased():
            return Line(event.at, "released", event.host, by_whom(event.by, me).strip())
        case ev.HostScaled():
            limit = "as many tickets as planned" if event.most is None else f"at most {event.most} at once"
            return Line(event.at, "scaled", event.host, f"{limit} {_by(event.by, me)}".strip())


_MUCH_SKEW = 2.0
"""Seconds by which the clock of a host is wrong before that is told."""


def _unproved(state: "SessionState") -> str:
    """What the gates of the plan say against a session that has finished; empty if nothing."""
    gates = state.tickets.get(PLAN_GATES)
    if gates is None or gates.status in SATISFIED:
        return ""
    if gates.status is Status.failed:
        return f"; the gates of the plan do not hold: {why_ended(gates.reason, gates.signal, gates.error_line)}"
    return f"; the gates of the plan were not run: {gates.status}"


_OfCoding = (
    ev.AccountRests
    | ev.AccountTried
    | ev.AccountWell
    | ev.ConversationKnown
    | ev.TicketAsks
    | ev.TicketAnswered
    | ev.QuestionWithdrawn
)


def _of_coding(event: _OfCoding, me: str) -> Iterator[Line]:
    at = event.at
    match event:
        case ev.AccountRests():
            word = "no answer" if event.is_outage else "limited"
            until = f"until {clock(event.until)}" + (", if nothing else is said" if event.is_guess else "")
            yield Line(at, word, event.account, f"{until}: {event.why}".removesuffix(": "), "warn")
        case ev.AccountTried():
            yield Line(at, "tried", event.account, f"the next ticket tries it {_by(event.by, me)}".strip())
        case ev.AccountWell():
            yield Line(at, "answers", event.account, "its provider answers again", "good")
        case ev.ConversationKnown():
            pass  # of no interest to a person
        case ev.TicketAsks():
            yield Line(
                at, "asks", event.ticket, f"{question_line(event.what)}: parexec answer {event.ticket}", "warn"
            )
        case ev.TicketAnswered():
            allows = f"allows {', '.join(event.allow)}" if event.allow else ""
            answer = question_line(event.answer) + (", which allows nothing: it is told so" if event.denies else "")
            said = ", ".join(filter(None, (answer, allows))) + (f"; it asked {event.what}" if event.what else "")
            yield Line(at, "answered", event.ticket, f"{_by(event.by, me)}: {said}".lstrip(" :"))
        case ev.QuestionWithdrawn():
            yield Line(at, "goes on", event.ticket, "it does not ask that any more")


_OfService = (
    ev.ServiceStarted
    | ev.ServiceReady
    | ev.ServiceFrozen
    | ev.ServiceThawed
    | ev.ServiceStopRequested
    | ev.ServiceEnded
    | ev.ServiceRenewed
)


def _of_service(event: _OfService, me: str) -> Iterator[Line]:
    at, name = event.at, event.service
    match event:
        case ev.ServiceStarted():
            again = f", start {event.number}" if event.number > 1 else ""
            yield Line(at, "starting", name, f"service{again}")
        case ev.ServiceReady():
            yield Line(at, "ready", name, f"service, after {format_duration(event.seconds)}", "good")
        case ev.ServiceFrozen() | ev.ServiceThawed():
            word = "frozen" if isinstance(event, ev.ServiceFrozen) else "thawed"
            yield Line(at, word, name, f"service {_by(event.by, me)}".strip())
        case ev.ServiceStopRequested(by_signal=True):
            yield Line(
                at,
                "stopping",
                name,
                f"service: {event.detail or 'its `stop` did not end it'}, so it gets TERM",
                "warn",
            )
        case ev.ServiceStopRequested(why="unused"):
            yield Line(at, "stopping", name, "service: no ticket uses it any more")
        case ev.ServiceStopRequested():
            why = event.detail or ("with the session" if event.why == "stopped" else event.why)
            yield Line(at, "stopping", name, f"service: {why} {_by(event.by, me)}".strip(), "warn")
        case ev.ServiceEnded(died=True):
            said = why_ended(event.reason, event.signal, event.error_line)
            again = "" if event.retry_at is None else f"; again in {format_duration(max(0.0, event.retry_at - at))}"
            word = "died" if event.retry_at is not None else "failed"
            yield Line(at, word, name, f"service: {said}{again}", "warn" if again else "bad")
        case ev.ServiceEnded():
            yield Line(at, "stopped", name, f"service, after {format_duration(event.seconds)}")
        case ev.ServiceRenewed():
            if event.by:
                yield Line(at, "restart", name, f"service {_by(event.by, me)}")


def _left_out(event: ev.OperatorActed) -> str:
    more = len(event.left_out) - _MAX_LEFT_OUT
    return "; ".join((*event.left_out[:_MAX_LEFT_OUT], *([f"{more} more"] if more > 0 else [])))


_Change = (
    ev.TicketCancelled
    | ev.TicketsGenerated
    | ev.TicketRetried
    | ev.FinallyAgain
    | ev.TicketApproved
    | ev.TicketRejected
    | ev.TicketWaived
    | ev.TicketPutBack
    | ev.TicketPinned
    | ev.PriorityChanged
    | ev.TypeScaled
    | ev.ParallelChanged
    | ev.BudgetChanged
    | ev.FailurePolicyChanged
    | ev.PlanAmended
)


def _changes(event: _Change, me: str) -> Iterator[Line]:
    """What a person changed about tickets and the plan."""
    at = event.at
    match event:
        case ev.TicketCancelled():
            yield Line(at, "cancelled", event.ticket, _by(event.by, me), "warn")
            yield from _skipped(at, event.ticket, event.skipped)
        case ev.TicketsGenerated():
            yield Line(
                at, "generated", event.ticket, f"{format_count(len(event.members), 'ticket')} of {event.family}"
            )
            for id_, why in islice(event.left.items(), _MOST_LEFT):
                yield Line(at, "stays", id_, why, "warn")
            if len(event.left) > _MOST_LEFT:
                yield Line(at, "stays", event.family, f"{len(event.left) - _MOST_LEFT} more as they were", "warn")
        case ev.TicketRetried():
            again = f"; will run again: {_names(event.rerun)}" if event.rerun else ""
            back = f"; may run again: {_names(event.restored)}" if event.restored else ""
            note = f": {event.note}" if event.note else ""
            yield Line(at, "retry", event.ticket, f"{_by(event.by, me)}{note}{again}{back}".removeprefix("; "))
        case ev.FinallyAgain():
            yield Line(at, "retry", _names((*event.tickets, *event.restored)), "at the end again: other tickets run")
        case ev.TicketApproved():
            yield Line(at, "approved", event.ticket, _by_and_note(event, me), "good")
        case ev.TicketRejected():
            yield Line(at, "rejected", event.ticket, _by_and_note(event, me), "warn")
            yield from _skipped(at, event.ticket, event.skipped)
        case ev.TicketWaived():
            back = f"; may run again: {_names(event.restored)}" if event.restored else ""
            yield Line(at, "waived", event.ticket, f"{_by(event.by, me)}{back}".removeprefix("; "), "warn")
        case ev.TicketPutBack():
            then = Flag.conflict if event.is_in_conflict else event.then
            yield Line(at, "restored", event.ticket, f"{then} again {_by(event.by, me)}".strip())
            yield from _skipped(at, event.ticket, event.skipped)
        case ev.TicketPinned():
            yield Line(at, "reassigned", event.ticket, f"to {event.agent or 'any agent'} {_by(event.by, me)}".strip())
        case ev.PriorityChanged():
            yield Line(at, "priority", event.ticket, f"{event.priority.value} {_by(event.by, me)}".strip())
        case ev.TypeScaled():
            limit = "as many as run at once" if event.most is None else f"at most {event.most}"
            yield Line(at, "scaled", event.type, f"{limit} {_by(event.by, me)}".strip())
        case ev.ParallelChanged():
            at_once = format_count(event.parallel, "ticket")
            how = (
                f"as many tickets as finish most at once, from {event.parallel} on"
                if event.auto
                else f"{at_once} at once"
            )
            yield Line(at, "scaled", "session", f"{how} {_by(event.by, me)}".strip())
        case ev.BudgetChanged():
            yield Line(
                at,
                "budget",
                event.type or "session",
                f"{budget_words('', event.budget).partition(' spends ')[2]} {_by(event.by, me)}".strip(),
            )
        case ev.FailurePolicyChanged():
            yield Line(at, "on failure", "session", f"{POLICIES[event.policy]} {_by(event.by, me)}".strip())
        case ev.PlanAmended():
            parts = (("added", event.added), ("changed", (*event.changed, *event.gates)), ("dropped", event.dropped))
            for word, ids in parts:
                if ids:
                    yield Line(at, word, "plan", _names(tuple(ids), 10))
            if event.variables is not None:
                yield Line(at, "changed", "plan", variables_line(event.variables, event.profile))
            for text in types_lines(event.agents, event.unrestricted):
                yield Line(at, "changed", "plan", text, "warn" if text.endswith(UNRESTRICTED) else "")
            for text in hosts_lines(event.hosts):
                yield Line(at, "changed", "plan", text)
            for name, family in event.families.items():
                yield Line(at, "changed", "plan", f"family {name}: {limits_text(family)}")
            yield from _skipped(at, "what it needs", event.skipped)
            if event.restored:
                yield Line(at, "restored", "plan", f"may run again: {_names(event.restored)}")


def _by_and_note(event: ev.TicketApproved | ev.TicketRejected, me: str) -> str:
    return ": ".join(filter(None, (_by(event.by, me), event.note)))


def _before_rollback(event: ev.RollbackStarted, me: str) -> str:
    """Why what an attempt did is taken back."""
    if event.outcome is None:
        return _by(event.by, me)
    outcome = event.outcome
    if outcome.ended_before:
        return outcome.reason if event.note else _by(event.by, me)
    reason = why_ended(outcome.reason, outcome.signal, outcome.error_line)
    return f"{outcome.end}: {reason}" if reason else str(outcome.end)


def _ended(state: "SessionState", event: ev.AttemptEnded) -> Line:
    ticket = state.tickets[event.ticket]
    took = format_duration(event.seconds)
    if event.then is Status.approval and ticket.is_in_conflict:
        text = f"{event.reason}; you decide: {merge_command(event.ticket)}"
        return Line(event.at, str(Flag.conflict), event.ticket, text, "warn")
    if event.then is Status.approval and event.end is End.needs_you:
        text = f"{one_line(event.reason)}: parexec answer {event.ticket}"
        return Line(event.at, str(Flag.needs_you), event.ticket, text, "warn")
    if event.then is Status.approval and ticket.has_lost_work:
        text = f"{event.reason}; parexec approve {event.ticket} tries it again"
        return Line(event.at, "lost", event.ticket, text, "warn")
    if event.then is Status.approval:
        text = f"on {event.agent} in {took}; it waits for your approval: parexec approve {event.ticket}"
        return Line(event.at, str(Status.approval), event.ticket, text, "warn")
    if event.end is End.succeeded:
        return Line(event.at, "succeeded", event.ticket, f"{_where(state, event.agent)} in {took}", "good")
    if event.end is End.rolled_back:
        return Line(event.at, "rolled back", event.ticket, f"in {took}")
    text = f"{_where(state, event.agent)} after {took}"
    reason = "" if event.end is End.timed_out else event.reason
    if said := why_ended(reason, event.signal, event.error_line):
        text = f"{said}, {text}"
    if event.then is Status.backoff and event.retry_at is not None:
        pause = format_duration(event.retry_at - event.at)
        more = f" with {write_factor(round(event.raised, 2))} of the memory in its plan" if event.raised else ""
        text += f"; retry {ticket.retries_used} in {pause}{more}"
        return Line(event.at, str(event.end), event.ticket, text, "warn")
    if event.then is Status.waiting:
        again = "another agent is asked" if event.shunned else "will run again"
        return Line(event.at, str(event.end), event.ticket, f"{text}; {again}", "warn")
    if event.then is Status.failed and ticket.spec.allow_failure:
        return Line(event.at, str(event.end), event.ticket, f"{text}; that is allowed", "warn")
    return Line(event.at, str(event.end), event.ticket, text, "bad")


def _skipped(at: float, because: str, tickets: tuple[str, ...]) -> Iterator[Line]:
    yield from _with_it(at, "skipped", because, tickets, "warn")


def _with_it(at: float, word: str, because: str, tickets: tuple[str, ...], meaning: str = "") -> Iterator[Line]:
    """What ended with a ticket."""
    for id_ in tickets[:_MAX_SKIPPED]:
        yield Line(at, word, id_, f"because of {because}", meaning)
    if (more := len(tickets) - _MAX_SKIPPED) > 0:
        yield Line(at, word, f"{more} more", f"because of {because}", meaning)


def _session(event: ev.SessionHeld | ev.SessionDraining | ev.SessionStopping | ev.SessionReleased, me: str) -> Line:
    words = {ev.SessionHeld: "held", ev.SessionDraining: "draining", ev.SessionStopping: "stopping"}
    reason = "" if isinstance(event, ev.SessionReleased) else event.reason
    text = f"{reason} {_by(event.by, me)}".strip()
    return Line(event.at, words.get(type(event), "released"), "session", text, "warn")


def _engine(event: ev.MonitoringStarted, session: str) -> Line:
    """Another engine than the first: what became of the one before it."""
    if event.died is None:
        return Line(event.at, "resumed", session, "a new engine runs it")
    then = f"a new one after {format_duration(event.away)}" if event.away is not None else "a new one took over"
    return Line(event.at, "engine died", session, "; ".join(filter(None, (event.died, then))), "warn")


def _by(by: str, me: str) -> str:
    return by_whom(by, me).strip()


def _names(ids: tuple[str, ...], limit: int = 5) -> str:
    more = f" and {len(ids) - limit} more" if len(ids) > limit else ""
    return ", ".join(ids[:limit]) + more
