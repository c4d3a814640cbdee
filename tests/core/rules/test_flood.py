"""Which attempt is stopped when logs fill the disk."""

from hypothesis import given
from hypothesis import strategies as st

from parexec_tui.core.rules.flood import AHEAD, Disk, Growth, has_filled, is_flood, worst_flood
from parexec_tui.core.state.process_key import ProcessKey

MIB, GIB = 2**20, 2**30


def key(ticket: str) -> ProcessKey:
    return ProcessKey(ticket, 1)


def found(free: float, floor: float = GIB, lost: float | None = None, **rates: float) -> str | None:
    """Whose flood it is. Unless it is said, the disk loses what logs get."""
    disk = Disk(int(free), int(floor), sum(rates.values()) if lost is None else lost)
    worst = worst_flood({key(ticket): Growth(rate) for ticket, rate in rates.items()}, disk)
    return worst.ticket if worst is not None else None


def test_nothing_is_done_while_there_is_room() -> None:
    assert found(100 * GIB, A=GIB) is None
    assert found(GIB + 80 * MIB, A=30 * MIB) is None
    assert found(0.5 * GIB) is None


def test_a_log_that_would_soon_fill_the_disk_is_a_flood() -> None:
    assert found(2.5 * GIB, A=GIB) == "A"
    assert found(GIB + 50 * MIB, A=30 * MIB, B=1000) == "A"
    assert found(0, A=2 * MIB) == "A"


def test_a_log_that_hardly_grows_is_none_though_nothing_is_free() -> None:
    assert found(0, A=1000) is None


def test_a_log_that_is_much_of_what_the_disk_lacks_has_filled_it_unless_it_grew_slowly() -> None:
    full = Disk(0, GIB)
    assert has_filled(GIB, 2, full)
    assert has_filled(600 * MIB, 60, full)
    assert not has_filled(400 * MIB, 1, full)
    assert not has_filled(600 * MIB, 5 * 3600, full)
    assert has_filled(60 * MIB, 1, Disk(GIB - 100 * MIB, GIB)) is False
    assert not has_filled(9 * GIB, 1, Disk(GIB, GIB))
    assert not has_filled(9 * GIB, 1, Disk(0, 0))


def test_the_worst_goes_first() -> None:
    assert found(2 * GIB, A=GIB, B=2 * GIB, C=MIB) == "B"
    assert found(2 * GIB, A=400 * MIB, B=300 * MIB) == "A"


def test_a_log_that_grows_slowly_is_never_blamed_while_much_is_free() -> None:
    assert found(GIB + MIB, A=10 * MIB) is None
    assert found(0.9 * GIB, A=10 * MIB) is None
    assert found(0.1 * GIB, A=10 * MIB) == "A"


def test_nobody_is_blamed_for_what_others_write() -> None:
    assert found(GIB, lost=GIB, A=100 * MIB) is None
    assert found(GIB, lost=GIB, A=600 * MIB) == "A"


def test_a_log_that_will_be_cut_takes_no_more_than_that() -> None:
    disk = Disk(3 * GIB, GIB, GIB)
    assert worst_flood({key("A"): Growth(GIB, most=GIB)}, disk) is None
    assert worst_flood({key("A"): Growth(GIB, most=GIB), key("B"): Growth(GIB, most=1.5 * GIB)}, disk) is not None


def test_without_a_floor_the_disk_is_ignored() -> None:
    assert found(0, floor=0, A=GIB) is None


sizes = st.integers(0, 2**44)
rates = st.dictionaries(st.sampled_from("ABCDE"), st.floats(0, 2**34), max_size=5)


@given(rates, sizes, sizes, st.floats(0, 2**36))
def test_who_is_stopped_is_a_flood_and_the_worst_one(
    logs: dict[str, float], free: int, floor: int, lost: float
) -> None:
    worst = found(free, floor, lost, **logs)
    if worst is None:
        return
    disk = Disk(free, floor, lost)
    assert floor
    assert is_flood(logs[worst], disk)
    assert logs[worst] == max(logs.values())
    assert free - floor < AHEAD * sum(logs.values())
    assert 2 * sum(logs.values()) >= lost


@given(rates, sizes, sizes)
def test_stopping_one_after_the_other_ends_with_no_danger_from_floods(
    logs: dict[str, float], free: int, floor: int
) -> None:
    left = dict(logs)
    while (worst := found(free, floor, **left)) is not None:
        del left[worst]
    disk = Disk(free, floor, sum(left.values()))
    assert (
        not floor or free - AHEAD * sum(left.values()) >= floor or not any(is_flood(r, disk) for r in left.values())
    )


@given(rates, sizes, sizes, st.integers(0, 2**40))
def test_more_room_never_makes_it_worse(logs: dict[str, float], free: int, floor: int, more: int) -> None:
    if found(free, floor, **logs) is None:
        assert found(free + more, floor, **logs) is None
