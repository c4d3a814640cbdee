"""Durations and sizes: what is read, what is refused, and that what is written reads back."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parexec_tui.core.plan.units import (
    DURATION_PATTERN,
    MAX_DURATION,
    MAX_SIZE,
    SIZE_PATTERN,
    Duration,
    Size,
    format_count,
    format_duration,
    format_money,
    format_size,
    format_tokens,
    quoted_name,
    write_duration,
)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("45s", 45),
        ("30m", 1800),
        ("1h30m", 5400),
        (" 1h 30m ", 5400),
        ("250ms", 0.25),
        ("1.5d", 129_600),
        ("0s", 0),
        (90, 90),
        (0.5, 0.5),
    ],
)
def test_durations_are_read(written: object, seconds: float) -> None:
    assert Duration.parse(written) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "written",
    [
        "", " ", "s", "5", "5 minutes", "-5s", "5s!", "1h30", "٣s", "1e3s", "1" * 31 + "s", "9" * 30 + "d",
        -1, True, None, [], {}, float("nan"), float("inf"), 10**400, MAX_DURATION + 1,
    ],
)  # fmt: skip
def test_other_durations_are_refused(written: object) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        Duration.parse(written)


@pytest.mark.parametrize(
    ("written", "size"),
    [
        ("512MiB", 512 * 2**20),
        ("2G", 2 * 2**30),
        ("1.5GB", 1_500_000_000),
        ("1kb", 1000),
        ("1 k", 1024),
        ("7", 7),
        ("7B", 7),
        ("9007199254740993", 9007199254740993),
        (0, 0),
        (MAX_SIZE, MAX_SIZE),
    ],
)
def test_sizes_are_read(written: object, size: int) -> None:
    assert Size.parse(written) == size


@pytest.mark.parametrize(
    "written",
    ["", "MiB", "-1", "1PiB", "1 2", "1e3", "9" * 30 + "T", "9" * 5000, -1, True, 1.5, None, [], MAX_SIZE + 1],
)
def test_other_sizes_are_refused(written: object) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        Size.parse(written)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("src/ä.py", "src/ä.py"),
        ("in dir/f", '"in dir/f"'),
        ("", '""'),
        ('a"b', '"a\\"b"'),
        ("a\nb\x01", '"a\\nb\\001"'),
        ("a,\\", '"a,\\\\"'),
    ],
)
def test_the_name_of_a_file_is_in_quotes_where_it_would_not_be_clear(name: str, said: str) -> None:
    assert quoted_name(name) == said


def test_a_message_stays_short() -> None:
    with pytest.raises(ValueError, match="is not a size") as caught:
        Size.parse("x" * 10_000)

    assert len(str(caught.value)) < 200


@given(st.floats(0, MAX_DURATION))
def test_a_written_duration_reads_back(seconds: float) -> None:
    text = format_duration(seconds)

    assert Duration.parse(text) == pytest.approx(seconds, rel=1 / 60, abs=0.0501)


@given(st.integers(0, 2**50))
def test_a_written_size_reads_back(size: int) -> None:
    assert Size.parse(format_size(size)) == pytest.approx(size, rel=0.051)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.00s"), (0.42, "0.42s"), (12.34, "12.3s"), (59.94, "59.9s"), (59.96, "1m00s"), (245, "4m05s"),
     (3599.6, "1h00m"), (8040, "2h14m"), (3 * 86400 + 4 * 3600, "3d04h")],
)  # fmt: skip
def test_durations_are_written_in_at_most_two_units(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize("text", ["0s", "0.4s", "0.1s", "2.5s", "90.3s", "1h30m", "100000000.5s"])
def test_a_duration_is_written_as_short_as_it_can_be_read_again(text: str) -> None:
    assert write_duration(Duration.parse(text)) == text


@given(st.floats(0, 10**9))
def test_a_duration_that_is_written_reads_back(seconds: float) -> None:
    assert Duration.parse(write_duration(seconds)) == pytest.approx(seconds, abs=1e-30)


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0B"), (1023, "1023B"), (1024, "1KiB"), (1536, "1.5KiB"), (512 * 2**20, "512MiB"), (2**41, "2.0TiB")],
)
def test_sizes_are_written_in_the_largest_unit(size: int, text: str) -> None:
    assert format_size(size) == text


@given(st.text("0123456789. smhdk", max_size=12))
def test_the_pattern_of_the_schema_accepts_what_is_read_as_a_duration(text: str) -> None:
    assert bool(re.fullmatch(DURATION_PATTERN, text)) == _is_read(Duration, text)


@given(st.text("0123456789. KkMiIbBGT", max_size=8))
def test_the_pattern_of_the_schema_accepts_what_is_read_as_a_size(text: str) -> None:
    assert bool(re.fullmatch(SIZE_PATTERN, text)) == _is_read(Size, text)


def _is_read(unit: type[Duration] | type[Size], text: str) -> bool:
    try:
        unit.parse(text)
    except ValueError as error:
        return "must be from 0" in str(error)  # too long, yet well written
    return True


def test_a_size_that_is_well_written_and_too_large_is_told_how_large_it_may_be() -> None:
    with pytest.raises(ValueError, match=rf"'8400000T' is not a size: it must be from 0 to {MAX_SIZE} bytes"):
        Size.parse("8400000T")


@pytest.mark.parametrize(("count", "text"), [(0, "0 processes"), (1, "1 process"), (2, "2 processes")])
def test_a_count_has_its_noun(count: int, text: str) -> None:
    assert format_count(count, "process", "processes") == text
    assert format_count(count, "file") == f"{count} {'file' if count == 1 else 'files'}"


@pytest.mark.parametrize(
    ("dollars", "text"),
    [
        (0.0, "$0"),
        (2.0, "$2"),
        (3.125, "$3.12"),
        (0.5, "$0.50"),
        (0.0042, "$0.0042"),
        (0.0187, "$0.0187"),
        (0.05, "$0.05"),
        (1234.5, "$1,234.50"),
    ],
)
def test_money_is_written_with_its_cents(dollars: float, text: str) -> None:
    assert format_money(dollars) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0"), (999, "999"), (1000, "1.0k"), (8_449, "8.4k"), (84_000, "84k"), (999_499, "999k"), (999_500, "1.0M"),
     (4_120_000, "4.1M"), (12_000_000, "12M")],
)  # fmt: skip
def test_tokens_are_written_in_few_digits(count: int, text: str) -> None:
    assert format_tokens(count) == text
