"""A session as figures, from its state."""

from collections import Counter, defaultdict

from parexec_tui.core.state.accounts import cost_to_go
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import AgentStatus
from parexec_tui.core.state.tally import TypeTally
from parexec_tui.core.wire.figures import Figures, ResourceFigure, Spent, TypeFigures


def figures(state: SessionState) -> Figures:
    """What the session came to so far. O(agents and what is held)."""
    agents: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for agent in state.agents.values():
        if (status := state.status_of(agent)) is not AgentStatus.stopped:
            agents[agent.type][str(status)] += 1
    tallies = state.tally.types
    in_use = state.holdings.in_use()
    return Figures(
        running=len(state.live),
        slots=state.slots,
        types=[
            _of_type(type_, agents[type_], tallies.get(type_) or TypeTally())
            for type_ in dict.fromkeys((*state.plan.agents, *tallies))
        ],
        resources=[
            ResourceFigure(name, in_use.get(name, 0.0), total) for name, total in state.holdings.capacities.items()
        ],
        claims=state.holdings.counts(),
        serialised=state.serialised,
        merges=state.tally.merges,
        conflicts=state.tally.conflicts,
    )


def spent(state: SessionState) -> Spent | None:
    """What its coding agents used so far, in the attempts that are over; None: no attempt of one is."""
    total = state.tally.figures() if state.has_coding else None
    if total is None:
        return None
    types = {name: told.figures for name, told in state.tally.types.items() if told.figures is not None}
    of_types = {name: each for name, each in state.budgets.items() if name}
    return Spent(total, types, state.budgets.get(""), of_types, cost_to_go(state))


def _of_type(type_: str, agents: Counter[str], tally: TypeTally) -> TypeFigures:
    return TypeFigures(
        type=type_,
        agents=dict(agents),
        attempts=tally.started,
        retries=tally.retries,
        ends={str(end): count for end, count in tally.ends.items() if count},
        durations=list(tally.durations),
        seconds=tally.seconds,
        cpu_seconds=tally.cpu_seconds,
        disk_read=tally.disk_read,
        disk_written=tally.disk_written,
        peak_memory=tally.peak_memory,
        spent=tally.figures,
    )
