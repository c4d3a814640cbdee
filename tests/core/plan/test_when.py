"""The grammar of `when`, and what its expressions say."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parexec_tui.core.plan.reading.file import PlanErrors, read_plan
from parexec_tui.core.plan.wanted import early_answer
from parexec_tui.core.plan.when import MAX_LENGTH, Answer, UnknownError, Value, WhenError, answer, names_in

KNOWN: dict[str, Value] = {
    "os": "debian",
    "split.count": "3",
    "n": 3,
    "py": "3.10",
    "told": "false",
    "deploy": True,
    "test-3.11-a.count": "0",
    "names": ("a", "b"),
    "word": "high",
}


def look(name: str) -> Value:
    if name not in KNOWN:
        raise UnknownError(f"{name} is not known")
    return KNOWN[name]


@pytest.mark.parametrize(
    ("text", "wanted", "because"),
    [
        ("os == 'debian' and split.count > 0", True, "os is 'debian', split.count is 3"),
        ("os != 'debian' and missing > 0", False, "os is 'debian'"),
        ("deploy or missing > 0", True, "deploy is true"),
        ("split.count == 3.0 and split.count >= 3 and split.count<=3", True, "split.count is 3"),
        ("py == '3.1'", False, "py is 3.10"),
        ("py == 3.1", True, "py is 3.10"),
        ("told or n < 2", False, "told is 'false', n is 3"),
        ("not told and told == false", True, "told is 'false'"),
        ("not (n > 1 and test-3.11-a.count > 0)", True, "test-3.11-a.count is 0"),
        ("os in ['a', 'debian', 3] and os not in names", True, "os is 'debian', names is ['a', 'b']"),
        ('"bia" in os and n in [1, 3]', True, "os is 'debian', n is 3"),
        ("n == 3 and -1 < n", True, "n is 3"),
        ("(" * 400 + "true" + ")" * 400, True, ""),
        ("not " * 240 + "true", True, ""),
    ],
)
def test_it_says_yes_or_no_and_by_which_values(text: str, wanted: bool, because: str) -> None:
    assert answer(text, look) == Answer(wanted, because)


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        ("", "it ends too early", "for instance split.count > 0"),
        ("n >", "it ends too early", "for instance split.count > 0"),
        ("a && b", "column 3: '&' is not expected there", "write `and`"),
        ("a = b", "column 3: '=' is not expected there", "write `==`"),
        ("1 < n < 4", "column 7: '<' is not expected there", "compare two at a time, and join them by `and`"),
        ("{split.count} > 0", "column 1: '{' is not expected there", "names stand without braces: split.count"),
        ("n ** 9 > 1", "column 3: '*' is not expected there", "it does not compute: let a ticket tell the product"),
        ("open('x')", "column 5: '(' is not expected there", "it calls nothing: brackets only join"),
        ("'x'.upper() == 'X'", "column 4: '.' is not expected there", ""),
        (
            "x" * (MAX_LENGTH + 1),
            "more than 1000 letters",
            "let a ticket before it tell a value that says the same",
        ),
    ],
)
def test_what_is_no_expression_is_refused_with_its_column(text: str, what: str, hint: str) -> None:
    with pytest.raises(WhenError) as raised:
        names_in(text)
    assert (str(raised.value), raised.value.hint) == (what, hint)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("word > 1", "word is 'high' and 1: these cannot be compared by `>`"),
        ("word == 3", "word is 'high' and 3: these cannot be compared by `==`"),
        ("word != deploy", "word is 'high' and deploy is true: these cannot be compared by `==`"),
        ("names == 'a'", "names is ['a', 'b'] and 'a': these cannot be compared by `==`"),
        ("n in '123'", "n is 3 and 123: these cannot be compared by `in`"),
        ("os", "os is 'debian', neither true nor false"),
        ("n and true", "n is 3, neither true nor false"),
        ("[names] == names", "a list in a list"),
    ],
)
def test_what_cannot_be_compared_is_told_with_both_sides(text: str, what: str) -> None:
    with pytest.raises(WhenError) as raised:
        answer(text, look)
    assert str(raised.value) == what


@given(st.text(alphabet=" ()[]',.<>=!andortif0123x-{}\\\"", max_size=40))
def test_any_text_is_an_expression_or_a_mistake(text: str) -> None:
    with suppress(WhenError):
        answer(text, look)


PLAN = """
[vars]
deploy = false
words = ["a", "b"]
[tickets.split]
run = "true"
[tickets.t]
{0}
run = "true"
"""


def errors_of(ticket: str) -> list[str]:
    with pytest.raises(PlanErrors) as raised:
        read_plan(PLAN.format(ticket), source="p", folder="/", format="toml")
    return [f"{each.line}: {each.message} ({each.hint})" for each in raised.value.problems]


@pytest.mark.parametrize(
    ("ticket", "error"),
    [
        (
            'when = "deply"',
            "8: there is no 'deply': it is no variable, and no value of a ticket (did you mean `deploy`?)",
        ),
        (
            'when = "deploy == yes"',
            "8: there is no 'yes': it is no variable, and no value of a ticket (a text stands in quotes: 'debian')",
        ),
        (
            'when = "split.count > 0"',
            "8: split.count is told by a ticket that it does not need (write needs = ['split'])",
        ),
        ('when = "deploy and"', "8: cannot be read: it ends too early (for instance split.count > 0)"),
        (
            'when = "deploy > 3"',
            "8: has no answer: deploy is false and 3: these cannot be compared by `>` (`<` and `>` are for numbers)",
        ),
    ],
)
def test_what_is_known_when_a_plan_is_read_is_checked_then(ticket: str, error: str) -> None:
    assert errors_of(ticket) == [error]


def test_names_stand_for_variables_and_for_values_of_the_family_in_an_expanded_plan_too() -> None:
    text = PLAN.format(
        'when = "deploy or (os in words and item.size > 2)"\nmatrix = { os = ["a", "c"], item = [{id=1, size=3}] }'
    )
    plan = read_plan(text, source="p", folder="/", format="toml")
    assert plan.tickets["t-a-1"].when_values == {"deploy": False, "words": ("a", "b")}
    assert early_answer(plan.tickets["t-a-1"], {}) == Answer(True, "os is 'a', words is ['a', 'b'], item.size is 3")
    assert early_answer(plan.tickets["t-c-1"], {}) == Answer(False, "deploy is false, os is 'c', words is ['a', 'b']")


def test_a_default_is_about_each_ticket() -> None:
    text = '[defaults]\nwhen = "os == \'a\'"\nrun="true"\n[tickets.t]\nmatrix = { os = ["a", "b"] }'
    plan = read_plan(text, source="p", folder="/", format="toml")
    assert [early_answer(each, {}) for each in plan.tickets.values()] == [
        Answer(True, "os is 'a'"),
        Answer(False, "os is 'b'"),
    ]
