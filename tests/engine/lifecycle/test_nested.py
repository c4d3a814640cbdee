"""Engines in attempts of other engines."""

import shlex
from pathlib import Path

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.status import Status
from tests.engine.engines import (
    PAREXEC,
    happened,
    is_running,
    resume,
    run,
    session,
    sessions,
    state_of,
    ticket,
    write_plan,
)
from tests.engine.lifecycle.detached import processes_of


def test_an_engine_that_a_ticket_detached_stops_its_own_tickets_when_that_is_over(tmp_path: Path) -> None:
    write_plan(tmp_path, "[tickets.B]\nrun = 'touch begun; until [ -e go ]; do sleep 0.01; done'", "inner.toml")
    detach = f"{shlex.join(PAREXEC)} run inner.toml --detach; until [ -e begun ]; do sleep 0.01; done"
    code, _ = run(tmp_path, f"[tickets.A]\nrun = '''{detach}'''")
    assert code == 0
    _, outer = sessions()
    assert state_of(outer).tickets["A"].status is Status.succeeded
    assert not is_running()
    assert processes_of(session()) == []
    [ended] = happened(ev.AttemptEnded)
    assert (ended.ticket, ended.end) == ("B", "stopped"), "not failed: what ran was ended on purpose"
    (tmp_path / "go").touch()
    result, _ = resume()
    assert result.outcome == "finished"
    assert ticket("B").status is Status.succeeded


INNER = f"{shlex.join(PAREXEC)} run --headless --quiet"


def ticket_that_runs(id_: str, command: str, *writes: str) -> str:
    return f"[tickets.{id_}]\nrun = '''{command}'''\nwrites = {list(writes)}\n"


def test_what_a_ticket_claims_it_claims_for_the_engines_in_it(tmp_path: Path) -> None:
    # Engine in engine in engine.
    write_plan(tmp_path, ticket_that_runs("C", "true", "out/c/d"), "innermost.toml")
    write_plan(tmp_path, ticket_that_runs("B", f"{INNER} innermost.toml", "out/c"), "inner.toml")
    code, _ = run(tmp_path, ticket_that_runs("A", f"{INNER} inner.toml > said 2>&1", "out"))
    assert code == 0, (tmp_path / "said").read_text()


def test_what_other_tickets_of_the_engine_around_claim_counts(tmp_path: Path) -> None:
    write_plan(tmp_path, ticket_that_runs("C", "true", "out/c"), "inner.toml")
    refused = ticket_that_runs("A", f"{INNER} inner.toml > said 2>&1 || [ $? = 2 ]; touch end")
    code, _ = run(tmp_path, refused + ticket_that_runs("other", "until [ -e end ]; do sleep 0.02; done", "out"))
    assert code == 0
    assert "C writes out/c, its other writes out" in (tmp_path / "said").read_text()
