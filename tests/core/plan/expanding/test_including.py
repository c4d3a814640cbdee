"""Plans of several files."""

import pytest

from parexec_tui.core.plan.expanding.axes import SourceError, look_nowhere
from parexec_tui.core.plan.expanding.including import PlanText
from parexec_tui.core.plan.expanding.outside import Outside
from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.reading.file import PlanErrors, read_plan
from parexec_tui.core.plan.units import Duration

COMMON = """
[vars]
mode = "debug"
[defaults]
timeout = "5m"
locks = ["a"]
[tickets.first]
run = "one {mode}"
env = { A = "1", B = "1" }
"""


def read(main: str, **files: str) -> Plan:
    """A plan at /w/plan.toml, with other files by name: `sub__x` is /w/sub/x.toml."""
    texts = {f"/w/{name.replace('__', '/')}.toml": text for name, text in files.items()}

    def read_file(path: str) -> PlanText:
        if path not in texts:
            raise SourceError(f"{path} cannot be read: No such file or directory")
        return PlanText(path, texts[path], "toml")

    outside = Outside(look_nowhere, read_file)
    return read_plan(main, source="w/plan.toml", folder="/w", format="toml", outside=outside)


def wrong(main: str, **files: str) -> list[str]:
    with pytest.raises(PlanErrors) as error:
        read(main, **files)
    return [str(problem) for problem in error.value.problems]


def test_the_later_file_counts_key_by_key_and_lists_are_replaced() -> None:
    plan = read(
        """include = ["common.toml"]
[vars]
mode = "release"
[defaults]
locks = ["b"]
[tickets.first]
env = { B = "2" }
[tickets.second]
run = "two"
""",
        common=COMMON,
    )
    first = plan.tickets["first"]
    assert (first.run, first.env, first.locks, first.timeout) == (
        "one release",
        {"A": "1", "B": "2"},
        ("b",),
        Duration(300),
    )
    assert [*plan.tickets] == ["first", "second"]
    assert plan.included == ("/w/common.toml",)


def test_names_are_seen_from_the_file_that_includes_and_each_file_is_read_once() -> None:
    plan = read(
        "include = ['sub/a.toml', 'common.toml']\n[tickets.x]\nrun = 'x'",
        common=COMMON,
        sub__a="include = ['b.toml', '../common.toml']",
        sub__b="[tickets.b]\nrun = 'b'",
    )
    assert plan.included == ("/w/sub/a.toml", "/w/sub/b.toml", "/w/common.toml")
    assert [*plan.tickets] == ["b", "first", "x"]


def test_an_error_is_in_the_file_that_has_it() -> None:
    problems = wrong(
        "include = ['common.toml', 'sub/b.toml']\n[tickets.first]\nagent = 'no'\n[tickets.x]\nruns = 'x'",
        common=COMMON + "retries = -1\n",
        sub__b="[tickets.b]\nrun = '{mod}'",
    )
    assert [problem.partition(" (")[0] for problem in problems] == [
        "w/common.toml:10:1: tickets.first.retries: expected a whole number from 0 to 1000000, got -1",
        "w/sub/b.toml:2:1: tickets.b.run: there is no variable 'mod'",
        "w/plan.toml:3:1: tickets.first.agent: there is no agent type 'no'",
        "w/plan.toml:5:1: tickets.x.runs: unknown key",
    ]


def test_an_error_in_a_profile_is_in_the_file_that_has_it() -> None:
    problems = wrong(
        "include = ['common.toml', 'ci.toml']\n[vars]\nn = 1",
        common=COMMON,
        ci="[profiles.ci]\nmode = 3\nn = 2\nm = 1",
    )
    assert problems == [
        "w/ci.toml:2:1: profiles.ci.mode: expected text, as [vars] has it",
        "w/ci.toml:4:1: profiles.ci.m: there is no variable 'm' in [vars]",
    ]


@pytest.mark.parametrize(
    ("main", "message"),
    [
        (
            "include = ['a.toml']",
            "w/a.toml:1:12: include[0]: a cycle of files: plan.toml -> a.toml -> plan.toml (leave one of them out)",
        ),
        (
            "include = ['no.toml']",
            "w/plan.toml:1:12: include[0]: /w/no.toml cannot be read: No such file or directory "
            "(its name is seen from the file that includes it)",
        ),
        (
            "include = 'a.toml'",
            'w/plan.toml:1:1: include: expected a list of files (for instance include = ["common.toml"])',
        ),
        ("include = [3]", "w/plan.toml:1:12: include[0]: expected the name of a file"),
        ("include = ['bad.toml']", "w/bad.toml:1:3: expected '=' after a key in a key/value pair"),
    ],
)
def test_files_that_cannot_be_included_are_told(main: str, message: str) -> None:
    found = wrong(main + "\n[tickets.x]\nrun = 'x'", a="include = ['plan.toml']", bad="a b")
    assert found == [message]


def test_a_program_with_a_folder_is_seen_from_the_file_that_names_it() -> None:
    agents = "".join(
        f'[agents.{name}]\nkind = "claude"\nprogram = "{program}"\n'
        for name, program in (("a", "tools/claude"), ("b", "claude"), ("c", "/opt/claude"))
    )
    plan = read('include = ["sub/agents.toml"]\n[tickets.t]\nprompt = "x"', sub__agents=agents)
    assert [plan.agents[name].program for name in "abc"] == ["/w/sub/tools/claude", "claude", "/opt/claude"]


def test_files_with_variables_are_seen_from_the_file_that_names_them() -> None:
    common = '[defaults]\nenv_file = [".env"]\n[agents.a]\nenv_file = ["/abs", "{mode}.env"]\n[vars]\nmode = "m"'
    plan = read(
        'include = ["sub/common.toml"]\n[tickets.a]\nrun = "x"\n[tickets.b]\nrun = "x"\nenv_file = ["b.env?"]',
        sub__common=common,
    )
    assert [plan.tickets[id_].env_file for id_ in "ab"] == [("/w/sub/.env",), ("/w/b.env?",)]
    assert plan.agents["a"].env_file == ("/abs", "/w/m.env")
    assert wrong('[tickets.a]\nrun = "x"\nenv_file = ["", "a\\u0000b"]') == [
        "w/plan.toml:3:13: tickets.a.env_file[0]: expected the name of a file",
        "w/plan.toml:3:17: tickets.a.env_file[1]: a NUL character cannot be passed to a process",
    ]


def test_what_is_wrong_with_each_file_is_told_at_once() -> None:
    found = wrong(
        'include = ["gone.toml", "bad.toml", "worse.toml", "bad.toml"]\n[tickets.t]\nrunn = "x"\n',
        bad="a b\n",
        worse="[x\n",
    )
    places = [each.partition(": ")[0] for each in found]
    assert places == ["w/bad.toml:1:3", "w/worse.toml:1:3", "w/plan.toml:1:12", "w/plan.toml:3:1"]
