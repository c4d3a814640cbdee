"""The verbs from another shell: each is asked of a real engine, and its effect read back from the registry."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from rich.cells import cell_len

from parexec_tui.cli import amend, asking, entry, reruns, standing, steer
from parexec_tui.cli.commands import SHORT_NAMES
from parexec_tui.client import sessions
from parexec_tui.client.sockets import own_signature
from parexec_tui.core.plan.units import Duration
from parexec_tui.core.schedule.eta import Eta
from parexec_tui.core.schedule.root import Root, WaitedFor
from parexec_tui.core.wire.protocol import AgentFact, FailureFact, HoldFact, NeighbourFact, StatusReport
from parexec_tui.text.dashboard import HEIGHT, WIDTH, dashboard
from tests.engine import engines
from tests.engine.conftest import nothing_runs_on as nothing_runs_on
from tests.engine.engines import WITHIN, Engine, until

PLAN = """
[plan]
name = "Steered"
parallel = 3
[agents.mill]
min = 1
max = 3
[agents.clerk]
[defaults]
grace = "100ms"
[tickets.long]
run = "sleep 600"
agent = "mill"
[tickets.other]
run = "sleep 600"
agent = "mill"
[tickets.after]
needs = ["long"]
run = "true"
[tickets.last]
needs = ["after"]
run = "true"
priority = "low"
[tickets.bad]
run = "exit 3"
agent = "clerk"
[tickets.lost]
needs = ["bad"]
run = "true"
"""

Json = dict[str, Any]


class Answer:
    """How a command ended, and what it said."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self) -> Json:
        found: Json = json.loads(self.out)
        return found

    @property
    def kinds(self) -> list[str]:
        return [event["kind"] for event in self.json["events"]]


def parexec(*arguments: str, says: str = "") -> Answer:
    done = subprocess.run(
        [*engines.PAREXEC, *arguments],
        stdin=None if says else subprocess.DEVNULL,
        input=says or None,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Answer(done.returncode, done.stdout, done.stderr)


def done(*arguments: str) -> Answer:
    answer = parexec(*arguments)
    assert answer.code == 0, answer.err
    return answer


def refused(*arguments: str) -> str:
    """Why not, as stderr says it."""
    before = status()
    answer = parexec(*arguments)
    assert (answer.code, answer.out) == (1, ""), answer.err
    assert {**status(), "eta": before["eta"], "usage": before["usage"]} == before, "only time goes on"
    return answer.err


def status() -> Json:
    return done("status", "--json").json


def report() -> Json:
    return done("show", "--json").json


def ticket(id_: str) -> Json:
    return next(each for each in report()["tickets"] if each["id"] == id_)


def events() -> list[Json]:
    """All but what the engine tells by itself as time goes by."""
    found = (json.loads(line) for line in done("events", "--json").out.splitlines())
    return [event for event in found if event["kind"] != "eta_told"]


def is_frozen(id_: str) -> bool:
    return bool(ticket(id_)["status"] == "frozen")


@pytest.fixture
def engine(here: Path) -> Engine:
    """An engine in which `long` and `other` run, `bad` has failed and the rest cannot start."""
    engine = engines.start(here, PLAN)

    def is_there() -> bool:
        answer = parexec("status", "--json")
        return answer.code == 0 and answer.json["counts"] == {"waiting": 2, "running": 2, "failed": 1, "skipped": 1}

    engine.until(is_there, "two tickets run and one has failed")
    return engine


pytestmark = pytest.mark.usefixtures("here")


# -- how it stands ---------------------------------------------------------------------------------------------


def test_status_tells_scripts_all_that_is_promised(engine: Engine) -> None:
    facts = status()
    assert facts["plan"] == "Steered"
    assert facts["state"] == "running"
    assert facts["engine_pid"] == engine.process.pid
    assert facts["counts"] == {"waiting": 2, "running": 2, "failed": 1, "skipped": 1}
    assert (facts["groups"], facts["group"]) == (3, 1)
    assert facts["holds"] == []
    assert {agent["ticket"] for agent in facts["agents"] if agent["status"] == "busy"} == {"long", "other"}
    failed = {"ticket": "bad", "end": "failed", "reason": "exit 3", "error_line": "", "alike": 1, "allowed": False}
    assert facts["failures"] == [failed]
    assert facts.keys() == set(StatusReport.__struct_encode_fields__)


def test_status_is_a_page(engine: Engine) -> None:
    lines = done("st").out.splitlines()
    assert lines[0].startswith(engines.session())
    assert f"engine {engine.process.pid}" in lines[0]
    assert any("2 running" in line for line in lines)
    assert any(line.split() == ["bad", "failed", "exit", "3"] for line in lines)


@pytest.mark.parametrize("failures", [0, 1, 2, 100])
@pytest.mark.parametrize("name", ["Ü漢", "a\u0301", "x"])
def test_status_fits_a_small_terminal_whatever_there_is(name: str, failures: int) -> None:
    frozen = [Root("frozen", ticket=f"ticket-with-a-long-name-{n}", agent=f"agent-{n}", by="ann") for n in range(9)]
    many = StatusReport(
        session="exec_20260102_030405",
        plan=name * 100 + "\x1b[31m",
        state="running",
        engine_pid=1,
        started=0.0,
        ended=None,
        counts={"waiting": 100, "failed": 3 * failures},
        groups=9,
        group=2,
        eta=Eta(60, 3600),
        holds=[HoldFact("ticket", f"T{n}", "ann", "because", 1.0) for n in range(50)],
        agents=[AgentFact(f"agent-{n}", "busy", "T" * 100) for n in range(50)],
        failures=[FailureFact(f"F{n}", "could not start", f"{'x' * 200}{chr(n)}") for n in range(failures)],
        roots=[WaitedFor(root, 7) for root in frozen],
        beside=[NeighbourFact(f"exec_{n}", "p", "tree x") for n in range(9)],
    )
    lines = dashboard(many)
    assert len(lines) <= HEIGHT
    assert all(cell_len(line) <= WIDTH for line in lines)
    assert not any("\x1b" in line for line in lines)
    assert lines[1].endswith("...")
    assert cell_len(lines[1]) >= WIDTH - 1
    assert sum(line.startswith("         parexec thaw") for line in lines) == 3
    assert any(line.startswith("held ") for line in lines)
    assert any(line.startswith("  agent-") for line in lines)
    if failures:
        assert any(line.startswith("  F") for line in lines)
        assert lines[-1] == f"  and {3 * failures - sum(line.startswith('  F') for line in lines)} more: parexec show"


def test_status_folds_only_what_failed_alike() -> None:
    report = StatusReport(
        session="s",
        plan="p",
        state="running",
        engine_pid=1,
        started=0.0,
        ended=None,
        counts={"failed": 2, "cancelled": 2},
        groups=1,
        group=1,
        eta=None,
        holds=[],
        agents=[],
        failures=[
            *(FailureFact(id_, "failed", "exit 1", "disk full", 2) for id_ in ("A", "B")),
            *(FailureFact(id_, "cancelled", "by ann") for id_ in ("C", "D")),
        ],
    )
    failed = [line.split("  ")[1] for line in dashboard(report) if line.startswith("  ")]
    assert failed == ["A and 1 more", "C", "D"]


@pytest.mark.parametrize("id_", ["lint", "integration-tests-of-the-payment-service-linux-arm64", "试" * 25])
def test_status_on_a_small_terminal_says_why_a_ticket_failed_however_long_its_id_is(id_: str) -> None:
    failures = [
        FailureFact(id_, "failed", "exit 1", "ModuleNotFoundError: No module named 'foo'"),
        *(FailureFact(f"unit-{n}", "timed out", "after 3m20s") for n in range(40)),
    ]
    report = StatusReport(
        session="s",
        plan="p",
        state="running",
        engine_pid=1,
        started=0.0,
        ended=None,
        counts={"failed": 41},
        groups=1,
        group=1,
        eta=None,
        holds=[],
        agents=[],
        failures=failures,
    )
    lines = dashboard(report)
    text = "\n".join(lines)
    assert len(lines) <= HEIGHT
    assert all(cell_len(line) <= WIDTH for line in lines)
    assert "exit 1: ModuleNotFoundError: No module named 'foo'" in text
    assert "after 3m20s" in text
    assert lines[-1] == f"  and {40 - text.count('unit-')} more: parexec show"
    whole = dashboard(report, whole=True)
    assert sum("exit 1: Module" in line and id_ in line for line in whole) == 1


def test_status_cuts_nothing_into_a_pipe() -> None:
    report = StatusReport(
        session="exec_1",
        plan="x" * 300,
        state="running",
        engine_pid=1,
        started=0.0,
        ended=None,
        counts={"failed": 30},
        groups=1,
        group=1,
        eta=None,
        holds=[HoldFact("ticket", f"T{n}", "ann", "because", 1.0) for n in range(50)],
        agents=[AgentFact(f"agent-{n}", "busy", "T" * 100) for n in range(50)],
        failures=[FailureFact(f"F{n}", "failed", "exit 1", f"error {'x' * n}") for n in range(30)],
    )
    text = "\n".join(dashboard(report, whole=True))
    assert "..." not in text
    assert " more" not in text
    assert all(word in text for word in ("x" * 300, "ticket T49", "agent-49", "T" * 100, "F29"))


def test_why_names_what_a_ticket_waits_for(engine: Engine) -> None:
    root, reason = done("why", "after").out.splitlines()
    assert re.fullmatch(r"long runs on mill-1, for \d+s; 2 wait for it", root)
    assert reason == "  after  needs long (running)"
    assert set(done("why", "--json").json) == {"after", "last"}
    assert done("w", "group:3", "--json").json == {"last": ["needs after (waiting)", "long runs on mill-1"]}
    assert "there is no ticket ghost" in refused("why", "ghost")


def test_a_frozen_ticket_is_what_the_others_wait_for_in_the_end(engine: Engine) -> None:
    done("freeze", "long")
    said = r"mill-1 is frozen with long, by you, for \d+s; 2 wait for it"
    assert re.fullmatch(rf"{said}: parexec thaw long", done("why").out.splitlines()[0])
    assert done("why").out.count("is frozen with long") == 1
    assert re.search(rf"^waits    {said}", done("status").out, re.MULTILINE)
    assert re.search(r"^  mill-1 +frozen +long$", done("status").out, re.MULTILINE)
    assert {agent["id"]: agent["status"] for agent in status()["agents"]}["mill-1"] == "frozen"
    first = status()["roots"][0]
    assert (first["root"]["kind"], first["root"]["ticket"], first["count"]) == ("frozen", "long", 2)
    done("thaw", "long")
    assert status()["roots"][0]["root"]["kind"] == "running"


def test_what_the_reader_holds_is_held_by_you_but_in_json(engine: Engine) -> None:
    done("hold", "after", "long")
    try:
        assert re.search(r"^ +held by you$", done("why").out, re.MULTILINE)
        assert f"held by {own_signature()}" in done("why", "--json").json["after"]
        assert re.search(r"long +on mill-1 since \S+  held by you: it is not tried again", done("show").out)
    finally:
        done("release", "after", "long")


# -- the three pauses ------------------------------------------------------------------------------------------


def test_hold_and_release_of_a_ticket_an_agent_a_type_and_the_session(engine: Engine) -> None:
    for what, fact in (
        ("after", ("ticket", "after")),
        ("ticket:after", ("ticket", "after")),
        ("mill-1", ("agent", "mill-1")),
        ("agent:mill-1", ("agent", "mill-1")),
        ("clerk", ("type", "clerk")),
        ("type:clerk", ("type", "clerk")),
    ):
        done("hold", what)
        assert [(hold["what"], hold["name"]) for hold in status()["holds"]] == [fact]
        done("release", what)
        assert status()["holds"] == []
    done("hold", "-r", "lunch")
    assert (status()["state"], status()["holds"][0]["reason"]) == ("held", "lunch")
    done("release")
    assert status()["state"] == "running"


def test_freeze_stops_processes_and_thaw_lets_them_go_on(engine: Engine) -> None:
    done("freeze", "long")
    assert is_frozen("long")
    assert not is_frozen("other")
    done("thaw", "agent:mill-*")
    assert not is_frozen("long")
    done("freeze")
    assert is_frozen("long")
    assert is_frozen("other")
    assert status()["state"] == "frozen"
    done("thaw")
    assert status()["state"] == "running"
    assert status()["counts"]["running"] == 2


def test_drain_lets_an_agent_go_and_asks_before_the_session(engine: Engine) -> None:
    busy = next(agent["id"] for agent in status()["agents"] if agent["ticket"] == "long")
    done("drain", busy)
    assert {agent["id"]: agent["status"] for agent in status()["agents"]}[busy] == "draining"
    done("release", busy)
    assert "nobody can be asked" in parexec("drain").err
    assert status()["state"] == "running"
    done("drain", "--yes", "--reason", "enough")
    assert status()["state"] == "draining"


# -- tickets ---------------------------------------------------------------------------------------------------


def test_retry_runs_again_what_failed_with_another_command(engine: Engine) -> None:
    answer = done("retry", "bad", "--run", "touch made", "--note", "mind the gap", "--json")
    assert answer.kinds == ["operator_acted", "plan_amended", "ticket_retried"]
    assert answer.json["events"][-1]["note"] == "mind the gap"
    until(lambda: ticket("lost")["status"] == "succeeded", "what was skipped has run")
    assert Path("made").exists()


def test_retry_with_other_amounts_keeps_those_that_are_not_named(engine: Engine) -> None:
    done("retry", "bad", "--run", "true", "--uses", "cpu=0.5", "-u", "memory=1MiB")
    until(lambda: ticket("bad")["status"] == "succeeded", "it has run")
    assert engines.ticket("bad").spec.uses == {"cpu": 0.5, "memory": 2**20}
    done("retry", "bad", "--uses", "memory=")
    assert engines.ticket("bad").spec.uses == {"cpu": 0.5}
    assert "is no amount" in parexec("retry", "bad", "--uses", "cpu").err
    assert refused("retry", "bad", "--uses", "cpu=many").startswith("parexec: refused: bad.uses")


def test_retry_with_other_variables(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL_OF_RETRY", "set")
    command = 'test "$MODE" = "a=b c" && test -z "$SHELL_OF_RETRY"'
    preview = done("retry", "bad", "--env", "MODE=a=b c", "--dry-run").out
    assert "environment of bad: MODE='a=b c'" in preview
    answer = done("retry", "bad", "--run", command, "-e", "MODE=a=b c", "--env", "EMPTY=")
    assert "with another command, MODE='a=b c' and EMPTY=''" in answer.out
    until(lambda: ticket("bad")["status"] == "succeeded", "it has run with them")
    assert ticket("bad")["env"] == {"MODE": "a=b c", "EMPTY": ""}


@pytest.mark.parametrize("word", ["MODE", "=debug", ""])
def test_retry_refuses_what_is_no_variable(word: str) -> None:
    found = parexec("retry", "bad", "--env", word)
    assert (found.code, "write NAME=VALUE" in found.err) == (2, True)


@pytest.mark.parametrize(
    "words", [("hold", "\udcff"), ("edit", "bad", "run=\udcff"), ("retry", "bad", "-e", "A=\udcff")]
)
def test_a_word_that_is_not_utf_8_is_refused(engine: Engine, words: tuple[str, ...]) -> None:
    found = parexec(*words)
    assert (found.code, found.err) == (2, "parexec: '\\udcff' is no text of UTF-8\n")


def test_retry_downstream_runs_again_what_has_run(engine: Engine) -> None:
    done("retry", "bad", "--run", "true")
    until(lambda: ticket("lost")["status"] == "succeeded", "all has run")
    preview = done("retry", "bad", "-d", "-n").out
    assert "bad and lost" in preview
    assert "nobody can be asked" in parexec("retry", "bad", "--downstream").err
    done("retry", "bad", "--downstream", "--yes", "--agent", "mill")
    until(lambda: ticket("lost")["status"] == "succeeded" and ticket("lost")["attempt"] == 2, "it ran again")
    assert ticket("bad")["agent"].startswith("mill-")


def test_reassign_pins_what_waits_and_moves_what_runs(engine: Engine) -> None:
    done("reassign", "after", "clerk")
    assert engines.ticket("after").pin == "clerk"
    done("reassign", "after", "any")
    assert engines.ticket("after").pin == ""
    was = ticket("long")["agent"]
    idle = next(agent["id"] for agent in status()["agents"] if agent["status"] == "idle")
    place = idle if idle.startswith("mill") else "clerk"
    done("reassign", "long", place)
    moved = until(lambda: ticket("long")["attempt"] == 2 and ticket("long"), "it was started elsewhere")
    assert moved["agent"] != was
    assert engines.ticket("long").charged == 0


def test_what_changes_more_than_it_names_says_how_it_is_taken_back(engine: Engine) -> None:
    back = "parexec: undo takes it back: parexec undo\n"
    assert done("cancel", "after").err == back, "it skipped what needs it"
    assert done("undo").err == ""
    assert done("hold", "after", "last").err == ""
    assert done("waive", "bad").err == back, "what was skipped may run"
    assert back not in done("cancel", "long").err, "nothing takes it back"


def test_cancel_ends_what_runs_and_skips_what_needs_it(engine: Engine) -> None:
    done("cancel", "long")
    until(lambda: ticket("long")["status"] == "cancelled", "it was stopped")
    assert ticket("after")["status"] == ticket("last")["status"] == "skipped"


def test_waive_lets_what_needs_it_run(engine: Engine) -> None:
    done("skip", "bad")  # as scripts may still call it
    until(lambda: ticket("lost")["status"] == "succeeded", "it ran without")
    assert ticket("bad")["status"] == "waived"


def test_priority_changes_the_class(engine: Engine) -> None:
    done("priority", "after", "last", "critical")
    assert ticket("after")["priority"] == ticket("last")["priority"] == "critical"
    assert parexec("priority", "after", "urgent").code == 2


def test_edit_changes_keys_and_resets_them(engine: Engine) -> None:
    done("edit", "last", "timeout=30m", 'needs=["after", "other"]', "run=true", "title=Two words")
    spec = engines.ticket("last").spec
    assert str(spec.timeout) == str(Duration(1800))
    assert (spec.needs, spec.run, spec.title) == (("after", "other"), "true", "Two words")
    done("edit", "last", "timeout=", "title=")
    assert (engines.ticket("last").spec.timeout, engines.ticket("last").spec.title) == (None, "")
    assert "long is running" in refused("edit", "l*", "run=echo all")
    assert engines.ticket("last").spec.run == "true"
    done("edit", "*st", "title=Both")
    assert {engines.ticket(id_).spec.title for id_ in ("last", "lost")} == {"Both"}
    assert "cycle" in refused("edit", "after", 'needs=["last"]')
    assert "long is running" in refused("edit", "long", "run=true")
    assert parexec("edit", "last", "timeout").code == 2


# -- the plan --------------------------------------------------------------------------------------------------


def test_add_takes_tickets_that_need_those_of_the_plan(engine: Engine, here: Path) -> None:
    (here / "more.toml").write_text(
        '[defaults]\nretries = 1\n[tickets.new]\nneeds = ["bad"]\nrun = "true"\n[tickets.free]\nrun = "true"\n',
        encoding="utf-8",
    )
    assert done("add", "more.toml", "--dry-run").out == "can no longer run: new\nadded: new and free\n"
    assert "new" not in {each["id"] for each in report()["tickets"]}
    done("add", "more.toml")
    until(lambda: ticket("free")["status"] == "succeeded", "it was run")
    assert ticket("new")["status"] == "skipped"
    assert engines.ticket("free").spec.retries == 1


def test_add_tells_all_that_is_wrong_with_its_place(engine: Engine, here: Path) -> None:
    (here / "more.toml").write_text(
        '[plan]\nname = "x"\n[tickets.bad]\nrun = "true"\n[tickets.new]\nneeds = ["ghost"]\nrun = "true"\n',
        encoding="utf-8",
    )
    answer = parexec("add", "more.toml")
    assert answer.code == 2
    assert [line.split(" ")[0] for line in answer.err.splitlines()[:-1]] == [
        "more.toml:1:2:",
        "more.toml:3:10:",
        "more.toml:6:10:",
    ]
    assert len(report()["tickets"]) == 6
    assert parexec("add", "none.toml").err == "parexec: none.toml: No such file or directory\n"


def test_reload_shows_the_difference_and_applies_it_when_confirmed(engine: Engine, here: Path) -> None:
    text = PLAN.replace('needs = ["after"]', 'needs = ["long"]').replace("sleep 600", "sleep 601")
    text = text.replace('[tickets.lost]\nneeds = ["bad"]\nrun = "true"\n', '[tickets.new]\nrun = "true"\n')
    engines.write_plan(here, text)
    answer = parexec("reload")
    assert answer.code == 1
    assert answer.out.splitlines() == [
        "+ new",
        "~ last  needs",
        "- lost",
        "! long  stays as it is: changed in the file, but it is running",
        "! other  stays as it is: changed in the file, but it is running",
    ]
    assert "nobody can be asked" in answer.err
    assert "new" not in {each["id"] for each in report()["tickets"]}
    done("reload", "plan.toml", "--yes")
    assert "lost" not in {each["id"] for each in report()["tickets"]}
    assert engines.ticket("last").spec.needs == ("long",)
    until(lambda: ticket("new")["status"] == "succeeded", "the new one ran")


def test_reload_of_a_bad_plan_changes_nothing(engine: Engine, here: Path) -> None:
    engines.write_plan(here, PLAN.replace('needs = ["after"]', 'needs = ["ghost", "ghoul"]'))
    answer = parexec("reload", "--yes")
    assert answer.code == 2
    assert answer.err.splitlines()[-1] == "parexec: 2 errors in the file; nothing was changed"
    engines.write_plan(here, PLAN)
    assert "nothing to do" in done("reload", "--json").err


# -- the session -----------------------------------------------------------------------------------------------


def test_scale_takes_numbers_with_a_sign(engine: Engine) -> None:
    for number, most in (("+1", 4), ("-2", 2), ("5", 5), ("plan", 3)):
        done("scale", "mill", number)
        assert engines.state_of().agent_limits["mill"] == most
    done("scale", "--parallel", "-1")
    assert engines.state_of().parallel == 2
    done("sc", "-p", "7")
    assert engines.state_of().parallel == 7
    done("scale", "--parallel", "auto")
    assert engines.state_of().tuning is not None
    assert json.loads(done("status", "--json").out)["tuning"]["parallel"] == 7
    assert "auto     7 at once" in done("status").out
    done("undo")
    assert engines.state_of().tuning is None
    assert "agents there are" in parexec("scale", "mill", "auto").err
    for usage in ("mill", "mill many", "mill -x", "-p 1 mill 2", "-p plan"):
        assert parexec("scale", *usage.split()).code == 2, usage


def test_stop_ends_what_runs_and_resume_goes_on(engine: Engine) -> None:
    assert "nobody can be asked" in parexec("stop").err
    done("stop", "--yes", "--now")
    assert engine.wait() == 3
    assert status()["state"] == "stopped"
    assert "parexec resume" in parexec("hold").err


def test_undo_takes_back_the_last_thing(engine: Engine) -> None:
    done("hold", "after")
    done("priority", "last", "high")
    done("undo")
    assert ticket("last")["priority"] == "low"
    assert engines.ticket("after").held
    done("undo")
    assert not engines.ticket("after").held
    assert "nothing that could be undone" in refused("undo")


def test_undo_lists_what_was_done_with_and_without_an_engine(engine: Engine) -> None:
    assert "nothing that could be undone" in done("undo", "--list").err
    done("hold", "after")
    done("cancel", "last")
    before = status()["counts"]
    lines = done("undo", "--list").out.splitlines()
    assert [line.split("  ", 2)[2] for line in lines] == [
        "cancel last",
        "hold after",
    ]
    assert status()["counts"] == before
    done("stop", "--yes")
    engine.wait()
    assert "cannot be taken back: it stopped what ran" in parexec("undo").err
    found = [(each["text"], each["why_not"]) for each in json.loads(done("undo", "--list", "--json").out)]
    stays = '"stop the session" is newer and stays'
    assert found == [("stop the session", "it stopped what ran"), ("cancel last", stays), ("hold after", stays)]


def test_undo_passes_over_what_it_is_too_late_for_and_asks(engine: Engine) -> None:
    done("priority", "last", "high")
    done("freeze", "other")
    done("thaw", "other")
    attempt = engines.ticket("other").attempt
    assert attempt is not None
    assert attempt.pid is not None
    os.killpg(attempt.pid, signal.SIGKILL)
    engine.until(lambda: ticket("other")["status"] == "failed", "it has ended")
    assert "nobody can be asked" in refused("undo")
    answer = done("undo", "--yes")
    assert 'too late to undo "thaw other"' in answer.err
    assert 'too late to undo "freeze other"' in answer.err
    assert ticket("last")["priority"] == "low"


def test_undo_touches_nothing_older_where_the_last_thing_cannot_be_taken_back(engine: Engine) -> None:
    done("hold", "after")
    done("cancel", "other")
    engine.until(lambda: ticket("other")["status"] == "cancelled", "it has ended")
    why = 'parexec: refused: the last action, "cancel other", cannot be taken back: it stopped other\n'
    assert refused("undo") == why
    assert refused("undo", "--dry-run") == why
    assert engines.ticket("after").held


# -- what words mean -------------------------------------------------------------------------------------------


def test_selectors_and_patterns_mean_tickets(engine: Engine) -> None:
    def held(*words: str) -> set[str]:
        done("hold", *words)
        found = {hold["name"] for hold in status()["holds"]}
        done("release", *words)
        return found

    assert held("a*", "last") == {"after", "last"}
    assert held("status:waiting") == {"after", "last"}
    assert held("priority:low") == {"last"}
    assert held("group:2", "!lost") == {"after"}
    assert "no ticket matches X*" in refused("hold", "X*")


def test_what_fits_nothing_is_not_the_session(engine: Engine) -> None:
    for verb in ("hold", "freeze", "drain", "cancel"):
        answer = done(verb, "status:cancelled", "--json")
        assert (answer.json, answer.err) == ({"events": []}, "nothing to do: no ticket is like that\n")
    assert status()["state"] == "running"


def test_a_name_of_several_things_is_asked_about(here: Path) -> None:
    engines.start(here, '[agents.make]\n[tickets.make]\nrun = "sleep 600"\n')
    until(lambda: engines.sessions() and "1 running" in parexec("status").out, "it runs")
    assert "say ticket:make or type:make" in refused("hold", "make")
    done("hold", "type:make")
    assert [hold["what"] for hold in status()["holds"]] == ["type"]
    assert "there is no ticket, agent or agent type mak, did you mean `make`?" in refused("hold", "mak")


def test_what_means_several_is_done_only_when_confirmed(engine: Engine) -> None:
    answer = parexec("cancel", "status:running")
    assert answer.code == 1
    assert "long is stopped" in answer.err
    assert "say --yes" in answer.err
    assert status()["counts"]["running"] == 2
    done("cancel", "status:running", "--yes")
    until(lambda: status()["counts"].get("cancelled") == 2, "both were stopped")


def test_a_person_at_a_terminal_is_asked(engine: Engine) -> None:
    for says, state in (("n\n", "running"), ("y\n", "draining")):
        answer = at_a_terminal("drain", says=says)
        assert "do it?" in answer
        assert status()["state"] == state


def at_a_terminal(*arguments: str, says: str, asked: str = "do it?") -> str:
    """Run it with a terminal, type an answer once asked, and return all that is shown."""
    person, terminal = os.openpty()
    process = subprocess.Popen([*engines.PAREXEC, *arguments], stdin=terminal, stdout=terminal, stderr=terminal)
    os.close(terminal)
    shown = b""
    try:
        while asked.encode() not in shown:
            shown += os.read(person, 1024)
        os.write(person, says.encode())
        process.wait(WITHIN)
        shown += os.read(person, 4096)
    finally:
        process.kill()
        process.wait(WITHIN)
        os.close(person)
    return shown.decode()


# -- how it is said --------------------------------------------------------------------------------------------


def test_a_dry_run_changes_nothing_and_tells_what_would(engine: Engine) -> None:
    before = report(), len(events())
    for arguments, says in (
        (("hold", "after"), "held: after"),
        (("freeze",), "frozen: long and other"),
        (("drain",), "nothing new is started"),
        (("retry", "bad"), "no longer skipped: lost"),
        (("reassign", "after", "mill-1"), "after goes to mill-1"),
        (("cancel", "long"), "can no longer run: after and last"),
        (("waive", "bad"), "waived, what needs it may run: bad"),
        (("priority", "last", "high"), "new priority: last"),
        (("stop",), "the session ends, and can be resumed"),
        (("scale", "mill", "+1"), "agents of type mill: at most 4"),
        (("scale", "-p", "auto"), "tickets at once: as the engine finds best, from 3 on"),
        (("on-failure", "stop"), "when a ticket fails: end what runs, and leave"),
        (("edit", "last", "retries=2"), "changed: last"),
    ):
        assert says in done(*arguments, "-n").out
        answer = done(*arguments, "--dry-run", "--json").json
        assert answer["events"]
        assert any(says in line for line in answer["preview"])
    assert (report(), len(events())) == before


def test_each_thing_that_happened_is_a_line(engine: Engine) -> None:
    lines = done("cancel", "after").out.splitlines()
    assert [line.split()[2] for line in lines] == ["asked", "cancelled", "skipped"]
    assert lines[-1].endswith("because of after")
    assert "held" in done("hold", "long").out
    assert done("hold", "long").err == "nothing to do: it is so already\n"


def test_a_refusal_names_the_reason_and_the_remedy(engine: Engine) -> None:
    assert refused("cancel", "bad") == "parexec: refused: bad failed (retry bad)\n"
    assert refused("retry", "lost") == "parexec: refused: lost was skipped: bad failed (retry bad)\n"
    assert refused("freeze", "after").endswith("only what runs can be frozen (hold after)\n")
    assert "there is no ticket ghost" in refused("cancel", "ghost")


def test_who_did_what_is_an_event(engine: Engine) -> None:
    done("hold", "after")
    acted = [event for event in events() if event["kind"] == "operator_acted"]
    assert [(event["verb"], event["text"]) for event in acted] == [("hold", "hold after")]
    assert "@" in acted[0]["by"]
    assert "hold after" in done("events").out


def test_two_shells_at_once_are_told_apart_and_both_answered(engine: Engine) -> None:
    shells = [
        subprocess.Popen([*engines.PAREXEC, verb, "after", "--json"], stdout=subprocess.PIPE, text=True)
        for verb in ("hold", "release") * 3
    ]
    told = [json.loads(shell.communicate(timeout=WITHIN)[0])["events"] for shell in shells]
    assert all(shell.returncode == 0 for shell in shells)
    acted = [event["text"] for event in events() if event["kind"] == "operator_acted"]
    assert len(acted) == sum(1 for answer in told if answer)
    assert all(a != b for a, b in pairwise(acted)), "a hold follows a release, and so on"


# -- which session ---------------------------------------------------------------------------------------------


def test_without_any_session_it_is_told_how_to_start_one() -> None:
    for words in ("status", "why", "hold", "stop", "undo", "retry x", "add x", "scale x 1"):
        answer = parexec(*words.split())
        assert (answer.code, answer.err) == (1, "parexec: no sessions yet: parexec run PLAN starts one\n")


def test_the_living_session_is_meant_before_a_newer_one_that_is_over(engine: Engine, tmp_path: Path) -> None:
    alive = engines.session()
    engines.run(tmp_path, '[tickets.a]\nrun = "true"\n')
    newest = engines.session()
    assert newest != alive
    assert status()["session"] == alive
    assert done("status", "-s", newest, "--json").json["state"] == "finished"
    assert parexec("hold", "-s", newest).err.startswith(f"parexec: no engine runs {newest}, which has finished")
    assert "no session 'ghost'" in parexec("hold", "-s", "ghost").err


def test_what_failed_in_a_session_that_is_finished_is_run_again(here: Path) -> None:
    engines.run(here, '[tickets.a]\nrun = "test -e mended"\n')
    name = engines.session()
    (here / "mended").touch()
    answer = done("retry", "a")
    assert "may run again" in answer.out or "retry" in answer.out
    assert answer.err == f"{name} was finished; a new engine takes it up\n"
    until(lambda: status()["state"] == "finished", "it is over again")
    assert status()["counts"]["succeeded"] == 1
    assert "has finished" in parexec("hold").err, "nothing else takes it up"


def test_what_only_looks_at_a_finished_session_and_what_is_refused_starts_nothing(here: Path) -> None:
    engines.run(here, '[tickets.a]\nrun = "true"\n[tickets.b]\nrun = "true"\nneeds = ["a?"]\n')
    before = len(engines.journal())
    for look in ("retry status:succeeded -n", "retry a --downstream -n"):
        assert "takes it up" not in done(*look.split()).err
    assert "neither rollback nor snapshot" in parexec("rollback", "a", "-n").err
    assert done("retry", "a", "--downstream", "-n", "--json").json["preview"]
    assert "there is no ticket none" in parexec("retry", "none").err
    assert "nobody can be asked" in parexec("retry", "a", "--downstream").err
    assert len(engines.journal()) == before
    assert status()["state"] == "finished"


def test_an_engine_that_was_killed_is_told_with_how_to_take_over(engine: Engine) -> None:
    session = engines.session()
    engine.kill()
    answer = parexec("hold")
    assert answer.code == 1
    assert f"whose engine is gone; take over: parexec resume {session}" in answer.err
    answer = parexec("status", "--json")
    assert (answer.code, answer.json["state"], answer.json["engine_pid"]) == (0, "interrupted", None)
    assert f"parexec resume {session}" in answer.err


# -- short forms and help --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("short", "name"), SHORT_NAMES.items())
def test_short_forms_are_the_command(short: str, name: str) -> None:
    assert CliRunner().invoke(entry.cli, [short, "-h"]).output.startswith(f"Usage: cli {name} ")


def test_the_old_name_of_a_verb_works_and_is_offered_nowhere() -> None:
    assert CliRunner().invoke(entry.cli, ["skip", "-h"]).output.startswith("Usage: cli waive ")
    assert re.search(r"^  waive  ", overview := CliRunner().invoke(entry.cli, ["--help"]).output, re.MULTILINE)
    assert not re.search(r"^  skip\b", overview, re.MULTILINE)


def test_what_is_unambiguous_is_enough_and_what_is_not_is_told() -> None:
    assert CliRunner().invoke(entry.cli, ["stat", "-h"]).output.startswith("Usage: cli status ")
    ambiguous = CliRunner().invoke(entry.cli, ["re"])
    assert ambiguous.exit_code == 2
    names = "reassign or reject or release or reload or report or restart or resume or retry"
    assert f"'re' may be {names}" in ambiguous.output
    assert "No such command 'frob'" in CliRunner().invoke(entry.cli, ["frob"]).output


def test_every_verb_has_json_and_a_session() -> None:
    for command in (*standing.COMMANDS, *steer.COMMANDS, *reruns.COMMANDS, *amend.COMMANDS):
        options = {name for each in command.params if isinstance(each, click.Option) for name in each.opts}
        assert {"--json", "--session", "-s"} <= options, command.name
        assert command.name in ("status", "why") or {"--dry-run", "-n", "--yes"} <= options


STATUS_IMPORTS = """
cli cli.asking cli.beside cli.commands cli.complete cli.entry cli.examples cli.exits cli.standing
client client.blocking client.connecting client.framing client.peer client.sessions client.silence client.sockets
gc_control paths trust text text.coding text.dashboard text.roots text.services text.streams text.words
core core.plan core.plan.agent_type core.plan.checks core.plan.coding core.plan.family core.plan.gates
core.plan.hosts core.plan.limits core.plan.outputs core.plan.plan_settings core.plan.resources core.plan.retries
core.plan.ticket core.plan.unclaimed core.plan.units core.plan.waits core.schedule core.schedule.eta
core.schedule.root core.state core.state.history core.state.people core.state.process_key core.state.status
core.state.figures core.state.one_line core.state.resting core.state.used
core.wire core.wire.figures core.wire.protocol core.wire.requests
registry registry.access registry.attempts registry.checksums registry.database registry.errors registry.events
registry.fingerprints registry.lock registry.migrations registry.registry registry.sessions
"""
"""What of ours `parexec status` imports: a person waits for each of them, so a new one wants a good reason."""


def imported(*arguments: str) -> set[str]:
    """The modules that a process has imported by the end of a command that went well."""
    code = f"""
import sys
from parexec_tui.cli.entry import cli
try:
    cli({list(arguments)!r})
except SystemExit as end:
    assert not end.code, end.code
print(*sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


def test_status_imports_what_it_needs_and_no_more(engine: Engine) -> None:
    found = imported("status")
    ours = {name.removeprefix("parexec_tui.") for name in found if name.startswith("parexec_tui.")}
    assert ours == set(STATUS_IMPORTS.split())
    others = {name.partition(".")[0] for name in found} - sys.stdlib_module_names - {"parexec_tui", "sitecustomize"}
    assert {name for name in others if not name.startswith("_")} <= {"click", "msgspec", "typing_extensions"}
    assert not {"dataclasses", "email", "hashlib", "importlib.metadata", "json", "ssl"} & found


def test_no_verb_waits_for_what_it_does_not_need(engine: Engine) -> None:
    heavy = {"trio", "textual", "rich", "networkx", "psutil", "tomli", "asyncio"}
    heavy |= {
        f"parexec_tui.{module}"
        for module in ("core.state.apply", "cli.manual", "text.headless", "text.session_facts", "text.status_facts")
    }
    for arguments in (["status", "--json"], ["why"], ["hold", "after"], ["cancel", "last"], ["undo"]):
        assert not heavy & imported(*arguments), arguments


# -- several at once -------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("engine")
def test_what_can_be_done_is_done_and_the_rest_is_named() -> None:
    answer = parexec("freeze", "long", "bad", "other", "after")
    assert answer.code == 4
    assert [line.split("(")[0].strip() for line in answer.err.splitlines()] == [
        "parexec: left out: bad failed, only what runs can be frozen",
        "parexec: left out: after is waiting, only what runs can be frozen",
    ]
    assert is_frozen("long")
    assert is_frozen("other")
    dry = parexec("thaw", "long", "bad", "--dry-run", "--json")
    assert dry.code == 4
    assert is_frozen("long")
    answer = parexec("thaw", "long", "bad", "--json")
    assert answer.code == 4
    assert answer.json["events"][0]["left_out"] == ["bad failed, not frozen"]
    assert "left out: bad failed, not frozen" in done("events").out
    assert "after is waiting" in refused("thaw", "after", "bad")


CHAIN = """
[defaults]
snapshot = true
[tickets.a]
run = "echo a >> data"
writes = ["data"]
rollback = 'echo "$PAREXEC_TICKET $PAREXEC_END" >> undone'
[tickets.b]
run = "echo b >> data"
needs = ["a"]
writes = ["data"]
[tickets.c]
run = "grep b data"
needs = ["b"]
"""


def test_what_succeeded_is_rolled_back_the_last_one_first(here: Path) -> None:
    engines.run(here, CHAIN)
    preview = done("rollback", "a", "--force", "--dry-run").out
    assert "built on that, and stays as it is: b and c" in preview
    assert "nobody can be asked" in parexec("rollback", "a", "--force").err
    assert "b has run since a, and writes data as well" in parexec("rollback", "a", "--dry-run").err
    assert "rollback" in done("rollback", "a", "--downstream", "--yes").out
    engines.until(lambda: engines.state_of().finished_at and engines.ticket("a").status == "rolled back", "done")
    assert {id_: str(t.status) for id_, t in engines.state_of().tickets.items()} == dict.fromkeys(
        "abc", "rolled back"
    )
    assert not (here / "data").exists()
    assert (here / "undone").read_text() == "a succeeded\n"
    done("retry", "a", "--yes")
    engines.until(
        lambda: engines.state_of().finished_at and engines.ticket("a").status == "succeeded", "it ran again"
    )
    assert (here / "data").read_text() == "a\n"
    assert "b is rolled back already" in parexec("rollback", "b", "--yes").err


def test_a_session_begins_again_in_the_middle(here: Path) -> None:
    engines.run(here, CHAIN)
    assert "runs again: b and c" in done("restart", "--from", "2", "--dry-run").out
    done("restart", "--from", "2", "--rollback", "--yes")
    engines.until(lambda: engines.state_of().finished_at and engines.ticket("c").attempts == 2, "it is through")
    assert (here / "data").read_text() == "a\nb\n", "b was taken back before it ran again"
    done("restart", "--from", "b", "--yes")
    engines.until(lambda: engines.state_of().finished_at and engines.ticket("c").attempts == 3, "it is through")
    assert (here / "data").read_text() == "a\nb\nb\n"


@pytest.mark.parametrize("connect", [asking.connect_or_restart, asking.connect_or_do_without])
def test_an_engine_that_leaves_as_it_is_called_is_done_without(
    here: Path, monkeypatch: pytest.MonkeyPatch, connect: Callable[[None], Any]
) -> None:
    engines.run(here, '[tickets.a]\nrun = "true"\n')
    lived = iter([True])
    is_living = sessions.is_living
    monkeypatch.setattr(sessions, "is_living", lambda session: next(lived, False) or is_living(session))
    with connect(None) as found:
        assert found.question("names", words=["a"])
    assert next(lived, None) is None, "it was taken to live at first"


NUMBERED = """
[tickets.2]
run = "true"
[tickets.x]
run = "true"
needs = ["2"]
[tickets.y]
run = "true"
needs = ["2"]
"""


def test_a_number_begins_at_the_ticket_of_that_name_else_at_the_group(here: Path) -> None:
    engines.run(here, NUMBERED)
    assert "runs again: 2, x and y" in done("restart", "--from", "2", "--dry-run").out
    assert "runs again: x and y" in done("restart", "--from", "group:2", "--dry-run").out
    assert "runs again: 2, x and y" in done("restart", "--from", "1", "--from", "x", "--dry-run").out
