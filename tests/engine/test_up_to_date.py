"""Tickets that are up to date, with real files: over sessions, failures, the death of an engine."""

import signal
import subprocess
from pathlib import Path

import pytest
import trio

from parexec_tui.core.plan.reading.file import PlanErrors, read_plan
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import Status
from parexec_tui.engine import up_to_date
from parexec_tui.engine.backends.backend import Freshness, FreshnessWanted
from parexec_tui.paths import registry_file, session_folder
from tests.core.sessions import plan
from tests.engine.engines import (
    PAREXEC,
    exists,
    happened,
    number_in,
    resume,
    run,
    session,
    sessions,
    start,
    state_of,
    ticket,
    until,
)
from tests.engine.fakes import FakeBackend

BUILD = """
[plan]
parallel = 2
[defaults]
up_to_date = true
[tickets.a]
reads = ["src/a"]
outputs = ["obj/a"]
run = "mkdir -p obj; tr -d ' ' < src/a > obj/a; echo a >> ran"
[tickets.b]
reads = ["src/b"]
outputs = ["obj/b"]
run = "mkdir -p obj; cp src/b obj/b; echo b >> ran"
[tickets.app]
needs = ["a", "b"]
reads = ["obj/*"]
outputs = ["app"]
gates = ["test -s app"]
run = "cat obj/* > app; echo app >> ran"
"""


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "src").mkdir()
    for name in "ab":
        (tmp_path / "src" / name).write_text(f"source {name}\n")
    assert ran(tmp_path) == ["a", "app", "b"]
    return tmp_path


def ran(folder: Path, text: str = BUILD, code: int = 0) -> list[str]:
    """Run the plan; the tickets that ran, by name."""
    (folder / "ran").write_text("")
    assert run(folder, text)[0] == code
    return sorted((folder / "ran").read_text().split())


def test_what_was_noted_for_a_fingerprint_is_deleted_when_that_is_taken(work: Path) -> None:
    folder = session_folder(session()).attempts
    assert list(folder.glob("*.log"))
    assert list(folder.glob("*.reads")) == []


def test_the_second_session_runs_nothing(work: Path) -> None:
    assert ran(work) == []
    assert {event.reason for event in happened(ev.TicketSatisfied)} == {"up to date"}
    assert happened(ev.AttemptStarted) == []
    assert ran(work) == []


@pytest.mark.parametrize(
    ("spoil", "again", "why"),
    [
        ("echo changed > src/b", ["app", "b"], "reads src/b changed"),
        ("echo 'so urce  a' > src/a", ["a"], "reads src/a changed"),  # and it writes what it wrote
        ("touch src/a obj/a obj/b app", [], ""),
        ("rm obj/a", ["a"], "outputs obj/a is missing"),
        ("echo by hand > app", ["app"], "outputs app changed"),
        ("echo more > obj/more", ["app"], "reads obj/more is new"),
    ],
)
def test_just_what_a_change_needs_is_run_again(work: Path, spoil: str, again: list[str], why: str) -> None:
    run(work, f'[tickets.spoil]\nrun = "{spoil}"')
    assert ran(work) == again
    assert [event.stale for event in happened(ev.QuestionAnswered)][:1] == ([why] if why else [])
    assert ran(work) == []


TELLING = """
[defaults]
up_to_date = true
[tickets.split]
reads = ["src/a"]
run = "sh split.sh; echo split >> ran"
"""
USES = """
[tickets.use]
needs = ["split"]
outputs = ["out"]
run = "echo {split.count} > out; echo use >> ran"
[tickets.say]
needs = ["split"]
run = "echo said {split.count} >> ran"
"""


def test_what_is_up_to_date_has_its_values_and_what_uses_them_runs_again_if_they_change(work: Path) -> None:
    (work / "split.sh").write_text('echo "count=$(wc -w < src/a)" > "${PAREXEC_VALUES:-/dev/null}"')
    assert ran(work, TELLING) == ["split"]
    assert ran(work, TELLING) == []
    # nobody wanted to know how many there are
    assert ran(work, TELLING + USES) == ["2", "said", "split", "use"]
    assert happened(ev.QuestionAnswered)[0].stale == "it has not told count"
    assert ran(work, TELLING + USES) == ["2", "said"]
    assert state_of().values == {"split": {"count": "2"}}
    said = subprocess.run([*PAREXEC, "run", "plan.toml", "-n"], cwd=work, capture_output=True, text=True, check=True)
    assert "2 tickets are up to date" in said.stdout
    (work / "src/a").write_text("one more word")
    assert ran(work, TELLING + USES) == ["3", "said", "split", "use"]


@pytest.mark.parametrize(
    ("old", "new"),
    [("echo a >>", "echo  a >>"), ('reads = ["src/a"]', 'reads = ["src/a"]\nenv = { A = "1" }'),
     ('["obj/a"]', '["obj/a"]\ngates = ["true"]')],
)  # fmt: skip
def test_a_changed_plan_runs_what_changed(work: Path, old: str, new: str) -> None:
    assert ran(work, BUILD.replace(old, new, 1)) == ["a"]
    assert [event.stale for event in happened(ev.QuestionAnswered)] == ["the command or its settings changed"]


def test_after_a_failure_it_is_run_though_all_is_as_it_was(work: Path) -> None:
    fails = BUILD.replace('gates = ["test -s app"]', 'gates = ["false"]')
    assert ran(work, fails, code=1) == ["app"]
    assert ran(work) == ["app"]
    assert [event.stale for event in happened(ev.QuestionAnswered)] == ["the last attempt did not succeed"]
    assert ran(work) == []


def test_what_changes_while_it_is_read_is_run_again(work: Path) -> None:
    text = BUILD.replace("cp src/b obj/b", "cp src/b obj/b; date +%N > src/b")
    assert ran(work, text) == ["b"]
    assert ran(work, text) == ["app", "b"]
    assert happened(ev.QuestionAnswered)[0].stale == "reads src/b changed"


SLOW = """
[tickets.T]
up_to_date = true
reads = ["src/a"]
outputs = ["out"]
run = "echo $$ > pid; until test -e go; do sleep 0.02; done; echo x > out; echo T >> ran"
"""


def test_an_attempt_that_was_interrupted_counts_for_nothing(work: Path) -> None:
    (work / "go").touch()
    assert ran(work, SLOW) == ["T"]
    assert ran(work, SLOW) == []
    (work / "go").unlink()
    (work / "pid").unlink()
    (work / "src/a").write_text("other\n")
    engine = start(work, SLOW)
    pid = number_in(work / "pid")
    engine.kill()
    (work / "src/a").write_text("source a\n")  # all is as it was after the success
    (work / "go").touch()
    until(lambda: not exists(pid), "it is over")
    (work / "out").write_text("x\n")
    assert ran(work, SLOW) == ["T"]
    assert [event.stale for event in happened(ev.QuestionAnswered)] == ["the last attempt did not succeed"]


READS_MUCH = """
[tickets.T]
reads = ["much"]
outputs = ["out"]
up_to_date = true
run = "echo T >> ran; head -c 1 much > out"
"""


def test_a_stop_does_not_wait_until_all_is_read(work: Path) -> None:
    (work / "much").write_text("x")
    assert ran(work, READS_MUCH) == ["T"]
    with (work / "much").open("r+b") as file:
        file.truncate(1 << 40)  # to read this takes an hour
    engine = start(work, READS_MUCH)
    engine.until(lambda: len(sessions()) == 3 and happened(ev.QuestionAsked), "it is asked")
    engine.signal(signal.SIGTERM)
    engine.wait()
    assert [(event.again, event.stale) for event in happened(ev.QuestionAnswered)] == [(True, "")]
    assert (ticket("T").status, ticket("T").is_asked) == (Status.waiting, False)


def test_an_attempt_outlives_its_engine_and_its_success_counts(work: Path) -> None:
    engine = start(work, SLOW)
    number_in(work / "pid")
    engine.kill()
    (work / "go").touch()
    result, _ = resume()
    assert (result.outcome, ticket("T").status) == ("finished", Status.succeeded)
    assert ran(work, SLOW) == []


class Looks(FakeBackend):
    """Notes whether each look was a new one."""

    def __init__(self) -> None:
        super().__init__()
        self.looks: list[bool] = []

    async def freshness(self, wanted: tuple[FreshnessWanted, ...], *, anew: bool) -> list[Freshness]:
        self.looks.append(anew)
        return [Freshness("never ran")] * len(wanted)


@pytest.mark.trio
@pytest.mark.usefixtures("work")
@pytest.mark.parametrize(("lasts", "looks"), [(1000.0, [True, False, True]), (0.0, [True, True, True])])
async def test_a_look_counts_until_something_starts_and_not_for_long(
    monkeypatch: pytest.MonkeyPatch, lasts: float, looks: list[bool]
) -> None:
    monkeypatch.setattr(up_to_date, "LOOK_LASTS", lasts)
    state, backend = SessionState(plan("T: up_to_date=true reads=src")), Looks()
    send, told = trio.open_memory_channel[object](10)
    async with trio.open_nursery() as nursery:
        knows = up_to_date.UpToDate(nursery, backend, registry_file(), "s", state, send.send_nowait)
        for number in range(3):
            if number == 2:
                knows.something_starts()
            knows.check(ProcessKey("T", 0, "up-to-date"), state.tickets["T"])
            with trio.fail_after(10):
                await told.receive()
    assert backend.looks == looks


LARGE = """
[tickets.T]
up_to_date = true
reads = ["large"]
outputs = ["out"]
run = "echo x > out; echo T >> ran"
"""


def test_a_success_whose_fingerprint_died_with_its_engine_is_looked_at_by_the_next_one(work: Path) -> None:
    """A large file keeps the engine busy between the success and its fingerprint."""
    with (work / "large").open("wb") as file:
        file.truncate(1 << 28)
    engine = start(work, LARGE)
    engine.until(lambda: happened(ev.AttemptEnded, ticket="T"), "it has succeeded")
    engine.kill()
    assert "its last attempt ran, and was not remembered as a success" in shown(work)
    result, _ = resume()
    assert (result.outcome, ticket("T").status, ticket("T").attempts) == ("finished", Status.succeeded, 1)
    assert shown(work) == "nothing to run: 1 ticket is up to date\n"


def shown(folder: Path) -> str:
    """What would run."""
    command = [*PAREXEC, "run", "-n", "plan.toml"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


def test_files_that_take_too_long_to_read_are_said_to_be_too_big(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.truncate(1 << 30)
    run(tmp_path, LARGE + 'approve = "after"\n')
    subprocess.run([*PAREXEC, "approve", "T"], cwd=tmp_path, check=True, capture_output=True)
    monkeypatch.setattr(up_to_date, "FINISH_WITHIN", 0.2)
    monkeypatch.setattr(up_to_date, "SAID_AFTER", 0.1)
    _, heard = resume()
    assert heard.notices[-2:] == [
        "the files of T are still being read for up_to_date, for at most 0.2s",
        "the files of T are too big to be read in 0.2s: they count as changed next time",
    ]
    assert "T  its files are too big" in shown(tmp_path)


@pytest.mark.parametrize(("spoil", "again"), [("", []), ("app", ["app"])])
def test_what_is_approved_while_no_engine_runs_is_up_to_date_as_it_was_then(
    tmp_path: Path, spoil: str, again: list[str]
) -> None:
    (tmp_path / "src").mkdir()
    for name in "ab":
        (tmp_path / "src" / name).write_text(f"source {name}\n")
    plan = BUILD.replace("gates =", 'approve = "after"\ngates =')
    assert ran(tmp_path, plan, code=1) == ["a", "app", "b"]
    subprocess.run([*PAREXEC, "approve", "app"], cwd=tmp_path, check=True, capture_output=True)
    if spoil:
        with (tmp_path / spoil).open("a") as file:
            file.write("more\n")
    assert resume()[0].outcome == "finished"
    assert ran(tmp_path, plan, code=bool(again)) == again


COMPILE = """
[defaults]
up_to_date = true
cwd = "sub"
[tickets.a]
reads = ["sub/a.c"]
outputs = ["sub/a.o"]
depfile = "a.d"
run = "cat a.c $(cat a.c) > a.o; printf 'a.o: a.c \\\\\\n %s\\n' $(cat a.c) > a.d; echo a >> ../ran"
"""


def test_what_a_depfile_names_counts_as_read(tmp_path: Path) -> None:
    folder = tmp_path / "sub"
    folder.mkdir()
    for name, content in (("one.h", "1"), ("two.h", "2"), ("a.c", "one.h")):
        (folder / name).write_text(content)
    assert ran(tmp_path, COMPILE) == ["a"]
    (folder / "two.h").write_text("not read yet")
    assert ran(tmp_path, COMPILE) == []
    (folder / "one.h").write_text("changed")
    assert ran(tmp_path, COMPILE) == ["a"]
    assert [event.stale for event in happened(ev.QuestionAnswered)] == [
        "reads sub/one.h changed, which its depfile names"
    ]
    (folder / "a.c").write_text("two.h")
    assert ran(tmp_path, COMPILE) == ["a"]
    (folder / "one.h").unlink()  # nobody reads it any more
    (folder / "a.d").unlink()  # and this has been read
    assert ran(tmp_path, COMPILE) == []


def test_a_ticket_whose_depfile_cannot_be_read_runs_again(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.c").write_text("a.c")
    without = COMPILE.replace("> a.d", "> b.d")
    assert ran(tmp_path, without) == ["a"]
    assert ran(tmp_path, without) == ["a"]
    [answer] = happened(ev.QuestionAnswered)
    assert answer.stale.startswith("its depfile a.d cannot be read: [Errno 2] No such file")


def test_a_depfile_needs_something_that_is_read(tmp_path: Path) -> None:
    text = '[tickets.a]\nrun = "x"\ndepfile = "a.d"\n'
    with pytest.raises(PlanErrors, match="a ticket with `depfile` says what it `reads`"):
        read_plan(text, source="plan.toml", folder=str(tmp_path), format="toml")
