"""How a session stands: what is true of it, and what follows from that.

What can be derived (ready, busy, slots, claims held) is an index, kept as statuses change and never told by an event.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from msgspec import structs

from parexec_tui.core.plan import graph
from parexec_tui.core.plan.claims import Claims, Holdings, Key
from parexec_tui.core.plan.graph import Graph
from parexec_tui.core.plan.model import SHELL_COMMAND, Host, Plan, Ticket, eligible_types
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.agents import AgentState
from parexec_tui.core.state.status import LIVE, SATISFIED, TERMINAL, UNSUCCESSFUL, Status
from parexec_tui.core.state.tickets import TicketState

DEFAULT_ESTIMATE: Final = 60.0
"""Seconds a ticket is taken to last when neither the plan nor history tells."""

AGEING: Final = 0.1
"""How much of its waiting time a ticket is credited against remaining path: far less than 1, so that the critical
path stays first; more than 0, so that nothing starves."""


@dataclass(slots=True)
class DirtySet:
    """What `apply` changed that may let a ticket start; the dispatcher empties it."""

    ready: list[str] = field(default_factory=list)
    freed: list[Key] = field(default_factory=list)
    idle: list[str] = field(default_factory=list)
    """Agent types of which an agent became available."""
    everything: bool = False
    """True: the plan was amended, so every rank may be another one."""


class Standing:
    """Everything that is true of a session now. Made from the plan; a `SessionState` is one that events change."""

    graph: Graph
    groups: list[list[str]]
    """Tickets by dependency level, in plan order."""
    counts: dict[Status, int]
    group_left: list[int]
    """Tickets to account for, by group."""
    open_group: int
    """The first group that still has a ticket to account for."""

    def __init__(self, plan: Plan) -> None:
        self.plan = structs.replace(plan, tickets=dict(plan.tickets))
        """As it is now: its tickets change with the requests that edit them."""
        self._types: dict[object, tuple[str, ...]] = {}
        """demand: the agent types that meet it"""
        self.dirty: DirtySet | None = None
        """Set by the dispatcher; a viewer leaves it None."""
        self.serialised = 0
        self.tickets = {
            id_: TicketState(id_, spec, order, Claims.of(spec, plan.workdir), self._types_of(spec))
            for order, (id_, spec) in enumerate(plan.tickets.items())
        }
        dependencies = graph.build(plan.tickets)
        self._derive(dependencies, graph.groups(dependencies))
        self.live: dict[str, TicketState] = {}
        self.held_tickets: dict[str, TicketState] = {}
        """Those with a hold of their own, the first one held first; also what is over since."""
        self.holdings = Holdings(plan.resources)
        self.agents: dict[str, AgentState] = {}
        self.available: dict[str, dict[str, AgentState]] = {type_: {} for type_ in plan.agents}
        """type: {agent id: agent}, idle longest first."""
        self.quarantined: dict[str, AgentState] = {}
        """Agents in quarantine, the first one first."""
        self.pool_size = dict.fromkeys(plan.agents, 0)
        """type: agents started and not stopped, the quarantined included: a bad host is not replaced for ever."""
        self.agent_limits = {type_: agent_type.max for type_, agent_type in plan.agents.items()}
        """type: the limit that is set for it, if any. See `max_agents`."""
        self.held_types: dict[str, str] = {}
        """type: who holds it back"""
        self.past_attempts: dict[str, int] = {}
        """Of tickets that were dropped: should one come back, its attempts are numbered on."""
        self.actions: list[ev.OperatorActed] = []
        """What persons did and has not been undone, newest last."""
        self.host: Host | None = None
        self.session = ""
        self.parallel = plan.settings.parallel or 1
        self.opened_at = 0.0
        self.now = 0.0
        """The time of the newest event."""
        self.held: ev.SessionHeld | None = None
        self.draining: ev.SessionDraining | None = None
        self.stopping: ev.SessionStopping | None = None
        self.left: ev.EngineLeft | None = None
        self.interrupted: ev.SessionInterrupted | None = None
        """There while no engine can be kept alive for the session."""
        self.pressed: dict[str, ev.HostPressed] = {}
        """resource: what the host is short of"""
        self.finished_at: float | None = None
        self.boot = ""
        self.engine_pid = 0
        self.retried = 0
        self.busy_for = 0.0
        self._turn = 0
        self.usual_estimate = DEFAULT_ESTIMATE
        """Seconds that `TicketState.remaining` counts for a ticket without an estimate."""

    def _types_of(self, spec: Ticket) -> tuple[str, ...]:
        demand = (spec.agent, spec.requires, bool(spec.run.strip()), bool(spec.prompt.strip()))
        if demand not in self._types:
            self._types[demand] = eligible_types(self.plan.agents, spec)
        return self._types[demand]

    def _derive(self, dependencies: Graph, groups: list[list[str]]) -> None:
        """Find anew all that follows from which tickets there are, their needs, estimates and statuses: O(plan)."""
        tickets = self.tickets
        self.graph = dependencies
        self.groups = groups
        for group, level in enumerate(self.groups):
            for id_ in level:
                tickets[id_].group = group
        known = sorted(ticket.spec.estimate for ticket in tickets.values() if ticket.spec.estimate is not None)
        self.usual_estimate = usual = known[len(known) // 2] if known else DEFAULT_ESTIMATE
        durations = {
            id_: usual if (estimate := ticket.spec.estimate) is None else estimate for id_, ticket in tickets.items()
        }
        for id_, remaining in graph.remaining_paths(dependencies, self.groups, durations).items():
            tickets[id_].remaining = remaining
        self._class_step = 1.0 + max((ticket.remaining for ticket in tickets.values()), default=0.0)
        self.counts = dict.fromkeys(Status, 0)
        self.group_left = [0] * len(self.groups)
        for order, ticket in enumerate(tickets.values()):
            ticket.order = order
            needs = [tickets[need].status for need in ticket.spec.needs]
            ticket.missing = sum(status not in SATISFIED for status in needs)
            ticket.lost = sum(status in UNSUCCESSFUL for status in needs)
            self.counts[ticket.status] += 1
            self.group_left[ticket.group] += ticket.status not in TERMINAL
        self.open_group = next((group for group, left in enumerate(self.group_left) if left), len(self.groups))

    # -- questions -------------------------------------------------------------------------------------------

    @property
    def status(self) -> str:
        """running, held, draining, stopping, stopped (left with tickets to run), interrupted or finished."""
        if self.finished_at is not None:
            return "finished"
        if self.interrupted is not None:
            return "interrupted"
        if self.left is not None:
            return "stopped"
        if self.stopping is not None:
            return "stopping"
        if self.draining is not None:
            return "draining"
        return "held" if self.held is not None else "running"

    @property
    def unfinished(self) -> int:
        """Tickets that are not over."""
        counts = self.counts
        return len(self.tickets) - sum(counts[status] for status in TERMINAL)

    def max_agents(self, type_: str) -> int:
        """How many agents of a type there may be: without a limit, as many as tickets may run at once."""
        limit = self.agent_limits[type_]
        return self.parallel if limit is None else limit

    def dependents(self, id_: str) -> Iterator[TicketState]:
        return map(self.tickets.__getitem__, self.graph.dependents[id_])

    def rank(self, ticket: TicketState) -> tuple[float, int]:
        """The place of a ready ticket in the order of dispatch; lower goes first.

        Priority class, then longest remaining path, with ageing. A class weighs more than any path of the plan,
        and waiting counts at the rate `AGEING`; since all wait at the same rate, the order of two tickets never
        changes while both wait, and a heap can keep it.
        """
        waited_since = (ticket.ready_at - self.opened_at) * AGEING
        class_ = ticket.spec.priority.rank * self._class_step
        return (class_ + waited_since - min(ticket.remaining, self._class_step), ticket.order)

    def is_idle_forever(self) -> bool:
        """True when nothing runs and no timer will change that."""
        return not self.live and not self.counts[Status.backoff]

    def blames_ticket(self, ticket: TicketState, agent: AgentState) -> bool:
        """Whether it says nothing against the agent when the ticket cannot start on it.

        A shell command that cannot start on two agents is a bad command, not two bad agents, and one that cannot
        start twice on the same agent is still one; so one mistyped ticket cannot quarantine a pool.
        """
        tried = bool(ticket.shunned) or ticket.id in agent.strikes
        return tried and self.plan.agents[agent.type].command == SHELL_COMMAND

    def last_undoable(self) -> ev.OperatorActed | None:
        """The last thing that a person did and that can be taken back."""
        return next((action for action in reversed(self.actions) if action.inverse), None)

    def cause(self, ticket: TicketState) -> TicketState:
        """For a skipped ticket, one that stands in its way: the nearest need that failed or was cancelled.

        `because` tells what was the cause at the time; that one may have been retried since.
        """
        while ticket.status is Status.skipped:
            needs = map(self.tickets.__getitem__, ticket.spec.needs)
            ticket = next(need for need in needs if need.status in UNSUCCESSFUL)
        return ticket

    # -- indexes ---------------------------------------------------------------------------------------------

    def _move(self, ticket: TicketState, to: Status, at: float) -> None:
        """Change a status, and everything that follows from statuses."""
        from_ = ticket.status
        ticket.status = to
        self.counts[from_] -= 1
        self.counts[to] += 1
        if to in LIVE:
            self.live[ticket.id] = ticket
        elif from_ in LIVE:
            del self.live[ticket.id]
        if (step := (to in UNSUCCESSFUL) - (from_ in UNSUCCESSFUL)) != 0:
            for dependent in self.dependents(ticket.id):
                dependent.lost += step
        if (step := (to in SATISFIED) - (from_ in SATISFIED)) != 0:
            for dependent in self.dependents(ticket.id):
                dependent.missing -= step
                if dependent.missing == 0 and dependent.status is Status.waiting:
                    self._is_ready(dependent, at)
        if (step := (to in TERMINAL) - (from_ in TERMINAL)) != 0:
            self._account(ticket.group, step, at)
        if to is Status.waiting and ticket.missing == 0:
            self._is_ready(ticket, at)

    def _is_ready(self, ticket: TicketState, at: float) -> None:
        ticket.ready_at = at
        self._wake(ticket)

    def _wake(self, ticket: TicketState) -> None:
        if self.dirty is not None:
            self.dirty.ready.append(ticket.id)

    def _account(self, group: int, step: int, at: float) -> None:
        self.group_left[group] -= step
        if step < 0:
            self.finished_at = None
        if group < self.open_group:
            self.open_group = group
        while self.open_group < len(self.groups) and self.group_left[self.open_group] == 0:
            self.open_group += 1
            if self.plan.settings.barrier and self.open_group < len(self.groups):
                for id_ in self.groups[self.open_group]:
                    ticket = self.tickets[id_]
                    if ticket.missing == 0 and ticket.status is Status.waiting:
                        self._is_ready(ticket, at)

    def _refresh_agent(self, agent: AgentState) -> None:
        """Put the agent in or out of those available, at the end of the line when it comes in, and in quarantine."""
        line = self.available[agent.type]
        if not agent.is_available:
            line.pop(agent.id, None)
        elif agent.id not in line:
            self._turn += 1
            agent.turn = self._turn
            line[agent.id] = agent
            if self.dirty is not None:
                self.dirty.idle.append(agent.type)
        if agent.quarantined and not agent.stopped:
            self.quarantined[agent.id] = agent
        else:
            self.quarantined.pop(agent.id, None)

    def _skip(self, tickets: list[TicketState], because: str, at: float) -> None:
        for ticket in tickets:
            ticket.because = because
            ticket.ended = at
            ticket.retry_at = None
            self._move(ticket, Status.skipped, at)

    def _take_back(self, tickets: list[TicketState], at: float) -> None:
        """Let skipped tickets wait again."""
        for ticket in tickets:
            ticket.because, ticket.ended = "", None
            self._move(ticket, Status.waiting, at)

    def _run_again(self, ticket: TicketState, note: str, at: float) -> None:
        ticket.remember()
        ticket.charged, ticket.shunned, ticket.retry_at, ticket.note = 0, (), None, note
        self._move(ticket, Status.waiting, at)
