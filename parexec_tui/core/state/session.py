"""How a session stands now: what is true of it, and what people and rules ask of it.

Only `apply` changes it, event by event. What can be derived (ready, busy, slots, claims held) is an index that
`indexes` keeps as statuses change; no event tells it. One thing no event can tell, that the engine is lost: a viewer
notes it in its own copy (`note_engine_lost`), so that all rules that ask about the session know.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Final, NamedTuple

from msgspec import structs

from parexec_tui.core.plan import graph
from parexec_tui.core.plan.agent_type import with_fallbacks
from parexec_tui.core.plan.claims import ClaimKey, Claims, Holdings
from parexec_tui.core.plan.coding import is_minded
from parexec_tui.core.plan.family import needed_whole
from parexec_tui.core.plan.gates import is_gate_ticket
from parexec_tui.core.plan.graph import Graph
from parexec_tui.core.plan.group_gates import GatesOf, with_gates
from parexec_tui.core.plan.hosts import hosts_of
from parexec_tui.core.plan.model import Host, Plan
from parexec_tui.core.plan.secrets import wanted_secrets
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.plan.units import Lease
from parexec_tui.core.plan.waits import Wait
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.agents import AgentState
from parexec_tui.core.state.coding import Coding, Rest
from parexec_tui.core.state.findings import Findings
from parexec_tui.core.state.found_order import EstimateErrors, FoundOrder
from parexec_tui.core.state.hosts import HostState, lease_over
from parexec_tui.core.state.memory import Memory
from parexec_tui.core.state.pressure import Ladder
from parexec_tui.core.state.services import ServiceState, count_user
from parexec_tui.core.state.status import (
    COUNTED,
    SATISFIED,
    TERMINAL,
    UNSUCCESSFUL,
    AgentStatus,
    Flag,
    SessionStatus,
    Status,
)
from parexec_tui.core.state.step_record import StepRecord
from parexec_tui.core.state.tally import Tally
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.state.tuning import Pace, Tuning
from parexec_tui.core.state.worktrees import WorktreeState, has_worktrees

DEFAULT_ESTIMATE: Final = 60.0
"""Seconds a ticket is taken to last when neither the plan nor history tells."""

STRIKES: Final = 3
"""Attempts that die at start, one after another, before an agent is quarantined."""

AGEING: Final = 0.1
"""How much of its waiting time a ticket is credited against remaining path, inside its priority class: far less than
1, so that the critical path stays first; more than 0, so that new tickets cannot pass an old one for ever."""

_SUCCESS: Final = Wait.success

Rank = tuple[int, float, int]
"""The place of a ready ticket in the order of dispatch; lower goes first: class, path and wait, plan order."""


@dataclass(slots=True)
class DirtySet:
    """What `apply` changed that may let a ticket start; the dispatcher empties it."""

    ready: list[str] = field(default_factory=list)
    freed: list[ClaimKey] = field(default_factory=list)
    answered: list[str] = field(default_factory=list)
    """Kinds of steps by which one ticket less is asked whether it is done."""
    idle: list[str] = field(default_factory=list)
    """Agent types of which an agent became available."""
    reservation: bool = False
    """What is kept free for a ticket changed: those that were held back for it may start."""
    doubtful: bool = False
    """The reservation may make no sense any more: an agent, a hold or a freeze changed."""
    services: list[str] = field(default_factory=list)
    """Services that became ready, or may be started."""
    hosts: list[str] = field(default_factory=list)
    """Hosts on which something came free, or that may be used again; empty: this machine, of a plan with hosts."""
    host: bool = False
    """What the host has available changed: what waits for that may start."""
    unapproved: list[str] = field(default_factory=list)
    """Tickets that could start but for the approval of a person, who was not told yet."""
    undecided: list[str] = field(default_factory=list)
    """Tickets of which it may be known by now whether they are wanted; gates, whose tickets may all be unwanted."""
    everything: bool = False
    """True: the plan was amended, so every rank may have changed."""


class EngineLost(NamedTuple):
    """A viewer sees that no engine does anything for the session, though no event says so."""

    at: float
    """When it was last known to be there."""
    reason: str
    is_silent: bool = False
    """It is alive, or the next one is being started. False: there is none."""


@dataclass(slots=True)
class Reservation:
    """What is kept free for a ticket that has waited long. See `core/state/reservation.py`."""

    ticket: str
    start_at: float | None
    """When it could start; None if nothing tells."""
    spare: dict[str, float]
    """resource: how much more of it others may use when it starts"""
    outlasting: dict[str, dict[str, float]]
    """live ticket: what it uses of these resources, if it may still run when the reserved one starts"""


@dataclass(slots=True)
class Rollback:
    """What a person wants taken back."""

    asked: ev.RollbackAsked
    left: list[str]
    """The tickets whose turn is to come, or is now."""


def planned_budgets(plan: Plan) -> dict[str, float]:
    """{agent type: dollars that it may spend}, as a plan says; the empty name is for all together."""
    found = {name: float(each.budget) for name, each in plan.agents.items() if each.budget is not None}
    return found if plan.settings.budget is None else {"": float(plan.settings.budget), **found}


class SessionState:
    """Everything that is true of a session now."""

    graph: Graph
    claims_memory: bool
    """Whether a ticket says how much memory it uses, or did before the plan was amended."""
    groups: list[list[str]]
    """Tickets by dependency level, in plan order."""
    counts: dict[Status, int]
    """Tickets by status. See `shown_counts` for what people are told."""
    usual_estimate: float
    """The median of what is known of tickets, in seconds."""
    usual_of_types: dict[tuple[str, ...], float]
    """agent types: the median of what is known of the tickets that they can run, in seconds"""
    usual_patience: float
    """What `reserve_after` is by the longest path."""
    found_order: FoundOrder | None
    """An order of dispatch that is better than the longest path, if one was found for the plan as it is."""
    group_left: list[int]
    """Tickets to account for, by group."""
    open_group: int
    """The first group that still has a ticket to account for."""
    failed: dict[str, TicketState]
    """Failed tickets, the one that failed last at the end."""
    allowed: dict[str, TicketState]
    """Those of them whose failure is allowed."""
    failed_alike: dict[str, dict[str, TicketState]]
    """{`TicketState.failed_with`: the failed tickets that failed with it}"""
    undecided: dict[str, TicketState]
    """Tickets that wait, and of which it is not known yet whether they are wanted."""
    not_wanted: dict[str, TicketState]
    """Skipped tickets that are not wanted, see `TicketState.is_unwanted`."""
    ready: dict[str, TicketState]
    """Tickets that wait, and whose needs are met."""
    unapproved: dict[str, TicketState]
    """Tickets that go on as soon as a person approves. See `TicketState.awaits_approval`."""
    hosts_of_types: dict[str, tuple[str, ...]]
    """{agent type: the hosts on which its agents may be}; empty for this machine"""
    held_back: dict[str, TicketState]
    """Held tickets that nothing but their hold, the pool and the claims of others keep from starting."""

    def __init__(self, plan: Plan) -> None:
        """The session before its first event."""
        self.plan = structs.replace(plan, tickets=dict(plan.tickets))
        """As it is now: its tickets change with the requests that edit them."""
        self._types: dict[object, tuple[str, ...]] = {}
        """demand: the agent types that meet it"""
        self.dirty: DirtySet | None = None
        """Set by the dispatcher; a viewer leaves it None."""
        self.tuning: Tuning | None = None
        """What the engine knows of how many should run at once; None: the plan or a person says how many."""
        self.found: Tuning | None = None
        """What it knew before a person said how many."""
        self.serialised = 0
        self.learned: dict[str, float] = {}
        """{ticket: the median of the seconds that it took in earlier sessions}"""
        self.eta_told: list[ev.EtaTold] = []
        """What the ETA said since `eta_since`."""
        self.eta_since = 0.0
        """Since when nobody but the engine has changed how the session goes on: it was opened, a person acted, or an
        engine came back."""
        self.sigmas: dict[str, float] = {}
        """{ticket: how far its runs there are apart, as `TicketHistory.sigma`}"""
        self.estimate_errors = EstimateErrors()
        self.rerunning: dict[str, None] = {}
        """Tickets that were over, and run again or wait to."""
        self.rerunning_needs: dict[str, int] = {}
        """{ticket: how many of those whose success it needs are among them}"""
        self.stale_needs: dict[str, int] = {}
        """{ticket: how many of those whose success it needs are stale}. See `reruns`."""
        self._family_sizes: dict[str, int] = {}
        """{family: its tickets}, once that was asked"""
        self._needed_whole: dict[str, tuple[str, ...]] = {}
        """{ticket: the families that it needs as a whole}, of those of which that was asked"""
        whole = self.with_gates(plan.tickets)
        self.tickets = {id_: self.new_ticket(id_, spec, order) for order, (id_, spec) in enumerate(whole.items())}
        self.services = {name: ServiceState(name, spec) for name, spec in plan.services.items()}
        dependencies = graph.build(whole, self.gates.numbers)
        self.draining: ev.SessionDraining | None = None
        self.stopping: ev.SessionStopping | None = None
        self.derive(dependencies, graph.groups(dependencies))
        self.live: dict[str, TicketState] = {}
        self.asking: dict[str, TicketState] = {}
        """Tickets that are being asked whether they are done already."""
        self.frozen: dict[str, TicketState] = {}
        """Those of the live ones whose attempt is frozen."""
        self.warned: dict[str, TicketState] = {}
        """Those of the live ones of which a check has found something wrong, or that wait for room on a disk."""
        self.findings: Findings = {}
        """What was asked about the state as it is now, and found. `apply` empties it."""
        self.stall_findings: Findings = {}
        """The same of what follows from the marks of stalled tickets alone. `note_stall` empties it."""
        self.steps: dict[str, tuple[StepRecord, ...]] = {}
        """{ticket: what became of its steps}, the one where that changed last at the end. See `step_history`."""
        self.values: dict[str, dict[str, str]] = {}
        """{ticket: what the command of its last success told}, of those that told anything. See `plan.values`."""
        self.generated: dict[str, ev.TicketsGenerated] = {}
        """{ticket: what its last success generated}. See `plan.generated`."""
        self.beside: set[str] = set()
        """Tickets that were added beside the plan file, by `parexec add`."""
        self.amended = 0
        """How often the plan was amended."""
        self.held_tickets: dict[str, TicketState] = {}
        """Tickets with a hold of their own, in the order of the holds; also those that are over by now."""
        self.holdings = Holdings(plan.amounts, plan.resources.units)
        self.hosts = {name: HostState(name, spec) for name, spec in plan.hosts.items()}
        """The other machines of the plan; most plans have none."""
        self._places: dict[tuple[str, ...], dict[str, tuple[str, ...]]] = {}
        """{agent types: as `places_of`}, of those of which that was asked"""
        self._most_elsewhere: dict[str, tuple[int, bool]] = {}
        """{agent type: how many of its agents there may be on other machines, and whether some may be on this one},
        of those of which that was asked"""
        self.find_hosts()
        self.live_on: dict[str, HostState] = {}
        """{live ticket: where}, of those that are on other machines"""
        self.held_on: dict[str, HostState] = {}
        """{ticket: the host on which it holds what that has itself}"""
        self.idle_on: dict[tuple[str, str], dict[str, AgentState]] = {}
        """{agent type and host: its available agents there, idle longest first}, in a plan with hosts"""
        self.agents: dict[str, AgentState] = {}
        self.available: dict[str, dict[str, AgentState]] = {type_: {} for type_ in plan.agents}
        """type: {agent id: agent}, idle longest first."""
        self.quarantined: dict[str, AgentState] = {}
        """Agents in quarantine, the first one first."""
        self.pool_size = dict.fromkeys(plan.agents, 0)
        """type: agents started and not stopped. Those in quarantine count: a bad host is not replaced for ever."""
        self.agent_limits = {type_: agent_type.max for type_, agent_type in plan.agents.items()}
        """type: the limit that is set for it, if any. See `max_agents`."""
        self.held_types: dict[str, str] = {}
        """type: who holds it back"""
        self.type_troubles: dict[str, str] = {}
        """{held type: what is wrong with it}, where no person holds it back for something else"""
        self.accounts: dict[str, Rest] = {}
        """{account: why no ticket starts with it, or only one}"""
        self.coding: dict[str, Coding] = {}
        """{ticket: what is remembered of it}, of those that coding agents work on"""
        self.has_coding = any(map(is_minded, plan.agents.values()))
        self.budgets = planned_budgets(plan)
        """{agent type: dollars that it may spend}; the empty name is for all together"""
        self.has_fallbacks = any(agent_type.fallback for agent_type in plan.agents.values())
        self.past_attempts: dict[str, int] = {}
        """dropped ticket: number of its last attempt. If it is added again, its attempts count on from there."""
        self.actions: list[ev.OperatorActed] = []
        """Actions of persons that have not been undone, newest last."""
        self.raised: dict[str, float] = {}
        """{ticket: by what its plan's memory is multiplied, since it ran out of that}"""
        self.host: Host | None = None
        self.reservation: Reservation | None = None
        self.session = ""
        self.parallel = plan.parallel if isinstance(plan.parallel, int) else 1
        self.on_failure = plan.settings.on_failure
        """What happens when a ticket has failed for good."""
        self.opened_at = 0.0
        self.traceparent = ""
        """As in `SessionOpened`."""
        self.clock_errors: list[tuple[float, float]] = []
        """(when an engine began, the seconds before it that the wall clock counted and that did not pass)"""
        self.now = 0.0
        """The time of the newest event."""
        self.held: ev.SessionHeld | None = None
        self.left: ev.EngineLeft | None = None
        self.interrupted: ev.SessionInterrupted | None = None
        """Set while no engine can be kept alive for the session."""
        self.engine_lost: EngineLost | None = None
        """What a viewer sees, see `note_engine_lost`; no event says it, and an engine leaves it None."""
        self.cut_logs: dict[str, ev.LogCut] = {}
        """{ticket: what was last said about the newest of its logs that is longer than `max_log`}"""
        self.unclaimed: dict[str, ev.WroteUnclaimed] = {}
        """{ticket: what its newest attempt wrote outside its claims, if it did}"""
        self.told_strays: dict[str, float] = {}
        """{file that several may have written and nobody claims: when it was changed, as it was told}; the newest"""
        self.file_snapshots: dict[str, ev.SnapshotTaken] = {}
        """{ticket: the snapshot of its files that is kept}, the oldest first"""
        self.snapshots_size = 0
        """Bytes of them."""
        self.has_worktrees = has_worktrees(plan.agents.values())
        self.worktrees: dict[str, WorktreeState] = {}
        """{ticket: the worktree of its newest attempt that had one}, the oldest first"""
        self.foreseen: dict[tuple[str, str], ev.ConflictForeseen] = {}
        """{two live tickets: what of their work will conflict}"""
        self.worktrees_size = 0
        """Bytes of those that are kept."""
        self.half_done: dict[str, int] = {}
        """{ticket: the attempt that is taken back in part only}; its snapshot is kept until that is completed"""
        self.rollback: Rollback | None = None
        """What a person wants taken back, and is not yet; nothing is started meanwhile."""
        self.memory: Memory | None = None
        """What there is for tickets that start; None: no ticket says what it needs, or it was not measured yet."""
        self.peaks: dict[str, int] = {}
        """ticket: the bytes that it used in earlier sessions, at most nine times in ten"""
        self.usual_peaks: dict[tuple[str, ...], int] = {}
        """agent types: the median of that of the tickets that they can run"""
        self.outgrown: dict[str, int] = {}
        """ticket: the bytes that it used when it was stopped because the host had too little"""
        self.ladders: dict[str, Ladder] = {}
        """What the host is pressed for: the steps that were taken against it"""
        self.lowered: int | None = None
        """How many tickets may run at once because of that, if fewer than `parallel`."""
        self.pressed: dict[str, ev.HostPressed] = {}
        """resource: what the host is short of"""
        self.has_secrets = bool(wanted_secrets(plan))
        self.secrets: dict[str, str] = {}
        """secret: why its value is not known, empty if it is; those that are not here have yet to be looked for"""
        self.neighbours: tuple[ev.Neighbour, ...] = ()
        """Living sessions that claim the same, as an engine saw them last."""
        self.finished_at: float | None = None
        self.boot = ""
        self.monitored: ev.MonitoringStarted | None = None
        """What the newest engine began with."""
        self.engine_pid = 0
        self.retried = 0
        self.tally = Tally()
        self.busy_for = 0.0
        self.turn = 0
        """Of the agent that became idle last. See `AgentState.turn`."""

    @property
    def gates(self) -> GatesOf:
        """The gates of its groups and of the plan."""
        return GatesOf(self.plan.groups, self.plan.settings.gates, self.plan.selection.numbers)

    def with_gates(self, tickets: Mapping[str, Ticket]) -> dict[str, Ticket]:
        """These tickets with those that stand for the gates of the plan and of its groups."""
        return with_gates(tickets, *self.gates)

    @property
    def has_gates(self) -> bool:
        """Whether groups or the plan have gates."""
        return bool(self.plan.groups or self.plan.settings.gates)

    def new_ticket(self, id_: str, spec: Ticket, order: int = 0) -> TicketState:
        """A ticket before its first event, at this place in the plan."""
        types = () if is_gate_ticket(id_) else self.types_of(spec)
        return TicketState(id_, spec, order, Claims.of(spec, self.plan), types)

    def types_of(self, spec: Ticket) -> tuple[str, ...]:
        """The agent types that can run such a ticket."""
        demand = (
            spec.agent,
            spec.requires,
            bool(spec.run.strip()),
            bool(spec.prompt.strip()),
            bool(spec.prompt_file),
        )
        if demand not in self._types:
            self._types[demand] = with_fallbacks(self.plan.agents, spec)
        return self._types[demand]

    def forget_types(self) -> None:
        """There are others: which of them can run a ticket is to be found anew."""
        self._types.clear()

    def derive(self, dependencies: Graph, groups: list[list[str]]) -> None:
        """Find anew what follows from the tickets that there are, their needs, estimates and statuses: O(plan)."""
        tickets = self.tickets
        self._family_sizes, self._needed_whole = {}, {}
        self.claims_memory = False
        self.graph = dependencies
        self.groups = groups
        self.last = {id_: ticket for id_, ticket in tickets.items() if ticket.spec.finally_}
        for group, level in enumerate(self.groups):
            for id_ in level:
                tickets[id_].group = group
        self.find_paths()
        self.find_unwanted()
        self.undecided = {ticket.id: ticket for ticket in tickets.values() if ticket.is_undecided}
        self.generating = [id_ for id_, ticket in tickets.items() if ticket.spec.generates]
        self.counts = dict.fromkeys(Status, 0)
        self.group_left = [0] * len(self.groups)
        for order, ticket in enumerate(tickets.values()):
            ticket.order = order
            ticket.missing = len(self.unmet_needs(ticket))
            ticket.lost = len(self.lost_needs(ticket)) if ticket.missing else 0
            self.counts[ticket.status] += 1
            self.group_left[ticket.group] += ticket.status not in TERMINAL
            self.claims_memory = self.claims_memory or "memory" in ticket.claims.uses
        failed = sorted(
            (ticket for ticket in tickets.values() if ticket.status is Status.failed),
            key=lambda ticket: ticket.ended or 0.0,
        )
        self.failed = {ticket.id: ticket for ticket in failed}
        self.allowed = {ticket.id: ticket for ticket in failed if ticket.is_allowed}
        self.failed_alike = {}
        for ticket in failed:
            self.failed_alike.setdefault(ticket.failed_with, {})[ticket.id] = ticket
        self.held_back = {ticket.id: ticket for ticket in tickets.values() if ticket.is_held_back}
        early = bool(self.last) and self.is_early_for_last()
        for ticket in tickets.values():
            ticket.is_early = early and ticket.spec.finally_ and ticket.spec.approve == "before"
        self.unapproved = {ticket.id: ticket for ticket in tickets.values() if ticket.awaits_approval}
        self.ready = {
            ticket.id: ticket
            for ticket in tickets.values()
            if ticket.missing == 0 and ticket.status is Status.waiting
        }
        self.open_group = next((group for group, left in enumerate(self.group_left) if left), len(self.groups))
        if self.services:
            for service in self.services.values():
                service.left.clear()
            for ticket in tickets.values():
                count_user(self.services, ticket)

    def find_unwanted(self) -> None:
        """Find anew which skipped tickets are not wanted: O(plan), if there are any."""
        self.not_wanted = {}
        if not any(ticket.says_no or ticket.is_unwanted for ticket in self.tickets.values()):
            return
        for ticket in sorted(self.tickets.values(), key=lambda each: each.depth):
            ticket.is_unwanted = self.should_be_unwanted(ticket)
            if ticket.is_unwanted:
                self.not_wanted[ticket.id] = ticket

    def should_be_unwanted(self, ticket: TicketState) -> bool:
        """What `TicketState.is_unwanted` has to be, as far as the ticket itself and its needs tell."""
        if ticket.status is not Status.skipped:
            return False
        return ticket.says_no or any(need.is_unwanted for need in self.lost_needs(ticket))

    def to_be_decided(self) -> Iterator[str]:
        """The tickets of which it may be known by now whether they are wanted, as `DirtySet.undecided`."""
        yield from self.undecided
        if self.not_wanted:
            yield from (id_ for id_, each in self.ready.items() if each.is_gates or self.needed_whole(each))

    def find_paths(self) -> None:
        """Find anew how much is left after each ticket, from what tickets should take: O(plan)."""
        known = {id_: takes for id_, ticket in self.tickets.items() if (takes := self.expected(ticket)) is not None}
        self.usual_estimate = _median(known.values()) if known else DEFAULT_ESTIMATE
        self.usual_of_types = self._usual_of_types(known)
        settings = self.plan.settings
        self.found_order = None  # it was found for other paths
        self.usual_patience = max(
            settings.reserve_after, settings.reserve_after_usual * self.usual_estimate if known else 0
        )
        durations = {
            id_: known[id_] if id_ in known else self.assumed(ticket) for id_, ticket in self.tickets.items()
        }
        for tuning in (self.tuning, self.found):
            if tuning is not None:
                tuning.forget_pace()
        for id_, remaining in graph.remaining_paths(self.graph, self.groups, durations).items():
            self.tickets[id_].remaining = remaining

    def _usual_of_types(self, known: dict[str, float]) -> dict[tuple[str, ...], float]:
        if len(self.plan.agents) < 2 or len(known) in (0, len(self.tickets)):
            return {}
        by_types: dict[tuple[str, ...], list[float]] = {}
        for id_, takes in known.items():
            by_types.setdefault(self.types_of(self.tickets[id_].spec), []).append(takes)
        return {types: _median(takes) for types, takes in by_types.items()}

    @property
    def status(self) -> SessionStatus:
        """Where the session is. If several statuses are true at once, it is the one that lets least go on."""
        if self.finished_at is not None:
            return "finished"
        lost = self.engine_lost is not None and not self.engine_lost.is_silent and self.left is None
        if lost or self.interrupted is not None:
            return "interrupted"
        if self.left is not None:
            return "stopped"
        if self.stopping is not None:
            return "stopping"
        if self.draining is not None:
            return "draining"
        if self.held is not None:
            return "frozen" if self.held.is_freeze else "held"
        return "running"

    @property
    def gone(self) -> ev.SessionInterrupted | ev.EngineLeft | EngineLost | None:
        """Why no engine does anything for the session, and since when. None: one may, or all is over."""
        if self.finished_at is not None:
            return None
        return self.interrupted or self.left or self.engine_lost

    def note_engine_lost(self, lost: EngineLost | None) -> bool:
        """Note that a viewer has lost the engine, or found it again; returns whether that is new."""
        if lost == self.engine_lost:
            return False
        self.engine_lost = lost
        self.findings.clear()
        return True

    def without_engine(self, seen_at: float = 0.0) -> EngineLost | None:
        """What is to be noted if no engine is there; None if the events say all: it is over, or an engine left it.

        `seen_at`: when one was there last, if that was after the newest event.
        """
        if self.finished_at is not None or self.left is not None:
            return None
        return EngineLost(max(seen_at, self.now), "nobody saw how it ended")

    @property
    def has_engine(self) -> bool:
        """Whether an engine may be at work for the session."""
        return self.finished_at is None and self.gone is None

    def status_of(self, agent: AgentState) -> AgentStatus:
        """What an agent does. Those that had nothing to do are gone with the engine, when it left or all is over; of
        one in quarantine it is still told.
        """
        is_over = self.left is not None or self.finished_at is not None
        if is_over and agent.ticket is None and not agent.quarantined:
            return AgentStatus.stopped
        return agent.status

    def agent_word(self, agent: AgentState) -> str:
        """What an agent does, in words; if nobody knows that, as its engine died, what it did last."""
        status = self.status_of(agent)
        return f"last {status}" if agent.ticket is not None and self.status == "interrupted" else str(status)

    @property
    def over(self) -> int:
        """Tickets that are over, however they ended: those that people are told are done."""
        return sum(self.counts[status] for status in TERMINAL)

    @property
    def unfinished(self) -> int:
        """Tickets that are not over."""
        return len(self.tickets) - self.over

    @property
    def ends_with_last(self) -> bool:
        """Whether the session drains or stops, and runs the tickets that run at the end before the engine leaves."""
        if not self.last or (self.stopping is None and self.draining is None):
            return False
        return self.stopping is None or not self.stopping.skips_finally

    @property
    def awaits_units(self) -> bool:
        """Whether a ticket that could start wants a unit that another program has, and that may come free."""
        aside = self.holdings.all_aside()
        return bool(aside) and any(
            not aside.keys().isdisjoint(ticket.claims.uses) for ticket in self.ready.values() if ticket.held is None
        )

    def before_last(self) -> int:
        """How many tickets have to be over before those start that run at the end.

        These are all others; while the session drains or stops, those of them that run.
        """
        if self.ends_with_last:
            at_work = (*self.live.values(), *self.asking.values())
            return sum(not ticket.spec.finally_ for ticket in at_work)
        return self.unfinished - sum(ticket.status not in TERMINAL for ticket in self.last.values())

    def is_early_for_last(self) -> bool:
        """Whether it is too early to ask people about the tickets that run at the end."""
        return not self.ends_with_last and self.before_last() > 0

    def is_ended_by_stop(self, ticket: TicketState) -> bool:
        """Whether the stop of the session, if it stops, is about what this ticket does now."""
        return self.stopping is not None and not (ticket.spec.finally_ and self.ends_with_last)

    def shown_counts(self) -> dict[Status | Flag, int]:
        """Tickets by the word that is shown for them, see `TicketState.shown_status`; with words that none has."""
        counts = dict.fromkeys(COUNTED, 0)
        for status, count in self.counts.items():
            counts[status] = count
        counts[Flag.allowed] = len(self.allowed)
        counts[Status.failed] -= len(self.allowed)
        counts[Flag.unwanted] = len(self.not_wanted)
        counts[Status.skipped] -= len(self.not_wanted)
        if counts[Status.approval]:
            counts[Flag.conflict] = sum(ticket.is_in_conflict for ticket in self.unapproved.values())
            counts[Flag.needs_you] = sum(ticket.needs_you for ticket in self.unapproved.values())
            counts[Status.approval] -= counts[Flag.conflict] + counts[Flag.needs_you]
        asking = sum(1 for _ in self.asking_people())
        counts[Flag.needs_you] += asking
        counts[Status.running] -= asking
        counts[Flag.frozen] = len(self.frozen)
        for ticket in self.frozen.values():
            counts[ticket.status] -= 1
        return counts

    def asking_people(self) -> Iterator[TicketState]:
        """The tickets whose agents ask a person something while they run."""
        return (ticket for ticket in self.live.values() if ticket.is_asking) if self.coding else iter(())

    @property
    def has_succeeded(self) -> bool:
        """Whether every ticket succeeded, or failed and may, or is not wanted."""
        return self.counts[Status.succeeded] + len(self.allowed) + len(self.not_wanted) == len(self.tickets)

    def corrected(self, at: float) -> float:
        """A time of an earlier engine, moved to where the wall clock would have shown it if nobody had set it."""
        return at + sum(error for began, error in self.clock_errors if at < began)

    @property
    def slots(self) -> int:
        """How many tickets may run at once now: as many as are wanted, or fewer because the host is pressed."""
        return self.parallel if self.lowered is None else min(self.parallel, self.lowered)

    def max_agents(self, type_: str) -> int:
        """How many agents of a type there may be: without a limit, as many as tickets may run at once."""
        limit = self.agent_limits[type_]
        if limit is not None:
            return limit
        if not self.hosts:
            return self.parallel
        known = self._most_elsewhere.get(type_)
        if known is None:
            names = self.hosts_of_types[type_]
            others = sum(max(1, self.hosts[name].slots) for name in names if name)
            known = self._most_elsewhere[type_] = others, "" in names
        others, is_here = known
        return others + self.parallel if is_here else others

    def find_hosts(self) -> None:
        """Find anew where the agents of each type may be."""
        self.hosts_of_types = {type_: hosts_of(each, self.plan.hosts) for type_, each in self.plan.agents.items()}
        self.forget_slots()

    def slots_of(self, hosts: Iterable[str]) -> int:
        """How many tickets may run at once on all of these, see `slots_on`."""
        return sum(map(self.slots_on, hosts)) if self.hosts else self.parallel

    def slots_on(self, host: str) -> int:
        """How many tickets may run at once on a host; without pressure, of this machine."""
        return self.hosts[host].slots if host else self.parallel

    def forget_slots(self) -> None:
        """Find anew, when that is asked, where agents may be and how many."""
        self._places.clear()
        self._most_elsewhere.clear()

    def places_of(self, types: tuple[str, ...]) -> Mapping[str, tuple[str, ...]]:
        """{host: those of these agent types whose agents may be there}, in the order of the types."""
        found = self._places.get(types)
        if found is None:
            found = {}
            for type_ in types:
                for host in self.hosts_of_types[type_]:
                    found[host] = (*found.get(host, ()), type_)
            self._places[types] = found
        return found

    @property
    def live_here(self) -> int:
        """How many live tickets there are on this machine."""
        return len(self.live) - len(self.live_on)

    def host_of_agent(self, agent: str | None) -> str:
        """Where an agent is or was; empty: on this machine, or there is none."""
        found = self.agents.get(agent) if agent else None
        return "" if found is None else found.host

    def host_of(self, ticket: TicketState) -> str:
        """Where the newest attempt of a ticket is or was; empty: on this machine, or there is none."""
        return self.host_of_agent(ticket.agent) if self.hosts else ""

    def lease_of(self, ticket: TicketState, host: HostState) -> Lease:
        """How long the ticket goes on there while the host is not reached."""
        return host.spec.lease if ticket.spec.lease is None else ticket.spec.lease

    def lease_over(self, ticket: TicketState) -> float | None:
        """When a live ticket may run elsewhere, in seconds since the epoch: its host is not reached. None: it is
        reached; infinite: a person has to say it."""
        host = self.live_on.get(ticket.id)
        if host is None or host.status != "unreachable":
            return None
        return lease_over(host.since, self.lease_of(ticket, host), ticket.spec.grace)

    @property
    def unknown_families(self) -> dict[str, str]:
        """{family: the ticket that will generate it}, of those whose tickets are not known yet."""
        found = map(self.tickets.__getitem__, self.generating)
        return {ticket.spec.generates: ticket.id for ticket in found if ticket.status not in TERMINAL}

    def generated_by(self, id_: str) -> tuple[str, ...]:
        """The tickets that this one generated last, those that are still there."""
        found = self.generated.get(id_)
        return tuple(filter(self.plan.tickets.__contains__, found.members)) if found is not None else ()

    def dependents(self, id_: str) -> Iterator[TicketState]:
        return map(self.tickets.__getitem__, self.graph.dependents[id_])

    def needs(self, id_: str) -> Iterator[TicketState]:
        """The tickets that a ticket waits for, or waited for."""
        return map(self.tickets.__getitem__, self.graph.needs[id_])

    def unmet_needs(self, ticket: TicketState) -> list[TicketState]:
        """The needs in which what the ticket waits for has not come, as the plan has them."""
        waits = self.graph.needs[ticket.id].items()
        needs = [(self.tickets[id_], wait) for id_, wait in waits]
        unmet = [need for need, wait in needs if need.status not in (SATISFIED if wait is _SUCCESS else TERMINAL)]
        return [need for need in unmet if not (need.is_unwanted and self.does_without(ticket, need))]

    def lost_needs(self, ticket: TicketState) -> list[TicketState]:
        """The needs whose success the ticket waits for, and that are over without it. See `does_without`."""
        waits = self.graph.needs[ticket.id].items()
        needs = [self.tickets[id_] for id_, wait in waits if wait is _SUCCESS]
        lost = [need for need in needs if need.status in UNSUCCESSFUL]
        return [need for need in lost if not (need.is_unwanted and self.does_without(ticket, need))]

    def does_without(self, ticket: TicketState, need: TicketState) -> bool:
        """Whether a ticket does without one that it needs, if that is not wanted: gates do, and who needs all of a
        family."""
        return ticket.is_gates or (bool(need.spec.family) and need.spec.family in self.needed_whole(ticket))

    def needed_whole(self, ticket: TicketState) -> tuple[str, ...]:
        """The families that the ticket needs as a whole, see `family.needed_whole`."""
        found = self._needed_whole.get(ticket.id)
        if found is None:
            if not self._family_sizes:
                self._family_sizes = Counter(spec.family for spec in self.plan.tickets.values())
            waits = self.graph.needs[ticket.id]
            found = needed_whole(waits, lambda id_: self.tickets[id_].spec.family, self._family_sizes)
            self._needed_whole[ticket.id] = found
        return found

    def needs_done_without(self, ticket: TicketState) -> tuple[str, ...]:
        """The needs that may fail, and that had ended without success when the ticket started, or would now."""
        if ticket.attempt is not None and ticket.status is not Status.waiting:
            return ticket.attempt.without
        return self.needs_unmet(ticket)

    def needs_unmet(self, ticket: TicketState) -> tuple[str, ...]:
        """The needs that may fail, and have now ended without success."""
        waits = self.graph.needs[ticket.id].items()
        return tuple(id_ for id_, wait in waits if wait is Wait.end and self.tickets[id_].status in UNSUCCESSFUL)

    def rank(self, ticket: TicketState) -> Rank:
        """The place of a ready ticket in the order of dispatch; lower goes first.

        The priority class decides first, always. Inside a class the longest remaining path goes first, with ageing;
        since all wait at the same rate, the order of two tickets never changes while both wait, and a heap can keep
        it. An order that was found goes before both. What has a reservation goes before all others of its class.
        """
        if self.reservation is not None and self.reservation.ticket == ticket.id:
            return (ticket.spec.priority.rank, -inf, ticket.order)
        return self.own_rank(ticket)

    def own_rank(self, ticket: TicketState) -> Rank:
        """The rank that a ticket has without a reservation.

        In an order that was found, no ticket ages. One without a place in it stands where its longest remaining path
        would have put it.
        """
        if self.found_order is not None:
            path, place = self.found_order.places.get(ticket.id, (-ticket.remaining, ticket.order))
            return (ticket.spec.priority.rank, path, place)
        waited_since = (ticket.ready_at - self.opened_at) * AGEING
        return (ticket.spec.priority.rank, waited_since - ticket.remaining, ticket.order)

    @property
    def ageing(self) -> float:
        """How much of its waiting time a ticket is credited against remaining path in `own_rank`."""
        return AGEING if self.found_order is None else 0.0

    @property
    def reserve_after(self) -> float:
        """Seconds that a ticket waits for resources or claims before they are kept free for it.

        An order that was found has a time for each ticket: what waits longer than all of it takes was forgotten.
        """
        order = self.found_order
        return self.usual_patience if order is None else max(self.usual_patience, order.seconds)

    def expected(self, ticket: TicketState) -> float | None:
        """The seconds that a ticket should take, by the plan or else by earlier sessions; None if neither tells."""
        estimate = ticket.spec.estimate
        return self.learned.get(ticket.id) if estimate is None else estimate

    def assumed(self, ticket: TicketState) -> float:
        """The seconds that `TicketState.remaining` counts for a ticket.

        Without an expected duration, they are the median of tickets of the same agent types, else of all tickets.
        """
        takes = self.expected(ticket)
        if takes is not None or not self.usual_of_types:
            return self.usual_estimate if takes is None else takes
        return self.usual_of_types.get(self.types_of(ticket.spec), self.usual_estimate)

    def pace(self, now: float) -> Pace:
        """How fast tickets are that began since as many run at once as do now, where the engine finds out how many
        should: O(live)."""
        if self.tuning is None:
            return Pace()
        live = (
            (ticket.live_attempt, self.work(ticket))
            for id_, ticket in self.live.items()
            if not ticket.is_gates and id_ not in self.live_on
        )
        return self.tuning.pace_at(now, live)

    def work(self, ticket: TicketState) -> float:
        """How much it should be, in usual tickets."""
        return self.assumed(ticket) / self.usual_estimate

    def is_idle_forever(self) -> bool:
        """True when nothing runs and no timer will change that."""
        return (
            not self.live
            and not self.asking
            and not self.counts[Status.backoff]
            and not any(service.is_alive or service.retry_at is not None for service in self.services.values())
        )

    @property
    def living_services(self) -> list[ServiceState]:
        """The services whose commands run, or may run."""
        return [service for service in self.services.values() if service.is_alive]

    def wants(self, service: ServiceState) -> bool:
        """Whether a ticket that uses the service is not over, and may still be before the engine leaves."""
        if self.stopping is None and self.draining is None:
            return bool(service.left)
        goes_on = self.ends_with_last
        return any(
            ticket.is_live or ticket.asking or (goes_on and ticket.spec.finally_) for ticket in service.left.values()
        )

    def blames_ticket(self, ticket: TicketState, agent: AgentState) -> bool:
        """Whether the ticket, not the agent, is at fault when it cannot start there.

        A shell command that cannot start on two agents is a bad command, not two bad agents, and one that cannot
        start twice on the same agent is still one; so one mistyped ticket cannot quarantine a pool.
        """
        tried = bool(ticket.excluded_agents) or ticket.id in agent.strikes
        return tried and self.plan.agents[agent.type].run_shell is not None

    def snapshot_of(self, ticket: TicketState) -> ev.SnapshotTaken | None:
        """What the files of a ticket were before its newest attempt, if that is kept."""
        kept = self.file_snapshots.get(ticket.id)
        return kept if kept is not None and kept.attempt == ticket.attempts else None

    def cause(self, ticket: TicketState) -> TicketState:
        """For a skipped ticket, one that stands in its way: the nearest need that failed, was cancelled or is not
        wanted; itself, if that is what it is.

        `because` names the cause of that time, which may have been retried since.
        """
        while ticket.status is Status.skipped and not ticket.says_no:
            ticket = self.lost_need_of(ticket)
        return ticket

    def lost_need_of(self, ticket: TicketState) -> TicketState:
        """Of a skipped ticket that is not wanted, a need that is not either; of another one, its first lost need."""
        lost = self.lost_needs(ticket)
        return next((need for need in lost if need.is_unwanted), lost[0])


def _median(values: Iterable[float]) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) // 2]
