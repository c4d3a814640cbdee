"""What is said of the tickets of a family, beside what each of them says."""

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, Struct, structs

from parexec_tui.core.plan.resources import Amounts, Resources
from parexec_tui.core.plan.ticket import Ticket

_SLOTS = "family:"
"""What the resource is called, before the name of the family, of which each of its tickets uses one."""


class Family(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Limits of a family: the tickets that one ticket of the plan file stands for."""

    max_parallel: Annotated[
        Annotated[int, Meta(ge=1, le=100_000)] | None,
        Meta(description="How many of its tickets run at once; absent: any number."),
    ] = None
    fail_fast: Annotated[
        bool, Meta(description="True: when one of its tickets has failed for good, the others are not run.")
    ] = False


def slots_of(family: str) -> str:
    """The resource of which a family with `max_parallel` has so many."""
    return f"{_SLOTS}{family}"


def family_of_slots(resource: str) -> str:
    """The family whose slots a resource is; empty: it is none."""
    return resource.removeprefix(_SLOTS) if resource.startswith(_SLOTS) else ""


def with_slots(
    resources: Resources, tickets: dict[str, Ticket], families: Mapping[str, Family]
) -> tuple[Resources, dict[str, Ticket]]:
    """The resources with the slots of families, and the tickets, each of which uses one of its family."""
    bounded = {name: family.max_parallel for name, family in families.items() if family.max_parallel}
    if not bounded:
        return resources, tickets
    slots = {slots_of(name): most for name, most in bounded.items()}
    return Resources({**resources, **slots}), {
        id_: _with_slot(ticket) if ticket.family in bounded else ticket for id_, ticket in tickets.items()
    }


def _with_slot(ticket: Ticket) -> Ticket:
    return structs.replace(ticket, uses=Amounts({**ticket.uses, slots_of(ticket.family): 1}))
