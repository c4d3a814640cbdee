"""`parexec report`, on sessions that really ran."""

import json
import subprocess
from pathlib import Path
from typing import Any

from parexec_tui.client.sessions import is_living
from tests.engine.engines import PAREXEC, run, until
from tests.engine.lifecycle.detached import parexec, run_detached

PLAN = """
[plan]
name = "night"
parallel = 2
[tickets.build]
run = "sleep 0.3; echo built"
locks = ["db"]
[tickets.lint]
run = "true"
locks = ["db"]
[tickets.test]
needs = ["build"]
run = "echo one; echo 'error: two' >&2; exit 3"
"""


def test_a_session_that_ran_is_told_in_every_format_and_compared_with_the_one_before(here: Path) -> None:
    code, state = run(here, PLAN.replace("exit 3", "exit 0"))
    first = state.session
    assert code == 0
    code, state = run(here, PLAN)
    second = state.session
    assert code == 1
    (facts,) = json.loads(parexec("report", "--format", "json", cwd=here))["sessions"]
    assert facts["session"] == second
    assert (facts["summary"]["succeeded"], facts["summary"]["ended_badly"]) == (2, 1)
    assert facts["comparison"]["before"]["session"] == first
    assert facts["comparison"]["newly_failed"] == ["test"]
    waited = {f"{each['cause']} {each['name']}".strip(): each["seconds"] for each in facts["lost"]}
    assert waited["claims lock db"] > 0.2
    assert abs(sum(waited.values()) - facts["summary"]["waited_seconds"]) < 1e-6
    ran = [step["ticket"] for step in facts["path"] if step["what"] == "ran"]
    assert ran in (["build", "test"], ["build", "lint"])
    text = parexec("report", cwd=here)
    assert "2 of 3 tickets succeeded, 1 failed" in text
    assert "failed on agent-1: exit 3: error: two" in text.replace("agent-2", "agent-1")
    assert "error: two</failure>" in parexec("report", "--format", "junit", cwd=here)
    assert parexec("report", "-o", "-", "--format", "csv", cwd=here).count("\n") == 4
    both = json.loads(parexec("report", first, second, "--format", "json", cwd=here))["sessions"]
    assert [each["comparison"] and each["comparison"]["before"]["session"] for each in both] == [None, first]


def test_files_are_written_whole_and_not_replaced_unasked(here: Path) -> None:
    run(here, '[tickets.A]\nrun = "true"\n')
    assert parexec("report", "-o", "a.md", cwd=here) == f"written: {here / 'a.md'}\n"
    said = parexec("report", "-o", "a.md", cwd=here, code=1)
    assert said == "parexec: a.md exists already: it is left as it is (--force replaces it)\n"
    parexec("report", "-o", "a.md", "--force", cwd=here)
    assert "does not tell the format" in parexec("report", "-o", "a.b", cwd=here, code=2)
    parexec("report", "-o", "a.b", "--format", "junit", cwd=here)
    assert (here / "a.b").read_text(encoding="utf-8").startswith("<?xml")
    assert sorted(each.name for each in here.glob("*a.*")) == ["a.b", "a.md"]


def test_pipes_and_what_a_shell_opened_get_the_report_without_force(here: Path) -> None:
    run(here, '[tickets.A]\nrun = "true"\n')
    script = """
        echo before > all.md
        { "$@" report --format md -o /dev/stdout; echo after; } >> all.md || exit
        "$@" graph --format dot -o >(cat > graph.dot; touch done) --force || exit
        until test -e done; do sleep 0.05; done
        "$@" export -o /dev/stdout > x || exit
        mv x x.tar.gz; "$@" import x.tar.gz
    """
    ran = subprocess.run(
        ["bash", "-c", script, "bash", *PAREXEC], cwd=here, text=True, capture_output=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    lines = (here / "all.md").read_text(encoding="utf-8").splitlines()
    assert (lines[0], lines[1].startswith("#"), lines[-1]) == ("before", True, "after")
    assert (here / "graph.dot").read_text(encoding="utf-8").startswith("digraph")
    assert ran.stdout.startswith("imported: ")
    assert ran.stderr.count("written: ") == 3


def test_a_session_is_compared_with_one_that_tried_the_same_tickets(here: Path) -> None:
    plan = "".join(f'[tickets.{id_}]\nrun = "true"\n' for id_ in "AB")
    whole = run(here, plan)[1].session

    def comparison() -> dict[str, Any]:
        (facts,) = json.loads(parexec("report", "--format", "json", cwd=here))["sessions"]
        found: dict[str, Any] = facts["comparison"]
        return found

    run(here, plan, "A")
    told = comparison()
    assert (told["before"]["session"], told["dropped"], told["not_selected"]) == (whole, [], ["B"])
    cancelled = run_detached(here, plan, "--hold")
    parexec("cancel", "A", "B", "-y", "-s", cancelled, cwd=here)
    until(lambda: not is_living(cancelled), "it is over")
    run(here, plan)
    assert comparison()["before"]["session"] == whole
