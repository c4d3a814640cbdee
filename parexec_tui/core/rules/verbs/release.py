"""release: end a hold, a drain or a quarantine."""

from parexec_tui.core.plan.coding import account_of
from parexec_tui.core.rules.answers import Decision, named, refuse_unknown_in
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire import requests as rq


def release(state: SessionState, asked: rq.Release, now: float) -> Decision:
    """Releasing a type ends its hold, and the rest of its account: one ticket tries it at once. Its draining agents
    go on draining unless they are named; those of a draining host go on with it."""
    if refusal := refuse_unknown_in(state, asked):
        return refusal
    if asked.is_session:
        released: list[ev.AnyEvent] = [ev.SessionReleased(at=now, by=asked.by)] if state.held else []
        return [*released, ev.DrainEnded(at=now, by=asked.by)] if state.draining else released
    drained = [name for name in asked.hosts if state.hosts[name].draining]
    there = [id_ for id_, each in state.agents.items() if each.draining and not each.stopped and each.host in drained]
    agents = (state.agents[id_] for id_ in dict.fromkeys((*asked.agents, *(there if drained else ()))))
    return [
        *(
            ev.TicketReleased(at=now, ticket=ticket.id, by=asked.by)
            for ticket in named(state, asked.tickets)
            if ticket.held is not None
        ),
        *(
            ev.AgentReleased(at=now, agent=agent.id, by=asked.by)
            for agent in agents
            if agent.held is not None or agent.draining or agent.quarantined
        ),
        *(
            ev.AgentTypeReleased(at=now, type=type_, by=asked.by)
            for type_ in dict.fromkeys(asked.types)
            if type_ in state.held_types
        ),
        *(
            ev.HostReleased(at=now, host=name, by=asked.by)
            for name in dict.fromkeys(asked.hosts)
            if state.hosts[name].held is not None
        ),
        *(
            ev.AccountTried(at=now, account=account, by=asked.by)
            for account in dict.fromkeys(account_of(type_, state.plan.agents) for type_ in asked.types)
            if (rest := state.accounts.get(account)) is not None and not rest.is_tried
        ),
    ]
