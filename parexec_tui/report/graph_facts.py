"""The dependency graph of a plan or a session as facts, as `parexec graph --format json` prints them; dot and mermaid
are written from these.
"""

from collections.abc import Sequence

from msgspec import Struct

from parexec_tui.core.plan.check import Survey
from parexec_tui.core.plan.drawn import drawn_needs
from parexec_tui.core.schedule.critical_path import critical_path
from parexec_tui.core.schedule.readiness import display_status
from parexec_tui.core.state.session import SessionState

MOST_CONFLICTS = 100


class GraphTicket(Struct, frozen=True):
    id: str
    title: str
    group: int
    """Dependency group, from 1."""
    status: str
    expected: float | None
    """Seconds that it is expected to take; null: nothing tells."""
    needs: dict[str, str]
    """What it waits for in each: `success`, `end` (`needs = ["T?"]`) or `order` (`after`)."""
    drawn: tuple[str, ...]
    """Those of them from which a line leads to it: none past the gates of a group, which stand for its tickets."""
    on_path: bool
    """It is on the critical path."""
    not_known: str = ""
    """The family of the tickets that it will generate, and that are not known yet."""

    @property
    def lines(self) -> tuple[str, ...]:
        """What is written into its box."""
        generates = f"generates {self.not_known}: not known yet" if self.not_known else ""
        return tuple(filter(None, (self.id, self.title, self.status, generates)))


class GraphConflict(Struct, frozen=True):
    """Tickets that do not run at once although no need is between them."""

    kind: str
    """`lock`, `path`, `resource`; `pair`: two tickets alone, and `name` says why."""
    name: str
    tickets: tuple[str, ...]
    exclusive: bool
    """No two of them run at once; else only some two do not."""


class GraphFacts(Struct, frozen=True):
    plan: str
    session: str | None
    """null: a plan that no session executes."""
    groups: list[list[str]]
    tickets: list[GraphTicket]
    """In the order of the plan."""
    path: list[str]
    """The critical path of what is not over, needs first."""
    path_seconds: float
    conflicts: list[GraphConflict]
    """At most a hundred; those that most tickets share come first."""
    more_conflicts: int
    """How many were found that are not among them."""
    are_all: bool
    """Whether all pairs of tickets were looked at; not in a plan that has too many."""


def graph_facts(state: SessionState, session: str | None, found: Survey) -> GraphFacts:
    """`session`: None for a plan. `found`: of the plan of the state."""
    path = critical_path(state)
    not_known = {id_: family for family, id_ in state.unknown_families.items()}
    on_path = set(path)
    shared = [
        GraphConflict(each.kind, each.name, each.tickets, exclusive=each.is_exclusive) for each in found.bottlenecks
    ]
    alone = [
        GraphConflict("pair", each.reason, (each.first, each.second), exclusive=True)
        for each in found.clashes
        if each.is_alone
    ]
    conflicts = [*shared, *alone]
    return GraphFacts(
        plan=state.plan.settings.name,
        session=session,
        groups=state.groups,
        tickets=[
            GraphTicket(
                id=ticket.id,
                title=ticket.spec.title,
                group=ticket.group + 1,
                status=str(display_status(state, ticket)),
                expected=state.expected(ticket),
                needs={need: wait.value for need, wait in state.graph.needs[ticket.id].items()},
                drawn=tuple(drawn_needs(state.graph, ticket.id)),
                on_path=ticket.id in on_path,
                not_known=not_known.get(ticket.id, ""),
            )
            for ticket in state.tickets.values()
        ],
        path=path,
        path_seconds=state.tickets[path[0]].remaining if path else 0.0,
        conflicts=conflicts[:MOST_CONFLICTS],
        more_conflicts=len(conflicts[MOST_CONFLICTS:]) + found.more_clashes,
        are_all=found.is_complete,
    )


def drawn_groups(facts: GraphFacts) -> Sequence[tuple[int, Sequence[GraphTicket]]]:
    """Each group that has tickets, by its number."""
    by_group: dict[int, list[GraphTicket]] = {}
    for ticket in facts.tickets:
        by_group.setdefault(ticket.group, []).append(ticket)
    return sorted(by_group.items())
