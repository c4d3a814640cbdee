"""Why a ticket does not start: one predicate for everybody.

The dispatcher asks `blockers` for the first reason, people ask for all of them; so they cannot disagree.
"""

from collections.abc import Iterator, Sequence

from msgspec import structs

from parexec_tui.core.plan.claims import Conflict
from parexec_tui.core.plan.gates import described
from parexec_tui.core.plan.generated import awaited_from
from parexec_tui.core.plan.reading.faults import listed
from parexec_tui.core.plan.secrets import secrets_for
from parexec_tui.core.plan.units import format_count
from parexec_tui.core.plan.waits import Wait
from parexec_tui.core.schedule.blocker import AgentKey, AmountKey, AskKey, Blocker, ReservationKey, ServiceKey
from parexec_tui.core.schedule.machine import memory_blocker, pressure_blocker
from parexec_tui.core.schedule.placement import first_of_place, has_room, pick_agent, pinned_agent, place_blocker
from parexec_tui.core.state.accounts import first_rest, left_types, open_types, over_budget, over_type_budget
from parexec_tui.core.state.agents import AgentState
from parexec_tui.core.state.one_line import one_line
from parexec_tui.core.state.people import by_whom, on_agent
from parexec_tui.core.state.pressure import fewest
from parexec_tui.core.state.process_key import IF_DONE, SKIP_IF, UP_TO_DATE
from parexec_tui.core.state.reruns import stale_by
from parexec_tui.core.state.reservation import obstacle
from parexec_tui.core.state.services import ServiceState
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import PENDING, AgentStatus, ServiceStatus, Status, happened
from parexec_tui.core.state.steps import step_text
from parexec_tui.core.state.tickets import TicketState


def session_blocker(state: SessionState, me: str = "", *, is_last: bool = False) -> Blocker | None:
    """Why nothing at all is started; None if something may be. `me` as for `why`.

    `is_last`: why no ticket is started that runs at the end: a session runs them before it drains or stops.
    """
    held = state.held
    word_of_hold = "frozen" if held is not None and held.is_freeze else "held"
    starts_last = is_last and state.ends_with_last
    stops, drains = ("stopping", "draining") if state.left is None else ("stopped", "drained")
    for word, event in ((stops, state.stopping), (drains, state.draining), (word_of_hold, held)):
        if event is not None and not (starts_last and event is not held):
            why = f": {event.reason}" if event.reason and event.reason != word else ""
            return Blocker("session", f"session {word}{by_whom(event.by, me)}{why}", since=event.at)
    if (rollback := state.rollback) is not None:
        left = listed(rollback.left, limit=3)
        text = f"rollback{by_whom(rollback.asked.by, me)}{f': {left}' if left else ''}"
        return Blocker("session", text, since=rollback.asked.at)
    for pressed in state.pressed.values():
        return Blocker("host", f"host short of {pressed.resource}: {pressed.text}", since=pressed.at)
    return None


def blockers(state: SessionState, ticket: TicketState, me: str = "") -> Iterator[Blocker]:
    """Every reason why this ticket cannot start now; none if it can, given a free slot.

    The order is fixed: what concerns the ticket first, the machine and the pool last. `me` as for `why`.
    """
    if ticket.is_in_conflict:
        yield Blocker("conflict", ticket.reason, since=ticket.ended or 0.0)
        return
    if ticket.needs_you:
        yield Blocker("answer", f"needs you: {one_line(ticket.reason)}", since=ticket.ended or 0.0)
        return
    if ticket.status is Status.approval:
        lost = f", to be merged again: {ticket.reason}" if ticket.has_lost_work else ""
        yield Blocker("approval", f"has run, and waits for approval{lost}", since=ticket.ended or 0.0)
        return
    if state.has_secrets and ticket.is_live and (blocker := secret_blocker(state, ticket)) is not None:
        yield structs.replace(blocker, text=f"{blocker.text}; gates and whatever comes after its command wait for it")
    yield from _own_blockers(state, ticket, me)
    if ticket.status in PENDING:
        if lacks_agent(state, ticket):
            yield _agents(state, ticket, me)
        if ticket.spec.uses_service:  # the last ones: a service is started for a ticket that could start but for it
            yield from _services(state, ticket, me)


def first_blocker(state: SessionState, ticket: TicketState) -> Blocker | None:
    """The first reason why this ticket cannot start now. That no agent is free is not put into words: most tickets
    that are tried find none, and nobody reads it."""
    if ticket.is_in_conflict or ticket.status is Status.approval:
        return next(blockers(state, ticket), None)
    for blocker in _own_blockers(state, ticket, "", is_first=True):
        return blocker
    if not ticket.is_gates and pick_agent(state, ticket) is None:
        return Blocker("agent", "", agent_key(state, ticket))
    return next(_services(state, ticket, ""), None) if ticket.spec.uses_service else None


def blockers_but_agents(state: SessionState, ticket: TicketState, me: str = "") -> Iterator[Blocker]:
    """The same without the reason that no agent is free for it."""
    yield from _own_blockers(state, ticket, me)
    if ticket.spec.uses_service and ticket.status in PENDING:
        yield from _services(state, ticket, me)


def _own_blockers(state: SessionState, ticket: TicketState, me: str, *, is_first: bool = False) -> Iterator[Blocker]:
    """`is_first`: only the first is wanted, and of places without words."""
    if ticket.status not in PENDING:
        yield Blocker("status", _status_text(state, ticket))
        return
    if ticket.missing:
        yield _needs(state, ticket)
    if state.stale_needs and (stale := stale_by(state, ticket)) is not None:
        text = f"waits for {stale.again.id} ({stale.again.shown_status}), on which {stale.need.id} was built"
        yield Blocker("again", text, holder=stale.again.id)
    if (blocker := session_blocker(state, me, is_last=ticket.spec.finally_)) is not None:
        yield blocker
    if ticket.held is not None:
        yield Blocker("held", f"held{by_whom(ticket.held, me)}")
    if state.has_secrets and (blocker := secret_blocker(state, ticket)) is not None:
        yield blocker
    if state.coding and (over := over_budget(state, ticket)):
        yield Blocker("budget", f"budget of {ticket.id}: {over}; edit it to let it use more")
    if ticket.is_undecided:
        yield Blocker("when", f"its `when` is not answered yet: {ticket.spec.when}")
    if ticket.awaits_approval:
        yield Blocker("approval", "waits for approval before it starts", since=ticket.ready_at)
    if ticket.status is Status.backoff:
        yield Blocker("backoff", f"retry {ticket.retries_used}", until=ticket.retry_at)
    if state.plan.settings.barrier and ticket.group > state.open_group and not ticket.spec.finally_:
        left = state.group_left[state.open_group]
        yield Blocker("barrier", f"group {state.open_group + 1} comes first: {left} left")
    if state.last and (blocker := _end_blocker(state, ticket)) is not None:
        yield blocker
    if state.hosts:
        blocker = first_of_place(state, ticket) if is_first else place_blocker(state, ticket, me)
        if blocker is not None:
            yield blocker
    else:
        yield from _room_blockers(state, ticket)
    if not ticket.is_asked:
        yield _asked(ticket, me)


def _room_blockers(state: SessionState, ticket: TicketState) -> Iterator[Blocker]:
    """Each reason why there is no room for a ticket on this machine, in a plan without hosts."""
    for conflict in state.holdings.conflicts(ticket.claims):
        yield _claim(state, ticket, conflict)
    if state.memory is not None and (blocker := memory_blocker(state, ticket)) is not None:
        yield blocker
    if state.ladders and (blocker := pressure_blocker(state, ticket)) is not None:
        yield blocker
    if kept := obstacle(state, ticket):
        yield _reservation(state, ticket, kept)


def lacks_agent(state: SessionState, ticket: TicketState) -> bool:
    """Whether no agent is free for a ticket, and none may be started, where there is room for it."""
    if ticket.is_gates or pick_agent(state, ticket) is not None:
        return False
    return not state.hosts or place_blocker(state, ticket) is None


def secret_blocker(state: SessionState, ticket: TicketState) -> Blocker | None:
    """Why the ticket does not start: it, an agent type that can run it, or a service of it is given a secret of which
    the engine does not have the value."""
    if ticket.is_gates:
        return None
    for name in secrets_for(state.plan, ticket.spec, ticket.types):
        if problem := state.secrets.get(name, "it is being looked for"):
            return Blocker("secret", f"secret {name} is not known: {problem}")
    return None


_MAX_NAMED = 3
"""Needs that are named, and families of needs."""


def parallel_blocker(state: SessionState) -> Blocker | None:
    """Why one more ticket cannot run, whichever it is."""
    live = len(state.live) - len(state.live_on)
    if live >= state.slots:
        frozen = f", {len(state.frozen)} of them frozen" if state.frozen else ""
        if state.slots < state.parallel:
            pressed = listed([each.resource for each in state.ladders.values() if fewest((each,)) is not None])
            at_most = f"at most {state.slots} while pressed for {pressed}, else {state.parallel}"
            return Blocker("parallel", f"{live} running{frozen}; {at_most}")
        how = f"at once{frozen}" if frozen else "running"
        return Blocker("parallel", f"{live} of {state.slots} {how}{_tuned(state)}")
    return None


def _tuned(state: SessionState) -> str:
    """That the engine finds out how many run at once, and why these are so many."""
    if state.tuning is None:
        return ""
    return f"; auto holds {state.parallel}{f': {state.tuning.text}' if state.tuning.text else ''}"


def why(state: SessionState, ticket: TicketState, me: str = "") -> list[Blocker]:
    """Everything that keeps this ticket from running, for a person. `me`: how the requests of that person are signed.

    While it needs other tickets, that agents and slots are busy says nothing: they will be free by then, or not.
    """
    found = list(blockers(state, ticket, me))
    if ticket.missing and ticket.status in PENDING and any(map(comes_free, able_agents(state, ticket))):
        return [blocker for blocker in found if blocker.kind != "agent"]
    if ticket.status in PENDING and not state.hosts and (parallel := parallel_blocker(state)) is not None:
        found.append(parallel)
    return found


def _status_text(state: SessionState, ticket: TicketState) -> str:
    if ticket.status is Status.skipped:
        cause = state.cause(ticket)
        if ticket.is_unwanted:
            return f"{ticket.shown_status}: {not_wanted_text(state, ticket)}"
        return f"skipped: {cause.id} {happened(cause.status)}"
    if ticket.is_live:
        step = step_text(state, ticket)
        return f"{ticket.shown_status} {on_agent(ticket.agent)}" + (f": {step}" if step else "")
    return f"{ticket.shown_status}: {ticket.reason}" if ticket.reason else str(ticket.status)


def not_wanted_text(state: SessionState, ticket: TicketState) -> str:
    """Why a ticket is not wanted: `when split.count > 0: split.count is 0`."""
    cause = state.cause(ticket)
    return ticket.reason if cause is ticket else f"{cause.id} is not wanted: {cause.reason}"


def _needs(state: SessionState, ticket: TicketState) -> Blocker:
    waiting_for = unmet_needs(state, ticket)
    waits = state.graph.needs[ticket.id]
    tickets = [need for need in waiting_for if not need.is_gates]
    needs = [need for need in tickets if waits[need.id] is Wait.success]
    ends = [need for need in tickets if waits[need.id] is not Wait.success]
    parts = [f"needs {_with_statuses(needs)}"] if needs else []
    parts += [f"waits for the end of {_with_statuses(ends)}"] if ends else []
    parts += [f"waits for {_gates_with_step(state, need)}" for need in waiting_for if need.is_gates]
    unmet = {need.id for need in tickets} if ticket.spec.awaits else ()
    for name, by in awaited_from(ticket.spec, state.plan.tickets):
        if by in unmet:
            parts.append(f"for the tickets of {name}, which {by} generates: not known yet")
    return Blocker("needs", ", and ".join(parts), holder=waiting_for[0].id)


def _end_blocker(state: SessionState, ticket: TicketState) -> Blocker | None:
    """Why a ticket does not start as some run at the end: the others are not over, or those run already."""
    if ticket.spec.finally_:
        left = state.before_last()
        count = f"{format_count(left, 'ticket')} {'is' if left == 1 else 'are'}"
        return Blocker("finally", f"runs at the end: {count} not over") if left else None
    live = next((each for each in state.last.values() if each.is_live), None)
    if live is None:
        return None
    return Blocker("finally", f"{live.id} runs as at the end, and must be over first", holder=live.id)


def _gates_with_step(state: SessionState, gates: TicketState) -> str:
    """`the gates of group build: gate 2 of 3: lint`."""
    step = step_text(state, gates) if gates.is_live else ""
    frozen = ", frozen" if gates.is_frozen else ""
    return f"the gates of {described(gates.id)}" + (f": {step}{frozen}" if step else "")


def _with_statuses(tickets: Sequence[TicketState]) -> str:
    """The first three of them; where there are more, those of one family are one."""
    if len(tickets) <= _MAX_NAMED:
        return ", ".join(f"{ticket.id} ({ticket.shown_status})" for ticket in tickets)
    families: dict[tuple[str, str], list[TicketState]] = {}
    for ticket in tickets:
        families.setdefault((ticket.spec.family, "" if ticket.spec.family else ticket.id), []).append(ticket)
    named = [*families.values()][:_MAX_NAMED]
    more = len(tickets) - sum(map(len, named))
    shown = ", ".join(
        f"{len(members)} of {members[0].spec.family}"
        if len(members) > 1
        else f"{members[0].id} ({members[0].shown_status})"
        for members in named
    )
    return shown + (f" and {more} more" if more else "")


def unmet_needs(state: SessionState, ticket: TicketState) -> list[TicketState]:
    """The needs that keep a ticket from running: first those that are frozen, then those that a pause upstream keeps,
    then the others as the plan has them."""
    needs = state.unmet_needs(ticket)
    if ticket.stalled_needs:
        needs.sort(key=lambda need: (not need.is_frozen, not need.is_stalled))
    return needs


def _claim(state: SessionState, ticket: TicketState, conflict: Conflict) -> Blocker:
    has_reservation = state.reservation is not None and state.reservation.ticket == ticket.id
    text = conflict.describe() + ("; it has waited long: others may not delay it" if has_reservation else "")
    if conflict.key.kind == "resource":
        resource = conflict.key.name
        key = AmountKey(resource, ticket.claims.uses[resource])
        return Blocker("resource", text, key, conflict.holder, ticket.ready_at)
    return Blocker("claim", text, conflict.key, conflict.holder, conflict.since)


def _reservation(state: SessionState, ticket: TicketState, kept: str) -> Blocker:
    reservation = state.reservation
    assert reservation is not None
    takes = state.expected(ticket)
    if takes is None:
        why_not = "nothing tells how long it takes"
    elif reservation.start_at is None:
        why_not = "nobody knows when that can start"
    else:
        why_not = "it would not be done when that can start"
    text = f"{kept} is kept for {reservation.ticket}, which has waited long; {why_not}"
    key = ReservationKey(ticket.claims, takes, ticket.spec.priority.rank)
    return Blocker("reservation", text, key, reservation.ticket)


def agents_left(state: SessionState, ticket: TicketState) -> bool:
    """Whether any agent exists or may be started that could run this ticket, now or later; also if it needs none."""
    if ticket.is_gates:
        return True
    if (pinned := pinned_agent(state, ticket)) is not None:
        return pinned.id not in ticket.excluded_agents
    return any(has_room(state, agent_type) for agent_type in ticket.types) or any(
        agent.type in ticket.types
        and agent.id not in ticket.excluded_agents
        and not (agent.stopped or agent.quarantined)
        for agent in state.agents.values()
    )


def comes_free(agent: AgentState) -> bool:
    """Whether an agent runs something that moves, and it or a new agent in its place takes the next ticket then."""
    return agent.ticket is not None and not (agent.is_frozen or agent.quarantined or agent.held is not None)


def able_agents(state: SessionState, ticket: TicketState) -> list[AgentState]:
    """The agents that could run the ticket if they were free, those of held types left out."""
    pinned = pinned_agent(state, ticket)
    return [
        agent
        for agent in state.agents.values()
        if agent.type in ticket.types
        and not agent.stopped
        and agent.type not in state.held_types
        and pinned in (None, agent)
    ]


def agents_come(state: SessionState, ticket: TicketState) -> bool:
    """Whether an agent that could run the ticket is busy and takes more when it is done."""
    pinned = pinned_agent(state, ticket)
    return any(
        agent.ticket is not None
        and agent.type in ticket.types
        and agent.type not in state.held_types
        and agent.id not in ticket.excluded_agents
        and not (agent.stopped or agent.quarantined or agent.draining or agent.held is not None)
        and pinned in (None, agent)
        for agent in state.agents.values()
    )


def _services(state: SessionState, ticket: TicketState, me: str) -> Iterator[Blocker]:
    """The services that it uses and that are not ready."""
    for name in ticket.spec.uses_service:
        service = state.services[name]
        if not service.is_ready:
            since, until = service.since, service.retry_at
            yield Blocker("service", service_text(service, me), ServiceKey(name), since=since, until=until)


def service_text(service: ServiceState, me: str = "") -> str:
    """Why tickets cannot use a service now, in words."""
    said = f"service {service.name}"
    if (freeze := service.freeze) is not None:
        return f"{said} is frozen{by_whom(freeze.by, me)}"
    match service.status:
        case ServiceStatus.waiting | ServiceStatus.stopped:
            return f"{said} is started when it is its turn"
        case ServiceStatus.starting:
            return f"{said} is starting" + (f" ({service.ready})" if service.ready else "")
        case ServiceStatus.stopping:
            again = "again" if service.stop_reason == "restarted" else "for now"
            return f"{said} is being stopped {again}"
        case ServiceStatus.backoff:
            return f"{said} died and is started again: {service.reason}"
        case ServiceStatus.failed:
            return f"{said} failed: {service.reason}; restart {service.name}"
        case ServiceStatus.ready | ServiceStatus.frozen:
            return f"{said} is ready"


def _asked(ticket: TicketState, me: str) -> Blocker:
    kind = SKIP_IF if ticket.spec.skip_if else IF_DONE if ticket.spec.if_done else UP_TO_DATE
    if kind == UP_TO_DATE:
        text = "it is being found out" if ticket.asking else "it is found out first"
        return Blocker("asked", f"{text} whether it is up to date", None if ticket.asking else AskKey(kind))
    if not ticket.asking:
        return Blocker("asked", "it is asked first whether it is done already", AskKey(kind))
    if ticket.question_clock is not None and (freeze := ticket.question_clock.freeze) is not None:
        return Blocker("asked", f"its skip_if is frozen{by_whom(freeze.by, me)}")
    return Blocker("asked", f"it is asked whether it is done already, by {kind.replace('-', '_')}")


def _agents(state: SessionState, ticket: TicketState, me: str) -> Blocker:
    pinned = pinned_agent(state, ticket)
    held = [type_ for type_ in ticket.types if type_ in state.held_types]
    able = able_agents(state, ticket)
    key = agent_key(state, ticket)
    types_held = [type_held(state, type_, me) for type_ in held]
    if (closed := _closed(state, ticket, key)) is not None and not any(
        each not in held for each in open_types(state, ticket)
    ):
        return closed
    if agents_left(state, ticket):
        if held and not able:
            return Blocker("agent", ", ".join(types_held), key)
        able.sort(key=_unusual_first)
        text = ", ".join([*types_held, *(f"{agent.id} {occupied(agent)}" for agent in able[:3])])
        more = f" and {len(able) - 3} more" if len(able) > 3 else ""
        why = "no idle agent" if pinned is None else "reassigned"
        return Blocker("agent", f"{why}: {text}{more}", key)
    reasons = ", ".join(f"{agent.id} {agent.quarantined or 'could not start it'}" for agent in able[:3])
    return Blocker("agent", f"no agent left that could run it: {reasons}", key)


def type_held(state: SessionState, type_: str, me: str = "") -> str:
    """Why no ticket starts on agents of a type, in words."""
    if trouble := state.type_troubles.get(type_):
        return f"agent type {type_} needs you: {trouble}; then release {type_}"
    return f"agent type {type_} held{by_whom(state.held_types[type_], me)}"


def _closed(state: SessionState, ticket: TicketState, key: AgentKey) -> Blocker | None:
    """That the account of an agent type rests on which the ticket would start, or that its budget is spent."""
    if state.accounts and (found := first_rest(state, ticket)) is not None:
        rest = found[1]
        text = f"{rest.account} {rest.word}{'; one ticket tries it now' if rest.is_tried else ''}"
        until = None if rest.is_tried else rest.until
        return Blocker("limit", text, key, since=rest.since, until=until, detail=rest.why)
    over = next(filter(None, (over_type_budget(state, type_) for type_ in ticket.types)), "")
    return Blocker("budget", over, key) if over else None


def agent_key(state: SessionState, ticket: TicketState) -> AgentKey:
    """What all tickets have in common that the same agents can run now or later."""
    pinned = pinned_agent(state, ticket)
    pin = pinned.id if pinned is not None else ""
    meant = ticket.spec.agent or "" if state.has_fallbacks else ""
    return AgentKey(left_types(state, ticket), ticket.excluded_agents, pin, meant)


def occupied(agent: AgentState) -> str:
    """Why an agent is not free, after its id: `runs T1`, `frozen with T1`, `held`."""
    if agent.ticket is None:
        return agent.status
    if agent.is_frozen:
        return f"frozen with {agent.ticket}"
    unusual = f"({agent.status}) " if agent.status in _UNUSUAL else ""
    return f"{unusual}runs {agent.ticket}"


_UNUSUAL = (AgentStatus.quarantined, AgentStatus.held)


def _unusual_first(agent: AgentState) -> int:
    return 0 if agent.is_frozen else 1 if agent.status in _UNUSUAL else 2
