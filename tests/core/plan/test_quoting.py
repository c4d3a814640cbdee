"""Where quotes are open in a command."""

import pytest

from parexec_tui.core.plan.quoting import quote_at
from parexec_tui.core.plan.reading.file import PlanErrors, read_plan


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
    python = "[plan]\nshell = ['python3', '-c']\n" + variables
    assert wrong(python + "[tickets.a]\nrun = 'print(\"{f!q}\")'\n") == []
