"""What the commands say of tickets whose gates failed or whose outputs are missing."""

from pathlib import Path

import pytest

from tests.cli.test_cli import parexec, write

PLAN = """
[tickets.linted]
run = "echo built"
gates = ["echo one", { name = "lint", run = "echo error: unused x $PAREXEC_GATE $PAREXEC_STEP; exit 3", retries = 1 }]
[tickets.wrote]
run = "true"
outputs = ["out/*.html"]
[tickets.good]
run = "mkdir -p made; echo x > made/a"
outputs = ["made", "never?"]
gates = { any = ["false", "true"] }
"""


@pytest.fixture
def ran(here: Path) -> None:
    assert parexec("run", write(here, PLAN), "--headless").code == 1


@pytest.mark.usefixtures("ran")
def test_a_gate_that_failed_is_named_with_its_error_line() -> None:
    assert "gate lint: exit 3: error: unused x lint gate-2-2" in parexec("show").out
    assert "output missing: out/*.html" in parexec("show").out
    assert "gate 2 of 2: lint" in parexec("events").out


@pytest.mark.usefixtures("ran")
def test_log_prints_the_step_that_tells_most_or_the_one_that_is_asked_for() -> None:
    failed = parexec("log", "linted")
    assert failed.out == "error: unused x lint gate-2-2\n"
    assert failed.err == "parexec: the output of gate-2-2; that of the command: --step run\n"
    assert parexec("log", "linted", "--step", "run").out == "built\n"
    assert parexec("log", "linted", "--step", "gate-1").out == "one\n"
    unknown = parexec("log", "linted", "--step", "gate-9")
    assert unknown.code == 2, unknown.err
    assert "there are: run, gate-1 (echo one), gate-2 (lint), gate-2-2 (lint)" in unknown.err
    assert parexec("log", "linted", "--step", "lint").out == "error: unused x lint gate-2-2\n"
    assert parexec("log", "good").err == ""
