"""The page of a report, and its drawings."""

import re
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest
from msgspec import structs

from parexec_tui.report.drawings import curves, graph, svg
from parexec_tui.report.drawings.gantt import gantt
from parexec_tui.report.drawings.graph import MOST_NODES, Node
from parexec_tui.report.drawings.scale import Scale
from parexec_tui.report.facts import CurvePoint, EtaFact, Report, SessionFacts
from parexec_tui.report.page import nodes, page
from tests.report.test_facts import facts_of
from tests.report.test_formats import ended

_NAME = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def facts() -> SessionFacts:
    found = facts_of(ended())
    curve = [CurvePoint(found.started + at, 0.1 * at, 10**9 * at, 0.0, 0.0) for at in range(6)]
    return structs.replace(found, resources=structs.replace(found.resources, curve=curve, memory_total=10**10))


def test_the_eta_is_judged_by_more_than_a_look_or_two(facts: SessionFacts) -> None:
    def written(looks: int) -> str:
        return page(Report([structs.replace(facts, eta=EtaFact(0.1, 0.2, 1.0, looks))]))

    assert "<b>20% off</b>" in written(3)
    assert "<b>20% off</b>" not in written(2)
    assert "p90 held 100% of the time; 2 looks" in written(2)


def drawings(written: str) -> list[ET.Element]:
    return [ET.fromstring(each) for each in re.findall(r"<svg.*?</svg>", written, re.DOTALL)]


def titles(root: ET.Element) -> list[str]:
    return [each.text or "" for each in root.iter(f"{_NAME}title")]


def many(facts: SessionFacts, count: int, agents: int = 80) -> SessionFacts:
    """The same with so many short attempts, on more agents than have room."""
    attempts = [
        structs.replace(
            facts.attempts[0],
            ticket=f"M{number}",
            agent=f"x-{number % agents}",
            started=facts.started + number * 5 / count,
            ended=facts.started + number * 5 / count + 0.002,
            seconds=0.002,
            end="failed" if number == count // 2 else "succeeded",
        )
        for number in range(count)
    ]
    tickets = [structs.replace(facts.tickets[0], id=f"M{number}", group=number % 9 + 1) for number in range(count)]
    return structs.replace(facts, attempts=attempts, tickets=tickets, path=[])


# -- the page ----------------------------------------------------------------------------------------------------


def test_the_page_needs_nothing_from_elsewhere(facts: SessionFacts) -> None:
    written = page(Report([facts]))
    assert "<script" not in written
    assert not re.search(r"\b(src|href)=|@import|url\((?!#)", written)
    assert set(re.findall(r"https?://[^\"' ]+", written)) == {"http://www.w3.org/2000/svg"}
    for query in ("prefers-color-scheme:dark", "@media print", "max-width:640px"):
        assert query in written
    assert "width=device-width" in written


def test_what_a_plan_says_cannot_act_in_the_page(facts: SessionFacts) -> None:
    nasty = "<img src=x onerror=alert(1)>\"'&"
    ticket = structs.replace(facts.tickets[0], id=nasty, title=nasty, error_line=nasty, status="failed", end="failed")
    attempt = structs.replace(facts.attempts[0], ticket=nasty, agent=nasty, error_line=nasty, end="failed")
    written = page(Report([structs.replace(facts, plan=nasty, source=nasty, tickets=[ticket], attempts=[attempt])]))
    assert "<img" not in written
    assert written.count("&lt;img") > 5
    assert drawings(written), "they are well-formed"


def test_the_page_has_what_the_text_has(facts: SessionFacts) -> None:
    written = page(Report([facts, structs.replace(facts, session="other", plan="second")]))
    assert "<title>test · second: report</title>" in written
    for said in ("What ended badly", "What ran where, and when", "What tickets waited for", "Why it took so long"):
        assert written.count(f"<h2>{said}</h2>") == 2
    assert re.search(r"failed on agent-\d: exit 1", written)
    assert [root.get("aria-label") for root in drawings(written)][:5] == [
        "What ran on which agent, and when",
        "How many tickets ran at once",
        "How many tickets were over",
        "How busy the CPUs were",
        "Memory in use",
    ]


def test_the_page_of_many_tickets_stays_small(facts: SessionFacts) -> None:
    written = page(Report([many(facts, 10_000)]))
    assert len(written) < 3_000_000
    assert "The 20 agents that were least busy are not shown." in written
    assert "And 9000 more" in written


# -- drawings ----------------------------------------------------------------------------------------------------


def test_every_bar_says_what_it_is(facts: SessionFacts) -> None:
    root = ET.fromstring(gantt(facts, 1000))
    said = titles(root)
    assert any(each.startswith("A\nsucceeded after 5.0s\n") for each in said)
    assert any(each.startswith("B\nfailed after ") and "exit 1" in each for each in said)
    assert sum("attempt 3" in each for each in said) == 1, "D could not start three times"
    bars = [each for each in root.iter(f"{_NAME}rect") if each.find(f"{_NAME}title") is not None]
    assert len(bars) == len(facts.attempts)
    assert all(0 <= float(each.get("x", "-1")) <= 1000 for each in bars)


def test_attempts_that_are_too_short_to_be_seen_are_one_bar_and_a_failure_among_them_is_not_lost(
    facts: SessionFacts,
) -> None:
    root = ET.fromstring(gantt(many(facts, 8_000, agents=8), 1000))
    bars = [each for each in root.iter(f"{_NAME}rect") if each.find(f"{_NAME}title") is not None]
    assert len(bars) <= 8 * 500
    counted = [int(match[1]) for each in titles(root) if (match := re.match(r"(\d+) attempts, ", each))]
    assert sum(counted) > 5_600
    assert sum("1 failed" in each for each in titles(root)) == 1
    assert [each.get("class") for each in bars].count("bad") == 1


@pytest.mark.parametrize("seconds", [0.05, 3, 59, 3600, 90_000, 10**7])
def test_marks_of_time_are_round_and_have_room(seconds: float) -> None:
    marks = list(Scale(1000, 1000 + seconds, 100, 1000).marks())
    assert [(x, said) for x, said in marks[:1]] == [(100, "0")]
    assert len(marks) in range(2, 14)
    assert all(after[0] - before[0] >= 70 for before, after in pairwise(marks))


def test_tickets_are_drawn_after_what_they_need_and_chains_do_not_cross() -> None:
    chains = [Node(f"{name}{group}", group, "succeeded", (f"{name}{group - 1}",) if group > 1 else ())
              for group in range(1, 5) for name in ("abc" if group % 2 else "cba")]  # fmt: skip
    root = ET.fromstring(graph.graph(chains))
    boxes = {title.split(":")[0]: rect for title, rect in zip(titles(root), _boxes(root), strict=True)}
    for name in "abc":
        xs = [float(boxes[f"{name}{group}"].get("x", "")) for group in range(1, 5)]
        assert xs == sorted(set(xs))
        assert len({boxes[f"{name}{group}"].get("y") for group in range(1, 5)}) == 1, "in a row"


def test_only_what_follows_in_the_path_has_a_thick_line() -> None:
    found = [Node("A", 1, "succeeded", ()), Node("B", 2, "succeeded", ("A",)), Node("C", 3, "succeeded", ("A", "B"))]
    root = ET.fromstring(graph.graph(found, ["A", "B", "C"]))
    assert [each.get("class") for each in _boxes(root)] == ["node onpath"] * 3
    lines = [each.get("class") for each in root.iter(f"{_NAME}path")]
    assert sorted(filter(None, lines)) == ["edge", "edge hot", "edge hot"], "A to C is a way around B"


def test_each_end_is_a_step_of_the_curve_also_in_a_session_of_a_moment(facts: SessionFacts) -> None:
    tickets = [structs.replace(facts.tickets[0], id=f"M{n}", ended=facts.started + n / 100) for n in range(1, 6)]
    root = ET.fromstring(curves.ended(structs.replace(facts, tickets=tickets, until=facts.started + 0.1), 1000))
    (line,) = (each.get("d", "") for each in root.iter(f"{_NAME}path") if each.get("class") == "curve")
    assert len({point.split()[1] for point in line[1:].split(" L")}) == 6, "from none to five"


def _boxes(root: ET.Element) -> list[ET.Element]:
    return [each for each in root.iter(f"{_NAME}rect") if (each.get("class") or "").startswith("node")]


def test_a_line_that_passes_a_group_has_a_place_there(facts: SessionFacts) -> None:
    found = [Node("A", 1, "succeeded", ()), Node("B", 2, "failed", ("A",)), Node("C", 3, "skipped", ("A", "B"))]
    root = ET.fromstring(graph.graph(found))
    lines = [each.get("d", "") for each in root.iter(f"{_NAME}path") if "edge" in (each.get("class") or "")]
    assert sorted(line.count("C") for line in lines) == [1, 1, 2]
    assert len(ET.fromstring(graph.graph(nodes(facts))).findall(f"{_NAME}g")) == len(facts.tickets)


def test_a_graph_of_very_many_tickets_is_one_of_groups(facts: SessionFacts) -> None:
    found = nodes(many(facts, MOST_NODES + 1))
    said = titles(ET.fromstring(graph.graph(found)))
    assert len(said) == 9
    assert said[0].startswith("group 1: 23 tickets\n")


def test_every_class_of_a_drawing_has_a_rule(facts: SessionFacts) -> None:
    drawn = [gantt(facts, 1000), graph.graph(nodes(facts)), curves.at_once(facts, 1000), curves.memory(facts, 1000)]
    used = {name for each in drawn for names in re.findall(r'class="([^"]*)"', each) for name in names.split()}
    assert used
    assert used <= set(re.findall(r"\.([a-z]+)", svg.RULES))
    alone = svg.alone(drawn[0])
    assert ET.fromstring(alone).find(f"{_NAME}style") is not None
    colours = set(re.findall(r"var\((--\w+)\)", svg.RULES))
    assert all(f"{each}:" in svg.STYLE for each in colours)
    written = page(Report([facts]))
    assert all(f"{each}:" in written for each in colours)
