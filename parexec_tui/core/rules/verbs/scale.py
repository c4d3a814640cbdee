"""scale: how many agents of a type there may be, or how many tickets may run at once."""

from parexec_tui.core.plan.units import MAX_COUNT
from parexec_tui.core.rules.answers import Decision, refuse_unknown
from parexec_tui.core.rules.verbs.drain import drain_agents
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.agents import AgentState
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.tuning import max_parallel
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import Refusal


def scale(state: SessionState, asked: rq.Scale, now: float) -> Decision:
    """With fewer agents of a type, idle ones stop first. With fewer tickets at once nothing stops."""
    if asked.type is None:
        return _scale_session(state, asked, now)
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
    return [
        ev.TypeScaled(at=now, type=asked.type, most=limit, by=asked.by),
        *drain_agents(_surplus(state, asked.type, state.parallel if limit is None else limit), asked.by, now),
    ]


def _surplus(state: SessionState, type_: str, limit: int) -> list[AgentState]:
    """The agents above the limit: first those in quarantine, then idle, then busy ones; the newest first in each."""
    staying = [
        agent for agent in state.agents.values() if agent.type == type_ and not (agent.stopped or agent.draining)
    ]
    staying.reverse()
    staying.sort(key=lambda agent: (agent.ticket is not None, not agent.quarantined))
    return staying[: max(0, len(staying) - limit)]


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
