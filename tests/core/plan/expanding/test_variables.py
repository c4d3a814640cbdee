"""The variables of a plan, and what is said of them elsewhere."""

from typing import Any

import pytest
import tomli

from parexec_tui.core.plan.expanding.given import Given, GivenError
from parexec_tui.core.plan.expanding.variables import plain, shown_values, variables_of

PLAN = """
[vars]
mode = "debug"
out = "build/{mode}"
jobs = 4
fast = false
pythons = ["3.11", "3.12"]
[profiles.ci]
mode = "release"
jobs = 8
"""


def values(text: str = PLAN, **given: Any) -> dict[str, Any]:
    found, faults = variables_of(tomli.loads(text), Given(**given))
    assert faults == []
    return found


def wrong(text: str) -> list[str]:
    return [fault.message for fault in variables_of(tomli.loads(text), Given())[1]]


def test_variables_may_name_each_other() -> None:
    assert values()["out"] == "build/debug"


def test_later_wins() -> None:
    assert values(profile="ci") == values() | {"mode": "release", "out": "build/release", "jobs": 8}
    assert values(profile="ci", environment={"jobs": "9", "other": "x"})["jobs"] == 9
    assert values(profile="ci", environment={"jobs": "9"}, sets={"jobs": "10"})["jobs"] == 10


def test_what_is_given_has_the_type_of_what_it_replaces() -> None:
    sets = {"fast": "true", "pythons": "3.13, 3.14", "mode": "8"}
    assert values(sets=sets) == values() | {
        "fast": True,
        "pythons": ["3.13", "3.14"],
        "mode": "8",
        "out": "build/8",
    }
    environment = {"fast": "true", "pythons": "3.13", "jobs": "2"}
    assert values(environment=environment) == values() | {"fast": True, "pythons": ["3.13"], "jobs": 2}
    assert values(sets={"pythons": '["a, b"]'})["pythons"] == ["a, b"]


def test_what_is_given_outside_of_the_plan_names_no_variables() -> None:
    assert values(sets={"mode": "{jobs} {{x}}"}) == values() | {"mode": "{jobs} {{x}}", "out": "build/{jobs} {{x}}"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sets": {"jobs": "many"}}, "--set jobs=many: jobs is a whole number in [vars]"),
        ({"environment": {"fast": "yes"}}, "PAREXEC_VAR_fast=yes: fast is true or false in [vars]"),
        ({"sets": {"mod": "x"}}, "--set mod: the plan has no such variable: did you mean `mode`?"),
        ({"profile": "c"}, "there is no profile 'c': there are ci"),
    ],
)
def test_what_cannot_be_given_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(GivenError) as error:
        values(**given)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[vars]\na = '{b}'\nb = '{a}'", "a cycle of variables: a -> b -> a"),
        ("[vars]\na = '{c}'", "there is no variable 'c'"),
        ("[vars]\na = { b = 1 }", "a variable is text, a number, true, false, or a list of these"),
        ("[vars]\na = 2020-01-01", "a variable is text, a number, true, false, or a list of these"),
        ("[vars]\n'a-b' = 1", "'a-b' cannot be the name of a variable"),
        ("[vars]\na = 1\n[profiles.x]\nb = 1", "there is no variable 'b' in [vars]"),
        ("[vars]\na = 1\n[profiles.x]\na = '1'", "expected a whole number, as [vars] has it"),
        ("vars = 3", "expected a table of variables"),
        ("[vars]\nb = ['x']\na = '{b}'", "b is a list, which has no place in a text"),
    ],
)
def test_what_is_wrong_in_the_tables_is_told(text: str, message: str) -> None:
    assert wrong(text) == [message]


def test_numbers_that_are_given_stand_in_texts_as_they_were_typed() -> None:
    text = "[vars]\nn = 1\nf = 1.5\nboth = '{n} {f}'\n"
    for n, f in (("007", "2"), ("+3", "1e5"), ("-0", ".5"), ("8", "inf")):
        found = values(text, sets={"n": n, "f": f})
        assert (found["n"], found["f"], found["both"]) == (int(n), float(f), f"{n} {f}")
        assert shown_values(found) == {"n": n, "f": f, "both": f"{n} {f}"}
        assert (type(plain(found["n"])), type(plain(found["f"]))) == (int, float)


@pytest.mark.parametrize(
    "said", [{"n": "1_000"}, {"n": "\u0663"}, {"n": " 1"}, {"n": "1.0"}, {"f": "1_0.5"}, {"f": "x"}]
)
def test_numbers_that_are_given_are_plain(said: dict[str, str]) -> None:
    with pytest.raises(GivenError, match="number in"):
        variables_of({"vars": {"n": 1, "f": 1.5}}, Given(sets=said))
