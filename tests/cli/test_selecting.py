"""`parexec run PLAN TICKET...`: some tickets of a plan, and what -n says before."""

import json
from pathlib import Path

import pytest

from tests.cli.test_cli import parexec
from tests.engine import engines
from tests.engine.conftest import nothing_runs_on as nothing_runs_on

pytestmark = pytest.mark.usefixtures("here")

PLAN = """
[plan]
name = "site"
[tickets.gen]
run = "echo gen >> ran"
[tickets.fetch]
run = "echo fetch >> ran"
[tickets.build]
needs = ["gen", "fetch"]
run = "echo build >> ran"
[tickets.test]
needs = ["build"]
run = "echo test >> ran"
[tickets.broken]
needs = ["gen"]
run = "exit 1"
requires_files = ["no-such-file"]
"""


def ran(here: Path) -> list[str]:
    file = here / "ran"
    return sorted(file.read_text().split()) if file.exists() else []


def test_a_ticket_is_run_with_what_it_needs_and_nothing_else(here: Path) -> None:
    engines.write_plan(here, PLAN)
    answer = parexec("run", "plan.toml", "build", "--headless")
    assert answer.code == 0  # though the whole plan would fail, and could not even be started here
    assert ran(here) == ["build", "fetch", "gen"]
    assert "site: 3 of 5 tickets (build)" in answer.out
    assert "3 of 3 succeeded (2 tickets not selected)" in answer.out
    for verb in ("show", "status"):
        assert "3 of 5 tickets (build)" in parexec(verb).out
        facts = json.loads(parexec(verb, "--json").out)
        assert (facts["selected"], facts["of"]) == ("build", 5)


def test_what_is_not_selected_is_taken_as_done(here: Path) -> None:
    engines.write_plan(here, PLAN)
    assert parexec("run", "plan.toml", "--from", "build", "--headless", "-q").code == 0
    assert ran(here) == ["build", "test"]


GATED = """
[plan]
gates = ["true"]
[groups.2]
gates = ["echo $PAREXEC_GROUP $PAREXEC_TICKET >> ran; test -e fine"]
[tickets]
a = { run = "true" }
b = { run = "true" }
c = { run = "true", needs = ["a"] }
"""


@pytest.mark.parametrize("words", [("--except", "a"), ("--from", "c"), ("--only", "@2")])
def test_the_gates_of_a_group_that_is_whole_are_run_by_the_number_of_the_plan(
    here: Path, words: tuple[str, ...]
) -> None:
    engines.write_plan(here, GATED)
    assert parexec("run", "plan.toml", *words, "--headless", "-q").code == 1
    assert ran(here) == ["2", "@2"]
    (here / "fine").touch()
    answer = parexec("resume", "--retry-failed", "--headless", "-q")  # another process, which replays
    assert (answer.code, ran(here)) == (0, ["2", "2", "@2", "@2"])
    assert "\n  2  " in parexec("run", "plan.toml", *words, "-n").out


def test_it_is_said_what_a_group_lacks_whose_gates_are_not_run(here: Path) -> None:
    engines.write_plan(here, GATED)
    answer = parexec("run", "plan.toml", "a", "--headless", "-q")
    lines = [f"not run: the gates of {whose}, which is not whole: without {of}" for whose, of in LACKS.items()]
    assert answer.err.splitlines() == [f"parexec: {line}" for line in lines]
    dry = parexec("run", "plan.toml", "a", "-n")
    assert (dry.out.splitlines()[2:], dry.err) == (lines, "")
    facts = json.loads(parexec("run", "plan.toml", "a", "-n", "--json").out)
    assert facts["missing"] == {"group 2": ["c"], "the plan": ["b", "c"]}
    without = parexec("run", "plan.toml", "--except", "@2,@plan", "-n").out.splitlines()[-2:]
    assert without == [f"not run: the gates of {whose}, by --except" for whose in LACKS]


LACKS = {"group 2": "c", "the plan": "b and c"}


def test_a_selected_ticket_that_fails_is_told_by_the_exit_code(here: Path) -> None:
    (here / "no-such-file").touch()
    engines.write_plan(here, PLAN)
    assert parexec("run", "plan.toml", "--only", "broken", "--headless", "-q").code == 1
    answer = parexec("resume", "--retry-failed", "--headless")
    assert answer.code == 1
    assert "0 of 1 succeeded" in answer.out


def test_a_dry_run_says_what_and_why_and_starts_nothing(here: Path) -> None:
    engines.write_plan(here, PLAN)
    answer = parexec("run", "plan.toml", "test", "--except", "fetch", "-n")
    assert (answer.code, answer.out.splitlines()) == (
        0,
        [
            "would run 3 of 5 tickets, in 3 groups:",
            "  1  gen    needed by build",
            "  2  build  needed by test",
            "  3  test   named",
            "taken as done: fetch, which build would need",
        ],
    )
    facts = json.loads(parexec("run", "plan.toml", "--only", "test", "-n", "--json").out)
    assert facts == {
        "tickets": [{"id": "test", "group": 3, "why": "named by --only"}],
        "taken_as_done": {"build": ["test"]},
        "gates_left_out": [],
        "missing": {},
        "of": 5,
    }
    assert (ran(here), engines.sessions()) == ([], [])


def test_a_dry_run_of_all_also_says_what_is_missing_here(here: Path) -> None:
    engines.write_plan(here, PLAN)
    answer = parexec("run", "plan.toml", "-n")
    assert answer.code == 2
    assert answer.out.startswith("would run 5 tickets, in 3 groups:\n  1  gen\n")
    assert "required file no-such-file does not exist" in answer.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["tset"], "there is no ticket tset, did you mean `test`?"),
        (["--only", "x*"], "no ticket matches x*"),
        (["test", "--only", "gen", "--from", "build"], "no ticket is selected by test --only gen --from build"),
    ],
)
def test_a_selection_of_nothing_starts_nothing(here: Path, words: list[str], says: str) -> None:
    engines.write_plan(here, PLAN)
    for option in ("--headless", "-n"):
        answer = parexec("run", "plan.toml", *words, option)
        assert (answer.code, answer.err) == (2, f"parexec: {says}; nothing was started\n")
    assert engines.sessions() == []


def test_a_session_stays_about_its_tickets_when_its_file_is_read_again(here: Path) -> None:
    engines.write_plan(here, PLAN)
    assert parexec("run", "plan.toml", "build", "--headless", "-q").code == 0
    more = "\n[tickets.other]\nrun = 'true'\n[tickets.deep]\nrun = 'echo deep >> ran'\n"
    engines.write_plan(here, PLAN.replace('needs = ["gen", "fetch"]', 'needs = ["gen", "fetch", "deep"]') + more)
    answer = parexec("reload", "--rerun", "-n")
    assert [line for line in answer.out.splitlines() if line[:1] in "+-~!"] == [
        "+ deep",
        "~ build  needs; runs again",
    ]
    engines.write_plan(here, PLAN.replace("tickets.build", "tickets.make").replace('"build"', '"make"'))
    answer = parexec("reload", "-n")
    assert answer.code == 2
    assert "there is no ticket build" in answer.err
    assert "the session is about build" in answer.err


def test_tickets_of_the_plan_file_complete(here: Path) -> None:
    engines.write_plan(here, PLAN)

    def completed(*words: str) -> list[str]:
        line = " ".join(("parexec", "run", *words))
        answer = parexec(COMP_WORDS=line, COMP_CWORD=str(len(words) + 1), _PAREXEC_COMPLETE="bash_complete")
        return [line.removeprefix("plain,") for line in answer.out.split()]

    assert completed("plan.toml", "") == ["gen", "fetch", "build", "test", "broken"]
    assert completed("plan.toml", "b") == ["build", "broken"]
    assert completed("plan.toml", "build", "b") == ["broken"]
    assert completed("plan.toml", "--from", "te") == ["test"]
    assert completed("plan.toml", "priority:l") == ["priority:low"]
    assert completed("none.toml", "t") == []


def test_a_dry_run_says_what_is_done_already_and_runs_no_command(here: Path) -> None:
    (here / "out").write_text("x")
    engines.write_plan(
        here,
        "[tickets]\n"
        "a = { run = 'true', if_done = ['out'] }\n"
        "b = { run = 'true', if_done = ['out', 'none'] }\n"
        "c = { run = 'true', skip_if = 'touch asked' }\n",
    )
    assert parexec("run", "plan.toml", "-n").out.splitlines() == [
        "would run 2 of 3 tickets, in 1 group:",
        "  1  b  not done yet: out and none",
        "  1  c  unless this succeeds: touch asked",
        "1 ticket is already done",
    ]
    facts = json.loads(parexec("run", "plan.toml", "-n", "--json").out)
    assert facts["tickets"][0] == {"id": "a", "group": 1, "why": "", "done": "already done: out"}
    assert not (here / "asked").exists()


BUILD = """
[defaults]
up_to_date = true
[tickets.obj]
reads = ["src"]
outputs = ["obj"]
run = "cp src obj"
[tickets.app]
needs = ["obj"]
reads = ["obj"]
outputs = ["app"]
run = "cp obj app"
[tickets.check]
needs = ["app"]
run = "true"
"""


def test_a_dry_run_says_what_is_up_to_date_and_why_the_rest_is_not(here: Path) -> None:
    def would_run(*options: str) -> list[str]:
        return parexec("run", "plan.toml", "-n", *options).out.splitlines()

    (here / "src").write_text("1")
    engines.write_plan(here, BUILD)
    check = "  3  check  it says neither what it reads nor what it writes"
    first = ["would run 3 tickets, in 3 groups:", "  1  obj    never ran", "  2  app    never ran", check]
    assert would_run() == first
    assert parexec("run", "plan.toml", "-q").code == 0
    assert would_run() == ["would run 1 of 3 tickets, in 1 group:", check, "2 tickets are up to date"]
    assert would_run("app") == ["nothing to run: 2 tickets are up to date"]
    assert would_run("app", "--force")[1:] == ["  1  obj  needed by app, forced", "  2  app  named, forced"]
    (here / "src").write_text("2")
    assert would_run() == [
        "would run 3 tickets, in 3 groups:",
        "  1  obj    reads src changed",
        "  2  app    if obj changes what it reads",
        check,
    ]
    facts = json.loads(parexec("run", "plan.toml", "-n", "--json").out)
    assert facts["tickets"][0] == {"id": "obj", "group": 1, "why": "", "asked": "reads src changed"}
    (here / "src").write_text("1")
    assert would_run("app") == ["nothing to run: 2 tickets are up to date"]
    facts = json.loads(parexec("run", "plan.toml", "-n", "--json").out)
    assert [each.get("done") for each in facts["tickets"]] == ["up to date", "up to date", None]
    (here / "obj").unlink()
    assert would_run("obj") == ["would run 1 of 3 tickets, in 1 group:", "  1  obj  named, outputs obj is missing"]
    assert "  2  app    reads obj is missing, unless obj makes it what it was" in would_run()
    engines.write_plan(here, BUILD.replace("cp obj app", "cp obj app; false"))
    assert parexec("run", "plan.toml", "-q").code == 1
    assert "  2  app    the last attempt did not succeed" in would_run()
    engines.write_plan(here, BUILD.replace("cp src obj", "cat src > obj"))
    assert "  1  obj    the command or its settings changed" in would_run()


def test_force_runs_what_is_up_to_date_and_that_counts_as_its_last_success(here: Path) -> None:
    (here / "src").write_text("1")
    engines.write_plan(here, BUILD)
    for options, ran in (((), 3), ((), 1), (("--force",), 3), ((), 1)):
        assert parexec("run", "plan.toml", "-q", *options).code == 0
        events = map(json.loads, parexec("events", "--json").out.splitlines())
        assert sum(event["kind"] == "attempt_started" for event in events) == ran
