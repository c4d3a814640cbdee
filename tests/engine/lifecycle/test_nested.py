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
