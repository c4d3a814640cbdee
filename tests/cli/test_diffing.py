"""`parexec diff` of two sessions that really ran, and which of its meanings a name has."""

import json
from pathlib import Path

from parexec_tui.paths import registry_file
from tests.cli.test_steer import parexec
from tests.engine.engines import Engine, session, write_plan
from tests.registry.registries import spoil

PLAN = """
[plan]
name = "NAME"
[tickets.build]
run = "sleep SECONDS"
[tickets.test]
needs = ["build"]
run = "echo 'error: two' >&2; exit CODE"
"""


def ran(here: Path, seconds: float, code: int, name: str = "night") -> str:
    text = PLAN.replace("NAME", name).replace("SECONDS", str(seconds)).replace("CODE", str(code))
    assert Engine("run", write_plan(here, text), cwd=here).wait() == (1 if code else 0)
    return session()


def refused(*words: str) -> str:
    answer = parexec("diff", *words)
    assert answer.code == 2, answer
    return answer.err


def test_two_sessions_are_compared_and_the_newest_with_the_one_before_of_its_plan(here: Path) -> None:
    first = ran(here, 0.02, 0)
    second = ran(here, 1, 3, name="day")
    told = json.loads(parexec("diff", "--json").out)
    assert (told["before"]["session"], told["after"]["session"]) == (first, second), "it is the same file"
    assert (told["newly_failed"], [each["ticket"] for each in told["slower"]]) == (["test"], ["build"])
    assert {each["ticket"]: each["keys"] for each in told["changed"]} == {"build": ["run"], "test": ["run"]}
    said = parexec("diff", first, second).out
    assert said.startswith(f"night → day\n  before  {first}, started 20")
    assert "newly failed\n  ✗ test" in said
    assert "exit 3: error: two" in said
    assert "changed  build (run), test (run)" in said
    back = parexec("diff", second, first).out
    assert "now succeeded  test" in back
    assert "faster\n  build" in back
    assert json.loads(parexec("report", "--format", "json").out)["sessions"][0]["comparison"] == told


def test_a_report_is_written_although_the_session_before_is_damaged(here: Path) -> None:
    first, second = ran(here, 0, 0), ran(here, 0, 0)
    spoil(registry_file(), "UPDATE events SET data = x'00' WHERE session = 1")
    answer = parexec("report", "--format", "json")
    assert answer.code == 0, answer
    (facts,) = json.loads(answer.out)["sessions"]
    assert (facts["session"], facts["comparison"]) == (second, None)
    assert f"not compared with {first}: " in answer.err
    assert "not even the first event" in refused()


def test_a_name_is_a_ticket_and_two_are_sessions(here: Path) -> None:
    only = ran(here, 0, 0, name="test")
    assert f"no session of its plan was before {only}" in refused()
    ran(here, 0, 0, name="test")
    said = refused("test")
    assert said.startswith("parexec: test is a ticket, and also 2 sessions: one name is a ticket\n")
    assert "test has no worktree" in said
    assert f"there is no ticket {only} in " in refused(only)
    assert "that is session" in refused(only)
    assert "there is no ticket nobody" in refused("nobody")
    assert "no session 'build'" in refused("build", only)
    assert "build is a ticket of" in refused("build", only)
    assert refused("a", "b", "c") == f"parexec: 3 names: {USES}\n"
    assert refused(only, only) == f"parexec: both are {only}: there is nothing to compare\n"
    assert "--stat is for a ticket" in refused("--stat")
    assert "--json is for two sessions" in refused("test", "--json")
    assert "two are named already" in refused(only, only, "-s", only)


USES = "diff BEFORE AFTER is of two sessions, diff TICKET of what a ticket did"
