"""What a person types for a value."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parexec_tui.core.plan.checks import RunningCheck
from parexec_tui.core.plan.gates import Gate, GateCommand
from parexec_tui.core.plan.reading.fields import convert
from parexec_tui.core.plan.reading.typed import TypedCount, read_count, read_value, write_values
from parexec_tui.core.plan.resources import Amounts
from parexec_tui.core.plan.ticket import Priority, Ticket
from parexec_tui.core.plan.units import Duration, Size


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
        ("4", TypedCount(4)),
        ("+1", TypedCount(1, relative=True)),
        ("-2", TypedCount(-2, relative=True)),
        ("plan", TypedCount(None)),
        ("four", None),
        ("1.5", None),
        ("", None),
    ],
)
def test_counts(text: str, count: TypedCount | None) -> None:
    assert read_count(text) == count


def test_values_are_written_as_a_person_would() -> None:
    spec = Ticket(
        title="5",
        run="make\ntest",
        needs=("A", "B"),
        priority=Priority.high,
        uses=Amounts(cpu=1.5, memory=2**29, gpu=2.0),
        timeout=Duration(5400),
        retries=3,
        env={"A B": 'x"y'},
        up_to_date=True,
        expect_codes=(0, 3),
        gates=("make", Gate(name="lint", run="ruff .", timeout=Duration(300)), Gate(any=("a", GateCommand(run="b")))),
        checks=(RunningCheck(grows="m.log", every=Duration(60), then="freeze"), RunningCheck(max_memory=Size(2**30))),
        retry_on=("timed out", 75),
    )
    written = {key: text for key, text in write_values(spec).items() if text}
    assert written == {
        "title": "5",
        "run": '"make\\ntest"',
        "needs": '["A", "B"]',
        "priority": "high",
        "uses": '{ cpu = 1.5, memory = "512MiB", gpu = 2 }',
        "timeout": "1h30m",
        "retries": "3",
        "env": '{ "A B" = "x\\"y" }',
        "up_to_date": "true",
        "expect_codes": "[0, 3]",
        "gates": '["make", { name = "lint", run = "ruff .", timeout = "5m" }, { any = ["a", { run = "b" }] }]',
        "checks": '[{ grows = "m.log", every = "1m", then = "freeze" }, { max_memory = "1GiB" }]',
        "retry_on": '["timed out", 75]',
    }


_texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
_durations = st.one_of(st.integers(0, 10**7), st.floats(0.001, 10**6)).map(Duration)


@given(
    spec=st.builds(
        Ticket,
        title=_texts,
        run=_texts,
        needs=st.lists(_texts, max_size=3).map(tuple),
        priority=st.sampled_from(Priority),
        agent=st.none() | _texts.filter(str.strip),
        uses=st.dictionaries(st.sampled_from(["cpu", "gpu", "a b"]), st.integers(0, 2**40), max_size=3).map(Amounts),
        estimate=st.none() | _durations,
        retry_delay=_durations,
        retries=st.integers(0, 100),
        max_log=st.none() | st.integers(0, 2**50).map(Size),
        env=st.dictionaries(_texts, _texts, max_size=3),
        gates=st.lists(_texts.filter(str.strip) | st.builds(Gate, run=_texts, timeout=st.none() | _durations)).map(
            tuple
        ),
        checks=st.lists(st.builds(RunningCheck, forbid=_texts, every=_durations), max_size=2).map(tuple),
        allow_failure=st.booleans(),
        expect_codes=st.lists(st.integers(0, 255), min_size=1, max_size=2, unique=True).map(tuple),
    )
)
def test_what_is_written_is_read_the_same(spec: Ticket) -> None:
    table = {key: read_value(key, text) for key, text in write_values(spec).items()}
    assert convert(Ticket, {key: value for key, value in table.items() if value is not None}) == spec
