"""What is folded, where headings are, and how a fold is drawn between the lanes."""

from itertools import accumulate, pairwise

from hypothesis import given
from hypothesis import strategies as st

from parexec_tui.core.plan import graph
from parexec_tui.core.plan.graph import Graph
from parexec_tui.tui.drawing.graph.folding import MIN_FOLD, Folding
from parexec_tui.tui.drawing.graph.lanes import Lanes, with_glyph
from tests.tui.drawing.graph.graphs import arms, graph_of, graphs, lanes_of, text_of


def places(folding: Folding) -> list[tuple[str, int, int]]:
    return [(place.kind, place.start, place.stop) for place in map(folding.__getitem__, range(len(folding)))]


def done(text: str) -> list[bool]:
    """`+` for each row that is done."""
    return [sign == "+" for sign in text]


def test_a_run_of_what_is_done_is_one_place() -> None:
    assert places(Folding(done("++++.++.+++"))) == [
        ("fold", 0, 4),
        ("ticket", 4, 5),
        ("ticket", 5, 6),
        ("ticket", 6, 7),
        ("ticket", 7, 8),
        ("fold", 8, 11),
    ]


def test_a_row_that_is_to_be_shown_is_never_folded() -> None:
    assert places(Folding(done("+++++++"), shown={3})) == [("fold", 0, 3), ("ticket", 3, 4), ("fold", 4, 7)]


def test_nothing_is_folded_where_all_is_open() -> None:
    assert [kind for kind, *_ in places(Folding(done("++++"), is_open=True))] == ["ticket"] * 4


def test_groups_have_headings_and_a_group_that_is_done_is_its_heading() -> None:
    folding = Folding(done("++++.+++"), groups=(0, 4))

    assert places(folding) == [("fold", 0, 4), ("heading", 4, 4), ("ticket", 4, 5), ("fold", 5, 8)]
    assert [folding[index].group for index in range(4)] == [0, 1, None, None]


def test_a_group_without_tickets_has_no_heading() -> None:
    folding = Folding(done("++.."), groups=(0, 0, 2, 2))

    assert [(kind, start) for kind, start, _ in places(folding)] == [
        ("heading", 0),
        ("ticket", 0),
        ("ticket", 1),
        ("heading", 2),
        ("ticket", 2),
        ("ticket", 3),
    ]
    assert [folding[index].group for index in (0, 3)] == [1, 3]


@given(
    st.lists(st.booleans(), max_size=60),
    st.sets(st.integers(0, 59)),
    st.booleans(),
    st.none() | st.lists(st.integers(1, 9), min_size=1, max_size=60),
)
def test_each_row_has_its_place(rows: list[bool], shown: set[int], is_open: bool, sizes: list[int] | None) -> None:
    starts = [] if sizes is None else [at for at in accumulate(sizes, initial=0) if at < len(rows)]
    folding = Folding(rows, shown=shown, is_open=is_open, groups=starts)
    found = places(folding)

    covered = [row for kind, start, stop in found if kind != "heading" for row in range(start, stop)]
    assert covered == list(range(len(rows)))
    for row, is_done in enumerate(rows):
        kind, start, stop = found[folding.index(row)]
        assert start <= row < stop
        assert kind == "ticket" or (is_done and row not in shown and not is_open and stop - start >= MIN_FOLD)
    headed = [folding[at].group for at in range(len(folding)) if folding[at].group is not None]
    assert headed == list(range(len(starts)))


# -- drawn -----------------------------------------------------------------------------------------------------------


def picture(lanes: Lanes, folding: Folding) -> list[str]:
    found = []
    for place in map(folding.__getitem__, range(len(folding))):
        if place.kind == "fold":
            row = lanes.folded(place.start, place.stop)
            found.append(f"{text_of(row)} {place.stop - place.start} done")
        else:
            (row,) = lanes.rows(place.start, place.stop)
            found.append(f"{text_of(row)} {row.id}")
    return found


def test_a_fold_is_connected_to_what_its_tickets_were() -> None:
    lanes = lanes_of(graph_of("A:\nB: A\nC: B\nD:\nE: C\nF: C\nG: E F D"))

    assert picture(lanes, Folding(done("......."))) == [
        "○ A",
        "● B",
        "● C",
        "├─○─╮ E",
        "●───┤ F",
        "○   │ D",
        "●───╯ G",
    ]
    assert picture(lanes, Folding(done("+++...."))) == ["▸ 3 done", "├─○─╮ E", "●───┤ F", "○   │ D", "●───╯ G"]
    assert picture(lanes, Folding(done("++++++."))) == ["▸───╮ 6 done", "●───╯ G"]


@given(graphs(), st.data())
def test_lanes_go_on_through_a_fold(plan: Graph, data: st.DataObject) -> None:
    lanes = lanes_of(plan)
    count = len(lanes.order)
    folding = Folding(data.draw(st.lists(st.booleans(), min_size=count, max_size=count)))
    rows = [
        lanes.folded(place.start, place.stop) if place.kind == "fold" else lanes.rows(place.start, place.stop)[0]
        for place in map(folding.__getitem__, range(len(folding)))
    ]
    for above, below in pairwise(rows):
        for cell in range(0, max(len(above.cells), len(below.cells)), 2):
            if cell not in (above.node, below.node):
                assert arms(above, cell)[2] == arms(below, cell)[0]


def test_the_sign_of_a_status_stands_beside_the_ticket() -> None:
    lanes = lanes_of(graph_of("A:\nB: A\nC: A\nD: B C"))
    rows = [with_glyph(row, "✓") for row in lanes.rows(0, 4)]

    assert ["".join(cell.char for cell in cells) for cells, _ in rows] == ["○✓", "├─○✓", "●✓│", "●✓╯"]
    assert all(has_glyph for _, has_glyph in rows)
    assert not any(with_glyph(row, "+", ascii_only=True)[1] for row in lanes.rows(0, 4, ascii_only=True))


@given(graphs())
def test_by_group_needs_stand_above_too_and_groups_are_in_one_piece(plan: Graph) -> None:
    levels = graph.groups(plan)
    lanes = Lanes(plan, levels, by_group=True)

    assert all(lanes.row(need) < lanes.row(id_) for need, id_ in plan.edges())
    at = 0
    for level in levels:
        assert set(lanes.order[at : at + len(level)]) == set(level)
        at += len(level)
