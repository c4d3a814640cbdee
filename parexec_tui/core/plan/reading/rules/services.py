"""Services are known and can be run."""

from collections.abc import Iterator

from parexec_tui.core.plan.reading.faults import Fault, Hints, listed
from parexec_tui.core.plan.reading.rules.draft import Draft
from parexec_tui.core.plan.services import parse_ready
from parexec_tui.core.plan.units import shown


def services_are_known(draft: Draft) -> Iterator[Fault]:
    hints = Hints(draft.services)
    there_is = f"there is {listed(f'`{name}`' for name in draft.services)}" if draft.services else ""
    for id_, ticket in draft.specs():
        for index, name in enumerate(ticket.uses_service):
            path = draft.place(id_, "uses_service", index)
            if name not in draft.services:
                hint = hints.of(name) or there_is or f"write [services.{name}]"
                yield Fault(path, f"there is no service {shown(name)}", hint)
            elif name in ticket.uses_service[:index]:
                yield Fault(path, f"{shown(name)} is named twice")


def services_can_be_run(draft: Draft) -> Iterator[Fault]:
    first: dict[str, str] = {}
    for name, service in draft.services.items():
        path = ("services", name)
        other = first.setdefault(name.lower(), name)
        if other != name:
            hint = "where the file system ignores case, their logs would be one file"
            yield Fault(path, f"{shown(name)} and {shown(other)} differ only in case", hint)
        for kind, names in (("a ticket", draft.tickets), ("an agent type", draft.agents)):
            if name in names:
                yield Fault(path, f"{kind} is called {shown(name)} as well", "requests could not tell them apart")
        if not service.run.strip() and draft.is_read(path, "run"):
            yield Fault(path, "the service has no command", 'write run = "..."')
        try:
            parse_ready(service.ready)
        except ValueError as error:
            yield Fault((*path, "ready"), str(error))
        if not service.ready_timeout and draft.is_read(path, "ready_timeout"):
            yield Fault((*path, "ready_timeout"), "no service is ready in no time", "write for instance 30s")
