"""Output that cannot be written: a full disk, a closed descriptor, a reader that left."""

import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from parexec_tui.core.state import events as ev
from tests.commands import every_command
from tests.engine import engines
from tests.engine.engines import PAREXEC, Engine, happened, until, write_plan

PLAN = """
[plan]
parallel = 1
[tickets.zeroth]
rollback = "true"
run = "true"
[tickets.first]
run = "echo began; until [ -e go ] || [ $((n += 1)) -gt 15000 ]; do sleep 0.02; done"
[tickets.second]
run = "true"
[tickets.third]
run = "true"
[tickets.asked]
run = "true"
approve = "before"
"""
GOOD = '[tickets.hello]\nrun = "echo hello >> ran"\n'
BAD = '[tickets.hello]\nrun = "echo hello >> ran; false"\n'

USES = {
    "run": "run good.toml --json",
    "resume": "resume DONE --retry-failed --lines",
    "attach": "attach RUNS --lines",
    "init": "init -o -",
    "session": "session --help",
    "schedule": "schedule good.toml --on-calendar daily --dry-run",
    "each": "each --beside echo -- 1",
    "validate": "validate good.toml",
    "schema": "schema",
    "doctor": "doctor",
    "hosts": "hosts",
    "ls": "ls",
    "show": "show RUNS",
    "bottlenecks": "bottlenecks RUNS",
    "claims": "claims RUNS",
    "optimise": "optimise good.toml",
    "simulate": "simulate good.toml",
    "graph": "graph good.toml",
    "what-if": "what-if RUNS --parallel 2",
    "report": "report RUNS",
    "metrics": "metrics RUNS --prometheus",
    "trace": "trace --help",
    "log": "log first -s RUNS",
    "diff": "diff --help",
    "history": "history RUNS",
    "prune": "prune -n",
    "events": "events RUNS --json",
    "status": "status -s RUNS",
    "why": "why second -s RUNS",
    "hold": "hold second -s RUNS",
    "release": "release second -s RUNS",
    "freeze": "freeze first -s RUNS",
    "thaw": "thaw first -s RUNS",
    "retry": "retry zeroth --dry-run -s RUNS",
    "rollback": "rollback zeroth --dry-run -s RUNS",
    "restart": "restart --from zeroth --dry-run -s RUNS",
    "reassign": "reassign second agent-1 -s RUNS",
    "cancel": "cancel third --dry-run -s RUNS",
    "waive": "waive third --dry-run -s RUNS",
    "approve": "approve asked --dry-run -s RUNS",
    "merge": "merge --help",
    "answer": "answer --help",
    "reject": "reject asked --dry-run -s RUNS",
    "priority": "priority third low -s RUNS",
    "scale": "scale --parallel 2 --dry-run -s RUNS",
    "on-failure": "on-failure stop -s RUNS",
    "edit": "edit third timeout=30m -s RUNS",
    "add": "add good.toml --dry-run -s RUNS",
    "reload": "reload --dry-run -s RUNS",
    "undo": "undo -s RUNS",
    "drain": "drain --dry-run -s RUNS",
    "stop": "stop --dry-run -s RUNS",
    "export": "export DONE -o again.tar.gz --force",
    "import": "import done.tar.gz",
    "help": "help glossary",
    "man": "man",
    "completion": "completion bash",
}
"""A use of each command that prints something. RUNS is a session that runs, DONE one that is over."""

SILENT = {"wait", "tour", "talk"}
"""Commands that print nothing on standard output: the tour has the screen, and talk a program of its own."""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_plan(tmp_path, GOOD, "good.toml")
    return tmp_path


@pytest.fixture
def sessions(here: Path) -> Iterator[dict[str, str]]:
    """{word: session} for the words of USES."""
    assert Engine("run", "good.toml", cwd=here).wait() == 0
    done = engines.session()
    subprocess.run([*PAREXEC, "export", done, "-o", "done.tar.gz"], check=True, capture_output=True)
    engine = engines.start(here, PLAN)
    engine.until(lambda: happened(ev.AttemptSpawned, ticket="first"), "the first ticket runs")
    yield {"DONE": done, "RUNS": engines.session()}
    (here / "go").touch()
    subprocess.run([*PAREXEC, "cancel", "asked", "-s", engines.session()], check=False, capture_output=True)
    engine.wait()


def to(output: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Execute a command with its output redirected in the words of the shell: `>&-`, `| true`."""
    shell = f"{shlex.join([*PAREXEC, *arguments])} {output}"
    return subprocess.run(["bash", "-c", f"set -o pipefail; {shell}"], capture_output=True, text=True, timeout=60)


def assert_one_line(ended: subprocess.CompletedProcess[str], why: str) -> None:
    assert ended.returncode == 2, ended
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"parexec: cannot write the output: {why}"), ended


def test_there_is_a_use_of_each_command() -> None:
    assert {*USES, *SILENT} == {*every_command()}, "a new command? say above how it prints something"


@pytest.mark.parametrize("arguments", ["--help", "run --help", "--version"])
def test_help_to_a_full_disk_is_a_line_and_2(arguments: str) -> None:
    assert_one_line(to("> /dev/full", *arguments.split()), "No space left on device")


def test_each_command_to_a_full_disk_is_a_line_and_2(sessions: dict[str, str]) -> None:
    for use in USES.values():
        words = [sessions.get(word, word) for word in use.split()]
        assert_one_line(to("> /dev/full", *words), "No space left on device")


def test_a_closed_output_is_a_line_and_2_and_a_closed_pipe_is_quiet(sessions: dict[str, str]) -> None:
    for arguments in ("ls", "schema", "help glossary", "log --all"):
        assert_one_line(to(">&-", *arguments.split()), "it is closed")
        ended = to("| true", *arguments.split())
        assert (ended.returncode, ended.stderr) in ((141, ""), (0, "")), "0: it was written before `true` had left"


@pytest.mark.parametrize("options", ["--json", "--lines", "-q"])
@pytest.mark.parametrize(("output", "code"), [("> /dev/full", 2), (">&-", 2), ("| sleep 0", 141)])
def test_a_run_that_cannot_be_seen_goes_on_and_does_not_exit_with_0(
    here: Path, options: str, output: str, code: int
) -> None:
    write_plan(here, '[tickets.hello]\nrun = "sleep 0.3; echo hello >> ran"\n', "slow.toml")
    ended = to(output, "run", "slow.toml", options)
    assert ended.returncode == code, ended
    assert (here / "ran").read_text() == "hello\n"
    assert engines.state_of().status == "finished"
    assert ("what happened: parexec show" in ended.stderr) == (code == 2)


def test_the_code_of_a_session_that_failed_stays(here: Path) -> None:
    write_plan(here, BAD, "bad.toml")
    ended = to("> /dev/full", "run", "bad.toml", "--json")
    assert (ended.returncode, len(ended.stderr.splitlines())) == (1, 1)


def test_what_follows_a_session_leaves_it_when_nobody_reads(sessions: dict[str, str]) -> None:
    ended = to("| true", "attach", sessions["RUNS"], "--lines")
    assert (ended.returncode, ended.stderr) == (141, "")
    assert engines.is_running()


def test_a_detached_session_is_named_and_goes_on(here: Path) -> None:
    ended = to("> /dev/full", "run", "good.toml", "--detach")
    assert_one_line(
        ended, f"No space left on device; the engine goes on; come back: parexec attach {engines.session()}"
    )
    until(lambda: happened(ev.SessionFinished), "the session ends")


@pytest.mark.parametrize("closed", ["<&-", "2>&-", "2>/dev/full", "<&- 2>&-"])
def test_other_streams_that_are_closed_are_no_reason_to_fail(here: Path, closed: str) -> None:
    ended = to(closed, "run", "good.toml")
    assert ended.returncode == 0, ended.stderr
    assert "1 of 1 succeeded" in ended.stdout


@pytest.mark.parametrize("command", ["run good.toml", "ls --nonsense", "show nothing"])
def test_without_any_stream_the_code_says_it(here: Path, command: str) -> None:
    ended = to("<&- >&- 2>&-", *command.split())
    assert ended.returncode == 2
    assert (here / "ran").exists() == command.startswith("run")
