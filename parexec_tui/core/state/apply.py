"""The state of a session: a fold of its events.

`SessionState.apply` is the only function that changes it. The engine, recovery and every viewer call that same
function, so they cannot disagree. What may follow what is in `TRANSITIONS`; what follows from it is in `standing`.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import structs

from parexec_tui.core.plan import graph
from parexec_tui.core.plan.claims import Claims, Holdings
from parexec_tui.core.plan.graph import Graph
from parexec_tui.core.plan.model import Host, Ticket
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.agents import AgentState
from parexec_tui.core.state.indexes import Standing
from parexec_tui.core.state.status import PENDING, UNSUCCESSFUL, End, Status
from parexec_tui.core.state.tickets import TicketState

_S = Status
TRANSITIONS: Final[Mapping[type[ev.Event], Mapping[Status, frozenset[Status]]]] = {
    ev.AttemptStarted: {_S.waiting: frozenset({_S.running})},
    ev.AttemptFrozen: {_S.running: frozenset({_S.frozen})},
    ev.AttemptThawed: {_S.frozen: frozenset({_S.running})},
    ev.AttemptStopRequested: dict.fromkeys((_S.running, _S.frozen, _S.stopping), frozenset({_S.stopping})),
    ev.AttemptEnded: {
        _S.running: frozenset({_S.succeeded, _S.failed, _S.waiting, _S.backoff}),
        _S.frozen: frozenset({_S.succeeded, _S.failed, _S.waiting, _S.backoff}),
        _S.stopping: frozenset({_S.failed, _S.cancelled, _S.waiting, _S.backoff}),
    },
    ev.BackoffEnded: {_S.backoff: frozenset({_S.waiting})},
    ev.TicketCancelled: {_S.waiting: frozenset({_S.cancelled}), _S.backoff: frozenset({_S.cancelled})},
    ev.TicketUnrunnable: {_S.waiting: frozenset({_S.failed})},
    ev.TicketRetried: dict.fromkeys(
        (_S.failed, _S.cancelled, _S.succeeded, _S.waived, _S.backoff), frozenset({_S.waiting})
    ),
    ev.TicketWaived: dict.fromkeys(
        (_S.waiting, _S.backoff, _S.failed, _S.cancelled, _S.skipped), frozenset({_S.waived})
    ),
    ev.TicketRestored: {
        _S.cancelled: frozenset({_S.waiting, _S.skipped}),
        _S.waived: frozenset({_S.waiting, _S.failed, _S.cancelled, _S.skipped}),
        _S.waiting: frozenset({_S.waiting, _S.failed, _S.cancelled, _S.succeeded, _S.waived}),
    },
}
"""Event, then from, then to. Others follow along: waiting becomes skipped by an end, skipped waiting by a retry, and
what has run downstream of a retry waits again."""

STRIKES: Final = 3
"""Attempts that die at start, one after another, before an agent is quarantined."""

MOST_ACTIONS: Final = 100
"""Operator actions that are kept, to be undone."""


class IllegalEventError(Exception):
    """An event that cannot follow this state. Our bug: it is raised before anything is changed or written."""


class SessionState(Standing):
    """How a session stands now: changed only by `apply`."""

    # -- the one door ----------------------------------------------------------------------------------------

    def apply(self, event: ev.AnyEvent) -> None:
        """Take one event into the state. Raises IllegalEventError, with nothing changed, if it cannot follow."""
        _APPLY[type(event)](self, event)
        self.now = event.at

    def _named(self, event: Any) -> TicketState:
        ticket = self.tickets.get(event.ticket)
        if ticket is None:
            raise IllegalEventError(f"{event!r}: there is no such ticket")
        return ticket

    def _ticket(self, event: Any, to: Status) -> TicketState:
        """The ticket of an event, when the table lets it go there."""
        ticket = self._named(event)
        if to not in TRANSITIONS[type(event)].get(ticket.status, ()):
            raise IllegalEventError(f"{event!r}: {ticket.id} is {ticket.status}, so it cannot become {to}")
        attempt = getattr(event, "attempt", None)
        if attempt is not None and attempt != ticket.attempt and type(event) is not ev.AttemptStarted:
            raise IllegalEventError(f"{event!r}: {ticket.id} is at attempt {ticket.attempt}")
        return ticket

    def _agent(self, event: Any) -> AgentState:
        agent = self.agents.get(event.agent)
        if agent is None or agent.stopped:
            raise IllegalEventError(f"{event!r}: there is no such agent")
        return agent

    def _all(self, ids: tuple[str, ...], *allowed: Status) -> list[TicketState]:
        """The tickets that follow along with another one, all of them in an allowed status."""
        for id_ in ids:
            if id_ not in self.tickets:
                raise IllegalEventError(f"{id_} cannot follow along: there is no such ticket")
            if (status := self.tickets[id_].status) not in allowed:
                raise IllegalEventError(f"{id_} is {status}, so it cannot follow along")
        return [self.tickets[id_] for id_ in ids]

    # -- one function for each event -------------------------------------------------------------------------

    def _on_session_opened(self, event: ev.SessionOpened) -> None:
        if self.session:
            raise IllegalEventError(f"{event!r}: the session is open already")
        self.session = event.session
        self.opened_at = event.at
        self.parallel = event.parallel
        self.host = Host(event.cpus, event.memory)
        self.holdings = Holdings({"cpu": event.cpus, "memory": event.memory, **self.plan.resources})
        for ticket in self.tickets.values():
            if ticket.missing == 0:
                self._is_ready(ticket, event.at)

    def _on_step(self, event: ev.Event) -> None:
        """A step that is told and remembered; nothing in the state depends on it."""

    def _on_monitoring_started(self, event: ev.MonitoringStarted) -> None:
        if (gone := self.left or self.interrupted) is not None:
            for agent in self.agents.values():
                if agent.ticket is None:
                    agent.without_engine += event.at - max(gone.at, agent.idle_since)
        self.boot = event.boot
        self.engine_pid = event.pid
        self.left = self.interrupted = self.draining = self.stopping = None

    def _on_session_finished(self, event: ev.SessionFinished) -> None:
        if self.unfinished:
            raise IllegalEventError(f"{event!r}: {self.unfinished} tickets are not accounted for")
        self.finished_at = event.at

    def _on_engine_left(self, event: ev.EngineLeft) -> None:
        self.left = event
        self.engine_pid = 0

    def _on_session_interrupted(self, event: ev.SessionInterrupted) -> None:
        self.interrupted = event
        self.engine_pid = 0

    def _on_host_pressed(self, event: ev.HostPressed) -> None:
        self.pressed[event.resource] = event

    def _on_host_relieved(self, event: ev.HostRelieved) -> None:
        if self.pressed.pop(event.resource, None) is None:
            raise IllegalEventError(f"{event!r}: the host was not short of it")

    def _on_session_held(self, event: ev.SessionHeld) -> None:
        self.held = event

    def _on_session_released(self, event: ev.SessionReleased) -> None:  # noqa: ARG002
        self.held = None

    def _on_drain_ended(self, event: ev.DrainEnded) -> None:  # noqa: ARG002
        self.draining = None

    def _on_session_draining(self, event: ev.SessionDraining) -> None:
        self.draining = event

    def _on_session_stopping(self, event: ev.SessionStopping) -> None:
        self.stopping = event

    def _on_agent_started(self, event: ev.AgentStarted) -> None:
        if event.agent in self.agents or event.type not in self.available:
            raise IllegalEventError(f"{event!r}: it exists, or its type does not")
        agent = self.agents[event.agent] = AgentState(event.agent, event.type, event.at)
        self.pool_size[event.type] += 1
        self._refresh_agent(agent)

    def _on_agent_held(self, event: ev.AgentHeld) -> None:
        agent = self._agent(event)
        agent.held = event.by
        self._refresh_agent(agent)

    def _on_agent_released(self, event: ev.AgentReleased) -> None:
        agent = self._agent(event)
        if agent.quarantined:
            agent.quarantined, agent.strikes = "", ()
        agent.held, agent.draining = None, False
        self._refresh_agent(agent)

    def _on_agent_draining(self, event: ev.AgentDraining) -> None:
        agent = self._agent(event)
        agent.draining = True
        self._refresh_agent(agent)

    def _on_agent_quarantined(self, event: ev.AgentQuarantined) -> None:
        agent = self._agent(event)
        agent.quarantined = event.reason
        self._refresh_agent(agent)
        if self.dirty is not None:
            self.dirty.idle.append(agent.type)  # what was pinned to it may run on another one now

    def _on_agent_stopped(self, event: ev.AgentStopped) -> None:
        agent = self._agent(event)
        if agent.ticket is not None:
            raise IllegalEventError(f"{event!r}: it runs {agent.ticket}")
        agent.stopped = True
        self.pool_size[agent.type] -= 1
        self._refresh_agent(agent)
        if self.dirty is not None:
            self.dirty.idle.append(agent.type)  # there is room for another one now

    def _on_conflict_found(self, event: ev.ConflictFound) -> None:
        ticket = self._named(event)
        self.serialised += not ticket.serialised
        ticket.serialised = True

    def _on_attempt_started(self, event: ev.AttemptStarted) -> None:
        ticket = self._ticket(event, Status.running)
        agent = self._agent(event)
        if agent.ticket is not None or ticket.missing or event.attempt <= ticket.attempt:
            raise IllegalEventError(f"{event!r}: the agent is busy, a need is missing, or the attempt is not new")
        try:
            self.holdings.take(ticket.id, ticket.claims, event.at)
        except RuntimeError as conflict:
            raise IllegalEventError(f"{event!r}: {conflict}") from None
        agent.ticket = ticket.id
        self._refresh_agent(agent)
        ticket.attempt = event.attempt
        ticket.agent = agent.id
        ticket.started = event.at
        if ticket.first_started is None:
            ticket.first_started = event.at
        ticket.ended = ticket.end = ticket.code = ticket.signal = ticket.pid = ticket.birth = None
        ticket.frozen_at, ticket.frozen_for, ticket.stop_why, ticket.reason = None, 0.0, None, ""
        ticket.before = None
        self._move(ticket, Status.running, event.at)

    def _on_attempt_spawned(self, event: ev.AttemptSpawned) -> None:
        ticket = self.live.get(event.ticket)
        if ticket is None or ticket.attempt != event.attempt or ticket.pid is not None:
            raise IllegalEventError(f"{event!r}: there is no such attempt, or it has a process")
        ticket.pid, ticket.birth = event.pid, event.birth

    def _on_attempt_frozen(self, event: ev.AttemptFrozen) -> None:
        ticket = self._ticket(event, Status.frozen)
        ticket.frozen_at = event.at
        self._move(ticket, Status.frozen, event.at)

    def _thaw_clock(self, ticket: TicketState, at: float) -> None:
        if ticket.frozen_at is not None:
            ticket.frozen_for += at - ticket.frozen_at
            ticket.frozen_at = None

    def _on_attempt_thawed(self, event: ev.AttemptThawed) -> None:
        ticket = self._ticket(event, Status.running)
        self._thaw_clock(ticket, event.at)
        self._move(ticket, Status.running, event.at)

    def _on_attempt_stop_requested(self, event: ev.AttemptStopRequested) -> None:
        ticket = self._ticket(event, Status.stopping)
        self._thaw_clock(ticket, event.at)
        ticket.stop_why = event.why
        self._move(ticket, Status.stopping, event.at)

    def _on_attempt_ended(self, event: ev.AttemptEnded) -> None:
        ticket = self._ticket(event, event.then)
        skipped = self._all(event.skipped, *PENDING)
        self._thaw_clock(ticket, event.at)
        ticket.ended, ticket.end, ticket.reason = event.at, event.end, event.reason
        ticket.code, ticket.signal, ticket.retry_at = event.code, event.signal, event.retry_at
        ticket.stop_why = None
        ticket.charged += event.charged
        self.retried += event.then is Status.backoff
        self._leave_agent(ticket, event)
        freed = self.holdings.give_back(ticket.id)
        if self.dirty is not None:
            self.dirty.freed.extend(freed)
        self._move(ticket, event.then, event.at)
        self._skip(skipped, ticket.id, event.at)

    def _leave_agent(self, ticket: TicketState, event: ev.AttemptEnded) -> None:
        assert ticket.agent is not None
        agent = self.agents[ticket.agent]
        ran = ticket.worked(event.at)
        agent.ticket = None
        agent.idle_since = event.at
        agent.busy_for += ran
        self.busy_for += ran
        agent.done += event.end is End.succeeded
        agent.failed += event.then in (Status.failed, Status.backoff)
        if event.end is End.could_not_start:
            self._strike(ticket, agent)
        elif event.end is not End.stopped:
            agent.strikes = ()
        ticket.shunned = (*ticket.shunned, event.shunned) if event.shunned else ()
        self._refresh_agent(agent)

    def _strike(self, ticket: TicketState, agent: AgentState) -> None:
        """Count a death at start against the agent, unless the ticket is to blame."""
        if not self.blames_ticket(ticket, agent):
            agent.strikes = (*agent.strikes, ticket.id)
        else:
            for id_ in ticket.shunned:
                other = self.agents[id_]
                other.strikes = tuple(strike for strike in other.strikes if strike != ticket.id)

    def _on_backoff_ended(self, event: ev.BackoffEnded) -> None:
        ticket = self._ticket(event, Status.waiting)
        ticket.retry_at = None
        self._move(ticket, Status.waiting, event.at)

    def _on_ticket_held(self, event: ev.TicketHeld) -> None:
        ticket = self._named(event)
        ticket.held = event.by
        self.held_tickets[ticket.id] = ticket

    def _on_ticket_released(self, event: ev.TicketReleased) -> None:
        ticket = self._named(event)
        ticket.held = None
        self.held_tickets.pop(ticket.id, None)
        self._look_again(ticket)

    def _look_again(self, ticket: TicketState) -> None:
        if ticket.missing == 0 and ticket.status is Status.waiting:
            self._wake(ticket)

    def _end_unstarted(
        self, ticket: TicketState, skipped: list[TicketState], to: Status, end: End, at: float
    ) -> None:
        ticket.ended, ticket.end, ticket.retry_at = at, end, None
        self._move(ticket, to, at)
        self._skip(skipped, ticket.id, at)

    def _on_ticket_cancelled(self, event: ev.TicketCancelled) -> None:
        ticket = self._ticket(event, Status.cancelled)
        skipped = self._all(event.skipped, *PENDING)
        ticket.remember()
        ticket.reason = f"by {event.by}" if event.by else ""
        self._end_unstarted(ticket, skipped, Status.cancelled, End.cancelled, event.at)

    def _on_ticket_unrunnable(self, event: ev.TicketUnrunnable) -> None:
        ticket = self._ticket(event, Status.failed)
        skipped = self._all(event.skipped, *PENDING)
        ticket.reason = event.reason
        self._end_unstarted(ticket, skipped, Status.failed, End.could_not_start, event.at)

    def _on_ticket_retried(self, event: ev.TicketRetried) -> None:
        ticket = self._ticket(event, Status.waiting)
        rerun = self._all(event.rerun, Status.succeeded, Status.failed, Status.backoff)
        restored = self._all(event.restored, Status.skipped)
        for each in (ticket, *rerun):
            self._run_again(each, event.note if each is ticket else "", event.at)
        self._take_back(restored, event.at)

    def _on_ticket_waived(self, event: ev.TicketWaived) -> None:
        ticket = self._ticket(event, Status.waived)
        restored = self._all(event.restored, Status.skipped)
        ticket.remember()
        ticket.ended, ticket.retry_at, ticket.because = event.at, None, ""
        ticket.reason = f"by {event.by}" if event.by else ""
        self._move(ticket, Status.waived, event.at)
        self._take_back(restored, event.at)

    def _on_ticket_restored(self, event: ev.TicketRestored) -> None:
        ticket = self._ticket(event, event.then)
        if ticket.before is None:
            raise IllegalEventError(f"{event!r}: nothing is known of what {ticket.id} was before")
        skipped = self._all(event.skipped, *PENDING)
        restored = self._all(event.restored, Status.skipped)
        ticket.recall()
        if event.then is Status.skipped and not ticket.because:  # it is only now that a need is lost
            ticket.because, ticket.ended = self._lost_need(ticket), event.at
        self._move(ticket, event.then, event.at)
        self._skip(skipped, ticket.id, event.at)
        self._take_back(restored, event.at)

    def _lost_need(self, ticket: TicketState) -> str:
        return next((need for need in ticket.spec.needs if self.tickets[need].status in UNSUCCESSFUL), "")

    def _on_ticket_pinned(self, event: ev.TicketPinned) -> None:
        ticket = self._named(event)
        if event.agent and event.agent not in self.agents and event.agent not in self.available:
            raise IllegalEventError(f"{event!r}: there is no such agent or agent type")
        ticket.pin = event.agent
        ticket.shunned = tuple(agent for agent in ticket.shunned if agent != event.agent)
        self._find_types(ticket)
        self._look_again(ticket)

    def _find_types(self, ticket: TicketState) -> None:
        """Which types may run a ticket: those that can, but where it is pinned, the type of that."""
        if not ticket.pin:
            ticket.types = self._types_of(ticket.spec)
        else:
            agent = self.agents.get(ticket.pin)
            ticket.types = (agent.type if agent is not None else ticket.pin,)

    def _on_priority_changed(self, event: ev.PriorityChanged) -> None:
        ticket = self._named(event)
        ticket.spec = self.plan.tickets[ticket.id] = structs.replace(ticket.spec, priority=event.priority)
        self._look_again(ticket)

    def _on_agent_type_held(self, event: ev.AgentTypeHeld) -> None:
        self._type(event)
        self.held_types[event.type] = event.by

    def _on_agent_type_released(self, event: ev.AgentTypeReleased) -> None:
        self._type(event)
        self.held_types.pop(event.type, None)
        self._wake_types(event.type)

    def _on_type_scaled(self, event: ev.TypeScaled) -> None:
        self._type(event)
        self.agent_limits[event.type] = event.most
        self._wake_types(event.type)

    def _on_parallel_changed(self, event: ev.ParallelChanged) -> None:
        self.parallel = event.parallel
        self._wake_types(*self.available)

    def _type(self, event: Any) -> None:
        if event.type not in self.available:
            raise IllegalEventError(f"{event!r}: there is no such agent type")

    def _wake_types(self, *types: str) -> None:
        if self.dirty is not None:
            self.dirty.idle.extend(types)

    def _on_operator_acted(self, event: ev.OperatorActed) -> None:
        if event.verb == "undo":
            if (undone := self.last_undoable()) is not None:
                self.actions = [action for action in self.actions if action is not undone]
        else:
            self.actions = [*self.actions[1 - MOST_ACTIONS :], event]

    # -- the plan itself -------------------------------------------------------------------------------------

    def _on_plan_amended(self, event: ev.PlanAmended) -> None:
        """Take in other tickets: O(plan), unless what follows from needs and estimates is as it was."""
        self._check_amendment(event)
        specs = {id_: spec for id_, spec in self.plan.tickets.items() if id_ not in event.dropped}
        specs |= {**event.changed, **event.added}
        shape = None if self._keeps_shape(event) else _shape(event, specs)
        was_ready = {ticket.id for ticket in self.tickets.values() if ticket.missing == 0}
        self._replace_tickets(event)
        self.plan.tickets.clear()
        self.plan.tickets.update(specs)
        self._follow(event)
        if shape is None:
            for id_ in event.changed:
                self._look_again(self.tickets[id_])
            return
        self._derive(*shape)
        self.serialised = sum(ticket.serialised for ticket in self.tickets.values())
        for ticket in self.tickets.values():
            if ticket.missing == 0 and ticket.id not in was_ready:
                ticket.ready_at = event.at
        if self.unfinished:
            self.finished_at = None
        if self.dirty is not None:
            self.dirty.everything = True

    def _keeps_shape(self, event: ev.PlanAmended) -> bool:
        """Whether graph, groups and paths stay as they are."""
        return not (event.added or event.dropped) and all(
            (spec.needs, spec.estimate) == (self.tickets[id_].spec.needs, self.tickets[id_].spec.estimate)
            for id_, spec in event.changed.items()
        )

    def _replace_tickets(self, event: ev.PlanAmended) -> None:
        for id_ in event.dropped:
            if attempt := self.tickets.pop(id_).attempt:
                self.past_attempts[id_] = attempt
            self.held_tickets.pop(id_, None)
        for id_, spec in event.added.items():
            claims = Claims.of(spec, self.plan.workdir)
            ticket = self.tickets[id_] = TicketState(id_, spec, 0, claims, self._types_of(spec))
            ticket.attempt = self.past_attempts.pop(id_, 0)
        for id_, spec in event.changed.items():
            ticket = self.tickets[id_]
            ticket.spec, ticket.claims = spec, Claims.of(spec, self.plan.workdir)
            self._find_types(ticket)

    def _check_amendment(self, event: ev.PlanAmended) -> None:
        for id_ in event.added:
            if id_ in self.tickets:
                raise IllegalEventError(f"{event!r}: there is a ticket {id_} already")
        for id_ in (*event.changed, *event.dropped):
            if id_ not in self.tickets or self.tickets[id_].is_live:
                raise IllegalEventError(f"{event!r}: there is no ticket {id_}, or it runs")
        try:
            for spec in (*event.added.values(), *event.changed.values()):
                Claims.of(spec, self.plan.workdir)
        except ValueError as error:
            raise IllegalEventError(f"{event!r}: {error}") from None
        self._all(tuple(id_ for id_ in event.skipped if id_ not in event.added), *PENDING)
        self._all(event.restored, Status.skipped)

    def _follow(self, event: ev.PlanAmended) -> None:
        """Set the statuses that an amendment brings along. The indexes are derived after that."""
        for id_ in event.skipped:
            ticket = self.tickets[id_]
            ticket.because = self._lost_need(ticket)
            ticket.status, ticket.ended, ticket.retry_at = Status.skipped, event.at, None
        for id_ in event.restored:
            ticket = self.tickets[id_]
            ticket.status, ticket.because, ticket.ended = Status.waiting, "", None


def _shape(event: ev.PlanAmended, specs: dict[str, Ticket]) -> tuple[Graph, list[list[str]]]:
    """The graph and the groups of the plan that an event leads to, if there can be such a plan."""
    if any(need not in specs for spec in specs.values() for need in spec.needs):
        raise IllegalEventError(f"{event!r}: something is needed that is not there")
    dependencies = graph.build(specs)
    try:
        return dependencies, graph.groups(dependencies)
    except graph.CycleError:
        raise IllegalEventError(f"{event!r}: there is a cycle of needs") from None


_APPLY: dict[type[ev.Event], Callable[[SessionState, Any], None]] = {
    ev.SessionOpened: SessionState._on_session_opened,
    ev.PoolInitialised: SessionState._on_step,
    ev.TicketsQueued: SessionState._on_step,
    ev.AgentsDeployed: SessionState._on_step,
    ev.MonitoringStarted: SessionState._on_monitoring_started,
    ev.FailuresHandled: SessionState._on_step,
    ev.CompletionValidated: SessionState._on_step,
    ev.SessionFinished: SessionState._on_session_finished,
    ev.EngineLeft: SessionState._on_engine_left,
    ev.SessionInterrupted: SessionState._on_session_interrupted,
    ev.HostPressed: SessionState._on_host_pressed,
    ev.HostRelieved: SessionState._on_host_relieved,
    ev.SessionHeld: SessionState._on_session_held,
    ev.SessionReleased: SessionState._on_session_released,
    ev.SessionDraining: SessionState._on_session_draining,
    ev.DrainEnded: SessionState._on_drain_ended,
    ev.SessionStopping: SessionState._on_session_stopping,
    ev.AgentStarted: SessionState._on_agent_started,
    ev.AgentHeld: SessionState._on_agent_held,
    ev.AgentReleased: SessionState._on_agent_released,
    ev.AgentDraining: SessionState._on_agent_draining,
    ev.AgentQuarantined: SessionState._on_agent_quarantined,
    ev.AgentStopped: SessionState._on_agent_stopped,
    ev.ConflictFound: SessionState._on_conflict_found,
    ev.AttemptStarted: SessionState._on_attempt_started,
    ev.AttemptSpawned: SessionState._on_attempt_spawned,
    ev.AttemptFrozen: SessionState._on_attempt_frozen,
    ev.AttemptThawed: SessionState._on_attempt_thawed,
    ev.AttemptStopRequested: SessionState._on_attempt_stop_requested,
    ev.AttemptEnded: SessionState._on_attempt_ended,
    ev.BackoffEnded: SessionState._on_backoff_ended,
    ev.TicketHeld: SessionState._on_ticket_held,
    ev.TicketReleased: SessionState._on_ticket_released,
    ev.TicketCancelled: SessionState._on_ticket_cancelled,
    ev.TicketUnrunnable: SessionState._on_ticket_unrunnable,
    ev.TicketRetried: SessionState._on_ticket_retried,
    ev.TicketWaived: SessionState._on_ticket_waived,
    ev.TicketRestored: SessionState._on_ticket_restored,
    ev.TicketPinned: SessionState._on_ticket_pinned,
    ev.PriorityChanged: SessionState._on_priority_changed,
    ev.PlanAmended: SessionState._on_plan_amended,
    ev.AgentTypeHeld: SessionState._on_agent_type_held,
    ev.AgentTypeReleased: SessionState._on_agent_type_released,
    ev.TypeScaled: SessionState._on_type_scaled,
    ev.ParallelChanged: SessionState._on_parallel_changed,
    ev.OperatorActed: SessionState._on_operator_acted,
}
