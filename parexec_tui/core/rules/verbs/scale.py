"""scale: how many agents of a type there may be, or how many tickets may run at once, in all or on a host."""

from collections.abc import Iterator, Mapping
from itertools import count, islice

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.coding import is_minded
from parexec_tui.core.plan.hosts import LOCAL, HostSpec, hosts_of, pinned_host
from parexec_tui.core.plan.units import MAX_COUNT, Money
from parexec_tui.core.rules.answers import Decision, refuse_unknown
from parexec_tui.core.rules.verbs.drain import drain_agents
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.agents import AgentState
from parexec_tui.core.state.session import SessionState, planned_budgets
from parexec_tui.core.state.tuning import max_parallel
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import Refusal


def scale(state: SessionState, asked: rq.Scale, now: float) -> Decision:
    """With fewer agents of a type, idle ones stop first. With fewer tickets at once nothing stops, neither
    here nor on a host."""
    if asked.budget:
        return _change_budget(state, asked, now)
    if asked.type is None:
        return _scale_session(state, asked, now)
    if (host := pinned_host(asked.type)) is not None:
        return _scale_host(state, host, asked, now)
    if asked.auto:
        return Refusal(
            "the engine finds out how many tickets run at once, not how many agents there are", "name a number"
        )
    if refusal := refuse_unknown(state, types=(asked.type,)):
        return refusal
    limit = asked.most if asked.most is not None else state.plan.agents[asked.type].max
    if limit is not None and asked.relative:
        limit += state.max_agents(asked.type)
    if limit is not None and not 1 <= limit <= MAX_COUNT:
        reason = f"there may be 1 to {MAX_COUNT:,} agents of a type, not {limit}"
        return Refusal(reason, f"drain {asked.type} to have none")
    if limit == state.agent_limits[asked.type]:
        return []
    most = state.slots_of(state.hosts_of_types[asked.type]) if limit is None else limit
    return [
        ev.TypeScaled(at=now, type=asked.type, most=limit, by=asked.by),
        *drain_agents(_surplus(state, asked.type, most), asked.by, now),
    ]


def _scale_host(state: SessionState, name: str, asked: rq.Scale, now: float) -> Decision:
    if name == LOCAL:
        return Refusal("local is the machine of the engine", "scale the session: --parallel")
    if refusal := refuse_unknown(state, hosts=(name,)):
        return refusal
    host = state.hosts[name]
    if asked.auto:
        return Refusal("the engine finds out how many tickets run at once here, not on hosts", "name a number")
    limit = asked.most
    if limit is not None and asked.relative:
        if not host.slots:
            return Refusal(
                f"{name} was not reached yet: it is not known how many tickets it may run", "name a number"
            )
        limit += host.slots
    if limit is not None and not 1 <= limit <= MAX_COUNT:
        return Refusal(
            f"1 to {MAX_COUNT:,} tickets may run on a host, not {limit}", f"hold host:{name}, to have none"
        )
    return [] if limit == host.limit else [ev.HostScaled(at=now, host=name, most=limit, by=asked.by)]


def _surplus(state: SessionState, type_: str, limit: int) -> list[AgentState]:
    """The agents above the limit: first those in quarantine, then idle, then busy ones; the newest first in each."""
    staying = [
        agent for agent in state.agents.values() if agent.type == type_ and not (agent.stopped or agent.draining)
    ]
    staying.reverse()
    staying.sort(key=lambda agent: (agent.ticket is not None, not agent.quarantined))
    return staying[: max(0, len(staying) - limit)]


def scale_to_types(
    state: SessionState,
    agents: Mapping[str, AgentType | None],
    all_hosts: Mapping[str, HostSpec],
    by: str,
    now: float,
) -> Iterator[ev.AnyEvent]:
    """What follows for the pool when there are these agent types, and these hosts: as with `scale`, and those of a
    new `min` start."""
    for name, new in agents.items():
        if new is None:
            continue
        old = state.plan.agents.get(name)
        is_new = old is None or new.max != old.max
        limit = new.max if is_new else state.agent_limits[name]
        hosts = hosts_of(new, all_hosts)
        slots = (
            state.slots_on(host) if host in (LOCAL, *state.hosts) else all_hosts[host].max or 1 for host in hosts
        )
        most = sum(slots) if limit is None else limit
        if old is not None and is_new:
            yield from drain_agents(_surplus(state, name, most), by, now)
        if LOCAL in hosts and (old is None or new.min > old.min):  # on another host, the first ticket starts one
            missing = min(new.min, most) - state.pool_size.get(name, 0)
            ids = (f"{name}-{number}" for number in count(1))
            free = (id_ for id_ in ids if id_ not in state.agents)
            yield from (ev.AgentStarted(at=now, agent=id_, type=name) for id_ in islice(free, max(0, missing)))


def _change_budget(state: SessionState, asked: rq.Scale, now: float) -> Decision:
    if asked.type is not None and (refusal := refuse_unknown(state, types=(asked.type,))):
        return refusal
    name = asked.type or ""
    if not (state.has_coding if asked.type is None else is_minded(state.plan.agents[asked.type])):
        return Refusal(f"{asked.type or 'the plan'} has no coding agents", "a budget is about what they spend")
    try:
        dollars = planned_budgets(state.plan).get(name) if asked.budget == "plan" else Money.parse(asked.budget)
    except ValueError as error:
        return Refusal(str(error))
    return set_budget(state, name, dollars, now, by=asked.by)


def set_budget(state: SessionState, type_: str, dollars: float | None, now: float, *, by: str) -> list[ev.AnyEvent]:
    if dollars == state.budgets.get(type_):
        return []
    return [ev.BudgetChanged(at=now, type=type_, budget=None if dollars is None else float(dollars), by=by)]


def _scale_session(state: SessionState, asked: rq.Scale, now: float) -> Decision:
    if asked.auto:
        if state.tuning is not None:
            return []
        parallel = state.parallel if state.found is None else state.found.left_at
        most = max_parallel(state.agent_limits.values(), state.host.cpus if state.host is not None else 1)
        return [ev.ParallelChanged(at=now, parallel=min(parallel, most), by=asked.by, auto=True)]
    if asked.most is None:
        return Refusal("how many tickets shall run at once is not said", "name a number")
    parallel = asked.most + (state.parallel if asked.relative else 0)
    if not 1 <= parallel <= MAX_COUNT:
        return Refusal(f"1 to {MAX_COUNT:,} tickets may run at once, not {parallel}", "hold, to start nothing new")
    if parallel == state.parallel and state.tuning is None:
        return []
    return [ev.ParallelChanged(at=now, parallel=parallel, by=asked.by)]
