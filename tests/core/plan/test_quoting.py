"""Where quotes are open in a command."""

import pytest

from parexec_tui.core.plan.quoting import quote_at
from parexec_tui.core.plan.reading.file import PlanErrors, read_plan
from parexec_tui.core.plan.reading.fragment import read_fragment


@pytest.mark.parametrize(
    ("text", "quote"),
    [
        ("echo @", ""),
        ('echo "x@"', '"'),
        ("echo 'x@'", "'"),
        ("echo 'it'\\'@", ""),
        ('echo "a" @ "b"', ""),
        ('echo "a\\"@"', '"'),
        ("echo \\'@", ""),
        ('echo "$(cat @)"', ""),
        ('echo "$(cat "@")"', '"'),
        ('echo "$(cat x) @"', '"'),
        ('echo "(@)"', '"'),
        ('echo "`cat @`"', ""),
        ("(cd x; echo @)", ""),
        ("case $x in a) echo '@';; esac", "'"),
        ("# don't\necho @", ""),
        ("echo a#'@'", "'"),
        ("cat <<END\nit's @\nEND", ""),
        ("cat <<< 'x@'", "'"),
        ('echo "it\'s @"', '"'),
    ],
)
def test_the_quotes_are_those_that_a_shell_would_see(text: str, quote: str) -> None:
    assert quote_at(text, text.index("@")) == quote


def wrong(text: str) -> list[tuple[str, int]]:
    try:
        read_plan(text, source="p.toml", folder="/w", format="toml")
    except PlanErrors as errors:
        return [(problem.key, problem.line) for problem in errors.problems if "is quoted itself" in problem.message]
    return []


def test_what_quotes_itself_has_no_place_within_quotes_of_a_plan() -> None:
    variables = '[vars]\nf = "a b"\n'
    assert wrong(variables + "[tickets.a]\nrun = 'echo \"{f!q}\"'\n") == [("tickets.a.run", 4)]
    assert wrong("[tickets.a]\nrun = 'true'\n[tickets.b]\nneeds = ['a']\nrun = 'x \"{a.v!q}\"'\n") == [
        ("tickets.b.run", 5)
    ]
    family = "[tickets.a]\nforeach = { x = ['1', '2'] }\ngates = ['true', \"'{x!q}'\"]\nrun = 'x'\n"
    assert wrong(family) == [("tickets.a.gates[1]", 3)]
    assert wrong(variables + '[tickets.a]\nrun = \'echo {f!q} "{f}" "{{f!q}}"\'\n') == []
    rest = "[plan]\ngates = ['x \"{f!q}\"']\n[hooks]\non_failure = 'say \"{f!q}\"'\n"
    assert wrong(variables + rest + "[tickets.a]\nrun = 'x'\n") == [("plan.gates[0]", 4), ("hooks.on_failure", 6)]
    python = "[plan]\nshell = ['python3', '-c']\n" + variables
    assert wrong(python + "[tickets.a]\nrun = 'print(\"{f!q}\")'\n") == []


def test_nor_in_tickets_that_join_a_plan() -> None:
    plan = read_plan("[vars]\nf = 'a b'\n[tickets.a]\nrun = 'x'\n", source="p.toml", folder="/w", format="toml")
    fragment = "[tickets.b]\nrun = 'echo \"{f!q}\"'\n"
    with pytest.raises(PlanErrors, match='within ", and is quoted itself'):
        read_fragment(fragment, source="f.toml", format="toml", plan=plan)
    (ticket,) = read_fragment(fragment, source="f.toml", format="toml", plan=plan, fills=False).values()
    assert ticket.run == 'echo "{f!q}"'
