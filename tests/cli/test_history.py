"""`parexec history`: what earlier sessions of a plan tell."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from parexec_tui.cli.entry import cli
from parexec_tui.core.plan.reading.file import read_plan
from parexec_tui.core.wire import codec
from parexec_tui.paths import registry_file
from parexec_tui.registry.attempts import AttemptFact
from parexec_tui.registry.registry import Registry
from tests.engine.engines import run
from tests.registry.registries import AT, start

TEXT = """
[plan]
name = "Nightly"
[tickets.quick]
run = "true"
[tickets.flaky]
run = "test -e tried || { touch tried; echo 'ERROR: no such host'; exit 3; }"
retries = 1
retry_delay = "0s"
[tickets.broken]
run = "echo 'AssertionError: 1 != 2'; exit 4"
[tickets.never]
run = "true"
needs = ["broken"]
"""


def said(*words: str, code: int = 0) -> str:
    result = CliRunner().invoke(cli, ["history", *words])
    assert result.exit_code == code, result.output
    return result.output


def past(*words: str) -> dict[str, dict[str, object]]:
    return {each["ticket"]: each for each in json.loads(said(*words, "--json"))["tickets"]}


def remember(file: Path, **seconds: list[float]) -> None:
    """Sessions of a plan file, in which its tickets took so long."""
    plan = read_plan(file.read_text(), source=str(file), folder=str(file.parent), format="toml")
    with Registry.open(registry_file()) as registry:
        for number in range(max(map(len, seconds.values()))):
            session = start(
                registry,
                name=plan.settings.name,
                plan=codec.encode_plan(plan),
                source=str(file),
                workdir=plan.workdir,
            )
            facts = [
                AttemptFact(id_, 1, "a", AT, AT + took[number], "succeeded")
                for id_, took in seconds.items()
                if number < len(took)
            ]
            registry.append(session, [], attempts=facts)


def test_generated_tickets_have_a_past_too(here: Path) -> None:
    run(
        here,
        """
        [tickets.gen]
        generates = "parts"
        run = '''printf '[tickets.a]\\nrun = "true"\\n[tickets.b]\\nrun = "true"\\n' >"$PAREXEC_TICKETS"'''
        """,
    )
    assert past("plan.toml").keys() == {"gen", "a", "b"}
    assert past("plan.toml", "parts").keys() == {"a", "b"}
    assert "succeeded" in said("plan.toml", "a")


def test_real_sessions_tell_runs_retries_and_the_line_of_the_last_failure(here: Path) -> None:
    run(here, TEXT)
    (here / "tried").unlink()
    run(here, TEXT)
    lines = said().splitlines()
    assert lines[0].split() == ["TICKET", "RUNS", "P50", "P90", "TREND", "FLAKY", "LAST", "FAILURE"]
    by_id = {line.split()[0]: line for line in lines[1:-1]}
    assert set(by_id) == {"broken", "flaky", "quick"}
    assert next(iter(by_id)) == "broken", "what never succeeded comes first"
    assert by_id["broken"].split()[1] == "0"
    assert "AssertionError: 1 != 2" in by_id["broken"]
    assert "100%" in by_id["flaky"]
    assert "ERROR: no such host" in by_id["flaky"]
    assert by_id["quick"].split()[1] == "2"
    assert lines[-1] == "never ran: never"
    found = past()
    assert found["flaky"]["runs"] == 2
    assert found["flaky"]["flaky"] == 1.0
    assert (found["broken"]["p50"], found["broken"]["seconds"]) == (None, [])
    failure = found["broken"]["last_failure"]
    assert isinstance(failure, dict)
    assert failure["end"] == "failed"
    attempts = said("flaky").splitlines()
    assert [line.split()[2] for line in attempts] == ["succeeded", "failed", "succeeded", "failed"]
    assert sum("no such host" in line for line in attempts) == 2
    of_flaky = json.loads(said("Nightly", "flaky", "--json"))["attempts"]
    assert [each["attempt"] for each in of_flaky] == [2, 1, 2, 1]


def test_the_longest_comes_first_and_the_trend_rises(here: Path) -> None:
    file = here / "plan.toml"
    file.write_text('[plan]\nname = "Build"\n[tickets.slow]\nrun = "a"\n[tickets.grows]\nrun = "b"\n')
    remember(file, slow=[100.0] * 4, grows=[10.0, 20.0, 40.0, 80.0])
    lines = said(str(file)).splitlines()
    assert [line.split()[0] for line in lines] == ["TICKET", "slow", "grows"]
    assert "▂▃▄█" in lines[2] or "▂▃▅█" in lines[2]
    assert past(str(file))["grows"]["seconds"] == [10, 20, 40, 80]


def test_a_plan_that_never_ran_says_so(here: Path) -> None:
    assert "no sessions yet" in said(code=2)
    run(here, '[plan]\nname = "Other"\n[tickets.a]\nrun = "true"\n')
    (here / "new.toml").write_text('[plan]\nname = "New"\n[tickets.a]\nrun = "x"\n')
    assert said("new.toml") == "no ticket of it has ever run: a\n"
    assert said("new.toml", "a") == "a has never run in a session of New\n"


def test_what_is_not_meant_by_anything_is_refused(here: Path) -> None:
    for folder in ("one", "two"):
        (here / folder).mkdir()
        file = here / folder / "plan.toml"
        file.write_text('[plan]\nname = "Same"\n[tickets.a]\nrun = "x"\n')
        remember(file, a=[1.0])
    answer = said("Same", code=2)
    assert "several plans; name the file" in answer
    assert str(here / "one" / "plan.toml") in answer
    assert "no ticket 'b' in Same; it has a" in said("one/plan.toml", "b", code=2)
    assert "no session 'nothing'" in said("nothing", code=2)
    (here / "bad.toml").write_text("[tickets.a]\nneeds = 3\n")
    assert "bad.toml:2" in said("bad.toml", code=2)


@pytest.mark.parametrize("cells", [80, 60])
def test_on_a_terminal_no_line_is_wider_than_that(here: Path, monkeypatch: pytest.MonkeyPatch, cells: int) -> None:
    run(here, TEXT.replace("AssertionError: 1 != 2", "AssertionError: " + "x" * 200))
    assert max(map(len, said().splitlines())) > 120, "elsewhere nothing is cut off"
    monkeypatch.setattr("parexec_tui.cli.past._width", lambda: cells)
    for lines in (said().splitlines(), said("broken").splitlines()):
        assert all(len(line) <= cells for line in lines)
        assert any(line.endswith("…") for line in lines)


def test_a_family_is_a_line_and_on_its_own_a_line_for_each_member(here: Path) -> None:
    file = here / "plan.toml"
    file.write_text('[tickets.a]\nrun = "true"\n[tickets.test]\nforeach = { n = "1..3" }\nrun = "{n}"\n')
    remember(file, **{"a": [5.0], "test-1": [10.0, 10.0], "test-2": [20.0]})
    lines = [line.split() for line in said(str(file)).splitlines()]
    assert [line[:5] for line in lines[1:3]] == [
        ["test", "(2)", "3", "15.0s", "20.0s"],
        ["a", "1", "5.0s", "5.0s", "█"],
    ]
    assert lines[3] == ["never", "ran:", "test-3"]
    members = said(str(file), "test").splitlines()
    assert [line.split()[0] for line in members[1:]] == ["test-2", "test-1", "never"]
    assert past(str(file))["test-1"]["family"] == "test"
