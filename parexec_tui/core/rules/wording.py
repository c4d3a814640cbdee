"""Requests in plain words, for the journal, for confirmations and for undo."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.hosts import HostSpec, pinned_host, shown_host
from parexec_tui.core.plan.plan_settings import FailurePolicy
from parexec_tui.core.plan.reading.faults import listed
from parexec_tui.core.plan.units import format_money, shown
from parexec_tui.core.wire import requests as rq


def verb_of(asked: rq.AnyRequest) -> str:
    """The verb as on the command line: `priority`, where the request is `Prioritise`."""
    return _VERBS.get(type(asked), type(asked).__name__.lower())


_VERBS: dict[type, str] = {
    rq.Prioritise: "priority",
    rq.Amend: "reload",
    rq.SetFailurePolicy: "on-failure",
}


POLICIES: dict[FailurePolicy, str] = {
    "continue": "carry on",
    "hold": "start nothing new",
    "stop": "end what runs, and leave",
}
"""What is done when a ticket fails, in words."""

UNRESTRICTED = "may do all that you may"
"""What is said of agents with `permissions = "all"`."""


def wording(asked: rq.AnyRequest) -> str:
    """What is asked, in a few words: `retry T1 and what depends on it, on builder-2`."""
    match asked:
        case rq.Scope():
            return f"{verb_of(asked)} {_scope(asked)}{_because(getattr(asked, 'reason', ''))}"
        case rq.Cancel(now=True):
            return f"kill {_names(asked.tickets)}"
        case rq.Restart():
            return f"restart {_names(asked.services)}"
        case rq.Cancel() | rq.Waive() | rq.PutBack():
            return f"{verb_of(asked)} {_names(asked.tickets)}"
        case rq.AnswerAgent():
            said = asked.answer.strip() or f"allow {listed(asked.allow)}"
            return f"answer {_names(asked.tickets)}: {said}"
        case rq.Approve() | rq.Reject():
            return f"{verb_of(asked)} {_names(asked.tickets)}{_because(asked.note)}"
        case rq.Merge():
            how = {"ours": ", what is merged already wins", "theirs": ", what it did wins"}.get(asked.side, "")
            return f"merge {_names(asked.tickets)}{how}" + (f", by {asked.run}" if asked.run else "")
        case rq.Rollback():
            depend = (
                f" and what was built on {'it' if len(asked.tickets) == 1 else 'them'}" if asked.downstream else ""
            )
            again = ", and run it again" if asked.rerun else ""
            return f"roll back {_names(asked.tickets)}{depend}{again}"
        case rq.Retry():
            return _retry(asked)
        case rq.Reassign():
            return f"{_names(asked.tickets)} to {asked.agent or 'any agent'}"
        case rq.Prioritise():
            return f"priority of {_names(asked.tickets)} to {asked.priority.value}"
        case rq.Scale():
            return _scale(asked)
        case rq.SetFailurePolicy():
            return f"when a ticket fails: {POLICIES[asked.policy]}"
        case rq.Edit():
            return f"edit {asked.ticket}: {listed(asked.changes)}"
        case rq.Amend():
            return _amend(asked)
        case rq.Stop():
            return f"stop {'now' if asked.now else 'the session'}{_because(asked.reason)}"
        case rq.Undo():
            return "undo"


def _scope(asked: rq.Scope) -> str:
    if asked.is_session:
        return "the session"
    parts = []
    if asked.tickets:
        parts.append(_names(asked.tickets))
    if asked.agents:
        parts.append(f"{'agent' if len(asked.agents) == 1 else 'agents'} {_names(asked.agents)}")
    if asked.types:
        parts.append(f"{'agent type' if len(asked.types) == 1 else 'agent types'} {_names(asked.types)}")
    if asked.hosts:
        parts.append(f"{'host' if len(asked.hosts) == 1 else 'hosts'} {_names(asked.hosts)}")
    if asked.services:
        parts.append(f"{'service' if len(asked.services) == 1 else 'services'} {_names(asked.services)}")
    return "; ".join(parts)


def _retry(asked: rq.Retry) -> str:
    depend = f" and what depends on {'it' if len(asked.tickets) == 1 else 'them'}" if asked.downstream else ""
    changes = ["another command"] if asked.run is not None else []
    changes += [f"no {name}" if amount is None else f"{name}={amount}" for name, amount in (asked.uses or {}).items()]
    changes += [f"{name}={shown(value)}" for name, value in (asked.env or {}).items()]
    changes += [f"a budget of {asked.budget}"] if asked.budget else []
    other = f" with {listed(changes)}" if changes else ""
    on = f" on {asked.agent or 'any agent'}" if asked.agent is not None else ""
    return f"retry {_names(asked.tickets)}{depend}{other}{on}{_because(asked.note)}"


def budget_words(type_: str, budget: float | None) -> str:
    """`claude spends at most $20`."""
    most = "as much as it wants" if budget is None else f"at most {format_money(budget)}"
    return f"{f'agent type {type_}' if type_ else 'the session'} spends {most}"


def _scale(asked: rq.Scale) -> str:
    if asked.budget:
        return f"{f'agent type {asked.type}' if asked.type else 'the session'} spends at most {asked.budget}"
    if asked.auto:
        return "as many tickets at once as the engine finds best"
    s = "" if asked.most is not None and abs(asked.most) == 1 else "s"
    what = f"ticket{s} at once" if asked.type is None else f"agent{s} of type {asked.type}"
    if asked.type is not None and (host := pinned_host(asked.type)) is not None:
        what = f"ticket{s} at once on host {shown_host(host)}"
    if asked.most is None:
        return f"as many {what} as planned"
    if asked.relative:
        return f"{abs(asked.most)} {'more' if asked.most >= 0 else 'fewer'} {what}"
    return f"at most {asked.most} {what}"


def types_lines(agents: Mapping[str, AgentType | None], unrestricted: Sequence[str]) -> Iterator[str]:
    """What becomes of agent types, in words."""
    if there := [name for name, new in agents.items() if new is not None]:
        yield f"new or changed agent types, for what starts from now on: {_names(there)}"
    if gone := [name for name, new in agents.items() if new is None]:
        yield f"without agent types {_names(gone)}"
    if unrestricted:
        yield f"agents of {_names(unrestricted)} {UNRESTRICTED}"


def hosts_lines(hosts: Mapping[str, HostSpec | None]) -> Iterator[str]:
    """What becomes of hosts, in words."""
    if there := [name for name, new in hosts.items() if new is not None]:
        yield f"new or changed hosts: {_names(there)}"
    if gone := [name for name, new in hosts.items() if new is None]:
        yield f"without hosts {_names(gone)}"


def _amend(asked: rq.Amend) -> str:
    parts = (("add", asked.added), ("change", (*asked.changed, *asked.gates)), ("drop", asked.dropped))
    said = ("change variables",) if asked.variables is not None else ()
    if asked.families:
        said = (*said, f"change the limits of {_names(asked.families)}")
    if asked.agents:
        said = (*said, f"change agent types: {_names(asked.agents)}")
    if asked.hosts:
        said = (*said, f"change hosts: {_names(asked.hosts)}")
    return ", ".join((*(f"{word} {_names(ids)}" for word, ids in parts if ids), *said))


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""


def _names(ids: Iterable[str]) -> str:
    return listed(dict.fromkeys(ids), limit=5)
