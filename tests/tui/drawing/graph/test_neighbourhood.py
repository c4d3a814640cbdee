"""Neighbourhoods, as drawings and as what can be read back from them."""

from collections.abc import Collection, Iterator, Sequence
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parexec_tui.core.plan.graph import Graph
from parexec_tui.tui.drawing.graph.neighbourhood import Direction, Label, Neighbourhood, neighbourhood
from parexec_tui.tui.drawing.graph.selection import Surroundings
from tests.tui.drawing.graph.graphs import fan, graph_of, graphs, lines_of, traced_edges


def around(
    centre: str,
    graph: Graph | str,
    width: int = 78,
    height: int = 8,
    *,
    label: Label = lambda id_: (id_,),
    keep: Sequence[str] = (),
    critical: Sequence[str] = (),
    ascii_only: bool = False,
) -> Neighbourhood:
    built = graph_of(graph) if isinstance(graph, str) else graph
    return neighbourhood(
        centre,
        Surroundings(built.needs.__getitem__, built.dependents.__getitem__),
        label,
        width=width,
        height=height,
        keep=keep,
        critical=critical,
        ascii_only=ascii_only,
    )


def picture(text: str) -> list[str]:
    return dedent(text).strip("\n").splitlines()


def drawn(drawing: Neighbourhood) -> list[str]:
    return dedent("\n".join(lines_of(drawing))).splitlines()


BUILD = "fetch:\nconfigure:\nbuild: fetch configure\nunit: build\nbrowser: build\nlint: build\nrelease: unit browser"


def test_needs_at_the_left_dependents_at_the_right_two_levels_of_each() -> None:
    assert drawn(around("build", BUILD)) == picture("""
                                      ╭──── unit ───────╮
        fetch ────────┬────[build]────┼──── browser ────┴──── release
        configure ────╯               ╰──── lint
    """)


def test_a_wide_panel_has_boxes() -> None:
    assert drawn(around("build", BUILD, 120, 24, label=lambda id_: (id_, f"do {id_}"))) == picture("""
                                                      ╭────────────╮
                                                      │ unit       │
        ╭──────────────╮                         ╭────┤ do unit    ├────╮    ╭────────────╮
        │ fetch        │                         │    ╰────────────╯    │    │ release    │
        │ do fetch     ├────╮    ╔══════════╗    │    ╭────────────╮    ├────┤ do release │
        ╰──────────────╯    │    ║ build    ║    │    │ browser    │    │    ╰────────────╯
        ╭──────────────╮    ├────╢ do build ╟────┼────┤ do browser ├────╯
        │ configure    │    │    ╚══════════╝    │    ╰────────────╯
        │ do configure ├────╯                    │    ╭────────────╮
        ╰──────────────╯                         │    │ lint       │
                                                 ╰────┤ do lint    │
                                                      ╰────────────╯
    """)


def test_in_ascii() -> None:
    drawing = around("build", BUILD, critical=["fetch", "build", "unit", "release"], ascii_only=True)

    assert drawn(drawing) == picture(r"""
                                      /==== unit =======\
        fetch ========+====[build]====+---- browser ----+==== release
        configure ----/               \---- lint
    """)


def test_an_edge_to_a_ticket_further_on_runs_past_those_between() -> None:
    assert drawn(around("B", "A:\nB: A\nC: A B\nD: A C")) == picture("""
        A ────┬────[B]────╭──── C ────┬──── D
              ╰───────────┴───────────╯
    """)


def test_with_less_room_a_box_has_the_id_and_no_title() -> None:
    drawing = around("build", BUILD, 72, 11, label=lambda id_: (f"+ {id_}", f"do {id_}, and more than has room here"))

    assert drawn(drawing) == picture("""
                                              ╭───────────╮
                                          ╭───┤ + unit    ├──╮
        ╭─────────────╮                   │   ╰───────────╯  │   ╭───────────╮
        │ + fetch     ├──╮                │   ╭───────────╮  ├───┤ + release │
        ╰─────────────╯  │   ╔═════════╗  ├───┤ + browser ├──╯   ╰───────────╯
        ╭─────────────╮  ├───╢ + build ╟──┤   ╰───────────╯
        │ + configure ├──╯   ╚═════════╝  │   ╭───────────╮
        ╰─────────────╯                   ╰───┤ + lint    │
                                              ╰───────────╯
    """)


def test_in_a_narrow_panel_neighbours_are_left_out_before_boxes_are() -> None:
    drawing = around("first", fan(20), 44, 12, label=lambda id_: (f"+ {id_}-and-a-long-name", "no title"))

    assert drawn(drawing) == picture("""
                                ╭──────────────────╮
                             ╭──┤ + t0-and…ng-name │
                             │  ╰──────────────────╯
                             │  ╭──────────────────╮
        ╔══════════════════╗ ├──┤ + t1-and…ng-name │
        ║ + first-…ng-name ╟─┤  ╰──────────────────╯
        ╚══════════════════╝ │  ╭──────────────────╮
                             ├──┤ + t2-and…ng-name │
                             │  ╰──────────────────╯
                             ╰── +17 more
    """)


def test_a_line_that_is_joined_is_broken_and_goes_on_behind() -> None:
    """B is needed by C and D, A by C only: who follows A's line cannot come to D."""
    assert drawn(around("E", "A:\nB:\nC: A B\nD: B\nE: C D")) == picture("""
        A ────╭──── C ────┬────[E]
        B ────┴──── D ────╯
    """)


KNOT = "a:\nb:\nc:\np: a b\nq: a b\nr: a c\nz: p q r"


def test_layers_stand_a_row_apart_where_their_lines_would_run_over_each_other() -> None:
    assert drawn(around("z", KNOT)) == picture("""
        b ───╮
             ├─╭─── p ───╮
        a ───│─┤         │
             ╰─├─── q ───┼───[z]
        c ───╮ │         │
             ╰─╰─── r ───╯
    """)


def test_boxes_stand_a_row_apart_too() -> None:
    assert drawn(around("z", KNOT, 120, 18)) == picture("""
        ╭───╮         ╭───╮
        │ b ├───╮     │ p │
        │   │   ├─╭───┤   ├───╮
        ╰───╯   │ │   ╰───╯   │
        ╭───╮   │ │   ╭───╮   │   ╔═══╗
        │ a ├───│─┤   │ q │   │   ║ z ║
        │   │   ╰─├───┤   ├───┼───╢   ║
        ╰───╯     │   ╰───╯   │   ╚═══╝
        ╭───╮     │   ╭───╮   │
        │ c ├───╮ │   │ r │   │
        │   │   ╰─╰───┤   ├───╯
        ╰───╯         ╰───╯
    """)


def test_the_critical_path_is_heavy() -> None:
    drawing = around("build", BUILD, critical=["fetch", "build", "unit", "release"])

    assert drawn(drawing) == picture("""
                                      ┏━━━━ unit ━━━━━━━┓
        fetch ━━━━━━━━┯━━━━[build]━━━━╃──── browser ────┺━━━━ release
        configure ────╯               ╰──── lint
    """)
    heavy = {cell.ticket for row in drawing.cells for cell in row if cell.heavy and cell.kind == "text"}
    assert heavy == {"fetch", "build", "unit", "release"}


def test_what_does_not_fit_is_counted() -> None:
    assert drawn(around("first", fan(20), 60, 6)) == picture("""
                   ╭──── t0 ──────────╮
                   ├──── t1 ──────────┤
        [first]────┼──── t2 ──────────┼──── last
                   ├──── t3 ──────────┤
                   ├──── t4 ──────────╯
                   ╰──── +15 more
    """)


def test_the_neighbour_that_one_came_from_is_kept() -> None:
    assert "t15" in drawn(around("first", fan(20), 60, 6, keep=["t15", "nobody"]))[0]


def test_a_long_text_is_cut_and_wide_signs_take_two_cells() -> None:
    drawing = around("A", "A:\nB: A", 30, 3, label=lambda id_: (id_, "日本語のタイトル"))

    assert drawn(drawing) == ["[A 日本語の…]──── B 日本語の…"]
    assert all(len(row) == 30 for row in drawing.cells)


@pytest.mark.parametrize(("width", "expected"), [(24, "ABCD…GHIJ ───[AB]─── X"), (10, "[AB]"), (2, "[…"), (0, "")])
def test_in_a_narrow_panel_the_ticket_stays(width: int, expected: str) -> None:
    assert "\n".join(drawn(around("AB", "ABCDEFGHIJ:\nAB: ABCDEFGHIJ\nX: AB", width, 3))) == expected


# -- moving --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("from_id", "direction", "expected"),
    [
        ("build", "left", "fetch"),
        ("build", "right", "browser"),
        ("browser", "up", "unit"),
        ("browser", "down", "lint"),
        ("lint", "down", None),
        ("lint", "right", None),
        ("unit", "right", "release"),
        ("release", "left", "browser"),
        ("configure", "up", "fetch"),
        ("fetch", "up", None),
        ("nobody", "left", None),
    ],
)
def test_keys_move_along_edges(from_id: str, direction: Direction, expected: str | None) -> None:
    assert around("build", BUILD).move(from_id, direction) == expected


# -- what holds of all drawings ------------------------------------------------------------------------------------

SIZES = st.sampled_from([(78, 18), (58, 14), (120, 30), (100, 12), (40, 8), (20, 4), (200, 60)])


@st.composite
def drawings(draw: st.DrawFn) -> tuple[Graph, Neighbourhood]:
    graph = draw(graphs())
    width, height = draw(SIZES)
    centre = draw(st.sampled_from(list(graph.needs)))
    return graph, around(centre, graph, width, height)


@given(drawings())
def test_what_can_be_read_from_a_drawing_is_the_graph(case: tuple[Graph, Neighbourhood]) -> None:
    """Every edge between shown tickets can be followed, and nothing else; the rest is counted."""
    graph, drawing = case
    shown = {id_ for layer in drawing.layers for id_ in layer}
    counts = {(f"+{c.ticket}", c.ticket) if c.side < 0 else (c.ticket, f"+{c.ticket}") for c in drawing.counts}
    edges = {(need, id_) for need, id_ in graph.edges() if {need, id_} <= shown}

    has_room_for_counts = any(cell.kind == "more" for row in drawing.cells for cell in row)
    assert traced_edges(drawing) == edges | (counts if has_room_for_counts else set())
    assert has_room_for_counts or not counts or len(shown) == 1
    for count in drawing.counts:
        links = graph.needs if count.side < 0 else graph.dependents
        assert count.number == len(links[count.ticket].keys() - shown)


@given(drawings())
def test_each_ticket_is_drawn_once_in_one_piece(case: tuple[Graph, Neighbourhood]) -> None:
    _, drawing = case
    places: dict[str, set[tuple[int, int]]] = {}
    for y, row in enumerate(drawing.cells):
        for x, cell in enumerate(row):
            if cell.kind in ("text", "border") and cell.ticket is not None:
                places.setdefault(cell.ticket, set()).add((x, y))

    assert places.keys() == {id_ for layer in drawing.layers for id_ in layer}
    for id_, own in places.items():
        xs, ys = sorted({x for x, _ in own}), sorted({y for _, y in own})
        assert xs == list(range(xs[0], xs[-1] + 1))
        assert ys == list(range(ys[0], ys[-1] + 1))
        inside = {(x, y) for x in xs for y in ys} - own
        assert all(drawing.cells[y][x].kind == "blank" for x, y in inside), f"something lies in the box of {id_}"


@given(graphs(), SIZES, st.data())
def test_the_cells_fill_the_panel_and_are_ascii_where_asked(
    graph: Graph, size: tuple[int, int], data: st.DataObject
) -> None:
    centre = data.draw(st.sampled_from(list(graph.needs)))
    drawing = around(centre, graph, *size, ascii_only=True)

    assert [len(row) for row in drawing.cells] == [size[0]] * size[1]
    assert all(cell.char.isascii() and len(cell.char) == 1 for row in drawing.cells for cell in row)


@given(drawings(), st.sampled_from(["left", "right", "up", "down"]))
def test_a_step_leads_to_a_need_a_dependent_or_along_the_layer(
    case: tuple[Graph, Neighbourhood], direction: Direction
) -> None:
    graph, drawing = case
    layer_of = {id_: number for number, layer in enumerate(drawing.layers) for id_ in layer}
    for id_, layer in layer_of.items():
        if (to := drawing.move(id_, direction)) is not None:
            expected = {
                "left": to in graph.needs[id_],
                "right": id_ in graph.needs[to],
                "up": layer_of[to] == layer and drawing.move(to, "down") == id_,
                "down": layer_of[to] == layer and drawing.move(to, "up") == id_,
            }
            assert expected[direction]


class Counted(Collection[str]):
    """Says how many there are, and who is among them; counts how many it had to name."""

    def __init__(self, ids: Collection[str]) -> None:
        self._ids = ids
        self.named = 0

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, id_: object) -> bool:
        return id_ in self._ids

    def __iter__(self) -> Iterator[str]:
        for id_ in self._ids:
            self.named += 1
            yield id_


def test_of_10000_dependents_only_as_many_are_looked_at_as_there_are_rows() -> None:
    graph = fan(10_000)
    asked: list[Counted] = []

    def links(ids: Collection[str]) -> Counted:
        asked.append(Counted(ids))
        return asked[-1]

    surroundings = Surroundings(
        lambda id_: links(graph.needs[id_].keys()), lambda id_: links(graph.dependents[id_].keys())
    )
    drawing = neighbourhood("first", surroundings, lambda id_: (id_,), width=78, height=8)

    assert [count.number for count in drawing.counts] == [9993]
    assert max(each.named for each in asked) <= 19
    assert len(asked) < 2_000
