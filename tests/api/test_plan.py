"""A plan made in Python: the same plan, the same mistakes and the same file as a person would have written."""

import json
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, cast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from parexec_tui import ParexecError, Plan, PlanError
from parexec_tui.core.plan.model import Plan as CheckedPlan
from parexec_tui.core.plan.reading.file import read_plan
from parexec_tui.core.plan.reading.schema import plan_schema
from tests import api_keys
from tests.engine.engines import PAREXEC


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def checked(plan: Plan) -> CheckedPlan:
    return plan._read().plan


def mistakes(plan: Plan) -> list[tuple[str, str]]:
    with pytest.raises(PlanError) as raised:
        plan.check()
    return [(problem.key, problem.message) for problem in raised.value.problems]


TOML = """
[plan]
name = "nightly"
parallel = 2
[vars]
mode = "debug"
[profiles.ci]
mode = "release"
[defaults]
retries = 1
[agents.builder]
max = 2
can = ["build"]
[resources]
gpu = ["0", "1"]
[hosts.attic]
ssh = "me@attic"
[secrets.API_KEY]
file = "key"
[services.db]
run = "db"
ready = "true"
secrets = ["API_KEY"]
[group.checks]
gates = ["lint"]
[hooks]
on_failure = "mail"
[pressure]
cpu = 0
[otel]
enabled = false
[tickets.build]
run = "make {mode}"
requires = ["build"]
uses = { gpu = 1 }
[tickets.test]
run = "tox -e {py}"
matrix = { py = ["3.11", "3.12"] }
needs = ["build"]
uses_service = ["db"]
max_parallel = 1
group = "checks"
[tickets.clean]
run = "rm -r tmp"
finally = true
"""


def nightly() -> Plan:
    plan = Plan(name="nightly", parallel=2)
    plan.variables(mode="debug")
    plan.profile("ci", mode="release")
    plan.defaults(retries=1)
    plan.agent("builder", max=2, can=["build"])
    plan.resource("gpu", ["0", "1"])
    plan.host("attic", ssh="me@attic")
    plan.secret("API_KEY", file="key")
    plan.service("db", run="db", ready="true", secrets=["API_KEY"])
    plan.group("checks", gates=["lint"])
    plan.hooks(on_failure="mail")
    plan.pressure(cpu=0)
    plan.otel(enabled=False)
    build = plan.add("build", run="make {mode}", requires=["build"], uses={"gpu": 1})
    plan.add(
        "test",
        run="tox -e {py}",
        matrix={"py": ["3.11", "3.12"]},
        needs=[build],
        uses_service=["db"],
        max_parallel=1,
        group="checks",
    )
    plan.add("clean", run="rm -r tmp", finally_=True)
    return plan


def test_it_is_the_plan_that_a_file_with_the_same_keys_is(here: Path) -> None:
    by_file = read_plan(TOML, source="-", folder=str(here), format="toml")
    assert checked(nightly()) == by_file
    assert list(by_file.tickets) == list(nightly().expanded.tickets)


def test_each_table_has_a_method() -> None:
    document = nightly()._document
    assert {*document} | {"groups", "families", "include", "$schema"} == set(plan_schema()["properties"])


def test_saved_and_opened_it_is_equal(here: Path) -> None:
    for name in ("plan.toml", "plan.json"):
        nightly().save(here / name)
        opened = Plan.open(here / name)
        assert opened == nightly()
        assert checked(opened).source == str(here / name)
        opened.change("build", run="make all")
        assert opened != nightly()
        assert checked(opened).source == "-"


_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="{}\0")).map(lambda text: f"x{text}x")


@settings(max_examples=40)
@given(run=_TEXT, title=_TEXT, env=st.dictionaries(st.from_regex(r"[A-Z]{1,3}", fullmatch=True), _TEXT))
@example(run='a\r\nb"""\\\n', title="", env={})
def test_whatever_a_command_says_is_saved_as_it_is(
    tmp_path_factory: pytest.TempPathFactory, run: str, title: str, env: dict[str, str]
) -> None:
    plan = Plan()
    plan.add("a", run=run, title=title, env=env)
    try:
        plan.check()
    except PlanError:
        return  # what no plan may have, as control characters in a title
    file = tmp_path_factory.getbasetemp() / "any.toml"
    plan.save(file)
    assert Plan.open(file) == plan


@pytest.mark.parametrize("keys", [{"run": "echo a\udcffb"}, {"env": {"A\ud800": "1"}}, {"reads": ["x", "\udcff"]}])
def test_what_utf_8_cannot_say_is_a_mistake_and_costs_no_file(here: Path, keys: dict[str, Any]) -> None:
    Path("s.toml").write_text("before")
    plan = Plan()
    plan.add("a", **({"run": "true"} | keys))
    with pytest.raises(PlanError, match="UTF-8 cannot say it"):
        plan.save("s.toml")
    assert Path("s.toml").read_text() == "before"


def test_a_file_is_replaced_as_a_whole_or_not_at_all(here: Path) -> None:
    nightly().save("plan.toml")
    before = Path("plan.toml").read_bytes()
    larger = Plan.open("plan.toml")
    larger.add("q", run="x" * 50_000)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limit[1]))  # as a disk that is full
    try:
        with pytest.raises(OSError, match="File too large"):
            larger.save("plan.toml")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert Path("plan.toml").read_bytes() == before
    assert [each.name for each in here.iterdir()] == ["plan.toml"]


def test_a_mistake_is_named_by_its_key_and_by_the_line_that_made_it() -> None:
    plan = Plan()
    plan.add("x", run=cast(Any, 3))
    plan.add("y", run="true", needs=["z"], **cast(Any, {"timeuot": "5m"}))
    line = sys._getframe().f_lineno - 2
    with pytest.raises(PlanError) as raised:
        plan.check()
    assert str(raised.value).splitlines() == [
        f"{__file__}:{line}:1: tickets.x.run: expected a string, got 3",
        f"{__file__}:{line + 1}:1: tickets.y.needs[0]: there is no ticket 'z'",
        f"{__file__}:{line + 1}:1: tickets.y.timeuot: unknown key (did you mean `timeout`?)",
    ]
    assert isinstance(raised.value, ParexecError)


def test_what_is_changed_afterwards_is_checked_anew() -> None:
    plan = Plan()
    plan.add("x", run="true")
    plan.check()
    plan.add("y", run="true", needs=["x"], timeout="5m")
    plan.change("y", timeout=None, needs=["w"])
    assert plan.tickets["y"] == {"run": "true", "needs": ["w"]}
    assert mistakes(plan) == [("tickets.y.needs[0]", "there is no ticket 'w'")]
    plan.remove("y")
    plan.check()
    assert list(plan.tickets) == ["x"]


def test_a_plan_without_tickets_is_none() -> None:
    assert mistakes(Plan(parallel=3))[0][0] in ("", "tickets")


NO_VALUE = "a plan cannot have a value of the type"


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (lambda plan: plan.add("a", run="again"), "a: this ticket is there already (change() changes it)"),
        (lambda plan: plan.change("ab", run="true"), "ab: there is no such ticket (did you mean `a`?)"),
        (lambda plan: plan.remove("b"), "b: there is no such ticket"),
        (lambda plan: plan.add("b", env={"A": object()}), f"b.env.A: {NO_VALUE} object"),
        (lambda plan: plan.add("b", needs=["a", None]), f"b.needs[1]: {NO_VALUE} NoneType"),
        (lambda plan: plan.add("b", needs={"a"}), f"b.needs: {NO_VALUE} set"),
        (lambda plan: plan.add("b", run=b"x"), "b.run: expected text, got bytes (decode them)"),
        (lambda plan: plan.add("b", timeout=float("nan")), "b.timeout: nan is no number that a plan can have"),
        (lambda plan: plan.add("b", env={b"A": "1"}), "b.env: the keys of a table are text, and b'A' is not"),
    ],
)
def test_what_cannot_be_is_said_at_once_and_changes_nothing(wrong: Callable[[Any], object], text: str) -> None:
    plan = Plan()
    plan.add("a", run="true")
    before = plan.tickets
    with pytest.raises(PlanError) as raised:
        wrong(plan)
    assert str(raised.value).endswith(f":1: tickets.{text}")
    assert f"{__file__}:" in str(raised.value)
    assert plan.tickets == before


def test_values_of_python_become_those_of_a_plan() -> None:
    plan = Plan(workdir=cast(Any, PurePosixPath("/srv")))
    plan.add("a", run="true", reads=("x", "y"), env=cast(Any, {"A": None, "B": "1"}), timeout=None)
    plan.group(1, gates=["lint"])
    assert plan._document == {
        "plan": {"workdir": "/srv"},
        "tickets": {"a": {"run": "true", "reads": ["x", "y"], "env": {"B": "1"}}},
        "groups": {"1": {"gates": ["lint"]}},
    }


def test_variables_are_given_when_a_file_is_opened(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = here / "plan.toml"
    file.write_text(
        '[vars]\nmode = "debug"\njobs = 1\nall = false\npy = ["1"]\n[profiles.ci]\njobs = 8\n'
        '[tickets.a]\nmatrix = { x = "{py}" }\nid = "a-{x}"\nrun = "make {mode} -j{jobs} {all}"\n'
    )
    opened = Plan.open(file, vars={"mode": "release", "all": True, "py": ["2", "3"]}, profile="ci")
    runs = [ticket["run"] for ticket in opened.expanded.tickets.values()]
    assert runs == ["make release -j8 true", "make release -j8 true"]
    assert checked(opened).given.profile == "ci"
    monkeypatch.setenv("PAREXEC_VAR_mode", "fast")
    assert Plan.open(file).expanded.tickets["a-1"]["run"] == "make fast -j1 false"
    for wrong, text in (({"mod": "x"}, "vars: mod: the plan has no such variable"), ({"jobs": "x"}, "vars: jobs=x:")):
        with pytest.raises(PlanError, match=text):
            Plan.open(file, vars=wrong)


def test_mistakes_in_a_file_have_their_place_there(here: Path) -> None:
    file = here / "plan.toml"
    file.write_text("[tickets.a]\nrun = 3\n")
    with pytest.raises(PlanError) as raised:
        Plan.open(file)
    assert str(raised.value) == f"{file}:2:1: tickets.a.run: expected a string, got 3"
    with pytest.raises(FileNotFoundError):
        Plan.open(here / "none.toml")
    file.write_bytes(b"\xff")
    with pytest.raises(PlanError, match="not UTF-8"):
        Plan.open(file)


def test_what_it_includes_is_seen_from_its_folder(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "common.toml").write_text("[tickets.a]\nrun = 3\n")
    plan = Plan()
    plan.include("common.toml")
    plan.add("b", run="true", needs=["a"])
    monkeypatch.chdir("/")
    with pytest.raises(PlanError, match=r"common.toml:2:1: tickets.a.run"):
        plan.check()
    (here / "common.toml").write_text('[tickets.a]\nrun = "true"\n')
    assert list(plan.expanded.tickets) == ["a", "b"]


def test_expanded_is_what_validate_prints(here: Path) -> None:
    (here / "plan.toml").write_text(TOML)
    command = [*PAREXEC, "validate", "--expanded", "plan.toml"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == str(Plan.open("plan.toml").expanded) == str(nightly().expanded)


def test_the_module_with_the_keys_is_the_one_that_the_schema_says() -> None:
    assert api_keys.MODULE.read_text(encoding="utf-8") == api_keys.render(), "run: python -m tests.api_keys"


def test_whoever_does_not_ask_for_it_does_not_load_it() -> None:
    code = "import sys, parexec_tui; assert 'Plan' in dir(parexec_tui); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert [name for name in done.stdout.split() if name.startswith("parexec_tui")] == ["parexec_tui"]
    assert not {"msgspec", "tomli", "json"} & set(done.stdout.split())


def test_names_that_are_not_there_are_no_names() -> None:
    import parexec_tui

    assert {*parexec_tui.__all__} <= {*dir(parexec_tui)}
    stub = Path(parexec_tui.__file__).with_suffix(".pyi").read_text(encoding="utf-8")
    assert {*re.findall(r" as (\w+)$", stub, re.MULTILINE)} == {*parexec_tui.__all__} - {"__version__"}
    assert all(hasattr(parexec_tui, name) for name in parexec_tui.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'Plam'"):
        parexec_tui.Plam  # type: ignore[attr-defined]  # noqa: B018


def test_the_checker_of_types_knows_the_keys() -> None:
    """What stands here is checked by mypy, which also says if one of these comments is not needed any more."""
    plan = Plan()
    plan.add("a", run="true", estimate="5m", retries={"failed": 1}, checks=[{"grows": "out", "every": "1s"}])
    plan.add("b", rnu="true")  # type: ignore[call-arg]
    plan.change("a", priority="urgent")  # type: ignore[arg-type]
    plan.agent("shell", max="3")  # type: ignore[arg-type]
    assert {key for key, _ in mistakes(plan)} == {"tickets.b.rnu", "tickets.a.priority", "agents.shell.max"}
    assert json.loads(json.dumps(plan.tickets)) == plan.tickets
