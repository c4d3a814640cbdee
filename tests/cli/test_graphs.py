"""graph: as text, dot, mermaid and JSON, of a plan and of a session; names and titles that mean something there."""

import json
import shlex
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from parexec_tui.core.plan.check import survey
from parexec_tui.core.state.session import SessionState
from parexec_tui.report.dot import dot_lines
from parexec_tui.report.graph_facts import MOST_CONFLICTS, graph_facts
from parexec_tui.report.mermaid import escaped, mermaid_lines, why_not_drawn
from tests.cli.test_steer import parexec
from tests.core.sessions import plan
from tests.engine import engines
from tests.engine.conftest import nothing_runs_on as nothing_runs_on

pytestmark = pytest.mark.usefixtures("here")

PLAN = """
[plan]
name = 'a "graph"'
[agents.x]
max = 3
[defaults]
run = "true"
estimate = "2s"
[tickets.end]
title = '1. a "quoted" & <b>bold</b> \\N ünïcode _a_'
[tickets."a.b"]
locks = ["db"]
[tickets.__init__]
needs = ["end", "a.b?"]
locks = ["db"]
[tickets.other]
locks = ["db"]
[tickets.subgraph]
after = ["a.b"]
run = "false"
"""


def drawn(*words: str) -> str:
    answer = parexec("graph", *words)
    assert answer.code == 0, answer.err
    return answer.out


def test_text_is_the_drawing_of_the_screen_with_the_path_and_what_does_not_run_at_once(here: Path) -> None:
    assert drawn(str(engines.write_plan(here, PLAN))).splitlines() == [
        'a "graph": 5 tickets in 2 groups',
        "critical path: 2 tickets, 4.0s: end, __init__",
        "",
        '○• end  1. a "quoted" & <b>bold</b> \\N ünïcode _a_',
        "┃ ○• a.b",
        "┗━┿━○· __init__",
        "  ●· subgraph",
        "○• other",
        "",
        "3 tickets (a.b, __init__ and other) share `db`, one at a time",
    ]


def test_of_a_session_it_says_where_tickets_stand(here: Path) -> None:
    engines.run(here, PLAN)
    assert "●✗ subgraph  failed  exit 1" in drawn().replace("  ●", "●").splitlines()
    facts = json.loads(drawn("--format", "json"))
    assert facts["session"] == engines.session()
    assert {each["id"]: each["status"] for each in facts["tickets"]}["subgraph"] == "failed"
    assert facts["path"] == []


def test_json_has_groups_needs_path_and_conflicts(here: Path) -> None:
    file = here / "graph.json"
    drawn(str(engines.write_plan(here, PLAN)), "-o", str(file))
    facts = json.loads(file.read_text())
    assert facts["session"] is None
    assert facts["groups"] == [["end", "a.b", "other"], ["__init__", "subgraph"]]
    by_id = {each["id"]: each for each in facts["tickets"]}
    assert by_id["__init__"]["needs"] == {"end": "success", "a.b": "end"}
    assert by_id["subgraph"]["needs"] == {"a.b": "order"}
    assert (facts["path"], facts["path_seconds"]) == (["end", "__init__"], 4.0)
    (lock,) = facts["conflicts"]
    assert lock == {"kind": "lock", "name": "db", "tickets": ["a.b", "__init__", "other"], "exclusive": True}


def test_a_file_stays_without_force_and_its_name_tells_the_format(here: Path) -> None:
    source, file = str(engines.write_plan(here, PLAN)), here / "graph.dot"
    file.write_text("mine")
    assert "--force replaces it" in parexec("graph", source, "-o", str(file)).err
    assert file.read_text() == "mine"
    drawn(source, "-o", str(file), "--force")
    assert file.read_text().startswith('digraph "a \\"graph\\"" {')
    answer = parexec("graph", source, "-o", str(here / "graph.jpg"))
    assert answer.code == 2
    assert "does not tell the format" in answer.err


def test_dot_reads_every_name_as_it_is(here: Path) -> None:
    text = drawn(str(engines.write_plan(here, PLAN)), "--format", "dot")
    assert r'"end" [label="end\n1. a \"quoted\" &amp; <b>bold</b> \\N ünïcode _a_\nready"' in text
    assert '"a.b" -> "subgraph" [style=dotted];' in text
    if (dot := shutil.which("dot")) is not None:
        done = subprocess.run([dot, "-Tplain"], input=text, capture_output=True, text=True, timeout=60, check=True)
        assert not done.stderr
        nodes = {shlex.split(line)[1] for line in done.stdout.splitlines() if line.startswith("node ")}
        assert nodes == {"end", "a.b", "__init__", "other", "subgraph", " conflict 1"}


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("plain: a.b/c-d (e), 1.5", "plain: a.b/c-d (e), 1.5"),
        ('"end"', "#34;end#34;"),
        ("#35;", "#35;35#59;"),
        ("`**x**`", "#96;#42;#42;x#42;#42;#96;"),
        ("__init__", "#95;#95;init#95;#95;"),
        ("1. first", "1#46; first"),
        ("- first", "#45; first"),
        ("a<br>&b", "a#60;br#62;#38;b"),
        ("größe", "größe"),
    ],
)
def test_what_means_something_to_mermaid_is_written_by_its_number(said: str, written: str) -> None:
    assert escaped(said) == written


def test_mermaid_has_names_of_its_own_for_tickets(here: Path) -> None:
    text = drawn(str(engines.write_plan(here, PLAN)), "--format", "mermaid")
    assert '    t1["end<br/>1#46; a #34;quoted#34;' in text
    for line in ("t1 ==> t3", "t2 -.-> t3", "t2 -. after .-> t5", "c1 -.- t4", "class t1,t3 path"):
        assert f"  {line}\n" in text


def test_svg_is_a_picture_by_itself(here: Path) -> None:
    file = here / "graph.svg"
    drawn(str(engines.write_plan(here, PLAN)), "-o", str(file))
    root = ElementTree.parse(file).getroot()
    space = {"": "http://www.w3.org/2000/svg"}
    assert root.find("style", space) is not None
    labels = {found.text for found in root.iterfind(".//text", space)}
    assert labels == {"end", "a.b", "__init__", "other", "subgraph"}
    titles = [found.text or "" for found in root.iterfind(".//title", space)]
    assert any('1. a "quoted" & <b>bold</b>' in title for title in titles)


def test_conflicts_are_bounded_and_a_drawing_that_mermaid_refuses_is_told() -> None:
    many = "\n".join(f"T{number}: locks=l{number // 2}" for number in range(600))
    state = SessionState(plan(many))
    facts = graph_facts(state, None, survey(state.plan, max_clashes=MOST_CONFLICTS))
    assert (len(facts.conflicts), facts.more_conflicts, facts.are_all) == (100, 200, True)
    assert why_not_drawn(list(mermaid_lines(facts)), facts) == ""
    chain = "\n".join(f"T{number}: {f'T{number - 1}' if number else ''}" for number in range(3000))
    state = SessionState(plan(chain))
    facts = graph_facts(state, None, survey(state.plan))
    assert "here are 2,999 and" in why_not_drawn(list(mermaid_lines(facts)), facts)
    assert sum(" -> " in line for line in dot_lines(facts)) == 2999
