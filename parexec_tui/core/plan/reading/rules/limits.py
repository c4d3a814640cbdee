"""Amounts, sizes and times are such that something can run with them."""

from collections.abc import Iterator
from itertools import chain

from parexec_tui.core.plan.limits import MIN_MEMORY, Limits
from parexec_tui.core.plan.model import Host
from parexec_tui.core.plan.plan_settings import MIN_LOG
from parexec_tui.core.plan.reading.faults import Fault, Hints, Path
from parexec_tui.core.plan.reading.rules.draft import Draft
from parexec_tui.core.plan.resources import HOST_RESOURCES
from parexec_tui.core.plan.units import format_size, shown


def logs_have_room(draft: Draft) -> Iterator[Fault]:
    logs = {draft.place(id_, "max_log"): ticket.max_log for id_, ticket in draft.specs() if ticket.max_log}
    for path, most in chain([(("plan", "max_log"), draft.settings.max_log)], logs.items()):
        if most and most < MIN_LOG:
            hint = f"write at least {format_size(MIN_LOG)}, or 0 to keep all of it"
            yield Fault(path, f"{format_size(most)} is too little to keep of an output", hint)


def limits_can_be_kept(draft: Draft) -> Iterator[Fault]:
    written: list[tuple[Path, Limits]] = [
        (draft.place(id_, "limits", "memory"), ticket.limits) for id_, ticket in draft.specs() if ticket.limits
    ]
    for name, agent in draft.agents.items():
        if agent.limits is not None:
            written.append((("agents", name, "limits", "memory"), agent.limits))
            if agent.nice and agent.limits.nice is not None:
                yield Fault(("agents", name, "nice"), "`limits` says already how nice it is", "leave one of them out")
    for path, limits in written:
        if limits.memory is not None and limits.memory < MIN_MEMORY:
            hint = f"write at least {format_size(MIN_MEMORY)}"
            yield Fault(path, f"in {format_size(limits.memory)} of memory no shell can run", hint)


def time_is_given(draft: Draft) -> Iterator[Fault]:
    if not draft.settings.finally_timeout:
        yield Fault(("plan", "finally_timeout"), _NO_TIME, "leave it out for 10 minutes")
    for id_, ticket in draft.specs():
        if ticket.timeout is not None and not ticket.timeout:
            yield no_time(draft.place(id_, "timeout"))


def no_time(path: Path) -> Fault:
    """That a time limit is 0. Elsewhere 0 means without a limit."""
    return Fault(path, _NO_TIME, "leave it out for no limit")


_NO_TIME = "no command ends in no time"


def retries_have_something_to_raise(draft: Draft) -> Iterator[Fault]:
    if any(agent.limits is not None and agent.limits.memory for agent in draft.agents.values()):
        return
    for id_, ticket in draft.tickets.items():
        if ticket.retry_uses is None or ticket.uses.get("memory") or (ticket.limits and ticket.limits.memory):
            continue
        hint = 'write uses = { memory = "1GiB" }, or limits'
        yield Fault(draft.place(id_, "retry_uses"), "there is no memory of which it could take more", hint)


def demands_can_be_met(draft: Draft, host: Host | None) -> Iterator[Fault]:
    """No ticket may ask for more of a resource than there is in all."""
    limits = {"cpu": host.cpus, "memory": host.memory} if host else dict.fromkeys(HOST_RESOURCES, float("inf"))
    hosts = set(limits) - set(draft.resources) if host else set()
    written = draft.written.get("resources")
    # What is written in [resources] but wrong there is no limit, but its name is known.
    limits |= dict.fromkeys(written, float("inf")) if isinstance(written, dict) else {}
    limits |= draft.resources.amounts
    hints = Hints(limits)
    for id_, ticket in draft.specs():
        for name, amount in ticket.uses.items() if ticket.uses else ():
            path = draft.place(id_, "uses", name)
            if name not in limits:
                hint = hints.of(name) or f"name it in [resources], for instance `{name} = 1`"
                yield Fault(path, f"there is no resource {shown(name)}", hint)
            elif amount > limits[name]:
                has = "this host has" if name in hosts else "[resources] has"
                of, most = amount_text(name, amount), amount_text(name, limits[name])
                yield Fault(path, f"asks for {of} {name}, and {has} {most}")


def amount_text(name: str, amount: float) -> str:
    return format_size(amount) if name == "memory" else f"{amount:g}"
