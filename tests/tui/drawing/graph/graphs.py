"""Graphs as text, one line per ticket (`B: A` means that B needs A), and drawings read back into edges."""

from itertools import pairwise, product

from hypothesis import strategies as st

from parexec_tui.core.plan import graph
from parexec_tui.core.plan.graph import Graph
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.tui.drawing.graph.canvas import CanvasCell
from parexec_tui.tui.drawing.graph.lanes import LaneRow, Lanes
from parexec_tui.tui.drawing.graph.lines import line
from parexec_tui.tui.drawing.graph.neighbourhood import Neighbourhood

Arms = tuple[int, int, int, int]
"""Up, right, down and left: weights."""

NONE: Arms = (0, 0, 0, 0)
ARMS: dict[str, Arms] = {
    line(up, right, down, left): (up, right, down, left) for up, right, down, left in product(range(3), repeat=4)
}


def graph_of(text: str) -> Graph:
    lines = (line.split(":") for line in text.strip().splitlines())
    return graph.build({id_.strip(): Ticket(run="true", needs=tuple(needs.split())) for id_, needs in lines})


def fan(count: int) -> Graph:
    """A ticket that so many others need, all of which one more needs."""
    middle = [f"t{number}" for number in range(count)]
    return graph_of("first:\n" + "\n".join(f"{id_}: first" for id_ in middle) + f"\nlast: {' '.join(middle)}")


@st.composite
def graphs(draw: st.DrawFn, max_tickets: int = 25) -> Graph:
    """Acyclic graphs, planned by their ids or backwards (T10 is before T2); more needs are near than far."""
    size = draw(st.integers(1, max_tickets))
    needs: dict[str, list[str]] = {f"T{number}": [] for number in range(size)}
    for number, back in draw(
        st.lists(
            st.tuples(st.integers(0, size - 1), st.sampled_from((1, 1, 1, 2, 2, 3, 5, 8, 13))), max_size=3 * size
        )
    ):
        if number >= back and f"T{number - back}" not in needs[f"T{number}"]:
            needs[f"T{number}"].append(f"T{number - back}")
    plan = sorted(needs, reverse=draw(st.booleans()))
    numbers = draw(st.dictionaries(st.sampled_from(plan), st.integers(2, 9), max_size=2))  # then groups may be empty
    return graph.build({id_: Ticket(run="true", needs=tuple(needs[id_])) for id_ in plan}, numbers)


# -- lanes -----------------------------------------------------------------------------------------------------------


def lanes_of(graph_: Graph, *, max_columns: int = 12) -> Lanes:
    return Lanes(graph_, graph.groups(graph_), max_columns=max_columns)


def rows_of(lanes: Lanes) -> list[LaneRow]:
    return lanes.rows(0, len(lanes.order))


def text_of(row: LaneRow) -> str:
    return "".join(cell.char for cell in row.cells)


def drawn(lanes: Lanes, *, ascii_only: bool = False) -> list[str]:
    """Each row with its ticket, in columns."""
    rows = lanes.rows(0, len(lanes.order), ascii_only=ascii_only)
    width = max(len(row.cells) for row in rows)
    return [f"{text_of(row):<{width}}  {row.id}" for row in rows]


_SIGNS: dict[str, Arms] = {**ARMS, "●": (1, 0, 0, 0), "○": (0, 0, 0, 0), "◂": (0, 1, 0, 1)}
"""A ticket has an arm up where it is not hollow; its others are seen from what is beside and below it."""


def arms(row: LaneRow, cell: int) -> Arms:
    return _SIGNS.get(row.cells[cell].char, NONE) if cell < len(row.cells) else NONE


def _connected(row: LaneRow, step: int) -> list[int]:
    """Cells of the lanes that a line from the ticket to one side (step -1 or 1) joins; others are crossed."""
    towards, outwards = (3, 1) if step > 0 else (1, 3)
    found, at = [], row.node + step
    while 0 <= at < len(row.cells):
        up, _, down, _ = own = arms(row, at)
        is_crossed = (up or down) and not own[towards]
        if not own[towards] and not is_crossed:
            break
        if own[towards] and (up or down):
            found.append(at)
        if not is_crossed and not own[outwards]:
            break
        if is_crossed and not arms(row, at - step)[outwards] and at - step != row.node:
            break
        at += step
    return found


def _is_outgoing(row: LaneRow, side: list[int]) -> bool:
    """Whether the lines to the right go out: they do unless one comes in, from a lane that ends or by an arrow."""
    return all(arms(row, cell)[2] for cell in side) and "◂" not in text_of(row)


def traced_lanes(rows: list[LaneRow]) -> dict[str, list[str]]:
    """ticket: those that a reader of the drawing finds below it, each as often as there are ways to it."""
    lefts, rights = ([_connected(row, step) for row in rows] for step in (-1, 1))
    found: dict[str, list[str]] = {}
    for number, row in enumerate(rows):
        lanes = [row.node]
        if _is_outgoing(row, rights[number]):
            lanes += rights[number]
        found[row.id] = []
        for lane in lanes:
            for below in range(number + 1, len(rows)):
                other = rows[below]
                if not arms(other, lane)[0]:
                    break
                comes_in = lane in lefts[below] or (lane in rights[below] and not _is_outgoing(other, rights[below]))
                if lane == other.node or comes_in:
                    found[row.id].append(other.id)
                if lane == other.node or not arms(other, lane)[2]:
                    break
    return found


# -- neighbourhoods --------------------------------------------------------------------------------------------------


def lines_of(drawing: Neighbourhood) -> list[str]:
    """The drawing as text, without blank rows around it."""
    lines = ["".join(cell.char for cell in row).rstrip() for row in drawing.cells]
    while lines and not lines[-1]:
        lines.pop()
    while lines and not lines[0]:
        lines.pop(0)
    return lines


def traced_edges(drawing: Neighbourhood) -> set[tuple[str, str]]:
    """Pairs of what a reader finds connected who follows lines to the right, up and down; counts have a +."""
    found = set()
    for y, row in enumerate(drawing.cells):
        for x, (cell, next_) in enumerate(pairwise(row)):
            if cell.ticket is not None and cell.kind != "edge" and next_.kind == "edge" and ARMS[next_.char][3]:
                found |= {(_end(cell), end) for end in _ends(drawing, x + 1, y)}
    return found


def _end(cell: CanvasCell) -> str:
    return f"+{cell.ticket}" if cell.kind == "more" else str(cell.ticket)


def _ends(drawing: Neighbourhood, x: int, y: int) -> set[str]:
    found, todo = set(), [(x, y, "right")]
    seen = set(todo)
    while todo:
        x, y, heading = todo.pop()
        cell = drawing.cells[y][x]
        if cell.kind != "edge":
            assert heading == "right", f"a line ends at the top or bottom of {cell}"
            assert cell.ticket is not None, f"a line ends nowhere at {x}, {y}"
            found.add(_end(cell))
            continue
        up, right, down, left = ARMS[cell.char]
        if heading == "right" and not left:
            steps = [(x + 1, y, "right")]  # it is broken here, and goes on behind
        else:
            steps = [(x + 1, y, "right")] if right else []
            steps += [(x, y - 1, "up")] if up and heading != "down" else []
            steps += [(x, y + 1, "down")] if down and heading != "up" else []
        todo += [step for step in steps if step not in seen]
        seen.update(steps)
    return found
