"""The plan that a fragment joins, as far as its families and references ask."""

import json
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping
from typing import Any, NamedTuple

from parexec_tui.core.plan.generated import generators
from parexec_tui.core.plan.model import Plan


class Around(NamedTuple):
    """What is there already."""

    tickets: Iterable[str] = ()
    ids: Container[str] = frozenset()
    """The same, to look one up."""
    families: Mapping[str, list[str]] = {}
    """Their members; of those that are generated, the ticket that does so comes first."""
    generated: Mapping[str, str] = {}
    """{family: the ticket that generates it}"""
    units: Container[str] = frozenset()
    """Resources whose units are filled in when a ticket starts."""
    own: str = ""
    """The family that the fragment is generated for."""


NOTHING_AROUND = Around()


def around(plan: Plan, own: str = "") -> Around:
    """The surroundings of a fragment that joins a plan; `own`: the family that its tickets are generated for."""
    generated = generators(plan.tickets)
    families: defaultdict[str, list[str]] = defaultdict(list)
    for name, id_ in generated.items():
        families[name].append(id_)
    for id_, ticket in plan.tickets.items():
        if ticket.family:
            families[ticket.family].append(id_)
    for name in families.keys() & plan.tickets.keys():
        del families[name]  # the ticket is meant
    return Around(plan.tickets, plan.tickets, families, generated, plan.resources.units, own)


def variables_around(plan: Plan) -> dict[str, Any]:
    """The variables of a session, as `[vars]` of a fragment would have them: it keeps lists as JSON, all else as
    text."""
    return {name: _listed(text) for name, text in plan.variables.items()}


def _listed(text: str) -> Any:
    if not text.startswith("["):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text
