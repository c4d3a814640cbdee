"""Why a ticket is not running, how it runs, or how it ended; and what a person can do about it."""

from collections.abc import Iterator
from typing import Any

from parexec_tui.core.plan.units import format_duration
from parexec_tui.core.schedule.blockers import Blocker, why
from parexec_tui.core.state.agents import AgentState
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import SATISFIED, UNSUCCESSFUL, Status, happened
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.text.report import attempt_output, last_lines
from parexec_tui.text.words import clock, tickets, why_ended
from parexec_tui.tui.input.key_names import short_name
from parexec_tui.tui.input.keymap import Keymap
from parexec_tui.tui.view.facts import blocker_text, display_status, reason_of, short_duration

_MAX_AGENTS = 20
"""Agents that are listed, of those that could run it."""


def why_lines(state: SessionState, ticket: TicketState, now: float, keymap: Keymap[Any]) -> list[str]:
    """The explanation, a line each; a line that explains the one before is indented."""
    return list(_Why(state, ticket, now, keymap).lines())


class _Why:
    def __init__(self, state: SessionState, ticket: TicketState, now: float, keymap: Keymap[Any]) -> None:
        self.state, self.ticket, self.now = state, ticket, now
        self._keymap = keymap

    def lines(self) -> Iterator[str]:
        ticket = self.ticket
        match ticket.status:
            case Status.waiting | Status.backoff:
                yield from self._waits()
            case Status.running | Status.stopping:
                yield from self._lives()
            case Status.skipped:
                yield from self._was_skipped()
            case Status.failed:
                yield from self._failed(ticket)
                yield f"{self._key('retry')} runs it again, {self._key('retry-form')} with changes"
                yield f"{self._key('skip')} does without it: what needs it may run"
            case Status.cancelled:
                yield f"it was given up{self._ago(ticket.ended)}"
                yield f"{self._key('retry')} runs it after all"
            case Status.waived:
                yield f"it is done without{self._ago(ticket.ended)}: what needs it may run"
                yield f"{self._key('retry')} runs it after all"
            case Status.succeeded:
                yield f"it has succeeded, in {self._took(ticket)} on {ticket.agent}{self._ago(ticket.ended)}"
                yield f"{self._key('retry')} runs it again, {self._key('retry-form')} with what depends on it"

    # -- what waits ------------------------------------------------------------------------------------------

    def _waits(self) -> Iterator[str]:
        found = why(self.state, self.ticket)
        if not found:
            yield "nothing keeps it from running: it starts now"
            return
        yield "one thing keeps it from running:" if len(found) == 1 else f"{len(found)} things keep it from running:"
        for number, blocker in enumerate(found, 1):
            yield f"{number}. {self._reason(blocker)}"
            for line in (*self._details(blocker), *filter(None, (self._remedy(blocker),))):
                yield f"   {line}"

    def _reason(self, blocker: Blocker) -> str:
        if blocker.kind == "needs":
            waiting = [need for need in self.ticket.spec.needs if self.state.tickets[need].status not in SATISFIED]
            return f"it needs {tickets(len(waiting))} that {'is' if len(waiting) == 1 else 'are'} not done"
        return blocker_text(blocker, self.now)

    def _details(self, blocker: Blocker) -> Iterator[str]:
        """Further lines about one reason."""
        match blocker.kind:
            case "needs":
                return self._needs()
            case "claim" | "resource" | "reservation":
                return self._holder(blocker)
            case "agent":
                return self._agents()
            case "status" | "session" | "host" | "held" | "backoff" | "barrier" | "parallel":
                return iter(())

    def _needs(self) -> Iterator[str]:
        for need in self.ticket.spec.needs:
            if self.state.tickets[need].status not in SATISFIED:
                yield self._standing(need)

    def _standing(self, id_: str) -> str:
        """The status of another ticket, in a line."""
        other = self.state.tickets[id_]
        if other.is_live:
            return f"{id_} is {other.shown_status} on {other.agent}, for {short_duration(other.worked(self.now))}"
        reason = reason_of(self.state, other, self.now)
        return f"{id_} is {display_status(self.state, other)}{f': {reason}' if reason else ''}"

    def _holder(self, blocker: Blocker) -> Iterator[str]:
        if blocker.holder:
            yield self._standing(blocker.holder)

    def _agents(self) -> Iterator[str]:
        able = [
            agent for agent in self.state.agents.values() if agent.type in self.ticket.types and not agent.stopped
        ]
        yield from map(self._agent, able[:_MAX_AGENTS])
        if (more := len(able) - _MAX_AGENTS) > 0:
            yield f"and {more} more"

    def _agent(self, agent: AgentState) -> str:
        if agent.ticket is not None:
            worked = self.state.tickets[agent.ticket].worked(self.now)
            return f"{agent.id} runs {agent.ticket}, for {short_duration(worked)}"
        if agent.id in self.ticket.excluded_agents:
            return f"{agent.id} could not start it"
        return f"{agent.id} is {agent.status}{f': {agent.quarantined}' if agent.quarantined else ''}"

    def _remedy(self, blocker: Blocker) -> str:
        """What a person can do about one reason."""
        key = self._key
        match blocker.kind:
            case "needs":
                return f"{key('skip')} on a ticket that it needs does without that one"
            case "session" if self.state.stopping is not None:
                return f"it can be gone on with later: parexec resume {self.state.session}"
            case "session":
                return f"{key('hold-all')} releases the session"
            case "host":
                return "it goes on by itself once there is more room"
            case "held":
                return f"{key('hold')} releases it"
            case "backoff":
                return f"{key('retry')} tries it at once"
            case "barrier":
                return "the plan asks for it; it goes on by itself"
            case "claim":
                return f"{key('stop')} on {blocker.holder} stops that one; else it goes on when that is done"
            case "resource":
                return f"{key('edit')} changes what it uses; else it goes on when enough is free"
            case "reservation":
                return f"it goes on when {blocker.holder} has started; with a short estimate it may pass that one"
            case "parallel":
                return f"{key('more')} lets one ticket more run at once"
            case "agent":
                return self._agent_remedy()
            case "status":
                return ""

    def _agent_remedy(self) -> str:
        if held := [type_ for type_ in self.ticket.types if type_ in self.state.held_types]:
            return f":release {held[0]} lets agents of that type take tickets again"
        more = f"{self._key('more')} in the panel of agents allows one more"
        return f"{more}; {self._key('reassign')} gives it to another agent"

    # -- what runs -------------------------------------------------------------------------------------------

    def _lives(self) -> Iterator[str]:
        ticket = self.ticket
        worked = short_duration(ticket.worked(self.now))
        attempt = ticket.live_attempt
        yield f"it is {ticket.shown_status} on {attempt.agent}, and has worked for {worked}"
        pid = f", pid {attempt.pid}" if attempt.pid is not None else ""
        yield f"   attempt {attempt.number}, since {clock(attempt.started)}{pid}"
        for what in filter(None, (ticket.spec.run, ticket.spec.prompt)):
            yield from (f"   {line}" for line in what.strip().splitlines())
        if frozen := attempt.total_frozen(self.now):
            yield f"   frozen for {short_duration(frozen)}, which does not count"
        yield f"   {self._time_left()}"
        if ticket.status is Status.stopping:
            yield f"it was {attempt.stop_reason}: TERM, then KILL after {format_duration(ticket.spec.grace)}"
            yield f"{self._key('kill')} kills it at once"
        elif ticket.is_frozen:
            yield f"its processes stand still; {self._key('freeze')} lets them go on"
        if ticket.held is not None:
            yield f"held{self._by(ticket.held)}: it is not tried again; {self._key('hold')} releases it"

    def _time_left(self) -> str:
        ticket = self.ticket
        if ticket.spec.timeout is None:
            return "no time-out"
        left = max(0.0, ticket.spec.timeout - ticket.worked(self.now))
        stands = ", the clock stands" if ticket.is_frozen else ""
        return f"time-out after {format_duration(ticket.spec.timeout)}: {short_duration(left)} left{stands}"

    # -- what is over ----------------------------------------------------------------------------------------

    def _was_skipped(self) -> Iterator[str]:
        yield "it can no longer run:"
        ticket = self.ticket
        while ticket.status is Status.skipped:
            need = next(n for n in map(self.state.tickets.__getitem__, ticket.spec.needs) if n.status in UNSUCCESSFUL)
            yield f"   {ticket.id} needs {need.id}, which {happened(need.status)}"
            ticket = need
        if ticket.status is Status.failed:
            yield from self._failed(ticket)
        retry, skip = self._key("retry"), self._key("skip")
        yield f"{retry} on {ticket.id} runs that again, and then this; {skip} on {ticket.id} does without it"

    def _failed(self, ticket: TicketState) -> Iterator[str]:
        reason = why_ended(ticket.reason, ticket.signal, ticket.error_line)
        how = f"{ticket.end or 'failed'}{f': {reason}' if reason else ''}"
        yield f"{ticket.id}: {how}, {self._where(ticket)}{self._ago(ticket.ended)}"
        if ticket.spec.retries:
            yield f"   {ticket.charged} of {ticket.spec.retries} retries used"
        if ticket.note:
            yield f"   note of its last retry: {ticket.note}"
        if not ticket.attempts:
            return
        output = attempt_output(self.state, ticket)
        found = last_lines(output)
        yield "its last output:" if found else "it has no output"
        for line in found:
            yield f"   {line}"
        yield f"   {output.name}"

    def _where(self, ticket: TicketState) -> str:
        if not ticket.attempts:
            return "without an attempt"
        return f"attempt {ticket.attempts} on {ticket.agent}, after {self._took(ticket)}"

    def _took(self, ticket: TicketState) -> str:
        return format_duration(ticket.worked(self.now))

    def _ago(self, at: float | None) -> str:
        return f", {short_duration(max(0.0, self.now - at))} ago" if at is not None else ""

    @staticmethod
    def _by(who: str) -> str:
        return f" by {who}" if who else ""

    def _key(self, action: str) -> str:
        """How to do an action: its key, or its name in the palette."""
        keys = self._keymap.of(action).keys
        return short_name(keys[0], ascii_only=True) if keys else f":{action}"
