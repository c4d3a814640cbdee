"""What the commands say of gates of groups and of the plan."""

from pathlib import Path

from tests.cli.test_cli import parexec, write

PLAN = """
[plan]
gates = [{ name = "smoke", run = "test -e ok || { echo error: no ok; exit 3; }" }]
[groups.1]
gates = ["echo first $PAREXEC_GROUP"]
[group.lib]
gates = ["true", { name = "link", run = "echo linked" }]
[tickets.a]
run = "true"
group = "lib"
[tickets.b]
run = "true"
needs = ["a"]
[tickets.c]
run = "true"
"""


def test_a_gate_of_the_plan_that_does_not_hold_fails_the_session(here: Path) -> None:
    ran = parexec("run", write(here, PLAN), "--headless")
    assert ran.code == 1
    assert "started" in ran.out
    assert "by the engine" in ran.out
    assert "gate 2 of 2: link" in ran.out
    assert "; the gates of the plan do not hold: gate smoke: exit 3: error: no ok" in ran.out
    assert "5 of 6 succeeded, 1 failed" in ran.out
    assert "gate smoke: exit 3" in parexec("status").out
    shown = parexec("show").out
    assert "gate smoke: exit 3: error: no ok" in shown
    assert "run  runs" not in shown, "gates have no command"
    assert parexec("log", "@lib").out == "linked\n"
    assert parexec("log", "@1").out == "first 1\n"
    (here / "ok").touch()
    assert parexec("retry", "@plan").code == 0
    assert parexec("resume", "--headless").code == 0


def test_gates_that_were_not_run_are_said_too(here: Path) -> None:
    ran = parexec("run", write(here, PLAN.replace('"true"\n[tickets.b]', '"false"\n[tickets.b]')), "--headless")
    assert ran.code == 1
    ran = parexec("run", write(here, PLAN + '[tickets.d]\nrun = "false"\n'), "--headless")
    assert "; the gates of the plan were not run: skipped" in ran.out


def test_a_part_of_a_plan_has_the_gates_of_what_is_whole_in_it(here: Path) -> None:
    file = write(here, PLAN)
    part = parexec("run", file, "-n", "b")
    assert "2  @lib  gates of group lib" not in part.out
    assert "1  @lib  gates of group lib" in part.out
    assert "not run: the gates of group 1, which is not whole" in part.out
    assert "not run: the gates of the plan, which is not whole" in part.out
    ran = parexec("run", file, "b", "--headless")
    assert ran.code == 0
    assert "parexec: not run: the gates of the plan, which is not whole" in ran.err
    assert "3 of 3 succeeded (3 tickets not selected)" in ran.out
    assert "  1  a     needed by @lib" in parexec("run", file, "-n", "@lib").out
    assert "not run" not in parexec("run", file, "-n", "@plan").out
