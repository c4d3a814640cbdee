"""A session without an engine, for tests: plans as text, a clock by hand, and every invariant counted anew.

`plan` reads one line per ticket: its id, a colon, its needs, and fields as `name=value`.

    A:
    C: A? after=B
    B: A  retries=2 retry_delay=1s locks=db,web uses=gpu:1 writes=out/**

A `Session` with `checks` counts every invariant of the design anew after each event. It does so from the tickets,
the journal and the plan, never from an index.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from copy import copy, deepcopy
from itertools import combinations
from operator import attrgetter
from typing import Any

import msgspec

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.claims import ClaimKey, Claims
from parexec_tui.core.plan.gates import PLAN_GATES, Gates, Group
from parexec_tui.core.plan.hosts import HostSpec
from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.patterns import overlap
from parexec_tui.core.plan.plan_settings import Parallel, PlanSettings
from parexec_tui.core.plan.resources import Resources, Units
from parexec_tui.core.plan.services import Service
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.plan.unclaimed import Unclaimed
from parexec_tui.core.rules.decide import decide, refusal
from parexec_tui.core.rules.grant import grant
from parexec_tui.core.rules.narrow import narrow
from parexec_tui.core.rules.reports import on_report
from parexec_tui.core.rules.services import unwanted
from parexec_tui.core.rules.session_events import closing, opening, unrunnable
from parexec_tui.core.rules.verbs.rollback import go_on
from parexec_tui.core.rules.wanting import find_wanted
from parexec_tui.core.schedule.blockers import blockers, why
from parexec_tui.core.schedule.dispatcher import Dispatcher
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.agents import AgentState
from parexec_tui.core.state.apply import apply
from parexec_tui.core.state.attempts import Attempt, QuestionClock
from parexec_tui.core.state.found_order import EstimateErrors
from parexec_tui.core.state.history import TicketHistory
from parexec_tui.core.state.hosts import HostState
from parexec_tui.core.state.process_key import (
    CLAIMS,
    IF_DONE,
    LAST_LOOK,
    OUTPUTS,
    OUTPUTS_AGAIN,
    RESTORE,
    RUN,
    UP_TO_DATE,
)
from parexec_tui.core.state.services import ServiceState
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import LIVE, SATISFIED, TERMINAL, UNSUCCESSFUL, End, ServiceStatus, Status
from parexec_tui.core.state.steps import takes_back
from parexec_tui.core.state.tally import Tally, TypeTally
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.state.tuning import Tuning
from parexec_tui.core.state.worktrees import WorktreeState
from parexec_tui.core.wire import codec
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import Refusal

WORKDIR = "/work/plan"
OPENED_AT = 1000.0
MEMORY = 2**33

_LISTS = ("after", "if_done", "reads", "writes", "locks", "requires", "gates", "outputs", "uses_service", "retry_on")


# --- Plans ---


def plan(
    text: str,
    *,
    agents: Mapping[str, AgentType] | None = None,
    resources: Mapping[str, float | Units] | None = None,
    services: Mapping[str, Service] | None = None,
    hosts: Mapping[str, HostSpec] | None = None,
    parallel: Parallel | None = 4,
    groups: Mapping[str, Gates] | None = None,
    **settings: Any,
) -> Plan:
    tickets = dict(map(_ticket, filter(None, map(str.strip, text.splitlines()))))
    return Plan(
        settings=PlanSettings(name="test", parallel=parallel, **settings),
        tickets=tickets,
        agents=dict(agents or {"agent": AgentType()}),
        resources=Resources(resources or {}),
        groups={name: Group(gates=gates) for name, gates in (groups or {}).items()},
        services=dict(services or {}),
        hosts=dict(hosts or {}),
        workdir=WORKDIR,
    )


def _ticket(line: str) -> tuple[str, Ticket]:
    id_, _, words = line.partition(":")
    needs: list[str] = []
    fields: dict[str, Any] = {"run": "true"}
    for word in words.split():
        name, equals, value = word.partition("=")
        if not equals:
            needs.append(word)
        elif name == "uses":
            amounts = (amount.split(":") for amount in value.split(","))
            fields["uses"] = {resource: _number(amount) for resource, amount in amounts}
        else:
            fields[name] = value.split(",") if name in _LISTS else value
    fields["needs"] = needs
    return id_, msgspec.convert(fields, Ticket, strict=False, dec_hook=codec.from_builtin)


def _number(text: str) -> int | float:
    return int(text) if text.isdigit() else float(text)


# --- Sessions ---


class Session:
    """A plan that is executed by hand: the test is the engine, the processes and the clock."""

    def __init__(self, plan: Plan | str, *, checks: bool = True, is_open: bool = True, cpus: float = 8) -> None:
        self.plan = plan if isinstance(plan, Plan) else _plan(plan)
        self.checks = checks
        self.cpus = cpus
        self.now = OPENED_AT
        self.journal: list[ev.AnyEvent] = []
        self.dumps: list[object] = []
        """What the state was after each event of the journal; kept with `checks` only."""
        self.state = SessionState(self.plan)
        if is_open:
            self.open()
        self.dispatcher = Dispatcher(self.state)

    def open(self) -> None:
        self._apply_all(
            opening(
                self.state,
                session="s1",
                cpus=self.cpus,
                memory=MEMORY,
                pid=100,
                boot="boot",
                version="1",
                by="ann",
                now=self.now,
            )
        )

    def restart(self) -> None:
        """A new engine: the state is what the journal says, the dispatcher begins anew."""
        self.state = replay(self.plan, self.journal)
        self._check_unchanged()
        self.dispatcher = Dispatcher(self.state)

    def resume(self) -> None:
        """Restart after the engine left, so that a drained or stopped session goes on."""
        self.restart()
        self.monitor()

    def monitor(self, uptime: float | None = None) -> None:
        self.apply(ev.MonitoringStarted(at=self.now, pid=101, boot="boot", uptime=uptime))

    # -- what happens --

    def apply(self, event: ev.AnyEvent) -> None:
        if self.checks and isinstance(event, ev.AttemptStarted):
            check_start(self.state, event)
            check_proved(self.state, event.ticket, self.journal)
            check_services_of(self.state, event.ticket)
        if self.checks and isinstance(event, ev.AgentStarted) and self.state.engine_pid:
            check_room(self.state, event.type)
        apply(self.state, event)
        self.journal.append(event)
        if self.checks:
            check(self.state)
            if isinstance(event, ev.PlanAmended):
                check_plan(self.state)
            self.dumps.append(dump(self.state))

    def _apply_all(self, events: list[ev.AnyEvent]) -> list[ev.AnyEvent]:
        """Apply what was decided together."""
        for event in events:
            self.apply(event)
        if self.checks:
            self.check()
        return events

    def dispatch(self) -> list[str]:
        """Start what can start; returns the tickets, in order."""
        before = len(self.journal)
        while events := go_on(self.state, self.now):
            self._apply_all(events)
        while events := find_wanted(self.state, self.now):
            self._apply_all(events)
        while self.dispatcher.dispatch(self.now, self.apply):
            pass
        if self.checks:
            self.check()
            assert overlooked(self.state) == []
        return [event.ticket for event in self.journal[before:] if isinstance(event, ev.AttemptStarted)]

    def ask(self, request: rq.AnyRequest) -> Refusal | list[ev.AnyEvent]:
        """Ask, and do what follows."""
        return self._answer(request, decide(self.state, request, self.now))

    def act(self, request: rq.AnyRequest) -> Refusal | list[ev.AnyEvent]:
        """The same as a person who is remembered, and can take it back."""
        decision = grant(self.state, request, self.now)
        narrowed, left_out = narrow(self.state, request)
        if left_out and isinstance(decision, Refusal):
            assert decide(self.state, narrowed, self.now) == [], "what could be granted is so already"
            return decision
        return self._answer(narrowed, decision)

    def _answer(self, request: rq.AnyRequest, decision: Refusal | list[ev.AnyEvent]) -> Refusal | list[ev.AnyEvent]:
        if self.checks:
            refused = refusal(self.state, request, self.now)
            assert (refused is not None) == isinstance(decision, Refusal), (request, refused, decision)
        self._check_unchanged()
        if isinstance(decision, Refusal):
            assert decision.reason
            return decision
        return self._apply_all(decision)

    def tell(self, report: rq.AnyReport) -> list[ev.AnyEvent]:
        events = on_report(self.state, report, self.now)
        self._check_unchanged()
        return self._apply_all(events)

    # -- what becomes of services --

    def service(self, name: str) -> ServiceState:
        return self.state.services[name]

    def service_is_up(self, name: str) -> None:
        """The process of a service is there, and what it has to do to be ready, it did."""
        key = self.service(name).key
        self.tell(rq.ProcessStarted(key.ticket, key.attempt, pid=4242, birth=1.5))
        self.tell(rq.ServiceAnswered(key.ticket, key.attempt))

    def service_ended(self, name: str, code: int | None = 1, signal: int | None = None) -> list[ev.AnyEvent]:
        key = self.service(name).key
        return self.tell(rq.ProcessEnded(key.ticket, key.attempt, code=code, signal=signal, error_line="no disk"))

    def end_unwanted(self, *, leaves: bool = False) -> list[ev.AnyEvent]:
        return self._apply_all(unwanted(self.state, self.now, leaves=leaves))

    def _check_unchanged(self) -> None:
        """To decide changes nothing."""
        if self.checks:
            assert dump(self.state) == self.dumps[-1]

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def end_unrunnable(self) -> list[ev.AnyEvent]:
        return self._apply_all(unrunnable(self.state, self.now))

    def close(self) -> list[ev.AnyEvent]:
        return self._apply_all(closing(self.state, self.now))

    def learn(self, **seconds: float) -> None:
        """What tickets took in earlier sessions."""
        self.tell(rq.HistoryRead({id_: TicketHistory(p50=took, p90=took) for id_, took in seconds.items()}))

    # -- what becomes of an attempt --

    def ended(self, id_: str, code: int | None = None, signal: int | None = None, problem: str = "") -> None:
        attempt, step = self._at(id_)
        if step == RESTORE:
            self.restored(id_, *(() if code in (0, None) else ("out has other contents",)))
            return
        if step == LAST_LOOK:
            self.tell(
                rq.OutputSearched(id_, attempt, () if code in (0, None) else ((0, "it printed bad"),), step=step)
            )
            return
        if step in (OUTPUTS, OUTPUTS_AGAIN):
            self.wrote(id_, *(() if code == 0 else ("output missing: out",)))
            return
        if step == CLAIMS:
            self.found_unclaimed(id_, *(() if code == 0 else ("src/db.py",)))
            return
        self.tell(rq.ProcessEnded(id_, attempt, code=code, signal=signal, problem=problem, step=step))

    def answer(self, id_: str, *, done: bool = False) -> list[ev.AnyEvent]:
        """A ticket that is asked whether it is done already says so, or that it is not."""
        step = self.state.asking[id_].asking
        if step.startswith(IF_DONE):
            return self.tell(rq.DoneChecked(id_, 0, done, step=step))
        if step.startswith(UP_TO_DATE):
            return self.tell(rq.FreshnessChecked(id_, 0, "" if done else "never ran", step=step))
        return self.tell(rq.ProcessEnded(id_, 0, code=0 if done else 1, step=step))

    def _at(self, id_: str) -> tuple[int, str]:
        """The attempt and the step that a ticket is at."""
        ticket = self.state.tickets[id_]
        return ticket.attempts, ticket.attempt.step if ticket.attempt is not None else RUN

    def wrote(self, id_: str, *problems: str) -> None:
        """The outputs of a ticket were looked at, and these things are wrong with them."""
        attempt, step = self._at(id_)
        self.tell(rq.OutputsChecked(id_, attempt, problems, step=step))

    def found_unclaimed(self, id_: str, *files: str, **more: Any) -> None:
        """It was looked for what a ticket wrote, and these files it does not claim."""
        attempt, step = self._at(id_)
        self.tell(rq.ClaimsChecked(id_, attempt, Unclaimed(files, len(files), **more), step=step))

    def restored(self, id_: str, *problems: str) -> None:
        """The files of a ticket were restored, but for these problems."""
        attempt, step = self._at(id_)
        self.tell(rq.FilesRestored(id_, attempt, problems, step=step))

    def succeed(self, *ids: str) -> None:
        for id_ in ids:
            self.ended(id_, code=0)

    def fail(self, *ids: str) -> None:
        for id_ in ids:
            self.ended(id_, code=1)

    def killed(self, *ids: str) -> None:
        """The processes did what a stop asked of them."""
        for id_ in ids:
            self.ended(id_, signal=15)

    def could_not_start(self, *ids: str) -> None:
        for id_ in ids:
            self.ended(id_, code=127)

    def lost(self, id_: str, *, began: bool = True) -> None:
        attempt, step = self._at(id_)
        if step == RESTORE:  # no process is there that could be lost
            self.restored(id_)
            return
        if step == LAST_LOOK:
            self.tell(rq.OutputSearched(id_, attempt, step=step))
            return
        if step in (OUTPUTS, OUTPUTS_AGAIN):  # no process can be lost there
            self.wrote(id_)
            return
        if step == CLAIMS:
            self.found_unclaimed(id_)
            return
        self.tell(rq.ProcessLost(id_, attempt, reason="no trace of it", began=began, step=step))

    def time_out(self, id_: str) -> None:
        attempt, step = self._at(id_)
        self.tell(rq.TimeoutElapsed(id_, attempt, step=step))

    def spawned(self, id_: str, pid: int = 4242) -> None:
        attempt, step = self._at(id_)
        if step in (LAST_LOOK, OUTPUTS, OUTPUTS_AGAIN, CLAIMS):
            return
        self.tell(rq.ProcessStarted(id_, attempt, pid=pid, birth=1.5, step=step))

    def back_off(self, id_: str) -> None:
        """Let the clock run until the ticket may be tried again, and say so."""
        retry_at = self.state.tickets[id_].retry_at
        assert retry_at is not None
        self.now = max(self.now, retry_at)
        self.tell(rq.BackoffElapsed(id_))

    # -- what is seen --

    def __getitem__(self, id_: str) -> TicketState:
        return self.state.tickets[id_]

    def status(self, id_: str) -> str:
        return self.state.tickets[id_].shown_status.value

    def statuses(self) -> dict[str, str]:
        return {id_: ticket.shown_status.value for id_, ticket in self.state.tickets.items()}

    def live(self) -> list[str]:
        return list(self.state.live)

    def why(self, id_: str) -> list[str]:
        return [blocker.text for blocker in why(self.state, self.state.tickets[id_])]

    def check(self) -> None:
        """Everything that holds once all events that belong together are applied."""
        check(self.state)
        check_history(self.state, self.journal)
        check_services(self.state, self.journal)
        for agent in self.state.agents.values():
            assert agent.stopped or agent.ticket or not agent.draining, f"{agent.id} is drained, but not stopped"


def _plan(text: str) -> Plan:
    return plan(text)


def replay(plan: Plan, journal: list[ev.AnyEvent]) -> SessionState:
    """The state that a journal leads to, once it was written and read again."""
    state = SessionState(plan)
    for event in journal:
        apply(state, codec.decode_event(codec.encode(event)))
    return state


# --- Everything that a state holds, to compare ---


def dump(state: SessionState) -> object:
    """All of a state that `apply` may change, as plain values in the order in which they are kept."""
    held = {name: value for name, value in vars(state).items() if name not in _NOT_STATE}
    held |= {
        "tickets": [_ticket_values(ticket) for ticket in state.tickets.values()],
        "agents": [_agent_values(agent) for agent in state.agents.values()],
        "live": list(state.live),
        "last": list(state.last),
        "asking": list(state.asking),
        "frozen": list(state.frozen),
        "reservation": deepcopy(state.reservation),
        "rollback": deepcopy(state.rollback),
        "estimate_errors": _of_errors(state.estimate_errors),
        "tally": _of_tally(state.tally),
        "tuning": state.tuning and _of_tuning(state.tuning),
        "held_tickets": list(state.held_tickets),
        "failed": list(state.failed),
        "allowed": list(state.allowed),
        "failed_alike": {kind: list(alike) for kind, alike in state.failed_alike.items()},
        "held_back": list(state.held_back),
        "unapproved": list(state.unapproved),
        "undecided": list(state.undecided),
        "not_wanted": list(state.not_wanted),
        "warned": list(state.warned),
        "ready": list(state.ready),
        "services": [_service_values(service) for service in state.services.values()],
        "available": {type_: list(agents) for type_, agents in state.available.items()},
        "quarantined": list(state.quarantined),
        "worktrees": {id_: _of_worktree(found) for id_, found in state.worktrees.items()},
        "hosts": [_host_values(host) for host in state.hosts.values()],
        "live_on": {id_: host.name for id_, host in state.live_on.items()},
        "held_on": {id_: host.name for id_, host in state.held_on.items()},
        "idle_on": {place: list(agents) for place, agents in state.idle_on.items()},
        "holdings": {name: _plain(value) for name, value in vars(state.holdings).items() if value},
    }
    return {name: value.copy() if isinstance(value, dict | list) else value for name, value in held.items()}


_NOT_STATE = (
    "estimate_errors", "tally", "plan", "graph", "dirty", "findings", "stall_findings", "_types", "_family_sizes",
    "_places", "_most_elsewhere", "_needed_whole",
)  # fmt: skip
_of_ticket = attrgetter(*(name for name in TicketState.__slots__ if name not in ("attempt", "question_clock")))
_of_clock = attrgetter(*QuestionClock.__slots__)
_of_attempt = attrgetter(*Attempt.__slots__)
_of_worktree = attrgetter(*WorktreeState.__slots__)
_of_errors = attrgetter(*EstimateErrors.__slots__)
_of_type = attrgetter(*TypeTally.__slots__)
_of_tuning = attrgetter(*Tuning.__slots__)
_agent_values = attrgetter(*AgentState.__slots__)
_of_host = attrgetter(*(name for name in HostState.__slots__ if name not in ("holdings", "live")))
_of_service = attrgetter(*(name for name in ServiceState.__slots__ if name != "left"))


def _of_tally(tally: Tally) -> tuple[object, ...]:
    return tally.merges, tally.conflicts, {type_: deepcopy(_of_type(each)) for type_, each in tally.types.items()}


def _host_values(host: HostState) -> tuple[object, ...]:
    held = {name: _plain(value) for name, value in vars(host.holdings).items() if value}
    return (*_of_host(host), list(host.live), held)


def _service_values(service: ServiceState) -> tuple[object, ...]:
    return (*_of_service(service), list(service.left))


def _ticket_values(ticket: TicketState) -> tuple[object, ...]:
    clock = ticket.question_clock and _of_clock(ticket.question_clock)
    return (*_of_ticket(ticket), clock, ticket.attempt and _of_attempt(ticket.attempt))


def lasting(state: SessionState) -> dict[str, object]:
    """All of a state that an undo must bring back: without clocks, places in a line, and why something waited."""
    held, draining = state.held, state.draining
    return {
        "tickets": {id_: _lasting_ticket(ticket) for id_, ticket in state.tickets.items()},
        "agents": {id_: _lasting_agent(agent) for id_, agent in state.agents.items()},
        "available": {type_: set(line) for type_, line in state.available.items()},
        "plan": msgspec.structs.replace(state.plan, tickets=dict(state.plan.tickets)),
        "groups": [set(group) for group in state.groups],
        "held": held and (held.by, held.reason, held.is_freeze),
        "draining": draining and draining.reason,
        **{name: copy(vars(state)[name]) for name in _LASTING},
    }


_LASTING = (
    "counts", "group_left", "open_group", "pool_size", "agent_limits", "held_types", "past_attempts", "actions",
    "on_failure", "parallel", "retried",
)  # fmt: skip
_PASSING = (
    "approval_asked",
    "attempt",
    "ready_at",
    "conflict_at",
    "ended",
    "retry_at",
    "order",
    "because",
    "serialised",
    "excluded_agents",
    "held_at",
    "asking",
    "question_clock",
    "asked",
    "is_asked",
    "is_stalled",
    "stalled_needs",
)
"""The last two follow from the others and from the question whether a ticket is done; see `_check_stalls`."""
_lasting_of_ticket = attrgetter(*(name for name in TicketState.__slots__ if name not in _PASSING))
_lasting_of_attempt = attrgetter(*(name for name in Attempt.__slots__ if name not in ("freeze", "frozen_for")))
_lasting_agent = attrgetter(*(name for name in AgentState.__slots__ if name not in ("turn", "idle_since", "held_at")))


def _lasting_ticket(ticket: TicketState) -> tuple[object, ...]:
    attempt = ticket.attempt and _lasting_of_attempt(ticket.attempt)
    values = _lasting_of_ticket(ticket)
    if ticket.is_gates:
        values = tuple(_in_any_order(value) if isinstance(value, Ticket) else value for value in values)
    return (*values, attempt, ticket.is_frozen)


def _in_any_order(gates: Ticket) -> Ticket:
    """A ticket that is added again is the last of its group, as it is the last of the plan."""
    return msgspec.structs.replace(gates, needs=tuple(sorted(gates.needs)))


def _plain(value: object) -> object:
    """What holdings are made of: numbers, and tables of them, of claims and of held paths."""
    if isinstance(value, dict):
        return [(key, _plain(inner)) for key, inner in value.items()]
    return list(value.holders.items()) if hasattr(value, "holders") else value


# --- Invariants ---


def overlooked(state: SessionState) -> list[str]:
    """Tickets that nothing blocks and that yet do not run; after a dispatch there are none."""
    if not state.hosts and len(state.live) >= state.parallel:
        return []
    return [ticket.id for ticket in state.tickets.values() if not why(state, ticket)]


def check_start(state: SessionState, event: ev.AttemptStarted) -> None:
    """Before an attempt starts: nothing that could start as well has a better rank."""
    tickets = state.tickets.values()
    could = [ticket for ticket in tickets if next(blockers(state, ticket), None) is None]
    assert event.ticket == min(could, key=state.rank).id
    host = state.host_of_agent(event.agent)
    live = [ticket for ticket in tickets if ticket.status in LIVE and state.host_of(ticket) == host]
    assert len(live) < (state.hosts[host].slots if host else state.parallel)
    assert not host or state.hosts[host].is_open, f"{event.ticket} starts on {host}, where nothing may"
    if state.plan.settings.barrier and not state.tickets[event.ticket].spec.finally_:
        group = state.tickets[event.ticket].group
        assert all(ticket.status in TERMINAL for ticket in tickets if ticket.group < group)
    assert state.held is None
    check_end(state, state.tickets[event.ticket])
    assert state.tickets[event.ticket].is_asked
    ticket = state.tickets[event.ticket]
    done_without = may_be_missed(state, ticket) & state.not_wanted.keys()
    needs = [state.tickets[need] for need in strict(state, ticket) if need not in done_without]
    assert {need.status for need in needs} <= {Status.succeeded, Status.waived}
    assert {state.tickets[need].status for need in lenient(state, ticket)} <= TERMINAL
    if ticket.is_gates:
        assert not event.agent
        return
    agent = state.agents[event.agent]
    assert event.agent not in ticket.excluded_agents
    assert agent.type not in state.held_types
    assert ticket.spec.approve != "before" or ticket.approved
    assert ticket.is_decided, f"{ticket.id} starts, and it is not known whether it is wanted"
    place = state.agents.get(ticket.pin)
    if ticket.pin and (place is None or not (place.stopped or place.quarantined)):
        assert ticket.pin in (agent.id, agent.type, f"host:{agent.host or 'local'}")


def _strict(state: SessionState, ticket: TicketState) -> Iterable[str]:
    """What must have succeeded before it starts: some do without what is not wanted."""
    missed = may_be_missed(state, ticket) & state.not_wanted.keys()
    return [need for need in strict(state, ticket) if need not in missed]


def check_proved(state: SessionState, id_: str, journal: list[ev.AnyEvent]) -> None:
    """Before an attempt starts: all that it needs, near or far, has succeeded, and neither failed nor was taken back
    since. What has run stays proved although something that it was built on failed when a person ran that again, or
    was taken back; but while that runs again, nothing starts.
    """
    redone = set(_redone_by_persons(journal))
    is_amended = any(isinstance(event, ev.PlanAmended) for event in journal)
    near, seen, wave = True, {id_}, [id_]
    while wave:
        needs = [need for each in wave for need in _strict(state, state.tickets[each]) if need not in seen]
        for need in map(state.tickets.__getitem__, needs):
            is_over = need.status in TERMINAL
            is_excused = not near and is_over and (need.id in redone or (is_amended and need.is_gates))
            assert need.status in SATISFIED or is_excused, f"{id_} starts, and {need.id} is {need.status}"
        seen.update(needs)
        wave = [need for need in dict.fromkeys(needs) if state.tickets[need].status is not Status.waived]
        near = False


def _redone_by_persons(journal: list[ev.AnyEvent]) -> Iterator[str]:
    for event in journal:
        match event:
            case ev.TicketRetried(ticket=ticket, restored=restored, rerun=rerun):
                yield from (ticket, *restored, *rerun)
            case ev.TicketPutBack(ticket=ticket):
                yield ticket
            case ev.RollbackAsked(tickets=tickets):
                yield from tickets
            case _:
                pass


def check_services_of(state: SessionState, id_: str) -> None:
    """Before an attempt starts: all that it uses is ready."""
    for name in state.tickets[id_].spec.uses_service:
        assert (state.services[name].status, state.services[name].is_frozen) == (ServiceStatus.ready, False)


def check_services(state: SessionState, journal: list[ev.AnyEvent]) -> None:
    """Nothing of two starts of a service lives at once, and nothing goes on without a service that it uses."""
    alive: dict[str, int] = {}
    for event in journal:
        if isinstance(event, ev.ServiceStarted):
            assert event.service not in alive, f"{event.service} was started twice"
            alive[event.service] = event.number
        elif isinstance(event, ev.ServiceEnded):
            assert alive.pop(event.service) == event.number
    assert {name: each.number for name, each in state.services.items() if each.is_alive} == alive
    for name, service in state.services.items():
        users = [ticket for ticket in state.tickets.values() if name in ticket.spec.uses_service]
        assert set(service.left) == {ticket.id for ticket in users if ticket.status not in TERMINAL}
        assert (service.status is ServiceStatus.backoff) == (service.retry_at is not None)
        assert service.freeze is None or service.status in (ServiceStatus.starting, ServiceStatus.ready)
        if service.status is not ServiceStatus.ready:
            goes_on = [ticket.id for ticket in users if ticket.status in (Status.running, Status.validating)]
            assert not goes_on, f"{goes_on} goes on, and {name} is {service.status}"


def check_end(state: SessionState, ticket: TicketState) -> None:
    """Before an attempt starts: what runs at the end runs without others, and only it starts in a drain or stop."""
    others = [each for each in state.tickets.values() if each.spec.finally_ is not ticket.spec.finally_]
    assert not [each.id for each in others if each.status in LIVE]
    leaves = state.draining is not None or state.stopping is not None
    if ticket.spec.finally_:
        assert leaves or all(each.status in TERMINAL for each in others)
        assert state.stopping is None or not state.stopping.skips_finally
    else:
        assert not leaves
        have_run = [each.id for each in others if each.status in (Status.succeeded, Status.failed)]
        assert set(have_run) <= state.half_done.keys(), "they run again, but where a person has to put files right"


def strict(state: SessionState, ticket: TicketState) -> list[str]:
    """The tickets that must succeed before it starts, gates too."""
    needs = [need for need in ticket.spec.needs if "?" not in need]
    return [*needs, *_gates_past(state, ticket, needs)]


def lenient(state: SessionState, ticket: TicketState) -> list[str]:
    """The tickets that must be over before it starts, gates too."""
    needs = [*(need[:-1] for need in ticket.spec.needs if "?" in need), *ticket.spec.after]
    gates = _gates_past(state, ticket, needs)
    return [*needs, *(gate for gate in gates if gate not in strict(state, ticket))]


def _gates_past(state: SessionState, ticket: TicketState, needs: list[str]) -> list[str]:
    """The gates of groups with one of these tickets, of which the ticket is none."""
    if ticket.is_gates or not needs:  # of a large plan, each ticket would look at all
        return []
    gates = [each for each in state.tickets.values() if each.is_gates]
    of = {gate.id: {need.rstrip("?") for need in gate.spec.needs} for gate in gates if gate.id != PLAN_GATES}
    return [gate for gate, group in of.items() if ticket.id not in group and not group.isdisjoint(needs)]


def check_room(state: SessionState, type_: str) -> None:
    """Before an agent starts: there are fewer of its type than there may be."""
    up = [agent for agent in state.agents.values() if agent.type == type_ and not agent.stopped]
    assert len(up) < (state.agent_limits[type_] or state.max_agents(type_))


def check_plan(state: SessionState) -> None:
    """After the plan was amended: what follows from it is as in a session that began with it."""
    new = SessionState(state.plan)
    new.learned = state.learned
    new.find_paths()
    assert list(state.tickets) == list(new.tickets)
    assert list(state.available) == list(state.pool_size) == list(state.agent_limits) == list(state.plan.agents)
    for name in ("has_coding", "has_fallbacks", "has_worktrees", "hosts_of_types"):
        assert getattr(state, name) == getattr(new, name), name
    assert [ticket.id for ticket in state.tickets.values() if not ticket.is_gates] == list(state.plan.tickets)
    assert state.groups == new.groups
    assert state.graph.needs == new.graph.needs
    assert state.graph.dependents == new.graph.dependents
    for id_, ticket in state.tickets.items():
        planned = new.tickets[id_]
        assert (ticket.spec, ticket.claims, ticket.order) == (planned.spec, planned.claims, planned.order)
        assert (ticket.group, ticket.remaining) == (planned.group, planned.remaining)
        assert ticket.pin or ticket.types == planned.types


def check(state: SessionState) -> None:
    """Check the invariants of the state machines, and compare every index with a naive recount."""
    _check_needs(state)
    _check_stalls(state)
    _check_counts(state)
    _check_agents(state)
    _check_claims(state)
    if state.hosts:
        _check_hosts(state)


def may_be_missed(state: SessionState, ticket: TicketState) -> set[str]:
    """The needs without which the ticket does if they are not wanted: gates, and who needs all of a family."""
    needs = set(strict(state, ticket))
    if ticket.is_gates:
        return needs
    families: dict[str, set[str]] = {}
    for id_, spec in state.plan.tickets.items():
        if spec.family:
            families.setdefault(spec.family, set()).add(id_)
    whole = [members for members in families.values() if len(members) > 1 and members <= needs]
    return set().union(*whole)


def find_unwanted(state: SessionState) -> set[str]:
    """The tickets that are not wanted, by their own `when` or through their needs."""
    unwanted: set[str] = set()
    for group in state.groups:
        for ticket in map(state.tickets.__getitem__, group):
            follows = not unwanted.isdisjoint({*strict(state, ticket)} - may_be_missed(state, ticket))
            if ticket.status is Status.skipped and (ticket.says_no or follows):
                unwanted.add(ticket.id)
    return unwanted


def _check_needs(state: SessionState) -> None:
    unwanted = find_unwanted(state)
    assert set(state.not_wanted) == unwanted == {each.id for each in state.tickets.values() if each.is_unwanted}
    assert set(state.undecided) == {
        each.id for each in state.tickets.values() if each.status is Status.waiting and not each.is_decided
    }
    for ticket in state.tickets.values():
        done_without = unwanted & may_be_missed(state, ticket)
        needs = [state.tickets[need].status for need in strict(state, ticket) if need not in done_without]
        lost = sum(status in UNSUCCESSFUL for status in needs)
        unmet = sum(status not in SATISFIED for status in needs)
        unended = sum(state.tickets[need].status not in TERMINAL for need in lenient(state, ticket))
        assert ticket.missing == unmet + unended
        assert ticket.lost == lost
        if ticket.status in (Status.waiting, Status.backoff):
            assert not lost, f"{ticket.id} waits, and has a lost need"
        if ticket.status is Status.skipped:
            assert lost or ticket.says_no, f"{ticket.id} is skipped, and has no lost need"
            assert ticket.because or ticket.says_no
        if ticket.status in LIVE and not is_by_hand(ticket):
            gone = [
                state.tickets[need] for need in strict(state, ticket)
            ]  # merged once: what has started has started
            unmet -= sum(need.attempt is not None and need.attempt.is_lost for need in gone)
            assert unmet <= 0, f"{ticket.id} is {ticket.status}, and a need is missing"
        assert (ticket.status is Status.backoff) == (ticket.retry_at is not None)
        _check_attempt(state, ticket)
    _check_reruns(state)


def _check_reruns(state: SessionState) -> None:
    assert all(state.tickets[id_].status not in TERMINAL for id_ in state.rerunning)
    stale: set[str] = set()
    for group in state.groups:
        for ticket in map(state.tickets.__getitem__, group):
            needs = strict(state, ticket)
            again = sum(need in state.rerunning for need in needs)
            built = sum(need in stale for need in needs)
            assert state.rerunning_needs.get(ticket.id, 0) == again
            assert state.stale_needs.get(ticket.id, 0) == built
            if ticket.status is Status.succeeded and (again or built):
                stale.add(ticket.id)


def is_by_hand(ticket: TicketState) -> bool:
    """Whether what the attempt of a ticket did is taken back, or merged, after it had ended: no agent is busy with
    it."""
    attempt = ticket.attempt
    if attempt is None or attempt.ended is not None or not (takes_back(attempt.step) or attempt.is_released):
        return False
    return attempt.is_released or attempt.outcome is None or attempt.outcome.ended_before


def _check_stalls(state: SessionState) -> None:
    paused = {ticket.id for ticket in state.tickets.values() if ticket.is_frozen}
    for group in state.groups:
        for ticket in map(state.tickets.__getitem__, group):
            stalled = sum(need in paused for need in (*strict(state, ticket), *lenient(state, ticket)))
            assert ticket.stalled_needs == stalled
            is_held = stalled or ticket.held is not None or ticket.is_check_frozen
            if ticket.status in (Status.waiting, Status.backoff) and (is_held or ticket.id in state.unapproved):
                paused.add(ticket.id)
            if ticket.status is Status.approval:
                paused.add(ticket.id)
            assert ticket.is_stalled == (ticket.id in paused)
    waiting = {ticket.id for ticket in state.tickets.values() if ticket.status is Status.waiting}
    assert set(state.ready) == {id_ for id_ in waiting if not state.tickets[id_].missing}


def _check_attempt(state: SessionState, ticket: TicketState) -> None:
    attempt = ticket.attempt
    is_live = attempt is not None and attempt.ended is None
    assert (ticket.status in LIVE) == is_live
    assert (ticket.id in state.frozen) == ticket.is_frozen
    if attempt is not None:
        assert attempt.number == ticket.attempts
        assert attempt.freeze is None or (is_live and ticket.status is not Status.stopping)
        assert not is_live or (ticket.status is Status.stopping) == (attempt.stop_reason is not None)


def _check_counts(state: SessionState) -> None:
    held = {ticket.id for ticket in state.tickets.values() if ticket.held is not None}
    assert set(state.held_tickets) == held
    tickets = state.tickets.values()
    assert set(state.failed) == {ticket.id for ticket in tickets if ticket.status is Status.failed}
    may = {ticket.id for ticket in tickets if ticket.status is Status.failed and ticket.spec.allow_failure}
    assert set(state.allowed) == may
    alike: dict[str, set[str]] = {}
    for ticket in state.failed.values():
        alike.setdefault(ticket.failure, set()).add(ticket.id)
    assert {kind: set(found) for kind, found in state.failed_alike.items()} == alike
    pending = {ticket.id for ticket in tickets if ticket.status in (Status.waiting, Status.backoff)}
    assert set(state.held_back) == {id_ for id_ in held & pending if not state.tickets[id_].missing}
    assert state.counts == {status: sum(ticket.status is status for ticket in tickets) for status in Status}
    assert state.unfinished == sum(ticket.status not in TERMINAL for ticket in tickets)
    left = [sum(state.tickets[id_].status not in TERMINAL for id_ in group) for group in state.groups]
    assert state.group_left == left
    assert state.open_group == next((group for group, count in enumerate(left) if count), len(left))
    live = {ticket.id for ticket in tickets if ticket.status in LIVE}
    assert state.live.keys() == live
    attempts = {id_: ticket.live_attempt for id_, ticket in state.live.items()}
    assert set(state.warned) == {id_ for id_, each in attempts.items() if each.failed_checks or each.lacks}
    assert set(state.unapproved) == {ticket.id for ticket in tickets if _is_unapproved(state, ticket)}
    assert set(state.asking) == {ticket.id for ticket in tickets if ticket.asking}
    for ticket in state.asking.values():
        assert (ticket.status, ticket.missing, ticket.is_asked) == (Status.waiting, 0, False)
    assert state.serialised == sum(ticket.serialised for ticket in tickets)


def _is_unapproved(state: SessionState, ticket: TicketState) -> bool:
    if ticket.status is Status.waiting and ticket.spec.approve == "before":
        others = [each for each in state.tickets.values() if not each.spec.finally_ and each.status not in TERMINAL]
        if ticket.spec.finally_ and others and not state.ends_with_last:
            return False
        return not ticket.missing and not ticket.approved and ticket.is_asked and ticket.is_decided
    return ticket.status is Status.approval


def _check_agents(state: SessionState) -> None:
    agents = state.agents.values()
    runs = {agent.ticket: agent.id for agent in agents if agent.ticket is not None}
    assert len(runs) == sum(agent.ticket is not None for agent in agents), "a ticket has two agents"
    live = [ticket for ticket in state.tickets.values() if ticket.status in LIVE and not ticket.is_gates]
    on_agents = [ticket for ticket in live if not is_by_hand(ticket)]
    assert runs == {ticket.id: ticket.agent for ticket in on_agents}
    assert {agent.ticket for agent in agents if agent.is_frozen} == {
        ticket.id for ticket in on_agents if ticket.is_frozen
    }
    assert set(state.quarantined) == {agent.id for agent in agents if agent.quarantined and not agent.stopped}
    for type_ in state.plan.agents:
        up = [agent for agent in agents if agent.type == type_ and not agent.stopped]
        assert state.pool_size[type_] == len(up)
        free = [
            agent
            for agent in up
            if agent.ticket is None and agent.held is None and not agent.draining and not agent.quarantined
        ]
        assert list(state.available[type_]) == [agent.id for agent in sorted(free, key=lambda agent: agent.turn)]


def _check_claims(state: SessionState) -> None:
    holding = {*LIVE, Status.approval}
    keeping = [ticket for ticket in state.tickets.values() if ticket.status in holding]
    holders = {
        ticket.id: state.held_on[ticket.id].split(ticket.claims)[0] if ticket.id in state.held_on else ticket.claims
        for ticket in keeping
    }
    assert {id_: host.name for id_, host in state.held_on.items()} == {
        ticket.id: place for ticket in keeping if (place := state.host_of(ticket))
    }
    for (one, claims), (other, others) in combinations(holders.items(), 2):
        assert not _clash(claims, others), f"{one} and {other} run together, against their claims"
    wanted = {lock for ticket in state.tickets.values() for lock in ticket.claims.locks}
    for lock in wanted:
        held = tuple(id_ for id_, claims in holders.items() if lock in claims.locks)
        assert state.holdings.holders(ClaimKey("lock", lock)) == held
    for name, capacity in state.plan.resources.amounts.items():
        used = sum(claims.uses.get(name, 0.0) for claims in holders.values())
        assert used <= capacity + 1e-6
        aside = [unit for unit in state.holdings.aside(name) if not state.holdings.unit_holder(name, unit)]
        assert abs(state.holdings.free(name) - (capacity - used - len(aside))) < 1e-6
    for name, units in state.plan.resources.units.items():
        given = [unit for id_ in holders if name in holders[id_].uses for unit in _units_of(state.tickets[id_], name)]
        assert len(set(given)) == len(given) <= len(units)
        assert set(given) <= set(units)


def _check_hosts(state: SessionState) -> None:
    """No host has more than fits there, and none has what was started while it could not be reached."""
    live = {ticket.id: place for ticket in state.live.values() if (place := state.host_of(ticket))}
    assert {id_: host.name for id_, host in state.live_on.items()} == live
    for host in state.hosts.values():
        assert [*host.live] == [id_ for id_ in host.live if live.get(id_) == host.name]
        assert len(host.live) == sum(place == host.name for place in live.values())
        own = {id_: each.split(state.tickets[id_].claims)[1] for id_, each in state.held_on.items() if each is host}
        for (one, claims), (other, others) in combinations(own.items(), 2):
            assert not _clash(claims, others), f"{one} and {other} run together on {host.name}, against their claims"
        has = {"cpu": host.cpus, "memory": host.memory, **host.spec.resources.amounts}
        for name, capacity in has.items():
            assert sum(claims.uses.get(name, 0.0) for claims in own.values()) <= capacity + 1e-6
        for name, units in host.spec.resources.units.items():
            given = [unit for id_ in own for unit in _units_of(state.tickets[id_], name)]
            assert len(set(given)) == len(given)
            assert set(given) <= set(units)
    for (type_, place), line in state.idle_on.items():
        assert list(line) == [id_ for id_, agent in state.available[type_].items() if agent.host == place]


def _units_of(ticket: TicketState, name: str) -> Units:
    """The units of a resource that a ticket has, as many as it claims."""
    assert ticket.attempt is not None
    units = ticket.attempt.units.get(name, ())
    assert len(units) == ticket.claims.uses.get(name, 0)
    return units


def _clash(one: Claims, other: Claims) -> bool:
    return bool(
        set(one.locks) & set(other.locks)
        or any(overlap(a, b) for a in one.writes for b in (*other.writes, *other.reads))
        or any(overlap(a, b) for a in one.reads for b in other.writes)
    )


def check_history(state: SessionState, journal: list[ev.AnyEvent]) -> None:
    """What the state says of the past, against the journal itself."""
    ends = [event for event in journal if isinstance(event, ev.AttemptEnded)]
    charged = Counter(event.ticket for event in ends if event.charged)
    infrastructure = (End.lost, End.could_not_start)
    charged_lost = Counter(event.ticket for event in ends if event.charged and event.end in infrastructure)
    starts = Counter(event.ticket for event in journal if isinstance(event, ev.AttemptStarted))
    assert state.retried == sum(end.then is Status.backoff for end in ends)
    for ticket in state.tickets.values():
        assert ticket.attempts == starts[ticket.id]
        assert ticket.is_asked or not ticket.attempts
        assert ticket.charged <= charged[ticket.id]
        assert ticket.charged_lost <= min(ticket.charged, charged_lost[ticket.id])
        if ticket.status is Status.succeeded and ticket.attempts:
            assert [end.end for end in ends if end.ticket == ticket.id][-1] is End.succeeded
    on_agents = [end for end in ends if end.agent]
    assert sum(agent.done for agent in state.agents.values()) == sum(
        end.end is End.succeeded and not end.ended_before for end in on_agents
    )
    assert abs(state.busy_for - _worked(journal)) < 1e-3


def _worked(journal: list[ev.AnyEvent]) -> float:
    """Seconds that ended attempts ran, without their freezes, told from the journal alone."""
    since: dict[str, float | None] = {}
    by_hand: set[str] = set()
    ran: dict[str, float] = {}
    total = 0.0
    for event in journal:
        if getattr(event, "ticket", "").startswith("@"):
            continue  # no agent is busy with gates
        if isinstance(event, ev.RollbackStarted) and (event.outcome is None or event.outcome.ended_before):
            by_hand.add(event.ticket)
        elif getattr(event, "ticket", "") in by_hand:
            if isinstance(event, ev.AttemptEnded):
                by_hand.remove(event.ticket)
        elif isinstance(event, ev.AttemptStarted | ev.AttemptThawed):
            since[event.ticket] = event.at
        elif isinstance(event, ev.AttemptFrozen | ev.AttemptEnded):
            begun = since[event.ticket]
            end = (event.ended or event.at) if isinstance(event, ev.AttemptEnded) else event.at
            ran[event.ticket] = ran.get(event.ticket, 0.0) + (end - begun if begun is not None else 0.0)
            since[event.ticket] = None
            if isinstance(event, ev.AttemptEnded):
                total += ran.pop(event.ticket)
        elif isinstance(event, ev.StepEnded) and event.ended is not None:
            ran[event.ticket] = ran.get(event.ticket, 0.0) - (event.at - event.ended)
        elif isinstance(event, ev.AttemptStopRequested | ev.RollbackStarted) and since[event.ticket] is None:
            since[event.ticket] = event.at
    return total
