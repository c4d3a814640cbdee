"""A plan file that changes between the end of a session and `resume`: it is said, offered, and taken over."""

import os
import signal
from pathlib import Path

import pytest

from tests.cli.test_steer import at_a_terminal, parexec
from tests.engine import engines
from tests.engine.conftest import nothing_runs_on as nothing_runs_on

pytestmark = pytest.mark.usefixtures("here")

PLAN = """
[tickets.a]
run = "echo a >> ran"
[tickets.b]
needs = ["a"]
run = "echo b >> ran"
"""
WAITS = "touch began; until test -e go; do sleep 0.02; done; echo a"
MORE = '[tickets.c]\nneeds = ["b"]\nrun = "echo c >> ran"\n'


@pytest.fixture
def session(here: Path) -> str:
    """A session that is finished; its id."""
    assert engines.run(here, PLAN)[0] == 0
    return engines.session()


def ran(here: Path) -> str:
    return "".join((here / "ran").read_text().split())


def test_a_finished_session_whose_plan_file_changed_is_reloaded_and_resumed(here: Path, session: str) -> None:
    file = engines.write_plan(here, PLAN + MORE)
    answer = parexec("resume", "--headless")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.splitlines() == [
        f"{file} has changed since {session} read it:",
        "  + c  needs b",
        f"parexec: nothing was started; take it over: parexec reload -s {session} --yes, "
        f"then: parexec resume {session}",
    ]
    answer = parexec("reload", "--dry-run")
    assert (answer.code, answer.out) == (0, "+ c  needs b\nadded: c\n")
    assert engines.state_of().finished_at is not None, "it was only looked at"
    answer = parexec("reload", "--yes")
    assert answer.code == 0, answer.err
    assert answer.out.splitlines()[0] == "+ c  needs b"
    assert answer.err == f"no engine runs it; go on: parexec resume {session}\n"
    assert parexec("ls").out.split()[1] == "stopped"
    answer = parexec("resume", "--headless")
    assert answer.code == 0, answer.err
    assert "3 of 3 succeeded" in answer.out
    assert "has changed" not in answer.err
    assert ran(here) == "abc"


def test_what_is_done_runs_again_only_if_that_is_said(here: Path, session: str) -> None:
    engines.write_plan(here, PLAN.replace("echo b", "echo B"))
    answer = parexec("resume", "--headless")
    assert answer.code == 2
    assert "  ~ b  run; runs again" in answer.err
    assert f"parexec reload --rerun -s {session} --yes" in answer.err
    answer = parexec("reload", "--yes")
    assert (answer.code, answer.out) == (0, "! b  stays as it is: changed in the file, but it is done\n")
    assert parexec("reload", "--rerun", "--yes").code == 0
    assert parexec("resume", "--headless").code == 0
    assert ran(here) == "abB"


def test_what_failed_runs_again_with_its_changes(here: Path) -> None:
    assert engines.run(here, PLAN.replace("echo a", "exit 3; echo a"))[0] == 1
    engines.write_plan(here, PLAN)
    answer = parexec("reload", "--yes")
    assert answer.out.splitlines()[0] == "~ a  run; runs again"
    assert parexec("resume", "--headless").code == 0
    assert ran(here) == "ab"


@pytest.mark.usefixtures("session")
@pytest.mark.parametrize(("says", "tickets"), [("y", "abc"), ("n", "ab")])
def test_a_person_at_a_terminal_is_asked(here: Path, says: str, tickets: str) -> None:
    engines.write_plan(here, PLAN + MORE)
    shown = at_a_terminal("resume", "--headless", says=f"{says}\n", asked="go on with that?")
    assert "+ c  needs b" in shown
    assert f"{len(tickets)} of {len(tickets)} succeeded" in shown
    assert ran(here) == tickets


@pytest.mark.usefixtures("session")
def test_a_file_that_cannot_be_read_is_told(here: Path) -> None:
    engines.write_plan(here, PLAN.replace('needs = ["a"]', 'needs = ["ghost"]'))
    answer = parexec("resume", "--headless")
    assert (answer.code, answer.out) == (2, "")
    assert "ghost" in answer.err


@pytest.mark.usefixtures("session")
@pytest.mark.parametrize("change", ["# a word\n", "", None])
def test_a_file_that_says_the_same_or_is_gone_changes_nothing(here: Path, change: str | None) -> None:
    if change is None:
        (here / "plan.toml").unlink()
    else:
        engines.write_plan(here, change + PLAN)
    answer = parexec("resume", "--headless")
    assert (answer.code, answer.err) == (0, "")
    assert "2 of 2 succeeded" in answer.out


@pytest.mark.parametrize("change", [MORE, "[tickets.b]\nrun"])
def test_a_session_with_something_to_run_goes_on_and_says_it(here: Path, change: str) -> None:
    engine = engines.start(here, PLAN.replace("echo a", WAITS))
    engine.until((here / "began").exists, "a runs")
    engine.signal(signal.SIGTERM)
    engine.wait()
    (here / "go").touch()
    file = engines.write_plan(here, PLAN + change)
    os.utime(file, (2**31, 2**31))
    answer = parexec("resume", "--headless")
    assert answer.code == 0, answer.err
    assert "goes on with the plan as it was" in answer.err
    assert "2 of 2 succeeded" in answer.out


def test_the_plan_of_a_session_that_an_engine_runs_is_changed_by_that_engine(here: Path) -> None:
    engine = engines.start(here, PLAN.replace("echo a", WAITS))
    engine.until((here / "began").exists, "a runs")
    engines.write_plan(here, PLAN.replace("echo a", WAITS) + MORE)
    answer = parexec("reload", "--yes")
    assert (answer.code, answer.err) == (0, "")
    (here / "go").touch()
    assert engine.wait() == 0
    assert ran(here) == "abc"


FAMILIES = """
[tickets.csv]
foreach = { file = { glob = "data/*.csv" } }
run = "wc {file!q}"
[tickets.line]
foreach = { word = { lines = "cat words" } }
run = "echo {word}"
[tickets.item]
foreach = { item = { json = "items.json" } }
run = "echo {item.n}"
"""


def test_a_reload_looks_again_at_what_families_are_made_of(here: Path) -> None:
    def write(files: str, words: str, items: str) -> None:
        for file in (here / "data").iterdir():
            file.unlink()
        for name in files.split():
            (here / "data" / f"{name}.csv").touch()
        (here / "words").write_text("\n".join(words.split()))
        (here / "items.json").write_text(items)

    (here / "data").mkdir()
    write("a b", "one two", '[{"id": "x", "n": 1}]')
    assert engines.run(here, FAMILIES)[0] == 0
    write("c d e f", "one three", '[{"id": "x", "n": 2}]')
    answer = parexec("reload", "--dry-run", "--rerun")
    assert answer.code == 0, answer.err
    assert answer.out.splitlines()[:6] == [
        "~ family csv: 4 more, 2 gone",
        "  + csv-data-c.csv, csv-data-d.csv, csv-data-e.csv and csv-data-f.csv",
        "  - csv-data-a.csv and csv-data-b.csv",
        "+ line-three",
        "~ item-x  run, member; runs again",
        "- line-two",
    ]
    (here / "words").unlink()
    answer = parexec("reload", "--yes")
    assert answer.code == 2
    assert "plan.toml:6:" in answer.err
    assert "cat: words: No such file or directory" in answer.err


def test_a_reload_warns_of_the_agent_types_that_it_takes_over_as_validate_does(here: Path, session: str) -> None:
    engines.write_plan(
        here, PLAN + '[agents.agent]\n[agents.ai]\nkind = "codex"\nprogram = "agents/none"\nlimited = ["(a+)+$"]\n'
    )
    answer = parexec("reload", "--dry-run")
    assert answer.code == 0, answer.err
    warned = [line for line in answer.out.splitlines() if line.startswith("warning: ")]
    assert warned[0] == f"warning: agents.ai: program {here}/agents/none is not found on this machine"
    assert any(line.startswith("warning: agents.ai.limited[0]: '(a+)+$' takes for ever") for line in warned)
    assert all("agents.ai" in line for line in warned)
