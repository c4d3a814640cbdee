"""Families, variables and patterns become the tickets that will run."""

import json
from typing import Any

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from parexec_tui.client.plan_files import as_toml
from parexec_tui.core.plan.claims import Claims
from parexec_tui.core.plan.command import fill_units
from parexec_tui.core.plan.expanding.axes import Source, SourceError
from parexec_tui.core.plan.expanding.expand import expand
from parexec_tui.core.plan.expanding.given import Given
from parexec_tui.core.plan.expanding.including import read_no_file
from parexec_tui.core.plan.expanding.outside import Outside
from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.reading.file import PlanErrors, read_plan
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.plan.units import Duration
from parexec_tui.core.plan.values import with_values

TEST = """
[tickets.test]
matrix = { py = ["3.11", "3.12"], os = ["debian", "alpine"] }
run = "tox -e py{py}"
"""
IMAGE = """
[tickets.image]
matrix = { os = ["debian", "alpine"] }
run = "build {os}"
"""


def read(text: str, **more: Any) -> Plan:
    return read_plan(text, source="plan.toml", folder="/w", format="toml", **more)


def wrong(text: str, **more: Any) -> list[str]:
    with pytest.raises(PlanErrors) as error:
        read(text, **more)
    return [str(problem).removeprefix("plan.toml:") for problem in error.value.problems]


def test_a_family_is_one_ticket_for_each_combination() -> None:
    plan = read(TEST)
    assert [*plan.tickets] == ["test-3.11-debian", "test-3.11-alpine", "test-3.12-debian", "test-3.12-alpine"]
    ticket = plan.tickets["test-3.12-alpine"]
    assert (ticket.run, ticket.family) == ("tox -e py3.12", "test")
    assert ticket.member == {"py": "3.12", "os": "alpine"}


def test_combinations_are_left_out_and_more_are_added() -> None:
    plan = read(
        TEST
        + """
exclude = [{ py = "3.12", os = "alpine" }]
include = [{ py = "3.13", os = "debian", env = { PRE = "{py}" } }, { os = "alpine", timeout = "5m" }]
env = { A = "1" }
"""
    )
    assert [*plan.tickets] == ["test-3.11-debian", "test-3.11-alpine", "test-3.12-debian", "test-3.13-debian"]
    assert plan.tickets["test-3.13-debian"].env == {"A": "1", "PRE": "3.13"}
    assert plan.tickets["test-3.11-alpine"].timeout == Duration(300)
    assert plan.tickets["test-3.11-debian"].timeout is None


def test_a_need_is_the_member_with_the_same_value_a_whole_family_or_what_a_pattern_matches() -> None:
    plan = read(
        IMAGE
        + TEST
        + """needs = ["image-{os}"]
[tickets.all]
needs = ["test?", "image-*"]
after = []
run = "true"
[tickets.last]
after = ["image"]
run = "true"
"""
    )
    assert plan.tickets["test-3.11-alpine"].needs == ("image-alpine",)
    tests = ["test-3.11-debian?", "test-3.11-alpine?", "test-3.12-debian?", "test-3.12-alpine?"]
    assert plan.tickets["all"].needs == (*tests, "image-debian", "image-alpine")
    assert plan.tickets["last"].after == ("image-debian", "image-alpine")


def test_a_pattern_is_a_need_without_any_family_too() -> None:
    plan = read("[tickets.a-1]\nrun = 'x'\n[tickets.a-2]\nrun = 'x'\n[tickets.a-end]\nneeds = ['a-*']\nrun = 'x'")
    assert plan.tickets["a-end"].needs == ("a-1", "a-2")


def test_variables_are_filled_in_where_texts_are() -> None:
    plan = read(
        """
[vars]
out = "o"
[plan]
name = "n-{out}"
workdir = "{out}"
[agents.a]
env = { X = "{out}" }
command = ["sh", "-c", "{run}"]
[services.s]
run = "serve {out}"
ready = "test -e {out}"
[defaults]
cwd = "{out}"
[tickets.t]
title = "{out}"
run = "echo {out} ${out} {{out}}"
env = { Y = "{out}" }
writes = ["{out}/**"]
locks = ["l-{out}"]
progress = "{n}/{m}"
gates = ["test {out}"]
"""
    )
    ticket = plan.tickets["t"]
    assert (plan.settings.name, plan.workdir, plan.agents["a"].env) == ("n-o", "/w/o", {"X": "o"})
    assert plan.agents["a"].command == ("sh", "-c", "{run}")
    assert (plan.services["s"].run, ticket.cwd, ticket.title) == ("serve o", "o", "o")
    assert (ticket.run, ticket.env, ticket.writes) == ("echo o ${out} {out}", {"Y": "o"}, ("o/**",))
    assert (ticket.locks, ticket.gates, ticket.progress) == (("l-o",), ("test o",), "{n}/{m}")
    assert plan.variables == {"out": "o"}


def test_without_variables_and_families_a_text_stands_as_it_is() -> None:
    plan = read("[tickets.t]\nrun = 'awk {print} {{x}}'\n" + TEST)
    assert plan.tickets["t"].run == "awk {print} {{x}}"


def test_units_of_a_resource_are_filled_in_when_the_ticket_starts() -> None:
    plan = read("[resources]\nport = '8000-8003'\n" + TEST + "uses = { port = 1 }\n")
    assert read("[resources]\nport = '8000-8003'\n" + TEST.replace("tox", "tox {port}")).tickets[
        "test-3.11-debian"
    ].run == ("tox {port} -e py3.11")
    assert plan.tickets["test-3.11-debian"].uses == {"port": 1}


def test_values_come_from_ranges_files_and_commands() -> None:
    def look(source: Source, workdir: str) -> list[Any]:
        assert workdir == "/w"
        told: dict[str, list[Any]] = {"glob": ["data/a b.csv"], "lines": ["x"], "json": [{"name": "n", "path": "p"}]}
        return told[source.kind]

    plan = read(
        """
[tickets.r]
foreach = { n = "08..10" }
run = "echo {n}"
[tickets.g]
foreach = { file = { glob = "data/*.csv" } }
run = "wc {file!q}"
[tickets.j]
foreach = { item = { json = "items.json" } }
run = "cat {item.path}"
[tickets.l]
foreach = { line = { lines = "ls" } }
run = "cat {line}"
""",
        outside=Outside(look, read_no_file),
    )
    assert [*plan.tickets] == ["r-08", "r-09", "r-10", "g-data-a-b.csv", "j-n", "l-x"]
    assert plan.tickets["g-data-a-b.csv"].run == "wc 'data/a b.csv'"
    assert plan.tickets["j-n"].run == "cat p"


def test_a_table_stands_as_json_in_a_text_and_in_what_is_told_of_a_member() -> None:
    item = {"a": 1, "b": {"c": "é", "none": None, "yes": True}}
    text = "[tickets.j]\nforeach = { item = { json = 'i.json' } }\nrun = 'echo {item} {item.b} {item.b.none}'"
    ticket = read(text, outside=Outside(lambda *_: [item], read_no_file)).tickets["j-1"]
    inner = '{"c": "é", "none": null, "yes": true}'
    assert ticket.run == f'echo {{"a": 1, "b": {inner}}} {inner} null'
    assert ticket.member == {"item": f'{{"a": 1, "b": {inner}}}'}


def test_values_of_one_list_are_compared_as_they_stand_in_texts() -> None:
    ids = [*read("[tickets.t]\nmatrix = { n = [1, true, 1.0] }\nrun = 'x'").tickets]
    assert ids == ["t-1", "t-true", "t-1.0"]
    [told] = wrong("[tickets.t]\nmatrix = { n = [1, '1'] }\nrun = 'x'")
    assert "'1' is there twice" in told
    [told] = wrong("[tickets.t]\nmatrix = { n = '1..99999999999' }\nrun = 'x'")
    assert "the range 1..99999999999 is too long" in told
    [told] = wrong(f"[tickets.t]\nmatrix = {{ n = '1..{'9' * 5000}' }}\nrun = 'x'")
    assert "too large" in told
    foreach = "[tickets.j]\nforeach = { item = { json = 'i.json' } }\nrun = 'x'"
    [told] = wrong(foreach, outside=Outside(lambda *_: [None], read_no_file))
    assert "'null' is no text, number or table" in told


def test_a_source_that_tells_nothing_makes_a_family_without_members() -> None:
    text = "[tickets.g]\nforeach = { f = { glob = '*' } }\nrun = 'x'\n[tickets.all]\nneeds = ['g']\nrun = 'x'"
    assert read(text, outside=Outside(lambda *_: [], read_no_file)).tickets["all"].needs == ()


def test_a_source_that_cannot_be_read_is_told_at_its_place() -> None:
    def look(source: Source, workdir: str) -> list[Any]:
        raise SourceError("the command failed with exit 1")

    text = "[tickets.g]\nforeach = { f = { lines = 'false' } }\nrun = 'x'"
    found = wrong(text, outside=Outside(look, read_no_file))
    assert found == ["2:19: tickets.g.foreach.f.lines: the command failed with exit 1"]


def test_max_parallel_is_a_resource_of_the_family() -> None:
    plan = read(TEST + "max_parallel = 3\nfail_fast = true")
    assert plan.amounts == {"family:test": 3}
    assert Claims.of(plan.tickets["test-3.11-debian"], plan).uses == {"family:test": 1}
    assert plan.tickets["test-3.11-debian"].uses == {}
    assert plan.families["test"].fail_fast


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("exclude = [{ py = '2' }]", "4:12: tickets.test.exclude[0]: no member is like this (leave it out)"),
        (
            "exclude = [{ pyy = '2' }]",
            "4:14: tickets.test.exclude[0].pyy: the family has no 'pyy' (did you mean `py`?)",
        ),
        (
            "include = [{ py = '2' }]",
            "4:12: tickets.test.include[0]: no member is like this (a member of its own needs os as well)",
        ),
        (
            "include = [{ py = '3.11', rum = '' }]",
            "4:27: tickets.test.include[0].rum: neither a name of this family nor a key of a ticket "
            "(did you mean `run`?)",
        ),
        (
            "id = '{py}'",
            "4:1: tickets.test.id: two members would be called 3.11: py=3.11, os=debian and py=3.11, os=alpine "
            '(choose ids that differ: id = "...")',
        ),
        ("needs = ['x-*']", "4:10: tickets.test.needs[0]: no ticket is called like 'x-*'"),
        ("max_parallel = 0", "4:1: tickets.test.max_parallel: expected a whole number from 1 to 100000, got 0"),
        ("cwd = '{pyy}'", "4:1: tickets.test.cwd: there is no variable 'pyy' (did you mean `py`?)"),
        (
            "[tickets.'test-3.11-debian']\nrun = 'x'",
            "1:10: tickets.test: a ticket is called 'test-3.11-debian' too (choose ids that differ: id = \"...\")",
        ),
        (
            "[tickets.b]\nid = 'x'\nrun = 'x'",
            "5:1: tickets.b.id: only a family has this (add matrix = { name = [values] })",
        ),
    ],
)
def test_what_is_wrong_has_its_place_in_the_file(more: str, message: str) -> None:
    assert wrong(TEST.lstrip() + more) == [message]


def test_a_family_cannot_need_itself() -> None:
    assert wrong(TEST.lstrip() + "needs = ['test']")[0] == "4:10: tickets.test.needs[0]: a family cannot need itself"


def test_what_many_members_have_in_common_is_told_of_a_few() -> None:
    found = wrong("[tickets.t]\nforeach = { n = '1..50' }\nrun = 'x'\ntimeout = '{n}q'")
    assert len(found) == 4
    assert found[-1].endswith("the same in 47 more members")


def test_a_plan_may_not_have_too_many_members() -> None:
    found = wrong("[tickets.t]\nmatrix = { a = '1..1000', b = '1..1000' }\nrun = 'x'")
    assert found == ["2:1: tickets.t.matrix: 1000000 members: a plan may have 200000 in all"]


def test_defaults_name_the_values_of_the_families_that_take_them() -> None:
    plan = read(
        """
[defaults]
run = "default {py}"
cwd = "{py}"
env = { PY = "{py}", ALL = "1" }
gates = ["check {py}"]
[tickets.test]
matrix = { py = ["3.11", "3.12"] }
run = "tox"
env = { OWN = "{py}" }
gates = ["own {py}"]
[tickets.lint]
run = "lint"
cwd = "."
env = { PY = "none" }
""".replace("[tickets.lint]", "[tickets.lint]\nmatrix = { py = ['3'] }")
    )
    ticket = plan.tickets["test-3.12"]
    assert (ticket.run, ticket.cwd, ticket.gates) == ("tox", "3.12", ("check 3.12", "own 3.12"))
    assert ticket.env == {"PY": "3.12", "ALL": "1", "OWN": "3.12"}
    assert plan.tickets["lint-3"].env == {"PY": "none", "ALL": "1"}


def test_a_default_that_names_a_value_is_refused_where_a_ticket_has_none() -> None:
    found = wrong(
        """[defaults]
cwd = "{py}"
env = { PY = "{py}", X = "{pyy}" }
timeout = "{py}q"
[tickets.test]
matrix = { py = ["3"] }
run = "tox"
[tickets.lint]
run = "lint {py}"
cwd = "."
timeout = "5m"
"""
    )
    assert found == [
        "3:9: defaults.env.PY: lint takes this, and has no py (give lint its own env)",
        "4:1: defaults.timeout: in test-3: '3q' is not a duration: write for instance 45s, 30m, 1h30m, 250ms or 2d",
    ]


def test_braces_that_fill_in_nothing_fill_in_nothing_when_the_ticket_starts() -> None:
    """`{{x}}` and what stands in a variable are read once, also where `{x}` is filled in later."""
    plan = read(
        """
[vars]
like = "{{split.count}}"
name = "split.count"
[resources]
port = "8000-8003"
[tickets.split]
run = "x"
[tickets.use]
needs = ["split"]
uses = { port = 1 }
run = "{split.count} {{split.count}} {like} {{{name}}} {{{split.count}}} {{port}} {port} {{other.x}} {{x}}"
title = "{{split.count}}"
gates = ["{{split.count}} {{port}}"]
"""
    )
    use = plan.tickets["use"]
    filled = with_values(
        replace(use, run=fill_units(use.run, {"port": ("8000",)})), {"split": {"count": "3"}}, plan.tickets
    )
    assert filled.run == "3 {split.count} {split.count} {split.count} {3} {port} 8000 {other.x} {x}"
    assert use.title == "{split.count}"
    assert use.gates == ("{split.count} {{port}}",)


# -- Whatever the plan ------------------------------------------------------------------------------------------

_VALUES = st.lists(st.sampled_from(["a", "b", "c d", "1", "x/y", "é"]), min_size=1, max_size=3, unique=True)


@st.composite
def plans(draw: Any) -> dict[str, Any]:
    """Plans with families, variables, values, defaults and claims."""
    tickets: dict[str, Any] = {}
    texts = ["echo {v}", "echo {{v}} ${v}", "true", "echo {{one.n}} {v!q}", "echo {{port}} {port}"]
    for name in ("one", "two", "three")[: draw(st.integers(1, 3))]:
        table: dict[str, Any] = {"run": draw(st.sampled_from(texts))}
        if draw(st.booleans()):
            axes = draw(st.lists(st.sampled_from(["p", "q"]), min_size=1, max_size=2, unique=True))
            table["matrix"] = {axis: draw(_VALUES) for axis in axes}
            table["run"] += "".join(f" {{{axis}!q}}" for axis in axes)
            table |= draw(
                st.sampled_from([{}, {"max_parallel": 2}, {"fail_fast": True}, {"locks": [f"{{{axes[0]}}}"]}])
            )
        if tickets and draw(st.booleans()):
            table["needs"] = draw(st.lists(st.sampled_from([*tickets, "*"]), max_size=2, unique=True))
            if "one" in table["needs"] and "matrix" not in tickets["one"]:
                table["run"] += " {one.n}"
        table |= draw(st.sampled_from([{}, {"uses": {"port": 1}}, {"uses_service": ["db"]}, {"env": {"A": "{v}"}}]))
        tickets[name] = table
    defaults = [{}, {"env": {"P": "{p}", "V": "{v}"}}, {"gates": ["check {v} {p}"]}, {"cwd": "{v}"}]
    return {
        "vars": {"v": draw(st.sampled_from(["x", "{{y}}", "a b", "{{one.n}}", "'\n$x\""]))},
        "resources": {"port": "8000-8001"},
        "services": {"db": {"run": "serve {v}"}},
        "defaults": draw(st.sampled_from(defaults)),
        "tickets": tickets,
    }


def read_document(document: dict[str, Any]) -> Plan | None:
    try:
        return read_plan(json.dumps(document), source="p", folder="/", format="json")
    except PlanErrors:
        return None


def session_of(plan: Plan) -> tuple[Any, ...]:
    """All that a session has of a plan, and what follows for each of its tickets."""
    claims = {id_: Claims.of(ticket, plan) for id_, ticket in plan.tickets.items()}
    return replace(plan, variables={}, given=Given()), [*plan.tickets], plan.amounts, claims


@given(plans())
def test_the_expanded_plan_is_the_same_plan(document: dict[str, Any]) -> None:
    plan = read_document(document)
    if plan is None:
        return
    expanded = expand(document, folder="/", given=Given(), look=lambda *_: []).document
    again = read_plan(as_toml(expanded), source="p", folder="/", format="toml")
    assert session_of(again) == session_of(plan)
    assert read_document(document) == plan


@given(plans(), st.randoms())
def test_the_order_of_tables_and_names_makes_no_other_tickets(document: dict[str, Any], random: Any) -> None:
    def shuffled(table: dict[str, Any]) -> dict[str, Any]:
        names = [*table]
        random.shuffle(names)
        return {name: table[name] for name in names}

    plan = read_document(document)
    tickets = {name: shuffled(table) for name, table in shuffled(document["tickets"]).items()}
    other = read_document(shuffled({**document, "tickets": tickets}))
    assert (plan is None) == (other is None)
    if plan is not None and other is not None:
        assert {id_: as_a_set(ticket) for id_, ticket in plan.tickets.items()} == {
            id_: as_a_set(ticket) for id_, ticket in other.tickets.items()
        }
        assert (plan.families, plan.amounts) == (other.families, other.amounts)


def as_a_set(ticket: Ticket) -> tuple[Ticket, set[str]]:
    """A ticket, whatever the order of its needs."""
    return replace(ticket, needs=()), set(ticket.needs)


def test_toml_and_json_expand_alike() -> None:
    assert read_document(tomli.loads(TEST)).tickets == read(TEST).tickets  # type: ignore[union-attr]


def test_a_family_without_members_says_why() -> None:
    nothing = Outside(lambda *_: [], read_no_file)
    other = "[tickets.b]\nneeds = ['g']\nrun = 'x'\n"
    for source, said in (
        ("{ glob = '{d}/*.csv' }", "nothing matches in/*.csv"),
        ("{ lines = 'ls {d}' }", "`ls in` prints nothing"),
        ("{ json = '{d}.json' }", "the list in in.json is empty"),
    ):
        text = f"[vars]\nd = 'in'\n[tickets.g]\nforeach = {{ f = {source} }}\nrun = 'x'\n"
        assert read(text + other, outside=nothing).without_members == {"g": said}
        [told] = wrong(text, outside=nothing)
        assert told == f"4:13: tickets.g.foreach.f: {said}: family g has no tickets, and the plan has no others"
    excluded = "[tickets.g]\nmatrix = { f = [1] }\nexclude = [{ f = 1 }]\nrun = 'x'\n"
    assert read(excluded + other).without_members == {"g": "all its members are excluded"}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[vars]\ngpu = 'v'\n", "2:1: vars.gpu"),
        ("[tickets.f]\nmatrix = { gpu = ['a'] }\nrun = 'x'\n", "2:12: tickets.f.matrix.gpu"),
        ("[tickets.f]\nforeach = { gpu = ['a'] }\nrun = 'x'\n", "2:13: tickets.f.foreach.gpu"),
    ],
)
def test_a_variable_does_not_hide_the_units_of_a_resource(text: str, place: str) -> None:
    rest = "[tickets.t]\nuses = { gpu = 1 }\nrun = 'echo {gpu}'\n[resources]\ngpu = "
    said = "the resource gpu has units, for which {gpu} stands already (choose another name)"
    assert wrong(text + rest + "['0']\n") == [f"{place}: {said}"]
    assert read(text + rest + "1\n"), "a resource without units stands for nothing"


def test_a_family_in_needs_and_after_is_one_error() -> None:
    text = "[tickets.x]\nmatrix = { n = '1..9' }\nrun = 'x'\n[tickets.y]\nmatrix = { n = '1..9' }\nrun = 'x'\n"
    said = "'x' is in `needs` too, which waits for more (leave it out of one)"
    assert wrong(text + "needs = ['x']\nafter = ['x']\n") == [f"8:10: tickets.y.after[0]: {said}"]
    assert wrong(text + "needs = ['x?']\nafter = ['x']\n") == [f"8:10: tickets.y.after[0]: {said}"]
    plan = read(text + "needs = ['x-{n}']\nafter = ['x-*']\n")
    assert plan.tickets["y-3"].needs == ("x-3",)
    assert plan.tickets["y-3"].after == tuple(f"x-{n}" for n in range(1, 10) if n != 3), (
        "the rest of what is called so"
    )


def test_a_family_without_members_may_have_ids() -> None:
    text = "[tickets.load]\nforeach = { f = { glob = '*' } }\nid = 'load-{f}'\nrun = 'x'\n[tickets.a]\nrun = 'x'\n"
    assert read(text, outside=Outside(lambda *_: [], read_no_file)).tickets.keys() == {"a"}
