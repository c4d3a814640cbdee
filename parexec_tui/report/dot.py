"""The dependency graph in the language of Graphviz."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from parexec_tui.core.plan.waits import Wait
from parexec_tui.report.drawings.graph import style_of
from parexec_tui.report.graph_facts import GraphFacts, GraphTicket, drawn_groups
from parexec_tui.text.words import printable

_EDGES = {Wait.success.value: "", Wait.end.value: "style=dashed", Wait.order.value: "style=dotted"}
_FILLS = {"good": "#d9f0e1", "bad": "#f8d4d4", "warn": "#fbe7c4", "run": "#d3e4fb", "wait": "#f1f3f6"}


def dot_lines(facts: GraphFacts) -> Iterator[str]:
    """The lines of a file for `dot`: groups as ranks, the critical path bold, conflicts as dashed lines."""
    yield f"digraph {_quoted(facts.plan)} {{"
    yield "  rankdir=LR;"
    yield '  node [shape=box, style="rounded,filled", fontname="sans-serif"];'
    for number, tickets in drawn_groups(facts):
        yield f"  subgraph group_{number} {{"
        yield "    rank=same;"
        yield from (f"    {_quoted(each.id)} [{_ticket(each)}];" for each in tickets)
        yield "  }"
    path = set(pairwise(facts.path))
    for ticket in facts.tickets:
        for need in ticket.drawn:
            how = [_EDGES[ticket.needs[need]], "penwidth=3" if (need, ticket.id) in path else ""]
            yield f"  {_quoted(need)} -> {_quoted(ticket.id)}{_listed(how)};"
    for place, conflict in enumerate(facts.conflicts, start=1):
        node = _quoted(f" conflict {place}")  # no id begins with a blank
        said = conflict.name if conflict.kind == "pair" else f"{conflict.kind} {conflict.name}"
        yield f"  {node} [label={_label(said)}, shape=octagon, style=dashed];"
        for id_ in conflict.tickets:
            yield f"  {node} -> {_quoted(id_)} [dir=none, style=dashed, color=gray, constraint=false];"
    yield "}"


def _ticket(ticket: GraphTicket) -> str:
    said = "\n".join(ticket.lines)
    path = ", penwidth=3" if ticket.on_path else ""
    return f'label={_label(said)}, fillcolor="{_FILLS[style_of(ticket.status)]}"{path}'


def _listed(attributes: Sequence[str]) -> str:
    written = ", ".join(filter(None, attributes))
    return f" [{written}]" if written else ""


def _quoted(name: str) -> str:
    """A name as it is: in one, nothing but the quote is escaped."""
    return '"{}"'.format(printable(name).replace('"', '\\"'))


def _label(said: str) -> str:
    """Text as it is, several lines as lines. In labels, `\\N` and `&amp;` would mean something."""
    lines = (printable(line).replace("\\", "\\\\").replace("&", "&amp;") for line in said.split("\n"))
    return '"{}"'.format("\\n".join(lines).replace('"', '\\"'))
