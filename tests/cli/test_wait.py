"""`parexec wait` and `retry --wait`: they end when they should, with the right exit code, whatever engines do."""

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import click
import pytest

from tests.cli.test_steer import parexec
from tests.commands import every_command
from tests.engine import engines
from tests.engine.conftest import nothing_runs_on as nothing_runs_on
from tests.engine.engines import PAREXEC, WITHIN, until
from tests.engine.lifecycle.detached import kill, run_detached, the_engine, the_guardian

pytestmark = pytest.mark.usefixtures("here")

PLAN = """
[tickets.a]
run = "until test -e go; do sleep 0.02; done"
[tickets.b]
run = "exit 3"
[tickets.b2]
needs = ["b"]
run = "true"
[tickets.c]
run = "until test -e end; do sleep 0.02; done"
"""


@pytest.fixture
def session(here: Path) -> str:
    """A session in which `a` waits for a file `go`, `c` for a file `end`, and `b` fails; its id."""
    return run_detached(here, PLAN)


class Waiting:
    """A `parexec wait` that waits beside the test."""

    all: list["Waiting"] = []  # noqa: RUF012 - ended after each test

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [*PAREXEC, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.all.append(self)

    def until_it_listens(self) -> None:
        """Wait until it has a connection to the engine, over which it is told what happens."""
        until(lambda: self._sockets() >= 2, "it listens")

    def _sockets(self) -> int:
        found = 0
        for each in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed meanwhile
                found += "socket:" in str(each.readlink())
        return found

    def end(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=WITHIN)
        assert "Traceback" not in err, err
        return self.process.returncode, out, err


@pytest.fixture(autouse=True)
def none_waits_on() -> Iterator[None]:
    yield
    for each in Waiting.all:
        each.process.kill()
        each.process.communicate()
    Waiting.all.clear()


# -- exit codes ------------------------------------------------------------------------------------------------


def test_what_is_over_is_told_at_once(here: Path) -> None:
    engines.run(here, PLAN.replace("until test -e go", "until true").replace("until test -e end", "until true"))
    id_ = engines.session()
    for words, code, out in (
        (["wait"], 1, "✗ b  failed: exit 3\n"),
        (["wait", id_], 1, "✗ b  failed: exit 3\n"),
        (["wait", "plan"], 1, "✗ b  failed: exit 3\n"),
        (["wait", "-s", id_], 1, "✗ b  failed: exit 3\n"),
        (["wait", "a", "c"], 0, ""),
        (["wait", "a", "b", "b2"], 1, "✗ b  failed: exit 3\n» b2  skipped: because of b\n"),
        (["wait", "b*", "-s", id_, "!b"], 1, "» b2  skipped: because of b\n"),
        (["wait", "status:running"], 0, ""),
    ):
        answer = parexec(*words)
        assert (answer.code, answer.out, answer.err) == (code, out, ""), words
    assert parexec("wait", "--json").json == {
        "session": id_,
        "why": "over",
        "code": 1,
        "counts": {"succeeded": 2, "failed": 1, "skipped": 1},
        "unsuccessful": ["b"],
    }


def test_a_ticket_that_is_not_there_is_wrong_usage(session: str) -> None:
    for words, said in (
        (["wait", "ghost"], f"{session} has no ticket ghost; no session 'ghost'"),
        (["wait", "a", "ghost"], "there is no ticket ghost"),
        (["wait", "-s", "ghost"], "no session 'ghost'"),
        (["wait", "status:gone"], "there is no status gone"),
        (["wait", "--timeout", "soon"], "'soon' is not a duration"),
    ):
        answer = parexec(*words)
        assert (answer.code, answer.out) == (2, ""), words
        assert said in answer.err


def test_without_a_session_there_is_nothing_to_wait_for() -> None:
    answer = parexec("wait")
    assert (answer.code, answer.err) == (2, "parexec: no sessions yet: parexec run PLAN starts one\n")


def test_it_waits_for_the_tickets_that_are_named_and_then_for_all(here: Path, session: str) -> None:
    one, whole = Waiting("wait", "a"), Waiting("wait")
    one.until_it_listens()
    (here / "go").touch()
    assert one.end() == (0, "", "")
    assert whole.process.poll() is None, "c runs on"
    whole.until_it_listens()
    (here / "end").touch()
    assert whole.end() == (1, "✗ b  failed: exit 3\n", "")


@pytest.mark.usefixtures("session")
def test_the_time_is_up() -> None:
    answer = parexec("wait", "a", "c", "--timeout", "200ms")
    assert (answer.code, answer.out, answer.err) == (124, "", "parexec: the time is up; not over: a and c\n")
    assert parexec("wait", "--timeout", "0").code == 124
    assert parexec("freeze", "a").code == 0
    answer = parexec("wait", "a", "--timeout", "0")
    assert answer.err.startswith("parexec: the time is up; not over: a; ")
    assert " is frozen with a, by you, for " in answer.err
    assert answer.err.endswith(": parexec thaw a\n")


def test_a_session_that_a_person_stops_has_its_own_code(session: str) -> None:
    waiting = Waiting("wait", "a")
    waiting.until_it_listens()
    assert parexec("stop", "--now", "--yes").code == 0
    code, out, err = waiting.end()
    assert (code, out) == (3, "")
    assert err == f"parexec: {session} has ended, stopped; not over: a; go on: parexec resume {session}\n"


@pytest.mark.usefixtures("session")
def test_ctrl_c_ends_it_as_shells_have_it() -> None:
    waiting = Waiting("wait")
    waiting.until_it_listens()
    waiting.process.send_signal(signal.SIGINT)
    assert waiting.end() == (130, "", "")


def test_a_ticket_that_is_dropped_will_not_succeed(here: Path, session: str) -> None:
    waiting = Waiting("wait", "b2", "a")
    waiting.until_it_listens()
    engines.write_plan(here, PLAN.replace('[tickets.b2]\nneeds = ["b"]\nrun = "true"\n', ""))
    assert parexec("reload", "--yes", "-s", session).code == 0
    (here / "go").touch()
    assert waiting.end() == (1, "b2  dropped from the plan\n", "")


# -- engines that die --------------------------------------------------------------------------------------------


def test_it_waits_on_when_a_guardian_starts_the_next_engine(here: Path, session: str) -> None:
    waiting = Waiting("wait", "a")
    waiting.until_it_listens()
    first = the_engine(session)
    kill(first)
    the_engine(session, besides=first)
    (here / "go").touch()
    assert waiting.end() == (0, "", "")


@pytest.mark.parametrize("listens", [True, False])
def test_it_says_so_when_no_engine_will_follow(session: str, listens: bool) -> None:
    if listens:
        (waiting := Waiting("wait")).until_it_listens()
    kill(the_guardian(session), the_engine(session))
    if not listens:
        waiting = Waiting("wait")
    code, _, err = waiting.end()
    assert code == 1
    assert err == (
        f"parexec: the engine of {session} is gone, and none will follow; not over: a and c; "
        f"take over: parexec resume {session}\n"
    )


# -- retry --wait ------------------------------------------------------------------------------------------------


def test_retry_waits_for_what_it_runs_again(here: Path) -> None:
    plan = '[tickets.b]\nrun = "test -e go"\n[tickets.b2]\nneeds = ["b"]\nrun = "sleep 600"\n'
    assert engines.run(here, plan)[0] == 1
    answer = parexec("retry", "b", "--wait")
    assert answer.code == 1
    assert answer.out.endswith("✗ b  failed: exit 1\n")
    (here / "go").touch()
    answer = parexec("retry", "b", "--wait", "--json")
    assert answer.code == 0, answer.err
    events, result = map(json.loads, answer.out.splitlines())
    assert [event["kind"] for event in events["events"]] == ["operator_acted", "ticket_retried"]
    assert (result["why"], result["counts"]) == ("done", {"succeeded": 1})
    assert engines.ticket("b2").is_live, "that is not waited for"


# -- rollback --wait, restart --wait -----------------------------------------------------------------------------


def test_rollback_waits_until_all_is_taken_back_or_cannot_be(here: Path) -> None:
    plan = """
        [defaults]
        run = "true"
        [tickets.a]
        rollback = "sleep 0.3; touch back"
        [tickets.b]
        needs = ["a"]
        rollback = "test -e may"
    """
    assert engines.run(here, plan)[0] == 0
    answer = parexec("rollback", "a", "--downstream", "--yes", "--wait")
    assert (answer.code, answer.out.splitlines()[-2:]) == (
        1,
        ["✗ b  failed: rollback failed: exit 1", "✓ a  succeeded"],
    )
    assert not (here / "back").exists()
    (here / "may").touch()
    answer = parexec("rollback", "a", "--downstream", "--yes", "--wait")
    assert answer.code == 0, answer.err
    assert (here / "back").exists(), "only then"


def test_restart_waits_for_what_runs_again(here: Path) -> None:
    plan = """
        [tickets.a]
        run = "echo ran >> runs; sleep 0.2; test -e go"
        rollback = "sleep 0.2; touch go"
        on_fail = "keep"
    """
    assert engines.run(here, plan)[0] == 1
    assert parexec("restart", "--from", "a", "--yes", "--wait").code == 1
    assert parexec("restart", "--from", "a", "--rollback", "--yes", "--wait").code == 0
    assert (here / "runs").read_text() == "ran\n" * 3


# -- which session -------------------------------------------------------------------------------------------------


def test_each_command_about_a_session_takes_it_with_s() -> None:
    for name, command in every_command().items():
        arguments = {each.name for each in command.params if isinstance(each, click.Argument)}
        options = {word for each in command.params if isinstance(each, click.Option) for word in each.opts}
        assert "session" not in arguments or {"-s", "--session"} <= options, name


def test_what_is_over_here_is_meant_though_a_session_runs_elsewhere(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines.run(here, '[tickets.b]\nrun = "exit 3"\n')
    mine = engines.session()
    (other := tmp_path / "other").mkdir()
    monkeypatch.chdir(other)
    run_detached(other, PLAN)
    theirs = engines.session()
    monkeypatch.chdir(here)
    assert parexec("wait").out == "✗ b  failed: exit 3\n"
    answer = parexec("status")
    assert answer.out.startswith(f"{mine}  finished")
    assert answer.err == f"parexec: {theirs} of {other} runs: parexec status {theirs}\n"


def test_what_is_over_elsewhere_is_changed_only_if_it_is_named(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines.run(here, '[tickets.b]\nrun = "true"\n')
    id_ = engines.session()
    (other := tmp_path / "other").mkdir()
    monkeypatch.chdir(other)
    (other / "f.toml").write_text('[tickets.y]\nrun = "true"\n')
    verbs = (["edit", "b", "title=x"], ["add", "f.toml"], ["reload", "--yes"], ["retry", "b"], ["resume"])
    for words in (*verbs, ["cancel", "b"], ["approve", "b"]):
        answer = parexec(*words)
        assert answer.code != 0, words
        assert f"there is no session of this folder; {id_} is of {here}: name it if it is meant" in answer.err, words
    assert parexec("add", "-s", id_, "--id", "x", "--", "true").code == 0
    monkeypatch.chdir(here)
    assert "nothing to do" in parexec("reload", "--yes").err


def test_a_session_is_meant_by_its_argument_or_by_s(here: Path) -> None:
    engines.run(here, '[tickets.a]\nrun = "true"\n')
    id_ = engines.session()
    for name in ("show", "events", "attach", "resume"):
        options = ["--lines"] if name == "attach" else []
        answers = [parexec(name, *options, *words) for words in ((id_,), ("-s", id_), ("--session", "plan"))]
        assert {(each.code, each.out) for each in answers} == {(0, answers[0].out)}, name
        twice = parexec(name, id_, "-s", id_)
        assert twice.code == 2
        assert "name the session once" in twice.err
