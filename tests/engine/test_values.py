"""Values that real commands tell each other, over deaths of the engine."""

import subprocess
from pathlib import Path

from parexec_tui.core.state import events as ev
from tests.engine.engines import PAREXEC, Engine, happened, run, start, state_of, ticket

PLAN = """
[resources]
slot = ["s1"]
[tickets.split]
run = '''
echo "count=3" >> "$PAREXEC_VALUES"
echo "slot={slot}" >> "$PAREXEC_VALUES"
printf 'text<<END\\na b\\nEND\\n' >> "$PAREXEC_VALUES"
touch begun
until [ -e go ]; do sleep 0.02; done
'''
gates = ["true"]
[tickets.use]
needs = ["split"]
uses = { slot = 1 }
run = "echo got {split.count} {split.text!q} $X {split.slot} {slot} '{{split.count}}' '{{slot}}' > out"
env = { X = "x{split.count}" }
"""


def test_values_of_a_command_outlive_the_engine(tmp_path: Path) -> None:
    engine = start(tmp_path, PLAN)
    engine.until((tmp_path / "begun").exists, "the first ticket runs")
    engine.kill()
    (tmp_path / "go").touch()
    assert Engine("resume", cwd=tmp_path).wait() == 0
    assert (tmp_path / "out").read_text() == "got 3 a b x3 {slot} s1 {split.count} {slot}\n"
    assert state_of().values == {"split": {"count": "3", "slot": "{slot}", "text": "a b"}}
    assert happened(ev.StepEnded, ticket="split", step="run")[0].values["text"] == "a b"


def test_what_is_no_value_fails_the_ticket_and_a_missing_one_those_that_want_it(tmp_path: Path) -> None:
    code, state = run(
        tmp_path,
        """
[tickets.wrong]
run = 'echo hello > "$PAREXEC_VALUES"'
[tickets.none]
run = "true"
[tickets.use]
needs = ["none"]
run = "echo {none.count}"
[tickets.folder]
run = 'mkdir "$PAREXEC_VALUES"'
""",
    )
    assert code == 1
    reasons = {id_: each.reason for id_, each in state.tickets.items()}
    assert reasons["wrong"] == "its values: line 1: 'hello' is no key=value"
    assert reasons["use"] == "none has told no value count: it told nothing"
    assert reasons["folder"] == "its values: they cannot be read: Is a directory"
    assert ticket("use").attempts == 1


def test_a_script_tells_a_ticket_that_is_added_before_it_starts(tmp_path: Path) -> None:
    (tmp_path / "split.sh").write_text('echo "count=3" > "$PAREXEC_VALUES"')
    (tmp_path / "more.toml").write_text(
        "[tickets.use]\nneeds = ['split']\nmatrix = { n = [1] }\nrun = 'echo {split.count} {n} {{split.count}} > out'"
    )
    engine = start(
        tmp_path,
        """
[tickets.first]
run = "touch begun; until [ -e go ]; do sleep 0.02; done"
[tickets.split]
needs = ["first"]
run = "sh split.sh"
""",
    )
    engine.until((tmp_path / "begun").exists, "the first ticket runs")
    added = subprocess.run([*PAREXEC, "add", "more.toml"], cwd=tmp_path, check=False)
    assert added.returncode == 0
    (tmp_path / "go").touch()
    assert engine.wait() == 0
    assert (tmp_path / "out").read_text() == "3 1 {split.count}\n"


def test_a_ticket_that_runs_again_tells_anew(tmp_path: Path) -> None:
    plan = """
[tickets.split]
run = 'echo "n=$(cat n)" > "$PAREXEC_VALUES"'
[tickets.use]
needs = ["split"]
run = "echo {split.n} >> out"
"""
    (tmp_path / "n").write_text("1")
    assert run(tmp_path, plan)[0] == 0
    (tmp_path / "n").write_text("2")
    again = subprocess.run([*PAREXEC, "retry", "split", "--downstream", "--wait", "--yes"], cwd=tmp_path, check=False)
    assert again.returncode == 0
    assert (tmp_path / "out").read_text() == "1\n2\n"
