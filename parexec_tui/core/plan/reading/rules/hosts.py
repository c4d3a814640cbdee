"""Hosts can be reached, agent types have some that they can use, and what tickets ask for is on one of them."""

import re
from collections.abc import Iterable, Iterator, Mapping

from parexec_tui.core.plan.agent_type import AgentType, eligible_types
from parexec_tui.core.plan.coding import is_minded
from parexec_tui.core.plan.hosts import LOCAL, LOCAL_NAME, HostSpec, hosts_of, shown_host
from parexec_tui.core.plan.limits import KEPT_ON_HOSTS, Limits
from parexec_tui.core.plan.model import Host
from parexec_tui.core.plan.reading.faults import Fault, Hints, Path, listed
from parexec_tui.core.plan.reading.rules.draft import Draft
from parexec_tui.core.plan.reading.rules.limits import amount_text
from parexec_tui.core.plan.resources import HOST_RESOURCES, is_port, unit_variable
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.plan.units import Lease, shown

MIN_LEASE = 1.0
"""Seconds."""

_MAX_NAMED = 4
"""Hosts that a message names with what they have."""

_is_destination = re.compile(r"[^\s\x00-\x1f\x7f-][^\s\x00-\x1f\x7f]*").fullmatch


def with_known_hosts(draft: Draft, known: Mapping[str, HostSpec]) -> dict[str, HostSpec]:
    """The hosts of a plan, and behind them those of the person's settings that its agent types may use."""
    found = dict(draft.hosts)
    for agent in draft.agents.values():
        others = {name: host for name, host in known.items() if name not in draft.hosts}
        if agent.on_labels:
            found |= {name: others[name] for name in hosts_of(agent, others)}
        else:
            found |= {name: others[name] for name in agent.on if name in others}
    return found


def hosts_can_be_used(draft: Draft) -> Iterator[Fault]:
    for name, host in draft.hosts.items():
        yield from faults_of_host(host, ("hosts", name))
    if draft.hosts or any(agent.on or agent.on_labels for agent in draft.agents.values()):
        for name, agent in draft.agents.items():
            yield from _faults_of_type(draft, agent, ("agents", name))


def faults_of_host(host: HostSpec, path: Path) -> Iterator[Fault]:
    """What is wrong with one host, which stands there in a file."""
    if path[-1] == LOCAL_NAME:
        yield Fault(path, f"`{LOCAL_NAME}` is this machine", "give the host another name")
    if (host.ssh is None) is (host.ray is None):
        what = "how it is reached is not said" if host.ssh is None else "it is reached by `ssh` or `ray`, not by both"
        yield Fault(path, what, 'write ssh = "user@name", or ray = { address = "head:6379" }')
    machines: dict[Path, str] = {} if host.ssh is None else {("ssh",): host.ssh}
    programs: dict[Path, str] = {("python",): host.python}
    if host.ray is not None:
        machines["ray", "address"] = host.ray.address
        if host.ray.via:
            machines["ray", "via"] = host.ray.via
        programs["ray", "python"] = host.ray.python
    for keys, text in machines.items():
        if not _is_destination(text):
            hint = "write for instance user@name; options belong into ~/.ssh/config"
            yield Fault((*path, *keys), f"{shown(text)} is no name of a machine", hint)
    for keys, text in programs.items():
        if text.startswith("-") or any(each in text for each in "\0\n"):
            yield Fault((*path, *keys), f"{shown(text)} is no program")
    if host.workdir and (not host.workdir.startswith("/") or "\0" in host.workdir):
        yield Fault((*path, "workdir"), f"{shown(host.workdir)} is not an absolute path", "begin it with /")
    if host.ray is not None and host.ray.token_file and not host.ray.token_file.startswith(("/", "~/")):
        yield Fault((*path, "ray", "token_file"), "this is not an absolute path", "begin it with / or ~/")
    if host.ray is not None and host.sync != "shared":
        told = "a Ray cluster gets no files: its nodes have the workdir in common"
        yield Fault((*path, "sync"), told, "leave it out, or reach its machines by `ssh`")
    if host.lease < MIN_LEASE:
        yield Fault((*path, "lease"), *_too_short(host.lease))
    for index, label in enumerate(host.labels):
        if not label.strip():
            yield Fault((*path, "labels", index), "a label says something", "leave it out")
    first: dict[str, str] = {}
    for name in host.resources.units:
        if (other := first.setdefault(unit_variable(name), name)) != name:
            told = f"its units would be told in {unit_variable(name)}, as those of {shown(other)} are"
            yield Fault((*path, "resources", name), told, "give one of them another name")


def _too_short(lease: Lease) -> tuple[str, str]:
    hint = f"write at least {MIN_LEASE:g}s: the shortest break of the network would end what runs there"
    return f"a lease of {lease:g}s is too short", hint


def _faults_of_type(draft: Draft, agent: AgentType, path: Path) -> Iterator[Fault]:
    if agent.on and agent.on_labels:
        yield Fault((*path, "on_labels"), "`on` says already where its agents run", "leave one of them out")
        return
    wrong = ("hosts",) in draft.unread
    names = (LOCAL_NAME, *draft.hosts)
    unknown = [index for index, name in enumerate(agent.on) if name not in names]
    for index in () if wrong else unknown:
        hint = Hints(names).of(agent.on[index]) or f"name it: [hosts.{agent.on[index]}]; there is {listed(names)}"
        yield Fault((*path, "on", index), f"there is no host {shown(agent.on[index])}", hint)
    hosts = () if unknown else hosts_of(agent, draft.hosts)
    if agent.on_labels and not hosts and not wrong:
        has = listed(f"`{name}` is {listed(host.labels) or 'nothing'}" for name, host in draft.hosts.items())
        told = f"no host is {listed(agent.on_labels)}" + (f": {has}" if has else "")
        yield Fault((*path, "on_labels"), told, "add them to `labels` of a host")
    key = "on_labels" if agent.on_labels else "on"
    others = {name: draft.hosts[name] for name in hosts if name != LOCAL}
    if others and is_minded(agent):
        yield Fault((*path, key), "coding agents run on this machine only", "leave it out")
    for name, host in others.items():
        if host.sync == "git" and agent.isolation != "worktree":
            hint = 'write isolation = "worktree", or another `sync`'
            yield Fault((*path, key), f"{name} gets its files by git, which takes worktrees", hint)
        elif host.sync == "git" and agent.link:
            yield Fault((*path, "link"), f"{name} cannot have links to files of this machine", "write `copy`")
        elif host.sync == "rsync" and agent.isolation == "worktree":
            yield Fault(
                (*path, key), f"{name} gets its files by rsync, which knows no worktrees", 'write sync = "git"'
            )


# --- What tickets ask for ---


def hosts_can_give_it(draft: Draft) -> Iterator[Fault]:
    """What cannot be had on other machines is asked for by nobody who may run there."""
    if not draft.hosts:
        return
    elsewhere = {
        name: host
        for name, agent in draft.agents.items()
        if (host := next((host for host in hosts_of(agent, draft.hosts) if host in draft.hosts), None)) is not None
    }
    for name, host in elsewhere.items():
        for keys, what, hint in _not_there(draft, draft.agents[name]):
            yield Fault(("agents", name, *keys), f"{what}, and its agents may be on {host}", hint)
    for id_, ticket in draft.specs():
        if ticket.lease is not None and ticket.lease < MIN_LEASE:
            yield Fault(draft.place(id_, "lease"), *_too_short(ticket.lease))
        if id_ is None or not (ticket.secrets or ticket.limits or ticket.uses):
            continue
        found = [*_not_there(draft, ticket)]
        if not found:
            continue
        types = eligible_types(draft.agents, ticket)
        if (type_ := next((type_ for type_ in types if type_ in elsewhere), None)) is not None:
            for keys, what, hint in found:
                where = f"{what}, and agents of {type_}, which may run it, may be on {elsewhere[type_]}"
                yield Fault(draft.place(id_, *keys), where, hint)


def _not_there(draft: Draft, asks: AgentType | Ticket) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """(keys, what is wrong, what to do) of what no other machine gives."""
    if asks.secrets:
        yield ("secrets",), "secrets stay on this machine", "run it by a type without `on`"
    for name in Limits.__struct_fields__ if asks.limits is not None else ():
        if name not in KEPT_ON_HOSTS and asks.limits is not None and asks.limits.names(name):
            told = f"hosts keep {listed(KEPT_ON_HOSTS)} only"
            yield ("limits", name), told, "leave it out, or run it by a type without `on`"
    if isinstance(asks, Ticket):
        units = {
            name for each in (draft.resources, *(h.resources for h in draft.hosts.values())) for name in each.units
        }
        for name in asks.uses or ():
            if is_port(name) and name in units:
                yield ("uses", name), "ports are those of this machine", "run it by a type without `on`"


def demands_can_be_met_somewhere(draft: Draft, host: Host | None) -> Iterator[Fault]:
    """As `limits.demands_can_be_met`, of a plan with hosts: one that may run a ticket has all that it asks for."""
    has: dict[str, Mapping[str, float]] = {LOCAL: _of_this_machine(draft, host)}
    for name, each in draft.hosts.items():
        # cpu and memory of [resources] are those of this machine; of another one they are known when it is reached
        has[name] = {
            **draft.resources.amounts,
            **dict.fromkeys(HOST_RESOURCES, float("inf")),
            **each.resources.amounts,
        }
    hints = Hints(key for amounts in has.values() for key in amounts)
    asked: dict[object, list[tuple[str, str, str]]] = {}
    for id_, ticket in draft.specs():
        if not ticket.uses or id_ is None:
            continue
        types = eligible_types(draft.agents, ticket)
        demand = types, tuple(ticket.uses.items())
        if demand not in asked:
            hosts = dict.fromkeys(
                name for type_ in types for name in hosts_of(draft.agents[type_], draft.hosts) if name in has
            )
            asked[demand] = list(_unmet(ticket.uses, {name: has[name] for name in hosts}, hints))
        for name, message, hint in asked[demand]:
            yield Fault(draft.place(id_, "uses", name), message, hint)


def _of_this_machine(draft: Draft, host: Host | None) -> dict[str, float]:
    found = {"cpu": host.cpus, "memory": host.memory} if host else dict.fromkeys(HOST_RESOURCES, float("inf"))
    written = draft.written.get("resources")
    wrong = dict.fromkeys(written, float("inf")) if isinstance(written, dict) else {}
    return {**found, **wrong, **draft.resources.amounts}


def _unmet(
    uses: Mapping[str, float], has: Mapping[str, Mapping[str, float]], hints: Hints
) -> Iterator[tuple[str, str, str]]:
    """(resource, message, hint) of what no host has that a ticket asks for, which these hosts can run otherwise."""
    if not has or any(all(_fits(uses, name, amounts) for name in uses) for amounts in has.values()):
        return
    alone = [name for name in uses if not any(_fits(uses, name, amounts) for amounts in has.values())]
    for name in alone:
        if not any(name in amounts for amounts in has.values()):
            where = "[resources]" if LOCAL in has else f"`resources` of [hosts.{next(iter(has))}]"
            hint = hints.of(name) or f"name it in {where}, for instance `{name} = 1`"
            yield name, f"there is no resource {shown(name)}", hint
        else:
            yield name, f"asks for {amount_text(name, uses[name])} {name}, and no host has: {_told(name, has)}", ""
    if not alone:
        name = next(iter(uses))
        yield name, f"no host has all of {listed(uses)} that it asks for", ""


def _fits(uses: Mapping[str, float], name: str, has: Mapping[str, float]) -> bool:
    return uses[name] <= has.get(name, 0)


def _told(name: str, has: Mapping[str, Mapping[str, float]]) -> str:
    known: Iterable[str] = (
        f"{shown_host(host)} {amount_text(name, amounts.get(name, 0))}" for host, amounts in has.items()
    )
    return listed(known, limit=_MAX_NAMED)
