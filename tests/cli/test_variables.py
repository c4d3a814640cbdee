"""`--set`, `--profile` and `PAREXEC_VAR_`: wherever a command reads a plan file, and kept with the session."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_cli import parexec, refused, write

pytestmark = pytest.mark.usefixtures("here")

PLAN = """
[vars]
n = 2
mode = "debug"
[profiles.ci]
mode = "release"
[tickets.part]
foreach = { i = "1..{n}" }
run = "echo {mode} {i}"
estimate = "1s"
"""

GIVEN = ("--set", "n=3", "--profile", "ci")


def facts(*words: str, **environment: str) -> Any:
    answer = parexec(*words, **environment)
    assert answer.code == 0, answer.err
    return json.loads(answer.out)


def test_each_command_that_reads_a_plan_takes_what_is_said_of_its_variables(here: Path) -> None:
    write(here, PLAN)
    drawn = facts("graph", "plan.toml", "--format", "json", *GIVEN)
    assert [ticket["id"] for ticket in drawn["tickets"]] == ["part-1", "part-2", "part-3"]
    assert facts("simulate", "plan.toml", "--json", *GIVEN)["known"]["estimated"] == 3
    assert facts("simulate", "plan.toml", "--json", PAREXEC_VAR_n="5")["known"]["estimated"] == 5
    assert "3.0s of agents" in parexec("optimise", "plan.toml", "--seconds", "0", *GIVEN).out
    assert "the plan has no such variable" in refused("doctor", "plan.toml", "--set", "m=1")


def test_a_timer_runs_what_was_said(here: Path) -> None:
    write(here, PLAN)
    words = ("schedule", "plan.toml", "--on-calendar", "daily", "-n")
    said = parexec(*words, *GIVEN, "--set", "mode=a b%", PAREXEC_VAR_mode="x", PAREXEC_VAR_other="y").out
    assert '"--profile" "ci" "--set" "n=3" "--set" "mode=a b%%" "--headless"' in said
    assert 'Environment="PAREXEC_VAR_mode=x"' in said
    assert "PAREXEC_VAR_other" not in said
    assert "mode has several lines" in refused(*words, "--set", "mode=a\nb")


def test_a_session_keeps_and_tells_its_variables(here: Path) -> None:
    write(here, PLAN)
    assert parexec("run", "plan.toml", "--headless", *GIVEN).code == 0
    shown = parexec("show").out
    assert "variables n=3, mode=release (profile ci)\n" in shown
    status = facts("status", "--json")
    assert (status["variables"], status["profile"]) == ({"n": "3", "mode": "release"}, "ci")
    assert facts("show", "--json")["variables"] == status["variables"]
    assert "says what the plan is already" in parexec("reload", "--yes").err
    assert "a session has the variables that it began with" in refused("simulate", "--set", "n=4")


def test_a_reload_may_say_something_else_which_is_kept_and_can_be_undone(here: Path) -> None:
    write(here, PLAN)
    assert parexec("run", "plan.toml", "--headless", "--set", "n=1").code == 0
    reloaded = parexec("reload", "--yes", "--set", "n=2", "--profile", "ci")
    assert reloaded.out.splitlines()[:3] == [
        "~ [vars]  n=2, mode=release",
        "+ part-2",
        "! part-1  stays as it is: changed in the file, but it is done",
    ]
    assert "variables n=2, mode=release (profile ci)\n" in parexec("show").out
    assert "part-2" not in parexec("reload", "--dry-run").out, "it reads the file as it was told to"
    assert parexec("undo", "--yes").code == 0
    assert "variables n=1, mode=debug\n" in parexec("show").out
    write(here, PLAN.replace("n = 2", 'n = 2\nunused = "x"'))
    assert parexec("reload", "--yes").out.startswith("~ [vars]  unused=x\n")
    assert facts("show", "--json")["variables"] == {"n": "1", "unused": "x", "mode": "debug"}


HARMFUL = """it's "q" $(touch pwned) `touch pwned` {x} {{y}} {ai.z} \\\\n ; touch pwned
second"""


def test_a_value_is_read_by_a_shell_only_where_it_stands_unquoted_in_run(here: Path) -> None:
    write(
        here,
        """
[vars]
text = ""
[agents.sh]
env = { TYPE = "{text}" }
[agents.words]
command = ["printf", "%s", "{prompt}"]
[tickets.shell]
title = "{text}"
agent = "sh"
cwd = "{text}"
env = { OWN = "{text}" }
needs = ["ai"]
run = '''printf '%s\\n' {text!q} "$OWN" "$TYPE"; pwd'''
[tickets.ai]
agent = "words"
prompt = "{text}"
""",
    )
    folder = here / HARMFUL.replace("/", "-")
    folder.mkdir()
    answer = parexec("run", "plan.toml", "--headless", "--set", f"text={HARMFUL}")
    assert answer.code == 0, answer.err
    assert parexec("log", "ai", "--raw").out.rstrip("\n") == HARMFUL
    assert parexec("log", "shell", "--raw").out == f"{HARMFUL}\n" * 3 + f"{folder}\n"
    assert [*here.rglob("pwned")] == []
    assert facts("show", "--json")["tickets"][0]["title"] == HARMFUL


def test_the_environment_may_speak_of_no_variable_which_is_a_warning(here: Path) -> None:
    write(here, PLAN)
    said = "PAREXEC_VAR_mod: the plan has no such variable, did you mean `mode`?"
    assert f"warning: {said}\n" in parexec("validate", "plan.toml", PAREXEC_VAR_mod="x").out
    assert f"warning: {said}\n" in parexec("run", "plan.toml", "--headless", PAREXEC_VAR_mod="x").err
    write(here, PLAN.partition("[tickets")[0].replace("[vars]", "[tickets.t]\nrun = 'x'\n[vars]"))
    assert "PAREXEC" not in parexec("validate", "plan.toml", PAREXEC_VAR_n="3").out


def test_a_family_that_found_nothing_is_told(here: Path) -> None:
    write(
        here,
        "[tickets.a]\nforeach = { n = { glob = 'in/*.x' } }\nrun = 'x'\n[tickets.b]\nneeds = ['a']\nrun = 'true'",
    )
    assert "warning: family a has no tickets: nothing matches in/*.x\n" in parexec("validate", "plan.toml").out
    for style in ((), ("--brief",)):
        answer = parexec("run", "plan.toml", "--headless", *style)
        assert answer.code == 0
        assert "family a" in answer.out + answer.err
        assert "nothing matches in/*.x" in answer.out + answer.err
    for words in (
        ("show", "a"),
        ("why", "a"),
        ("log", "a"),
        ("retry", "a", "--yes"),
        ("why", "a[n=x]"),
    ):
        assert "family a has no tickets: nothing matches in/*.x" in parexec(*words).err, words
