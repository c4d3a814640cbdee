"""The command line, as a process: what it prints where, and what it exits with."""

import fcntl
import json
import os
import pty
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import tty
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import jsonschema
import psutil
import pytest
from click.testing import CliRunner

from parexec_tui import paths
from parexec_tui.cli import entry
from parexec_tui.paths import session_folder
from parexec_tui.registry.lock import is_owned
from tests.commands import every_command
from tests.engine.engines import PAREXEC, WITHIN, until

pytestmark = pytest.mark.usefixtures("here")

COMMANDS = every_command()

GOOD = '[tickets.hello]\nrun = "echo hello"\n'
BAD = """
[tickets.one]
rum = "true"
needs = ["ghost"]
[tickets.two]
run = "true"
retries = -1
"""
PATIENT = """
[tickets.patient]
run = "echo first; until [ -e go ] || [ $((n += 1)) -gt 3000 ]; do sleep 0.02; done; echo last"
"""


class Answer:
    """How a command ended, and what it said."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr


def parexec(*arguments: str, **environment: str) -> Answer:
    command = [*PAREXEC, *arguments]
    env = os.environ | environment
    return Answer(
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, env=env)
    )


def refused(*arguments: str, **environment: str) -> str:
    """What is said on stderr, and nothing on stdout, by a command that exits with 2."""
    answer = parexec(*arguments, **environment)
    assert (answer.code, answer.out) == (2, ""), answer.err
    assert "Traceback" not in answer.err
    return answer.err


def write(folder: Path, text: str, name: str = "plan.toml") -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return name


def sessions() -> list[dict[str, Any]]:
    answer = parexec("ls", "--json")
    assert answer.code == 0, answer.err
    return [json.loads(line) for line in answer.out.splitlines()]


class Running:
    """A `parexec` that runs beside the test."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [*PAREXEC, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def end(self) -> Answer:
        out, err = self.process.communicate(timeout=WITHIN)
        return Answer(subprocess.CompletedProcess((), self.process.returncode, out, err))


@pytest.fixture
def start(here: Path) -> Iterator[Callable[..., Running]]:
    """Start a `parexec` beside the test; nothing of it outlives the test."""
    started: list[Running] = []

    def start_one(*arguments: str) -> Running:
        started.append(Running(*arguments))
        return started[-1]

    yield start_one
    (here / "go").touch()
    for one in started:
        one.process.kill()
        one.process.wait(WITHIN)
        for pipe in (one.process.stdout, one.process.stderr):
            assert pipe is not None
            pipe.close()


def wait_for_log(ticket: str, text: str) -> None:
    def says_it() -> bool:
        files = paths.state_home().glob(f"sessions/*/attempts/{ticket}.1.log")
        return any(text in file.read_text(encoding="utf-8") for file in files)

    until(says_it, f"{ticket} says {text}")


# -- help and usage --------------------------------------------------------------------------------------------


def test_the_console_script_is_installed() -> None:
    script = Path(sys.executable).with_name("parexec")
    found = str(script) if script.exists() else shutil.which("parexec")
    if found is None:
        pytest.skip("the package is not installed here")
    done = subprocess.run([found, "--version"], capture_output=True, text=True)
    assert done.stdout.startswith("parexec, version ")


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_names_every_command_and_exit_code(flag: str) -> None:
    text = CliRunner().invoke(entry.cli, [flag]).output
    for command in COMMANDS:
        assert f"  {command} " in text
    for code in ("0  every ticket succeeded", "1  some did not", "2  bad plan or usage", "3  stopped or drained"):
        assert code in text


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help_and_each_option_a_word_on_it(command: str) -> None:
    result = CliRunner().invoke(entry.cli, [command, "--help"])
    assert result.exit_code == 0
    assert COMMANDS[command].help
    for parameter in COMMANDS[command].params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{command} {parameter.name}"
            assert parameter.opts[-1] in result.output


def test_run_tells_what_ctrl_c_does() -> None:
    text = CliRunner().invoke(entry.cli, ["run", "--help"]).output
    assert all(word in text for word in ("once", "twice", "thrice"))


@pytest.mark.parametrize("arguments", [["frobnicate"], ["run"], ["run", "--frob", "x"], ["log"], ["log", "a", "-a0"]])
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    assert "Try 'parexec" in refused(*arguments)


# -- run -------------------------------------------------------------------------------------------------------


def test_run_prints_a_line_for_each_fact_and_a_summary(here: Path) -> None:
    answer = parexec("run", write(here, GOOD), "--headless")
    assert answer.code == 0
    assert answer.err == ""
    words = [line.split("  ")[1].split() for line in answer.out.splitlines() if line[2:3] == ":"]
    assert [word[1] for word in words] == ["opened", "queued", "started", "succeeded", "finished"]
    assert "1 of 1 succeeded in " in answer.out


def test_brief_prints_a_line_for_each_ticket_and_what_failures_printed(here: Path) -> None:
    answer = parexec(
        "run", write(here, '[tickets.good]\nrun = "true"\n[tickets.bad]\nrun = "echo why; exit 3"\n'), "--brief"
    )
    assert answer.code == 1
    lines, _, summary = answer.out.partition("\n\n")
    found = [line.split()[1:4] if line[2:3] == ":" else line.split() for line in lines.splitlines()]
    assert sorted(found) == sorted([["✓", "succeeded", "good"], ["✗", "failed", "bad"], ["│", "why"]])
    assert summary.startswith("✗ bad  failed: exit 3: why")


@pytest.mark.parametrize("flag", ["-q", "--quiet"])
def test_quiet_prints_the_summary_only(here: Path, flag: str) -> None:
    answer = parexec("run", write(here, GOOD), flag)
    assert answer.code == 0
    assert answer.out.startswith("1 of 1 succeeded in ")
    assert len(answer.out.splitlines()) == 2


def test_json_prints_the_events_one_to_a_line_and_a_summary(here: Path) -> None:
    answer = parexec("run", write(here, GOOD), "--json")
    lines = [json.loads(line) for line in answer.out.splitlines()]
    assert lines[0]["kind"] == "session_opened"
    assert lines[-1] == {
        "kind": "summary",
        "session": lines[0]["session"],
        "outcome": "finished",
        "counts": {"succeeded": 1},
    }
    stored = [json.loads(line) for line in parexec("events", "--json").out.splitlines()]
    assert [event.pop("seq") for event in stored] == list(range(1, len(stored) + 1))
    assert stored == lines[:-1]


def test_json_is_utf_8_whatever_the_locale(here: Path) -> None:
    plan = write(here, f'[plan]\nname = "Überprüfung \\u001b[31m"\n{GOOD}')
    told = subprocess.run(
        [*PAREXEC, "run", plan, "--json"], capture_output=True, env=os.environ | {"PYTHONIOENCODING": "ascii"}
    )
    assert json.loads(told.stdout.decode("utf-8").splitlines()[0])["plan"] == "Überprüfung \x1b[31m"


def test_a_name_that_cannot_be_written_here_is_no_reason_to_die(here: Path) -> None:
    plan = write(here, f'[plan]\nname = "Über\\u001b[31mprüfung"\n{GOOD}')
    for arguments in (["run", plan], ["ls"], ["show"], ["events"]):
        answer = parexec(*arguments, PYTHONIOENCODING="ascii")
        assert (answer.code, answer.err) == (0, "")
        assert "berpr" in answer.out
        assert "\x1b" not in answer.out


def test_a_ticket_that_fails_makes_1_and_is_shown_with_its_last_lines(here: Path) -> None:
    answer = parexec("run", write(here, '[tickets.bad]\nrun = "echo reason; exit 5"\n'), "-q")
    assert answer.code == 1
    assert "bad  failed: exit 5: reason\n" in answer.out
    assert " reason\n" in answer.out
    assert "0 of 1 succeeded, 1 failed" in answer.out
    log = answer.out.split("log: ")[1].splitlines()[0]
    assert Path(log).read_text(encoding="utf-8") == "reason\n"
    session = sessions()[0]["session"]
    assert f"parexec resume {session} --retry-failed" in answer.out


def test_the_last_lines_of_a_failure_are_printed_at_once(here: Path, start: Callable[..., Running]) -> None:
    failing = """[tickets.bad]\nrun = "echo 'error: no such file'; exit 5"\n"""
    run = start("run", write(here, f"{PATIENT}{failing}"))
    said: list[str] = []

    def reason_is_read() -> bool:
        assert run.process.stdout is not None
        said.append(run.process.stdout.readline())
        return "│ error: no such file" in said[-1]

    until(reason_is_read, "the reason is printed while the other ticket runs")
    assert "✗ failed" in said[-2]
    (here / "go").touch()
    answer = run.end()
    assert answer.code == 1
    assert "│ error: no such file" not in answer.out, "it is still on the screen"


def test_ctrl_c_drains_and_exits_with_3_and_resume_goes_on(here: Path, start: Callable[..., Running]) -> None:
    plan = f'[plan]\nparallel = 1\n{PATIENT}[tickets.after]\nneeds = ["patient"]\nrun = "true"\n'
    run = start("run", write(here, plan))
    wait_for_log("patient", "first")
    run.process.send_signal(signal.SIGINT)
    assert run.process.stdout is not None
    until(lambda: "draining" in run.process.stdout.readline(), "it says that it drains")  # type: ignore[union-attr]
    (here / "go").touch()
    answer = run.end()
    assert answer.code == 3
    assert "1 to go; go on with: parexec resume" in answer.out

    assert sessions()[0]["status"] == "stopped"
    answer = parexec("resume", "--headless")
    assert answer.code == 0
    assert "patient" not in answer.out, "what finished is not run again"
    assert "2 of 2 succeeded" in answer.out


def test_ctrl_c_twice_stops_and_exits_with_3(here: Path, start: Callable[..., Running]) -> None:
    run = start("run", write(here, PATIENT), "--json")
    wait_for_log("patient", "first")
    run.process.send_signal(signal.SIGINT)
    assert run.process.stdout is not None
    until(lambda: "session_draining" in run.process.stdout.readline(), "it drains")  # type: ignore[union-attr]
    run.process.send_signal(signal.SIGINT)
    answer = run.end()
    assert answer.code == 3
    assert json.loads(answer.out.splitlines()[-1])["outcome"] == "stopped"


def test_a_plan_that_stops_itself_is_not_stopped_by_a_person(here: Path) -> None:
    plan = '[plan]\non_failure = "stop"\n[tickets.a]\nrun = "false"\n[tickets.b]\nrun = "sleep 60"\n'
    answer = parexec("run", write(here, plan), "-q")
    assert answer.code == 1


FAILS_FAST = """
[plan]
parallel = 3
[tickets.bad]
run = "until [ -e running ] || [ $((n += 1)) -gt 3000 ]; do sleep 0.02; done; rm running; exit 5"
[tickets.long]
run = "touch running; [ -e short ] || exec sleep 60"
[tickets.later]
needs = ["long"]
run = "true"
"""


def test_fail_fast_ends_what_runs_and_says_why_of_the_rest(here: Path) -> None:
    plan = write(here, FAILS_FAST)
    answer = parexec("run", plan, "--headless", "--fail-fast")
    assert answer.code == 1
    assert "■ stopping         long   with the session: bad failed" in answer.out
    assert "stopped because bad failed, 2 to go; go on with: parexec resume" in answer.out
    shown = parexec("show").out
    assert re.search(r"waiting +long .*session stopped: bad failed", shown)
    assert re.search(r"waiting +later .*session stopped: bad failed", shown)

    again = parexec("resume", "--headless", "--retry-failed")
    assert again.code == 1, "a session that was to fail fast goes on so"
    assert "stopped because bad failed, 2 to go" in again.out

    (here / "short").touch()
    calm = parexec("resume", "--headless", "--no-fail-fast", "--retry-failed")
    assert calm.code == 1
    assert "2 of 3 succeeded, 1 failed" in calm.out


def test_who_starts_it_may_say_how_many_run_at_once(here: Path) -> None:
    plan = write(here, "[plan]\nparallel = 9\n[tickets.A]\nrun = 'true'\n")
    assert "1 ticket, 3 at once" in parexec("run", plan, "--headless", "-p", "3").out
    found = parexec("run", plan, "--headless", "--parallel", "auto")
    assert re.search(r"1 ticket, \d+ at once to begin with", found.out)
    assert parexec("reload", "--dry-run").err.count("differs") == 0, "the plan file does not differ for that"
    for wrong in ("0", "many", "-1"):
        refused = parexec("run", plan, "--headless", "-p", wrong)
        assert refused.code == 2
        assert "write 1 to 1,000,000, or auto" in refused.err


def test_resume_may_fail_fast_and_a_detached_engine_too(here: Path) -> None:
    plan = write(here, FAILS_FAST)
    session = parexec("run", plan, "--detach", "--hold").out.strip()
    assert "the session is held, by you, for" in parexec("status").out
    id_ = sessions()[0]["session"]
    assert parexec("status", id_).out.partition("  ")[0] == parexec("status", "-s", id_).out.partition("  ")[0] == id_
    assert parexec("stop", "--yes", "-s", session).code == 0
    until(lambda: sessions()[0]["status"] == "stopped", "the engine left")
    answer = parexec("resume", "--fail-fast", "--lines")
    assert answer.code == 1
    assert "stopped because bad failed, 2 to go" in answer.out
    assert any(event["kind"] == "failure_policy_changed" for event in stored_events())


def stored_events() -> list[dict[str, Any]]:
    return [json.loads(line) for line in parexec("events", "--json").out.splitlines()]


@pytest.fixture
def unread(here: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A run that is over, with more to say than a pipe takes, and nobody has read it yet."""
    tickets = "".join(f't{number} = {{ run = "true" }}\n' for number in range(300))
    plan = write(here, f"[tickets]\n{tickets}")
    run = subprocess.Popen([*PAREXEC, "run", plan, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        until(lambda: any(row["status"] == "finished" for row in sessions()), "the session is over")
        yield run
    finally:
        run.kill()
        run.communicate()


def test_a_run_that_nobody_reads_is_held_up_by_nothing_and_loses_nothing(unread: subprocess.Popen[bytes]) -> None:
    out, errors = unread.communicate(timeout=WITHIN)
    assert (unread.returncode, errors) == (0, b"")
    lines = [json.loads(line) for line in out.splitlines()]
    assert sum(line["kind"] == "attempt_ended" for line in lines) == 300
    assert lines[-1]["kind"] == "summary"


def is_idle(pid: int) -> bool:
    """Whether the engine in a process has left, and it has done nothing for a moment since, nor is about to."""
    if is_owned(session_folder(sessions()[0]["session"]).lock):
        return False
    process = psutil.Process(pid)
    before = process.cpu_times()
    time.sleep(0.2)  # the moment
    return process.status() == psutil.STATUS_SLEEPING and process.cpu_times() == before


def test_ctrl_c_gives_up_output_that_nobody_reads(unread: subprocess.Popen[bytes]) -> None:
    until(lambda: is_idle(unread.pid), "the engine has left, and the command waits for a reader")
    unread.send_signal(signal.SIGINT)
    unread.wait(WITHIN)
    assert unread.stderr is not None
    assert (unread.returncode, unread.stderr.read()) == (0, b"")


# -- plans that are no plans -----------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["run", "validate"])
def test_a_bad_plan_exits_with_2_and_all_its_errors(here: Path, command: str) -> None:
    errors = refused(command, write(here, BAD)).splitlines()
    assert [line.split(": ")[:2] for line in errors[:-1]] == [
        ["plan.toml:3:1", "tickets.one.rum"],
        ["plan.toml:4:10", "tickets.one.needs[0]"],
        ["plan.toml:7:1", "tickets.two.retries"],
    ]
    assert "did you mean `run`?" in errors[0]
    assert errors[-1] == "parexec: 3 errors in the plan"
    assert sessions() == []


def test_what_a_plan_requires_and_is_not_here_keeps_it_from_starting(here: Path) -> None:
    plan = """
    [plan]
    requires_commands = ["sh", "no-such-command"]
    [defaults]
    requires_env = ["NO_SUCH_VARIABLE"]
    [tickets.a]
    run = "true"
    [tickets.b]
    run = "true"
    """
    places = [
        "plan.toml:3:32: plan.requires_commands[1]: required command no-such-command is not found"
        " (install it, or put its folder on PATH)",
        "plan.toml:5:21: defaults.requires_env[0]: required variable NO_SUCH_VARIABLE is not set"
        " (export NO_SUCH_VARIABLE before parexec is started, or set it in `env`)",
    ]
    answer = parexec("run", write(here, plan), "--headless")
    last = "parexec: 2 requirements not met on this machine: nothing was started"
    assert (answer.code, answer.err.splitlines()) == (2, [*places, last])
    assert sessions() == []
    answer = parexec("validate", write(here, plan))
    assert (answer.code, answer.err.splitlines()[:2]) == (1, places)
    assert answer.out.startswith("2 tickets in 1 group of 2")


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ('command = "echo no; exit 3"', "its command failed (exit code 3)"),
        ('command = "true"', "what its command prints is empty"),
        ('file = "fifo"', "is a pipe"),
    ],
)
def test_run_starts_nothing_where_a_secret_cannot_be_had(here: Path, source: str, says: str) -> None:
    os.mkfifo(here / "fifo")
    plan = f"""
    [secrets]
    S = {{ {source} }}
    [tickets.a]
    run = "true"
    [tickets.b]
    secrets = ["S"]
    run = "true"
    """
    answer = parexec("run", write(here, plan), "--headless")
    assert (answer.code, sessions()) == (2, [])
    assert "secret S is not known: " in answer.err
    assert says in answer.err
    answer = parexec("validate", write(here, plan))
    assert ("secret S: its command is not run here" in answer.out + answer.err) == source.startswith("command")


@pytest.mark.parametrize("command", ["run", "validate"])
@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda _: None, "parexec: plan.toml: No such file or directory"),
        (lambda file: file.mkdir(), "File 'plan.toml' is a directory"),
        (lambda file: file.touch(), "the plan has no tickets"),
        (lambda file: file.write_bytes(b"\x7fELF\xff\xfe\0\0"), "not UTF-8 text"),
        (lambda file: file.write_text("tickets = ", encoding="utf-8"), "plan.toml:1:11: invalid value"),
        (lambda file: file.symlink_to(file), "parexec: plan.toml: Too many levels of symbolic links"),
    ],
    ids=["missing", "folder", "empty", "binary", "not TOML", "loop"],
)
def test_what_is_no_plan_is_told_in_a_line(
    here: Path, command: str, make: Callable[[Path], object], says: str
) -> None:
    make(here / "plan.toml")
    assert says in refused(command, "plan.toml")
    assert sessions() == []


def test_a_json_plan_is_read_by_its_ending(here: Path) -> None:
    plan = write(here, '{"tickets": {"a": {"run": "true"}}}', "plan.json")
    assert parexec("run", plan, "-q").code == 0


def test_a_state_folder_that_cannot_be_written_is_told_in_a_line(here: Path) -> None:
    (here / "file").touch()
    plan = write(here, GOOD)
    said = refused("run", plan, XDG_STATE_HOME=str(here / "file"))
    assert said.startswith("parexec: ")
    assert str(here / "file") in said
    assert len(said.splitlines()) == 1


# -- validate and schema ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("syntax", ["toml", "json"])
@pytest.mark.parametrize("how", ["cat plan | RUN -", "cat plan | RUN /dev/stdin", "RUN - < plan", "RUN <(cat plan)"])
def test_a_plan_from_a_pipe_works_in_the_current_folder(here: Path, syntax: str, how: str) -> None:
    toml, json_text = "[tickets.a]\nrun = 'pwd > where'\n", '{"tickets": {"a": {"run": "pwd > where"}}}'
    write(here, toml if syntax == "toml" else json_text, "plan")
    command = how.replace("RUN", shlex.join([*PAREXEC, "run", "--headless", "-q"]))
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert (here / "where").read_text(encoding="utf-8") == f"{here}\n"
    assert sessions()[0]["name"] == "stdin"
    assert parexec("resume", "--headless", "-q").code == 0, "the plan is remembered"


def test_what_came_from_a_pipe_is_not_reloaded_without_a_file(here: Path) -> None:
    plan = write(here, f'plan.name = "a"\n{GOOD}')
    with Path(plan).open(encoding="utf-8") as file:
        started = subprocess.run([*PAREXEC, "run", "-", "-d", "--hold"], stdin=file, capture_output=True, timeout=60)
    assert started.returncode == 0
    try:
        assert (
            refused("reload") == "parexec: the plan was read from standard input: name a file, parexec reload PLAN\n"
        )
        assert "says what the plan is already" in parexec("reload", plan).err
        write(here, f'plan.name = "a"\n[resources]\ngpu = 2\n{GOOD}')
        assert "nothing to do: nothing of what differs can be taken over" in parexec("reload", plan).err
    finally:
        assert parexec("stop", "--yes").code == 0
        until(lambda: " stopped " in parexec("ls").out, "the engine has left")


def test_mistakes_in_a_plan_from_a_pipe_are_told(here: Path) -> None:
    done = subprocess.run(
        [*PAREXEC, "validate", "-"], input="[tickets.a]\nrum = 'x'\n", capture_output=True, text=True
    )
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        2,
        "stdin:2:1: tickets.a.rum: unknown key (did you mean `run`?)",
    )


def test_validate_tells_the_shape_then_the_warnings_and_starts_nothing(here: Path) -> None:
    plan = """
    [tickets.a]
    run = "no-such-command"
    writes = ["out/**"]
    [tickets.b]
    run = "true"
    writes = ["out/b.txt"]
    """
    answer = parexec("validate", write(here, plan))
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines() == [
        "2 tickets in 1 group of 2",
        "widest group: number 1, with 2 tickets",
        "critical path: 1 ticket: a",
        "warning: a and b will not run at once: b writes out/b.txt, a writes out",
        "warning: tickets.a: command no-such-command is not found on this machine",
    ]
    assert sessions() == []
    assert list(here.iterdir()) == [here / "plan.toml"]


def test_the_schema_is_one_and_accepts_a_plan() -> None:
    answer = parexec("schema")
    schema = json.loads(answer.out)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate({"tickets": {"a": {"run": "true"}}}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"tickets": {"a": {"rum": "true"}}}, schema)


# -- sessions --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [["show"], ["log", "a"], ["events"], ["resume"]])
def test_without_a_session_commands_say_how_to_start_one(command: list[str]) -> None:
    assert refused(*command) == "parexec: no sessions yet: parexec run PLAN starts one\n"


def test_ls_without_a_session_is_an_empty_list() -> None:
    answer = parexec("ls")
    assert (answer.code, answer.out) == (0, "")
    assert "no sessions yet" in answer.err
    answer = parexec("ls", "--json")
    assert (answer.code, answer.out, answer.err) == (0, "", "")
    assert not paths.state_home().exists(), "looking creates nothing"


@pytest.fixture
def finished(here: Path) -> str:
    """A session with a success, a retry, a failure and a skipped ticket; its id."""
    plan = """
    [plan]
    name = "Four ends"
    [tickets.good]
    run = "echo good"
    [tickets.again]
    run = 'echo try $PAREXEC_ATTEMPT; [ $PAREXEC_ATTEMPT -gt 1 ]'
    retries = 1
    retry_delay = "10ms"
    [tickets.bad]
    run = "exit 9"
    [tickets.after]
    needs = ["bad"]
    run = "true"
    """
    assert parexec("run", write(here, plan), "-q").code == 1
    return str(sessions()[0]["session"])


def test_ls_has_a_line_for_each_session(finished: str) -> None:
    (line,) = parexec("ls").out.splitlines()
    assert line.split()[:2] == [finished, "finished"]
    assert line.endswith("2/4 ok, 2 not    Four ends")
    (row,) = sessions()
    assert (row["status"], row["total"], row["succeeded"], row["failed"]) == ("finished", 4, 2, 2)


def test_show_tells_where_every_ticket_is_and_why(finished: str) -> None:
    answer = parexec("show", LC_ALL="C.UTF-8")
    head, started, _, *tickets = answer.out.splitlines()
    assert head == f"{finished}  finished  Four ends"
    assert started.endswith("group 2 of 2: 2 succeeded, 1 failed, 1 skipped")
    assert [ticket.split()[:3] for ticket in tickets] == [
        ["✓", "succeeded", "good"],
        ["✓", "succeeded", "again"],
        ["✗", "failed", "bad"],
        ["»", "skipped", "after"],
    ]
    assert "attempt 2" in tickets[1]
    assert tickets[2].endswith("exit 9")
    assert tickets[3].endswith("because of bad")


def test_show_json_is_one_object(finished: str) -> None:
    report = json.loads(parexec("show", finished, "--json").out)
    assert report["session"] == finished
    assert report["state"] == "finished"
    assert report["counts"] == {"succeeded": 2, "failed": 1, "skipped": 1}
    assert [ticket["id"] for ticket in report["tickets"]] == ["good", "again", "bad", "after"]


def test_log_prints_the_latest_attempt_or_the_one_that_is_asked_for(finished: str) -> None:
    assert parexec("log", "again").out == "try 2\n"
    assert parexec("log", "again", "--attempt", "1").out == "try 1\n"
    assert parexec("log", "again", "-s", finished, "-f").out == "try 2\n"


HOSTILE = rb"\033]0;owned\007\033[2J\033[31mred\033[0m \033]52;c;aGk=\007\342\200\256plain"


def test_log_acts_on_no_terminal_unless_it_is_asked_for_all_bytes(here: Path) -> None:
    write(here, f"[tickets.hostile]\nrun = '''printf '{HOSTILE.decode()}\\n' '''\n")
    assert parexec("run", "plan.toml", "--headless").code == 0
    raw = HOSTILE.decode("unicode_escape").encode("latin-1") + b"\n"
    clean = b"\x1b[31mred\x1b[0m plain\n"
    assert on_a_terminal("log", "hostile") == clean
    assert on_a_terminal("log", "hostile", "--follow") == clean
    assert on_a_terminal("log", "hostile", "--raw") == raw
    for options, expected in (((), raw), (("--clean",), clean)):
        done = subprocess.run([*PAREXEC, "log", "hostile", *options], capture_output=True, timeout=60, check=True)
        assert done.stdout == expected


def on_a_terminal(*arguments: str) -> bytes:
    """What a command writes to a terminal."""
    master, slave = pty.openpty()
    tty.setraw(slave)  # newlines arrive as they were written
    try:
        subprocess.run([*PAREXEC, *arguments], stdin=slave, stdout=slave, stderr=slave, timeout=60, check=True)
        return os.read(master, 65536)
    finally:
        os.close(master)
        os.close(slave)


WARNS = r"""
[plan]
parallel = 1
[tickets.z-first]
run = "echo building; printf '\\033[33mwarning\\033[0m: unused x\\n'; printf '10%%\\r100%% Warning bar\\n'"
[tickets.quiet]
needs = ["z-first"]
run = "true"
[tickets.a-last]
needs = ["quiet"]
run = "echo 'warning: deprecated'; exit 3"
[tickets.never]
needs = ["a-last"]
run = "echo warning: never"
"""


@pytest.fixture
def warned(here: Path) -> str:
    """A finished session whose tickets warned."""
    assert parexec("run", write(here, WARNS), "-q").code == 1
    return str(sessions()[0]["session"])


@pytest.mark.parametrize(
    ("arguments", "out"),
    [
        (("--all", "--grep", "warning"), "z-first: warning: unused x\na-last: warning: deprecated\n"),
        (("-g", "warning", "-i", "--status", "succeeded"), "z-first: warning: unused x\nz-first: 100% Warning bar\n"),
        (
            ("--all",),
            "z-first: building\nz-first: warning: unused x\nz-first: 100% Warning bar\na-last: warning: deprecated\n",
        ),
        (("--status", "failed"), "a-last: warning: deprecated\n"),
        (("*first", "quiet", "--grep", "^b"), "z-first: building\n"),
        (("z-first", "--grep", "^b"), "building\n"),
        (("--all", "--grep", "nothing like it"), ""),
        (("quiet", "never"), ""),
        (("z-first", "--grep", "x", "-a", "2"), ""),
    ],
)
def test_lines_across_tickets_can_be_had(warned: str, arguments: tuple[str, ...], out: str) -> None:
    answer = parexec("log", *arguments, "-s", warned)
    assert (answer.code, answer.out, answer.err) == (0 if out else 1, out, "")


def test_lines_are_in_plan_order_or_by_time(here: Path) -> None:
    plan = '[plan]\nparallel = 1\n[tickets.b]\nneeds = ["a"]\nrun = "echo b"\n[tickets.a]\nrun = "echo a"\n'
    assert parexec("run", write(here, plan), "-q").code == 0
    assert parexec("log", "--all").out == "b: b\na: a\n"
    assert parexec("log", "--all", "--order", "time").out == "a: a\nb: b\n"


def test_lines_of_a_session_that_runs_are_those_so_far(here: Path, start: Callable[..., Running]) -> None:
    run = start("run", write(here, f'{PATIENT}[tickets.after]\nneeds = ["patient"]\nrun = "true"\n'))
    wait_for_log("patient", "first")
    assert parexec("log", "--all", "--order", "time").out == "patient: first\n"
    (here / "go").touch()
    assert run.end().code == 0
    assert parexec("log", "--all").out == "patient: first\npatient: last\n"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("--all", "--grep", "(x"), "--grep: '(x' is not a regular expression: missing ), unterminated"),
        (("--status", "faild"), "there is no status faild, did you mean `failed`?"),
        (("ghost*", "-g", "x"), "no ticket matches ghost*"),
        (("--all", "quiet"), "--all means all tickets"),
        (("--all", "--follow"), "--follow, --step and --raw are for the whole output of one ticket"),
        ((), "say which ticket, or --all"),
    ],
)
def test_lines_that_cannot_be_meant_are_refused(warned: str, arguments: tuple[str, ...], error: str) -> None:
    answer = parexec("log", *arguments)
    assert answer.code == 2
    assert error in answer.err
    assert "Traceback" not in answer.err


def test_a_log_that_is_gone_is_named_and_the_others_are_read(warned: str) -> None:
    next(paths.state_home().glob("sessions/*/attempts/z-first.1.log")).unlink()
    answer = parexec("log", "--all", "--grep", "warning")
    assert (answer.code, answer.out) == (0, "a-last: warning: deprecated\n")
    assert answer.err == "parexec: attempt 1 of z-first: there is no log\n"


def test_log_of_what_has_none_says_so_and_exits_with_1(finished: str) -> None:
    never = parexec("log", "after")
    assert (never.code, never.out) == (1, "")
    assert never.err == "parexec: after has not been started yet: skipped\n"
    for arguments in (["again", "-a", "7"], ["after", "-f"]):
        missing = parexec("log", *arguments)
        assert (missing.code, missing.out) == (1, "")
        assert f"there is no log of attempt {arguments[-1] if arguments[-1] == '7' else '1'}" in missing.err


def test_an_unknown_ticket_or_session_is_told_with_what_there_is(finished: str) -> None:
    assert refused("log", "ghost") == f"parexec: session {finished} has no ticket ghost\n"
    for command in (["show", "ghost"], ["events", "ghost"], ["resume", "ghost"], ["log", "good", "-s", "ghost"]):
        said = refused(*command)
        assert "no session 'ghost'" in said
        assert finished in said


def test_events_are_the_facts_in_order(finished: str) -> None:
    lines = parexec("events").out.splitlines()
    assert any("failed" in line and "retry 1 of 1" in line for line in lines)
    parsed = [json.loads(line) for line in parexec("events", finished, "--json").out.splitlines()]
    assert [event["seq"] for event in parsed] == list(range(1, len(parsed) + 1))
    assert parexec("events", "--json", "--follow").out == parexec("events", "--json").out


def test_events_that_cannot_be_read_are_told_after_those_that_can(finished: str) -> None:
    import sqlite3

    with sqlite3.connect(paths.registry_file()) as connection:
        connection.execute("""UPDATE events SET data = '{"kind":"unheard_of","at":1}' WHERE seq = 7""")
    connection.close()
    answer = parexec("events")
    assert answer.code == 1
    assert "opened" in answer.out
    assert answer.err.startswith("parexec: events from number 7 on cannot be read: ")
    assert "Traceback" not in answer.err


def test_resume_of_a_finished_session_runs_nothing(finished: str) -> None:
    answer = parexec("resume", "--json")
    assert answer.code == 1
    assert [json.loads(line)["kind"] for line in answer.out.splitlines()] == ["summary"]


def test_resume_can_retry_what_failed(here: Path) -> None:
    plan = '[tickets.a]\nrun = "test -e there"\n[tickets.b]\nneeds = ["a"]\nrun = "true"\n'
    assert parexec("run", write(here, plan), "-q").code == 1
    (here / "there").touch()
    answer = parexec("resume", "--retry-failed")
    assert answer.code == 0
    assert "2 of 2 succeeded" in answer.out


@pytest.mark.parametrize("workdir", [".", "sub"])
def test_the_session_of_this_directory_is_meant_first(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workdir: str
) -> None:
    other = tmp_path / "other"
    for folder, plan in ((here, GOOD), (other, '[tickets.other]\nrun = "true"\n')):
        (folder / workdir).mkdir(parents=True, exist_ok=True)
        monkeypatch.chdir(folder)
        assert parexec("run", write(folder, f'[plan]\nworkdir = "{workdir}"\n{plan}'), "-q").code == 0
    monkeypatch.chdir(here)
    newer, ours = (row["session"] for row in sessions())
    assert parexec("log", "hello").out == "hello\n"
    assert json.loads(parexec("status", "--json").out)["session"] == ours
    assert refused("log", "other") == f"parexec: session {ours} has no ticket other\n"
    monkeypatch.chdir(tmp_path)
    assert json.loads(parexec("status", "--json").out)["session"] == newer


COUNTING = """
[plan]
parallel = 3
[tickets.count]
run = "echo '[3/7] link'; until [ -e go ] || [ $((n += 1)) -gt 3000 ]; do sleep 0.02; done"
[tickets.train]
run = "echo 'epoch 1 of 4'; echo '[3/7]'; until [ -e go ] || [ $((n += 1)) -gt 3000 ]; do sleep 0.02; done"
progress = "epoch {n} of {m}"
[tickets.quiet]
run = "echo '[3/7]'; until [ -e go ] || [ $((n += 1)) -gt 3000 ]; do sleep 0.02; done"
progress = "off"
"""


@pytest.mark.parametrize("where", ["--headless", "--lines"])
def test_how_far_tickets_are_is_in_status_and_in_json(here: Path, start: Callable[..., Running], where: str) -> None:
    run = start("run", write(here, COUNTING), *((where,) if where == "--headless" else ()), "--json")
    lines: list[dict[str, Any]] = []

    def progress_is_told() -> bool:
        assert run.process.stdout is not None
        lines.append(json.loads(run.process.stdout.readline()))
        return {"count", "train"} <= {line["ticket"] for line in lines if line["kind"] == "progress"}

    until(progress_is_told, "the progress of both is printed")
    told = {line["ticket"]: line for line in lines if line["kind"] == "progress"}
    assert {key: told["count"][key] for key in ("percent", "done", "total", "step", "attempt")} == {
        "percent": 42, "done": 3, "total": 7, "step": "link", "attempt": 1,
    }  # fmt: skip
    assert told["train"]["percent"] == 25
    agents = json.loads(parexec("status", "--json").out)["agents"]
    assert {each["ticket"]: each["progress"] and each["progress"]["percent"] for each in agents} == {
        "count": 42, "train": 25, "quiet": None,
    }  # fmt: skip
    assert re.search(r"busy +count  42% 3/7 link\n", parexec("status").out)
    (here / "go").touch()
    answer = run.end()
    assert answer.code == 0
    assert all(json.loads(line)["kind"] for line in answer.out.splitlines())


def test_in_a_directory_that_is_gone_the_newest_session_is_meant(finished: str, here: Path) -> None:
    here.rename(here.parent / "elsewhere")
    shutil.rmtree(here.parent / "elsewhere")
    assert parexec("show").out.startswith(finished)


def test_show_and_ls_while_it_runs_and_after_a_kill(here: Path, start: Callable[..., Running]) -> None:
    run = start("run", write(here, PATIENT))
    wait_for_log("patient", "first")
    assert sessions()[0]["status"] == "running"
    assert json.loads(parexec("show", "--json").out)["engine_pid"] == run.process.pid
    assert "on agent-1 since" in parexec("show").out
    said = refused("resume")
    assert f"engine {run.process.pid} runs" in said

    run.process.kill()
    run.process.wait(WITHIN)
    assert sessions()[0]["status"] == "interrupted"
    assert "interrupted" in parexec("ls").out
    assert json.loads(parexec("show", "--json").out)["state"] == "interrupted"

    (here / "go").touch()
    answer = parexec("resume")
    assert answer.code == 0, answer.err
    assert "1 of 1 succeeded" in answer.out
    assert parexec("log", "patient").out == "first\nlast\n"
    assert sessions()[0]["status"] == "finished"


def test_log_follows_a_ticket_to_its_end(here: Path, start: Callable[..., Running]) -> None:
    run = start("run", write(here, PATIENT), "-q")
    wait_for_log("patient", "first")
    follower = start("log", "patient", "-f")
    assert follower.process.stdout is not None
    assert follower.process.stdout.readline() == "first\n"
    (here / "go").touch()
    answer = follower.end()
    assert (answer.code, answer.out, answer.err) == (0, "last\n", "")
    assert run.end().code == 0


def test_events_follow_a_session_to_its_end(here: Path, start: Callable[..., Running]) -> None:
    run = start("run", write(here, PATIENT), "-q")
    wait_for_log("patient", "first")
    follower = start("events", "-f", "--json")
    (here / "go").touch()
    answer = follower.end()
    assert answer.code == 0
    assert json.loads(answer.out.splitlines()[-1])["kind"] == "session_finished"
    assert run.end().code == 0


@pytest.mark.parametrize("command", [("events",), ("log", "patient")])
def test_what_follows_goes_on_while_a_guardian_starts_the_next_engine(
    here: Path, start: Callable[..., Running], command: tuple[str, ...]
) -> None:
    run = start("run", write(here, PATIENT), "-q")
    wait_for_log("patient", "first")
    run.process.kill()
    run.process.wait(WITHIN)
    (session,) = sessions()
    with paths.session_folder(session["session"]).guardian_lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert sessions()[0]["status"] == "restarting"
        follower = start(*command, "-f")
        assert follower.process.stdout is not None
        assert follower.process.stdout.readline()
        (here / "go").touch()
        as_the_guardian_does = [sys.executable, "-P", "-m", "parexec_tui.engine", session["session"]]
        assert subprocess.run(as_the_guardian_does, stdout=subprocess.DEVNULL, timeout=WITHIN).returncode == 0
    last = follower.end().out.splitlines()[-1]
    assert last == "last" or "finished" in last


# -- what is imported ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", entry.LAZY_COMMANDS)
def test_commands_to_be_imported_later_are_those_that_are_there(module: str) -> None:
    assert tuple(command.name for command in import_module(module).COMMANDS) == entry.LAZY_COMMANDS[module]


HEAVY = {"trio", "textual", "rich", "networkx", "psutil", "tomli", "email", "ssl"}
LIST_HEAVY = f"import sys; print(*sorted({HEAVY!r} & set(sys.modules)))"


def imported(code: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", f"{code}\n{LIST_HEAVY}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    ("arguments", "may"),
    [
        (["--help"], set()),
        (["run", "--help"], set()),
        (["help", "keys"], set()),
        (["schema"], set()),
        (["ls"], set()),
        (["status"], set()),
        (["show"], set()),
        (["events"], set()),
        (["log", "hello"], set()),
        (["validate", "plan.toml"], {"psutil", "tomli"}),
        (["run", "plan.toml"], HEAVY - {"textual", "networkx"}),
    ],
    ids=lambda value: None if isinstance(value, set) else " ".join(value),  # the order of a set is not stable
)
def test_a_command_imports_only_what_it_needs(here: Path, arguments: list[str], may: set[str]) -> None:
    assert parexec("run", write(here, GOOD), "-q").code == 0
    code = f"""
from parexec_tui.cli.entry import cli
try:
    cli({arguments!r})
except SystemExit as end:
    assert not end.code, end.code
"""
    assert imported(code) <= may


PACKAGE = Path(paths.__file__).parent


@pytest.mark.parametrize(
    ("room", "may"),
    [
        ("cli", HEAVY - {"trio", "textual", "networkx"}),
        ("core", {"tomli"}),
        ("engine", HEAVY - {"textual", "networkx"}),
        ("registry", {"tomli"}),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_each_room_can_be_entered_first(room: str, may: set[str]) -> None:
    files = [file.relative_to(PACKAGE.parent).with_suffix("") for file in sorted((PACKAGE / room).rglob("[!_]*.py"))]
    assert imported(f"import {', '.join('.'.join(file.parts) for file in files)}") <= may


@pytest.mark.parametrize("module", sorted(file.stem for file in PACKAGE.glob("[!_]*.py")))
def test_each_module_at_the_door_can_be_entered_first(module: str) -> None:
    imported(f"import parexec_tui.{module}")
