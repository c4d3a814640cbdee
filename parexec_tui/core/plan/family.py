"""What is said of the tickets of a family, beside what each of them says."""

from collections import Counter
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Annotated

from msgspec import Meta, Struct

from parexec_tui.core.plan.resources import Amounts
from parexec_tui.core.plan.waits import Wait

MAX_MEMBERS = 200_000
"""Tickets that the families of a plan may have in all."""

_SLOTS = "family:"
"""What the resource is called, before the name of the family, of which each of its tickets has one while it runs."""


class Family(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Limits of a family: the tickets that one ticket of the plan file stands for."""

    max_parallel: Annotated[
        Annotated[int, Meta(ge=1, le=100_000)] | None,
        Meta(description="How many of its tickets run at once; absent: any number."),
    ] = None
    fail_fast: Annotated[
        bool, Meta(description="True: when one of its tickets has failed for good, the others are not run.")
    ] = False


NO_LIMITS = Family()
"""What is said of most families."""


def by_fail_fast(family: str) -> str:
    """Who cancels the tickets of a family of which one has failed."""
    return f"fail_fast of {family}"


def limits_text(family: Family) -> str:
    """What a family says, as a plan does: `max_parallel = 1, fail_fast = true`."""
    words = [] if family.max_parallel is None else [f"max_parallel = {family.max_parallel}"]
    return ", ".join([*words, *(["fail_fast = true"] if family.fail_fast else [])]) or "no limits"


def with_limits(families: Mapping[str, Family], new: Mapping[str, Family]) -> dict[str, Family]:
    """The families, some of them with new limits; those without any are left out."""
    return {name: family for name, family in {**families, **new}.items() if family != NO_LIMITS}


def differing_limits(now: Mapping[str, Family], then: Mapping[str, Family]) -> dict[str, Family]:
    """The limits of the families of which they are others then."""
    both = {name: then.get(name, NO_LIMITS) for name in {**now, **then}}
    return {name: family for name, family in both.items() if family != now.get(name, NO_LIMITS)}


def needed_whole(
    waits: Mapping[str, Wait], family_of: Callable[[str], str], sizes: Mapping[str, int]
) -> tuple[str, ...]:
    """The families of several tickets of which one waits for the success of all. It does without those of them that
    are not wanted, unless none is.

    `family_of`: of a ticket; `sizes`: how many tickets each family has.
    """
    counts = Counter(family_of(id_) for id_, wait in waits.items() if wait is Wait.success)
    return tuple(name for name, count in counts.items() if name and count == sizes[name] and count > 1)


def slots_of(family: str) -> str:
    """The resource of which a family with `max_parallel` has so many."""
    return f"{_SLOTS}{family}"


def family_of(resource: str) -> str:
    """The family whose slots a resource is; empty if it is any other resource."""
    return resource.removeprefix(_SLOTS) if resource.startswith(_SLOTS) else ""


def resource_text(resource: str) -> str:
    """What people call a resource: `gpu`, `max_parallel of test`."""
    family = family_of(resource)
    return f"max_parallel of {family}" if family else resource


def slots(families: Mapping[str, Family]) -> Amounts:
    """How many slots there are, by resource: of the families that have `max_parallel`."""
    return Amounts(
        (slots_of(name), family.max_parallel) for name, family in families.items() if family.max_parallel is not None
    )


@lru_cache(maxsize=1000)
def one_slot(family: str) -> Amounts:
    """What one of its tickets uses."""
    return Amounts({slots_of(family): 1})
