"""simulate: a plan or a session under a virtual clock, as a person and a script see it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from parexec_tui.core.state import events as ev
from tests.cli.test_steer import parexec
from tests.engine import engines
from tests.engine.conftest import nothing_runs_on as nothing_runs_on

pytestmark = pytest.mark.usefixtures("here")

PLAN = """
[plan]
name = "known"
parallel = 3
[agents.x]
max = 3
[defaults]
run = "sleep 0.2"
estimate = "0.2s"
[tickets.a]
[tickets.b]
[tickets.c]
locks = ["db"]
[tickets.d]
locks = ["db"]
needs = ["a"]
[tickets.e]
needs = ["a", "b"]
run = "sleep 0.4"
estimate = "0.4s"
[tickets.f]
needs = ["d"]
[tickets.g]
needs = ["e", "f"]
run = "sleep 0.6"
estimate = "0.6s"
"""


def simulated(*words: str) -> dict[str, Any]:
    answer = parexec("simulate", *words, "--json")
    assert answer.code == 0, answer.err
    found: dict[str, Any] = json.loads(answer.out)
    return found


def test_a_real_run_takes_as_long_as_was_simulated(here: Path) -> None:
    """On a busy machine every ticket takes longer than it sleeps, so the run is compared with what its own durations
    say as well: that holds on any machine."""
    said = simulated(str(engines.write_plan(here, PLAN)))["expected"]
    assert said == pytest.approx(1.2)
    code, state = engines.run(here, re.sub(r"estimate = .*", "", PLAN))
    assert code == 0
    starts = [ticket.first_started or 0.0 for ticket in state.tickets.values()]
    took = max(ticket.ended or 0.0 for ticket in state.tickets.values()) - min(starts)
    assert took >= said * 0.99
    again = simulated("plan.toml")
    assert again["known"]["learned"] == 7
    assert again["expected"] == pytest.approx(took, rel=0.1)
    assert parexec("simulate").out == "nothing is left to do\n"


def test_what_it_says_of_a_plan(here: Path) -> None:
    file = engines.write_plan(here, PLAN)
    answer = parexec("simulate", str(file), "--parallel", "1")
    assert answer.code == 0, answer.err
    lines = answer.out.splitlines()
    assert re.fullmatch(r"over in about 2\.\ds, nine times in ten within 2\.\ds", lines[0])
    assert lines[1:3] == [
        "if each ticket takes what is expected: 2.0s; no order takes less than 2.0s (the work of all tickets, "
        "1 at once)",
        "durations of tickets: 7 by the plan's estimates",
    ]
    assert lines[-1] == "busy on average: slots (1) 100%, x (3) 33%, lock db 20%"
    assert all(len(line) <= 118 for line in lines)
    assert engines.sessions() == [], "nothing was started"
    assert simulated(str(file), "--agents", "x=1")["bounds"][0] == {"kind": "agents", "name": "x", "seconds": 2.0}


def test_the_seed_chooses_the_samples(here: Path) -> None:
    file = str(engines.write_plan(here, PLAN))
    one, other = simulated(file), simulated(file, "--seed", "2")
    assert one["p90"] != other["p90"]
    assert one["expected"] == other["expected"]
    spans = {span["ticket"]: (span["start"], span["end"]) for span in one["spans"]}
    assert spans["g"] == (0.6, 1.2)


def test_without_any_estimate_it_says_what_it_assumed(here: Path) -> None:
    file = engines.write_plan(here, '[tickets.a]\nrun = "true"\n[tickets.b]\nrun = "true"\nneeds = ["a"]\n')
    assert (
        "nothing tells how long tickets take: 1m00s is assumed for each; give them an `estimate`"
        in parexec("simulate", str(file)).out.splitlines()
    )


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("plan.toml", "--agents", "x"), "--agents x: a type and a number are needed, such as --agents builder=6"),
        (("plan.toml", "--agents", "x=0"), "there may be 1 to 1,000,000 agents of a type, not 0"),
        (("other.toml",), "other.toml: No such file or directory"),
        (("nope",), "no sessions yet: parexec run PLAN starts one"),
        (("plan.toml", "--parallel", "0"), "0 is not in the range x>=1"),
    ],
)
def test_what_makes_no_sense_is_refused(here: Path, words: tuple[str, ...], error: str) -> None:
    engines.write_plan(here, PLAN)
    answer = parexec("simulate", *words)
    assert answer.code != 0
    assert error in answer.err


def test_what_if_of_a_session_that_runs(here: Path) -> None:
    plan = PLAN.replace("sleep 0.2", "until [ -e go ]; do sleep 0.05; done").replace('"0.2s"', '"100s"')
    engine = engines.start(here, plan)
    engine.until(lambda: len(engines.happened(ev.AttemptStarted)) == 3, "three run")
    answer = parexec("what-if", "--parallel", "1", "--without", "a", "--json")
    assert answer.code == 0, answer.err
    found = json.loads(answer.out)
    assert found["changes"] == ["at most 1 ticket at once", "without a"]
    assert found["earlier"] == pytest.approx(found["now"]["p50"] - found["then"]["p50"], abs=0.01)
    assert (found["now"]["left"], found["then"]["left"]) == ([], [])
    lines = parexec("what-if", "--freeze", "b").out.splitlines()
    assert lines[1].startswith("b frozen: over in about ")
    assert "would not end: b, e, g" in lines[1]
    assert lines[2].startswith("3 tickets would not end; the rest finishes ")
    assert parexec("what-if", "--freeze", "b*").out.splitlines()[1].startswith("b* frozen: over in about ")
    refused = parexec("what-if", "--without", "nope")
    assert (refused.code, refused.err) == (1, "parexec: refused: there is no ticket nope\n")
    (here / "go").touch()
    assert engine.wait() == 0
    assert "is finished, so nothing ends by itself" in parexec("what-if", "--parallel", "2").err
    assert parexec("what-if").code == 2
