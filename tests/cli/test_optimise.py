"""optimise: what it says of a plan, and what it writes into the file of a person."""

import json
from pathlib import Path

import pytest

from parexec_tui.cli.plan_writing import PlanText, PlanWriteError
from parexec_tui.core.plan.reading.file import read_plan
from tests.cli.test_steer import parexec
from tests.engine import engines
from tests.engine.conftest import nothing_runs_on as nothing_runs_on

pytestmark = pytest.mark.usefixtures("here")

PLAN = """\
# nightly
[plan]
name = "known"   # by all
parallel = 2     # slots

# those who build
[agents.x]
max = 2  # as many as licences
# nothing else

# first
[tickets.a]
run = "true"
estimate = "30s"   # a guess

# second
[tickets.b]
run = "true"

[tickets.c]
run = "true"
estimate = "30s"
"""


def test_it_says_what_would_make_a_plan_faster(here: Path) -> None:
    file = engines.write_plan(here, PLAN)
    answer = parexec("optimise", str(file), "--seconds", "0.1")
    assert answer.code == 0, answer.err
    for words in (
        "by the longest path          1m00s",
        "x, now 2:",
        f" *   3  {'#' * 8:24}    30.0s  1m30s of agents    saves 30.0s",
        "proposed: x 3, 3 tickets at once: 30.0s instead of 1m00s",
    ):
        assert words in answer.out
    assert file.read_text(encoding="utf-8") == PLAN


def test_scripts_get_all_of_it(here: Path) -> None:
    file = engines.write_plan(here, PLAN)
    answer = parexec("optimise", str(file), "--seconds", "0", "--json")
    found = json.loads(answer.out)
    assert (found["longest_path"], found["at_load"], found["best"], found["written"]) == (60.0, 60.0, 60.0, False)
    assert [curve["knee"] for curve in found["curves"]] == [3, 2]
    assert found["proposal"]["agents"] == {"x": 3}
    assert found["estimates"] == []


def test_it_writes_sizes_and_what_earlier_sessions_took(here: Path) -> None:
    code, _ = engines.run(here, PLAN)
    assert code == 0
    file = here / "plan.toml"
    file.chmod(0o640)
    answer = parexec("optimise", str(file), "--seconds", "0", "--write")
    assert answer.code == 0, answer.err
    assert "+max = " not in answer.out or "  # as many as licences" in answer.out
    text = file.read_text(encoding="utf-8")
    new = read_plan(text, source="plan.toml", folder=str(here), format="toml")
    assert all((ticket.estimate or 30) < 10 for ticket in new.tickets.values())
    kept = [line for line in PLAN.splitlines() if line.startswith("#")]
    assert [line for line in text.splitlines() if line.startswith("#")] == kept
    assert '"   # a guess' in text
    assert file.stat().st_mode & 0o777 == 0o640
    again = parexec("optimise", str(file), "--seconds", "0", "--write")
    assert "estimates are wrong" not in again.out


def test_it_sizes_the_pool_by_what_tickets_took_where_estimates_are_wrong(here: Path) -> None:
    """By the estimates one slot were enough: beside the long one all others would be over."""
    text = '[plan]\nparallel = 2\n[tickets.long]\nrun = "true"\nestimate = "40s"\n'
    text += "".join(f'[tickets.s{number}]\nrun = "sleep 0.4"\nestimate = "5ms"\n' for number in range(4))
    code, _ = engines.run(here, text)
    assert code == 0
    answer = parexec("optimise", "plan.toml", "--seconds", "0", "--write")
    assert answer.code == 0, answer.err
    assert "took in earlier sessions, not with 1 estimate that they contradict" in answer.out
    new = read_plan((here / "plan.toml").read_text(), source="plan.toml", folder=str(here), format="toml")
    assert new.parallel in (4, 5)
    assert "the pool is as large as it should be" in parexec("optimise", "plan.toml", "--seconds", "0").out


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
@pytest.mark.parametrize(
    "text",
    [
        PLAN,
        '[tickets]\nc = { run = "c" }   # inline\nd.run = "d"\nd.title = "x"\n\n# end\n[plan]\nname="q"\n',
        'tickets.a.run = "x"\ntickets.b = {run="y"}\nplan.parallel=3',
        '[tickets.a]\nrun = """\nx\ny"""\n[plan]\n[tickets.b]\nrun = "2"\n  [tickets.b.env]\n  X = "1"\n',
    ],
)
def test_whatever_is_not_changed_stays(text: str, start: str, ends: str, tmp_path: Path) -> None:
    """A new line may come, but each that was there is there still, in its order."""
    whole = (start + text.replace("\n", ends)).encode()
    file = tmp_path / "plan.toml"
    file.write_bytes(whole)
    before = read_plan(whole.decode(), source="", folder="/", format="toml")
    changed = PlanText(file)
    assert changed.diff() == []
    changed.set_estimates(dict.fromkeys([*before.tickets, "gone"], 5.2345))
    changed.set_parallel(9)
    changed.set_max("y", 6)
    changed.write()
    after = file.read_bytes()
    new = read_plan(after.decode(), source="", folder="/", format="toml")
    assert {ticket.estimate for ticket in new.tickets.values()} == {5.23}
    assert (new.parallel, new.agents["y"].max, list(new.tickets)) == (9, 6, list(before.tickets))
    assert after.startswith(start.encode())
    assert b"\n" not in after.replace(ends.encode(), b"")
    assert (b"\r" in after) == (ends == "\r\n")
    left = iter(after.decode().splitlines())
    touched = ("estimate", "parallel", "max", "c =", "tickets.b =", "plan.parallel")
    for line in whole.decode().splitlines():
        assert line.startswith(touched) or line in left, line


def test_a_file_that_changed_meanwhile_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "plan.toml"
    file.write_text('[tickets.a]\nrun = "true"\n')
    changed = PlanText(file)
    changed.set_parallel(3)
    file.write_text('[tickets.b]\nrun = "true"\n')
    with pytest.raises(PlanWriteError, match="was changed meanwhile"):
        changed.write()
    assert file.read_text() == '[tickets.b]\nrun = "true"\n'
    assert [each.name for each in tmp_path.iterdir() if each.is_file()] == ["plan.toml"]


def test_what_would_be_no_plan_is_not_written(tmp_path: Path) -> None:
    file = tmp_path / "plan.toml"
    file.write_text('[agents.x]\nmin = 3\nmax = 4\n[tickets.a]\nrun = "true"\n')
    changed = PlanText(file)
    changed.set_max("x", 2)
    with pytest.raises(PlanWriteError, match="no plan any more"):
        changed.write()


@pytest.mark.parametrize(
    ("text", "words", "code", "said"),
    [
        ('[tickets.a]\nrun = "true"\n', (), 1, "give them an `estimate`, or run the plan once"),
        ('{"tickets": {"a": {"run": "true", "estimate": "3s"}}}', ("--write",), 2, "only plans in TOML"),
        ("tickets", (), 2, "1 error in the plan"),
    ],
)
def test_it_says_why_it_cannot(text: str, words: tuple[str, ...], code: int, said: str, here: Path) -> None:
    file = here / ("plan.json" if text.startswith("{") else "plan.toml")
    file.write_text(text)
    answer = parexec("optimise", str(file), *words)
    assert answer.code == code
    assert said in answer.err
