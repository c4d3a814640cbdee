"""What commands tell other tickets."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parexec_tui.core.plan.reading.file import PlanErrors, read_plan
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.plan.values import MAX_VALUES, NoValueError, read_values, with_values


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", {}),
        ("count=3\n\nname = a = b \n", {"count": "3", "name": " a = b "}),
        ("text<<END\na=b\n\nc\nEND\nx=1", {"text": "a=b\n\nc", "x": "1"}),
        ("text<<END\nEND\n", {"text": ""}),
        ("a=1\na=2", {"a": "2"}),
        ("a=b<<c", {"a": "b<<c"}),
    ],
)
def test_lines_and_blocks_are_values(text: str, values: dict[str, str]) -> None:
    assert read_values(text.encode()) == values


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"hello", "line 1: 'hello' is no key=value"),
        (b"\na b=1", "line 2: 'a b' is no key: write letters, digits, `_` and `-`"),
        (b"a<<\nx", "line 1: after << comes the line that ends the value: key<<END"),
        (b"a<<END\nx", "line 1: the line 'END' that ends the value is missing"),
        (b"a=\xff", "not UTF-8 (byte 2)"),
        (b"a=\0", "line 1: a value has no NUL"),
        (b"a=" + b"x" * MAX_VALUES, "more than 64 KiB"),
    ],
)
def test_what_is_no_value_is_told_with_its_line(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        read_values(data)


@given(
    st.dictionaries(
        st.from_regex(r"[a-z_][a-z0-9_-]{0,5}", fullmatch=True),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\n")),
    )
)
def test_what_is_written_line_by_line_is_read(values: dict[str, str]) -> None:
    assert read_values("".join(f"{key}={value}\n" for key, value in values.items()).encode()) == values


def test_values_are_filled_in_once_and_quoted_if_asked() -> None:
    ticket = Ticket(
        run="x {split.count} {split.text!q} {other.count} ${split.count} {split}",
        needs=("split",),
        env={"A": "{split.text}"},
        cwd="{split.count}",
    )
    filled = with_values(
        ticket, {"split": {"count": "3", "text": "{split.count} $(rm)"}, "other": {"count": "9"}}, ["split"]
    )
    assert filled.run == "x 3 '{split.count} $(rm)' {other.count} ${split.count} {split}"
    assert (filled.env, filled.cwd) == ({"A": "{split.count} $(rm)"}, "3")


def test_doubled_braces_are_braces_around_a_value_that_would_be_filled_in() -> None:
    ticket = Ticket(
        run="{{split.count}} {{{split.count}}} ${{split.count}} {{other.count}} {{x}} {{last.n}} {last.n}",
        needs=("split",),
    )
    filled = with_values(ticket, {"split": {"count": "3"}}, ["split", "last"])
    assert filled.run == "{split.count} {3} ${3} {{other.count}} {{x}} {last.n} {last.n}"
    assert with_values(Ticket(run="{{split.count}}", needs=("split",)), {}, ["split"]).run == "{split.count}"


def test_a_value_that_nobody_told_is_an_error() -> None:
    ticket = Ticket(run="{split.count}", needs=("split",))
    with pytest.raises(NoValueError, match=r"split has told no value count: it told other"):
        with_values(ticket, {"split": {"other": ""}}, ["split"])
    assert with_values(ticket, {}, ["split"], strict=False) == ticket


SPLIT = """[tickets.split]
run = "x"
"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            SPLIT + "[tickets.use]\nrun = 'x {split.count}'",
            "p:4:1: tickets.use.run: {split.count} is told by a ticket that it does not need "
            "(write needs = ['split'])",
        ),
        (
            SPLIT + "skip_if = 'x'\n\n[tickets.use]\nneeds = ['split']\nrun = 'x'\nenv.X = '{split.count}'",
            "p:8:5: tickets.use.env.X: split may count as done without being run, and then tells no count "
            "(leave out its if_done and skip_if)",
        ),
        (
            SPLIT + "matrix = { n = [1, 2] }\n[tickets.use]\nneeds = ['split']\nrun = 'x {split.count}'",
            "p:6:1: tickets.use.run: {split.count} names a family, of which each ticket has values "
            "(name one of them: {split-...})",
        ),
    ],
)
def test_a_value_comes_from_a_ticket_that_is_needed_and_runs(text: str, message: str) -> None:
    with pytest.raises(PlanErrors) as error:
        read_plan(text, source="p", folder="/", format="toml")
    assert [*map(str, error.value.problems)] == [message]


def test_values_of_the_member_with_the_same_value_are_meant() -> None:
    text = SPLIT + "matrix = { n = [1, 2] }\n[tickets.use]\nmatrix = { n = [1, 2] }\nneeds = ['split-{n}']\n"
    plan = read_plan(text + "run = 'x {split-{n}.count}'", source="p", folder="/", format="toml")
    assert plan.tickets["use-2"].run == "x {split-2.count}"


@pytest.mark.parametrize(
    ("key", "place"),
    [
        ("title = 'of {split.count}'", "6:1: KEY"),
        ("skip_if = 'test {split.count!q}'", "6:1: KEY"),
        ("rollback = 'undo {split.count}'", "6:1: KEY"),
        ("gates = ['true', 'test {split.count}']", "6:18: KEY[1]"),
        ("gates = { name = 'g', any = ['true', 'test {split.count}'] }", "6:38: KEY.any[1]"),
        ("checks = [{ run = 'test {split.count}', every = '1s' }]", "6:13: KEY[0].run"),
    ],
)
def test_a_value_where_none_is_filled_in_is_an_error(key: str, place: str) -> None:
    name = key.partition(" ")[0]
    for start in ("[tickets.use]\nneeds = ['split']\nrun = 'x'\n", "[defaults]\n\n\n"):
        for end in ("", "[vars]\nx = '1'\n", "[tickets.all]\nmatrix = { n = [1] }\nrun = 'x'\n"):
            text = f"{SPLIT}{start}{key}\n{end}"
            [told] = faults_of(text)
            path = f"{'defaults' if 'defaults' in start else 'tickets.use'}.{name}"
            assert told.startswith(f"p:{place.replace('KEY', path)}: {{split.count}} is not filled in here (")
            assert ("leave it out" if name == "title" else 'env = { V = "{split.count}" }, and $V here') in told
            assert end or faults_of(text.replace("split.count", "other.count")) == []
            assert faults_of(re.sub(r"({split.*?})", r"{\1}", text)) == [], "it is meant as it stands"


def test_a_value_of_a_member_where_none_is_filled_in_is_an_error() -> None:
    text = (
        SPLIT + "matrix = { n = [1, 2] }\n[tickets.use]\nmatrix = { n = [1, 2] }\nneeds = ['split-{n}']\nrun = 'x'\n"
    )
    told = faults_of(text + "gates = ['test {split-{n}.count}']")
    assert [each.partition(" (")[0] for each in told] == [
        f"p:8:10: tickets.use.gates[0]: in use-{n}: {{split-{n}.count}} is not filled in here" for n in (1, 2)
    ]


def faults_of(text: str) -> list[str]:
    try:
        read_plan(text, source="p", folder="/", format="toml")
    except PlanErrors as error:
        return [*map(str, error.problems)]
    return []
