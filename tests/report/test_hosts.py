"""Reports of sessions on several hosts: what ran where."""

from parexec_tui.report.facts import Report
from parexec_tui.report.markdown import markdown_lines
from parexec_tui.report.page import page
from parexec_tui.report.plain import text_lines
from parexec_tui.report.tables import csv_lines
from tests.core.hosts import lose, two_hosts
from tests.core.sessions import Session
from tests.report.test_facts import facts_of


def test_what_ran_on_each_host_is_told_in_every_format() -> None:
    session = two_hosts("A:\nB:\nC:")
    session.wait(10)
    session.fail("A")
    session.succeed("C")
    lose(session)
    session.wait(30)
    facts = facts_of(session)
    assert [(each.name, each.agents, each.succeeded, each.failed, each.ran_seconds) for each in facts.hosts] == [
        ("local", 1, 1, 0, 10.0), ("gpu-box", 2, 0, 1, 50.0), ("mill", 0, 0, 0, 0),
    ]  # fmt: skip
    assert {each.ticket: each.host for each in facts.attempts} == {"A": "gpu-box", "B": "gpu-box", "C": ""}
    text = "\n".join(text_lines(Report([facts]), width=100, ascii_only=True))
    assert "gpu-box  2 agents, 4 slots, 0 succeeded, 1 failed, 50.0s of attempts" in text
    assert "trainer-A  on gpu-box, busy " in text
    assert "| `gpu-box` | 2 agents, 4 slots, " in "".join(markdown_lines(Report([facts])))
    html = page(Report([facts]))
    assert '<tr><td class="id">gpu-box</td><td class="n">4</td><td class="n">2</td>' in html
    assert 'trainer-A <span class="dim">on gpu-box</span>' in html
    head, first, *_ = csv_lines(Report([facts]))
    assert dict(zip(head.split(","), first.split(","), strict=True))["host"] == '"gpu-box"'


def test_a_plan_without_hosts_says_nothing_of_them() -> None:
    session = Session("A:")
    session.dispatch()
    session.succeed("A")
    facts = facts_of(session)
    assert facts.hosts == []
    assert "hosts" not in "\n".join(text_lines(Report([facts]), width=100, ascii_only=True))
