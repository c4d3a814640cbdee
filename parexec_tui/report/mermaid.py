"""The dependency graph in the language of Mermaid, as GitHub and GitLab draw it in Markdown."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from parexec_tui.core.plan.waits import Wait
from parexec_tui.report.drawings.graph import style_of
from parexec_tui.report.graph_facts import GraphFacts, GraphTicket, drawn_groups
from parexec_tui.text.words import printable

MOST_EDGES, MOST_LETTERS = 500, 50_000
"""Of a drawing with more, Mermaid says that it is too large, unless it is set up otherwise."""

_ARROWS = {Wait.success.value: "-->", Wait.end.value: "-.->", Wait.order.value: "-. after .->"}
_CLASSES: Final = (
    "classDef good fill:#d9f0e1,stroke:#2f8f5b,color:#1d2530",
    "classDef bad fill:#f8d4d4,stroke:#c93a3a,color:#1d2530",
    "classDef warn fill:#fbe7c4,stroke:#b7791f,color:#1d2530",
    "classDef run fill:#d3e4fb,stroke:#2f6fd0,color:#1d2530",
    "classDef wait fill:#f1f3f6,stroke:#a9b3c0,color:#1d2530",
    "classDef path stroke-width:4px",
)
_SPECIAL: Final = re.compile(r"[^\w .,:/()-]|_|^-|(?<=\d)\.(?= |$)")
"""What Mermaid, Markdown or HTML would take for something else than text, such as `1.` for a list."""


def mermaid_lines(facts: GraphFacts) -> Iterator[str]:
    """The lines of a flowchart: groups as frames, the critical path thick, conflicts as dotted lines."""
    name = {ticket.id: f"t{number}" for number, ticket in enumerate(facts.tickets, start=1)}  # no word of Mermaid
    yield "flowchart LR"
    for number, tickets in drawn_groups(facts):
        yield f'  subgraph g{number}["group {number}"]'
        yield from (f'    {name[each.id]}["{_ticket(each)}"]:::{style_of(each.status)}' for each in tickets)
        yield "  end"
    path = set(pairwise(facts.path))
    for ticket in facts.tickets:
        for need in ticket.drawn:
            wait = ticket.needs[need]
            arrow = "==>" if (need, ticket.id) in path and wait == Wait.success.value else _ARROWS[wait]
            yield f"  {name[need]} {arrow} {name[ticket.id]}"
    for place, conflict in enumerate(facts.conflicts, start=1):
        said = conflict.name if conflict.kind == "pair" else f"{conflict.kind} {conflict.name}"
        yield f'  c{place}{{{{"{escaped(said)}"}}}}'
        yield from (f"  c{place} -.- {name[id_]}" for id_ in conflict.tickets)
    if facts.path:
        yield f"  class {','.join(name[id_] for id_ in facts.path)} path"
    yield from (f"  {each}" for each in _CLASSES)


def why_not_drawn(lines: Sequence[str], facts: GraphFacts) -> str:
    """Why Mermaid would not draw it, as it is set up on most sites; empty if it would."""
    edges = sum(len(each.drawn) for each in facts.tickets) + sum(len(each.tickets) for each in facts.conflicts)
    letters = sum(len(line) + 1 for line in lines)
    if edges <= MOST_EDGES and letters <= MOST_LETTERS:
        return ""
    return (
        f"Mermaid draws at most {MOST_EDGES} lines and {MOST_LETTERS:,} letters unless it is set up otherwise; "
        f"here are {edges:,} and {letters:,}: --format dot and svg have no such limit"
    )


def _ticket(ticket: GraphTicket) -> str:
    return "<br/>".join(map(escaped, ticket.lines))


def escaped(said: str) -> str:
    """A line of text as it is, for between double quotes: special characters are written by their numbers."""
    return _SPECIAL.sub(lambda found: f"#{ord(found[0])};", printable(said))
