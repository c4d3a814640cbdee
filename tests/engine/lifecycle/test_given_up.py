"""A session that was interrupted is stopped without an engine."""

import json
from pathlib import Path

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.process_key import COMMIT
from parexec_tui.core.state.status import End, Status
from tests.engine.engines import (
    Engine,
    append,
    exists,
    happened,
    pid_of,
    resume,
    session,
    state_of,
    ticket,
    write_plan,
)
from tests.engine.lifecycle.detached import parexec

PLAN = """
[plan]
min_free_disk = 0
on_engine_loss = "leave"
parallel = 4
[services.db]
run = "touch db-up; exec sleep 600"
[tickets.runs]
uses_service = ["db"]
run = "trap 'echo bye > cleaned-up; exit 5' TERM; touch up; while [ ! -e good ]; do sleep 0.01; done"
[tickets.next]
needs = ["runs"]
run = "echo next >> ran"
[tickets.last]
finally = true
run = "echo last >> ran"
"""


def interrupted(folder: Path) -> tuple[str, int]:
    """Run the plan, and kill its engine; the session, and a process that goes on."""
    engine = Engine("run", write_plan(folder, PLAN), cwd=folder)
    engine.until(lambda: (folder / "up").exists() and pid_of("runs") is not None, "it runs")
    pid = pid_of("runs")
    assert pid is not None
    engine.kill()
    return session(), pid


def test_what_is_left_is_ended_nothing_is_started_and_prune_takes_the_session(tmp_path: Path) -> None:
    id_, pid = interrupted(tmp_path)
    prune = ("prune", "--older", "0", "--keep", "0", "--stopped")
    advice = f"{id_} stays: it was interrupted, and can go on; parexec resume {id_}, or parexec stop -s {id_}"
    assert advice in parexec(*prune, cwd=tmp_path)
    would = parexec("stop", "-s", id_, "-n", cwd=tmp_path)
    assert "runs" in would
    assert "nobody can be asked" in parexec("stop", "-s", id_, cwd=tmp_path, code=1)
    assert exists(pid)

    said = parexec("stop", "-s", id_, "-y", "-r", "no more", cwd=tmp_path)

    assert f"no engine runs it; go on: parexec resume {id_}" in said
    assert not exists(pid)
    assert (tmp_path / "cleaned-up").read_text() == "bye\n"
    assert not (tmp_path / "ran").exists()
    assert [(each.ticket, each.end, each.then) for each in happened(ev.AttemptEnded)] == [
        ("runs", End.stopped, Status.waiting)
    ]
    assert len(happened(ev.ServiceEnded)) == 1
    assert (happened(ev.SessionStopping)[0].reason, happened(ev.EngineLeft)[0].reason) == ("no more", "stopped")
    assert state_of().status == "stopped"
    assert parexec("ls", cwd=tmp_path).split()[:2] == [id_, "stopped"]
    assert "which was stopped" in parexec("stop", "-s", id_, "-y", cwd=tmp_path, code=1)
    assert parexec(*prune, cwd=tmp_path).startswith(f"{id_}  ended ")


def test_resume_goes_on_with_it_and_charges_nothing(tmp_path: Path) -> None:
    id_, _ = interrupted(tmp_path)
    append(ev.SessionInterrupted(at=state_of().now, reason="it died again and again"))
    events = json.loads(parexec("stop", "-s", id_, "-y", "--now", "--json", cwd=tmp_path).splitlines()[0])["events"]
    assert (events[0]["verb"], events[-1]["kind"]) == ("stop", "engine_left")
    assert not (tmp_path / "cleaned-up").exists()
    assert (state_of().status, state_of().without_engine()) == ("stopped", None)
    (tmp_path / "good").touch()

    result, _ = resume(id_)

    assert result.outcome == "finished"
    assert [ticket(each).status for each in ("runs", "next", "last")] == [Status.succeeded] * 3
    assert ticket("runs").charged == 0
    assert (tmp_path / "ran").read_text() == "next\nlast\n"


def test_what_only_an_engine_does_is_not_given_up(tmp_path: Path) -> None:
    id_, pid = interrupted(tmp_path)
    state = state_of()
    number = state.tickets["runs"].attempts
    append(ev.StepStarted(at=state.now, ticket="runs", attempt=number, step=COMMIT))

    said = parexec("stop", "-s", id_, "-y", cwd=tmp_path, code=1)

    assert f"what runs did is being merged or taken back, which only an engine does (parexec resume {id_}" in said
    assert exists(pid)
    assert happened(ev.SessionStopping) == []
