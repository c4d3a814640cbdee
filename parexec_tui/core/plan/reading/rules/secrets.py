"""Secrets have names that a variable can have, and one source each."""

from collections.abc import Iterator

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.reading.faults import Fault
from parexec_tui.core.plan.reading.rules.commands import NUL, is_variable
from parexec_tui.core.plan.reading.rules.draft import Draft
from parexec_tui.core.plan.secrets import SecretSource
from parexec_tui.core.plan.services import Service
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.plan.units import shown


def secrets_can_be_given(draft: Draft) -> Iterator[Fault]:
    for name, source in draft.secrets.items():
        yield from _faults_of_source(name, source)
    for id_, ticket in draft.specs():
        if ticket.secrets:
            for index, what, hint in _wrong_names(ticket):
                yield Fault(draft.place(id_, "secrets", index), what, hint)
    others: tuple[tuple[str, str, AgentType | Service], ...] = (
        *(("agents", name, agent) for name, agent in draft.agents.items()),
        *(("services", name, service) for name, service in draft.services.items()),
    )
    for table, name, each in others:
        for index, what, hint in _wrong_names(each):
            yield Fault((table, name, "secrets", index), what, hint)


def _faults_of_source(name: str, source: SecretSource) -> Iterator[Fault]:
    if (wrong := _wrong_name(name)) is not None:
        yield Fault(("secrets", name), *wrong)
    if len(source.kinds) > 1:
        yield Fault(("secrets", name), f"a secret has one source, and this has {' and '.join(source.kinds)}")
    for kind in source.kinds:
        if "\0" in getattr(source, kind):
            yield Fault(("secrets", name, kind), NUL)
    if source.env and not is_variable(source.env):
        yield Fault(("secrets", name, "env"), f"{shown(source.env)} is not a name of an environment variable")


def _wrong_names(source: AgentType | Service | Ticket) -> Iterator[tuple[int, str, str]]:
    for index, name in enumerate(source.secrets):
        if (wrong := _wrong_name(name)) is not None:
            yield (index, *wrong)
        elif name in source.env:
            yield index, f"{name} is in `env` too, for all to see", "leave it out there; [secrets] says where it is"


def _wrong_name(name: str) -> tuple[str, str] | None:
    if not is_variable(name) or "\n" in name:
        hint = f"write the name alone: {name.partition('=')[0]}" if name.find("=") > 0 else ""
        return "this is not a name of an environment variable", hint
    if name.startswith("PAREXEC_"):
        return f"{name} is a variable that parexec sets", ""
    return None
