"""The cells of a row of tickets: they fill it, and WHY is cut last."""

from hypothesis import given
from hypothesis import strategies as st

from parexec_tui.tui.drawing.ticket_columns import WHY_WANTED, RowKind, TicketColumns, ticket_columns

KINDS: tuple[RowKind, ...] = ("pending", "stopped", "untold", "running")

widths = st.integers(0, 400)
ids = st.integers(2, 80)
agents = st.integers(5, 30)


def taken(columns: TicketColumns) -> int:
    """Cells of the whole row: each column but the last has a blank after it."""
    return sum(cells + 1 for cells in columns[:-1] if cells) + columns.why


@given(widths, ids, agents)
def test_the_columns_fill_the_row(width: int, longest: int, agent: int) -> None:
    columns = ticket_columns(width, longest, agent)
    assert min(columns) >= 0
    assert taken(columns) == width or width < 4


@given(widths, ids, agents)
def test_no_reason_gives_cells_to_an_optional_column_before_it_has_what_it_wants(
    width: int, longest: int, agent: int
) -> None:
    columns = ticket_columns(width, longest, agent)
    if columns.title or columns.priority:
        assert all(columns.reason(kind) >= WHY_WANTED for kind in KINDS)
    assert columns.reason("pending") >= min(WHY_WANTED, width - columns.status - columns.id_ - 2)


@given(widths, ids, agents)
def test_a_wider_screen_never_cuts_a_reason_that_was_whole(width: int, longest: int, agent: int) -> None:
    narrow, wide = ticket_columns(width, longest, agent), ticket_columns(width + 1, longest, agent)
    assert min(WHY_WANTED, wide.reason("pending")) >= min(WHY_WANTED, narrow.reason("pending")) - _id_grew(
        narrow, wide
    )


def _id_grew(narrow: TicketColumns, wide: TicketColumns) -> int:
    """Cells that ids and the word of the status, which are always there, have more."""
    return wide.id_ + wide.status - narrow.id_ - narrow.status


@given(widths, ids, agents)
def test_ids_grow_with_the_width(width: int, longest: int, agent: int) -> None:
    narrow, wide = ticket_columns(width, longest, agent), ticket_columns(width + 60, longest, agent)
    assert narrow.id_ <= longest
    assert narrow.id_ <= wide.id_


def test_what_a_row_is_at_usual_widths() -> None:
    assert ticket_columns(36, 13, 9) == TicketColumns(1, 12, 0, 0, 6, 0, 0, 0, 14)
    assert ticket_columns(76, 13, 9) == TicketColumns(13, 13, 0, 0, 6, 9, 0, 8, 22)
    assert ticket_columns(116, 13, 9) == TicketColumns(13, 13, 17, 0, 6, 9, 0, 8, 44)
    assert ticket_columns(196, 13, 9) == TicketColumns(13, 13, 40, 8, 6, 9, 0, 8, 92)


def test_the_host_has_a_column_where_a_reason_loses_nothing_by_it() -> None:
    assert ticket_columns(76, 13, 9, hosts=7) == ticket_columns(76, 13, 9)
    assert ticket_columns(106, 13, 9, hosts=7) == TicketColumns(13, 13, 0, 0, 6, 9, 7, 8, 44)
    assert ticket_columns(196, 13, 9, hosts=30) == TicketColumns(13, 13, 40, 8, 6, 9, 12, 8, 79)
    assert [ticket_columns(76, 13, 9).reason(kind) for kind in KINDS] == [48, 41, 31, 22]
