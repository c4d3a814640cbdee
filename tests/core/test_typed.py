"""What a person types for a value."""

import pytest

from parexec_tui.core.typed import Count, read_count, read_value


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("retries", "3", 3),
        ("timeout", "30m", "30m"),
        ("run", "true", "true"),
        ("run", "make test", "make test"),
        ("run", '"make test"', "make test"),
        ("title", "5", "5"),
        ("title", "2024-01-01", "2024-01-01"),
        ("needs", '["A", "B"]', ["A", "B"]),
        ("needs", "[A]", "[A]"),
        ("env", '{A = "1"}', {"A": "1"}),
        ("env", "{A = 2024-01-01}", "{A = 2024-01-01}"),
        ("estimate", "nan", "nan"),
        ("retries", "1\nother = 2", "1\nother = 2"),
        ("agent", "", None),
    ],
)
def test_values_are_toml_where_they_can_be(key: str, text: str, value: object) -> None:
    assert read_value(key, text) == value


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("4", Count(4)),
        ("+1", Count(1, relative=True)),
        ("-2", Count(-2, relative=True)),
        ("plan", Count(None)),
        ("four", None),
        ("1.5", None),
        ("", None),
    ],
)
def test_counts(text: str, count: Count | None) -> None:
    assert read_count(text) == count
