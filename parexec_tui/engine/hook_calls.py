"""Which hooks events call for, with the facts that they get. No trio here: the command line asks as well."""

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from parexec_tui.core.plan.units import format_count
from parexec_tui.core.rules.attention import began
from parexec_tui.core.rules.downstream import skipped_by
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import TERMINAL, Status
from parexec_tui.text.attempt_output import attempt_output, last_lines

TAIL = 10
"""Lines of the ticket's log that a hook gets."""


class HookCall(Struct, frozen=True):
    """One thing to tell: the name of the hook, and the facts."""

    hook: str
    facts: dict[str, Any]

    @property
    def ticket(self) -> str:
        """The ticket that it is about; empty: it is about the session, an agent or a service."""
        return str(self.facts.get("ticket", ""))

    @property
    def environment(self) -> dict[str, str]:
        """The facts that a short script wants, as variables."""
        counts = self.facts["counts"]
        found = {
            "PAREXEC_HOOK": self.hook,
            "PAREXEC_SESSION": self.facts["session"],
            "PAREXEC_PLAN": self.facts["plan"],
            "PAREXEC_TOTAL": str(self.facts["total"]),
            "PAREXEC_SUCCEEDED": str(counts.get("succeeded", 0)),
            "PAREXEC_FAILED": str(counts.get("failed", 0)),
            "PAREXEC_REASON": self.facts["reason"],
        }
        for name in ("ticket", "end", "log", "error_line"):
            if self.facts.get(name):
                found[f"PAREXEC_{name.upper()}"] = str(self.facts[name])
        return found


def calls_for(state: SessionState, event: ev.AnyEvent, *, of_skipped: bool = True) -> Iterator[HookCall]:
    """Which hooks an event calls for. `state` is the state after it. `of_skipped`: also for what it skips, which may
    be thousands of tickets."""
    match event:
        case ev.AttemptEnded(then=then) if then in TERMINAL:
            yield _call("on_ticket_end", state, event, str(event.end), event.ticket)
            if then is Status.failed and not state.tickets[event.ticket].is_allowed:
                yield _call("on_failure", state, event, event.reason or str(event.end), event.ticket)
        case ev.TicketApproved(ticket=id_) | ev.TicketRejected(ticket=id_) if state.tickets[id_].status in TERMINAL:
            yield _call("on_ticket_end", state, event, str(state.tickets[id_].end), id_)
        case ev.TicketSatisfied():
            yield _call("on_ticket_end", state, event, event.reason, event.ticket)
        case ev.TicketCancelled() | ev.TicketWaived():
            word = "cancelled" if isinstance(event, ev.TicketCancelled) else "waived"
            yield _call("on_ticket_end", state, event, word, event.ticket)
        case ev.TicketUnrunnable():
            yield _call("on_ticket_end", state, event, event.reason, event.ticket)
            if not state.tickets[event.ticket].is_allowed:
                yield _call("on_failure", state, event, event.reason, event.ticket)
        case ev.WhenAnswered(wanted=False):
            yield _call("on_ticket_end", state, event, state.tickets[event.ticket].reason, event.ticket)
        case ev.SessionFinished():
            yield _call("on_session_end", state, event, "finished")
        case ev.EngineLeft():
            yield _call("on_session_end", state, event, event.reason)
        case _:
            pass
    for id_ in skipped_by(event) if of_skipped else ():
        ticket = state.tickets.get(id_)
        if ticket is not None and ticket.status is Status.skipped:
            reason = f"{ticket.shown_status} because of {ticket.because}"
            yield _call("on_ticket_end", state, event, reason, id_)
    for need in began(state, event):
        about = need.subject.name if need.subject.kind == "ticket" else ""
        agent = f"{need.subject.name} quarantined: " if need.subject.kind == "agent" else ""
        service = f"service {need.subject.name} " if need.subject.kind == "service" else ""
        host = f"host {need.subject.name} " if need.subject.kind == "remote" else ""
        yield _call("on_needs_you", state, event, f"{agent}{service}{host}{need.reason}", about)


def idle(state: SessionState, event: ev.AnyEvent) -> HookCall:
    """The call of the hook `on_idle`: since this event nothing runs any more, though tickets are left."""
    return _call("on_idle", state, event, f"{format_count(state.unfinished, 'ticket')} left, none runs")


def _call(hook: str, state: SessionState, event: ev.AnyEvent, reason: str, ticket: str = "") -> HookCall:
    facts: dict[str, Any] = {
        "hook": hook,
        "session": state.session,
        "plan": state.plan.settings.name,
        "reason": reason,
        "total": len(state.tickets),
        "counts": {str(status): count for status, count in state.shown_counts().items() if count},
        "running": len(state.live),
        "event": event,
    }
    if ticket:
        known = state.tickets[ticket]
        ran = known.status not in (Status.skipped, Status.waived)  # of these, `end` is that of an attempt before
        end = (known.end if ran else None) or (known.shown_status if known.status in TERMINAL else "")
        facts |= {"ticket": ticket, "title": known.spec.title, "end": str(end), "attempt": known.attempts}
        facts["error_line"] = known.error_line
        if known.attempts:
            output = attempt_output(state, known)
            facts |= {"log": output.name, "log_tail": last_lines(output, TAIL)}
    return HookCall(hook, facts)
