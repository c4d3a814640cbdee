"""How far what runs is, as `status` tells it: read from the logs when it is asked for."""

import os
from functools import partial

import pytest
import trio

from parexec_tui.core.wire.protocol import Progress
from parexec_tui.engine.measure.end import EndKeeper
from parexec_tui.engine.measure.progress import with_progress
from parexec_tui.paths import session_folder
from parexec_tui.text.status_facts import status_report
from tests.core.sessions import Session, plan


@pytest.mark.parametrize(
    ("written", "left", "told"),
    [("[2/5] link\n", 80, Progress(40, done=2, total=5, step="link")), ("no number\n", 50, None)],
)
def test_the_eta_counts_with_what_the_output_told_and_when(written: str, left: float, told: Progress | None) -> None:
    session = Session(plan("A: estimate=30s\nB: A estimate=30s", parallel=1))
    session.dispatch()
    folder = session_folder(session.state.session, create=True)
    log = folder.attempts / "A.1.log"
    log.write_text(written, encoding="utf-8")
    session.wait(40)
    os.utime(log, (session.now, session.now))  # that is when the line came
    session.wait(10)
    report = status_report(session.state, session.now)
    end = EndKeeper(session.state, lambda: session.now)
    found = trio.run(partial(with_progress, report, session.state, end))
    (agent,) = found.agents
    assert agent.progress == told
    assert found.eta is not None
    assert found.eta.p50 == pytest.approx(left, rel=0.2)
    assert found.eta.p90 > found.eta.p50
