"""What coding agents used, in reports and metrics."""

from parexec_tui.core.state.session import SessionState
from parexec_tui.report import phrases
from parexec_tui.report.course import Course
from parexec_tui.report.exposition import exposition
from parexec_tui.report.figures import session_facts
from parexec_tui.report.metrics import Meter, SessionMetrics, session_metrics
from parexec_tui.report.metrics_lines import metrics_lines
from tests.core.coding import coder, coding_session, says
from tests.core.sessions import Session


def test_the_report_and_metrics_have_them() -> None:
    session = coding_session(
        "A: agent=claude gates=true\nB: agent=codex", agents={"claude": coder(), "codex": coder("codex")}
    )
    session.dispatch()
    says(session, "A", cost=0.5, inp=1000, out=100, cached=50, turns=3)
    session.succeed("A")
    says(session, "B", "crashed", inp=7, is_least=True)
    session.close()
    course = Course(SessionState(session.plan))
    for event in session.journal:
        course.note(event)
    course.close(session.now)
    facts = session_facts(course, session.now)
    assert [(each.cost, each.tokens_in, each.turns, each.at_least) for each in facts.attempts] == [
        (0.5, 1000, 3, False),
        (None, 7, None, True),
    ]
    assert ("spent", "≥$0.50 and ≥1.2k tokens; claude $0.50, codex -") in list(phrases.figures(facts))
    meter = Meter(SessionState(session.plan))
    for event in session.journal:
        meter.note(event)
    found = session_metrics(meter, "finished", None, session.now, is_up=False)
    assert any(line.split() == ["spent", "$0.50", "and", "1.1k", "tokens"] for line in metrics_lines(found))
    told = exposition([found]).decode()
    assert 'parexec_agent_cost_dollars_total{agent_type="claude",session="s1"} 0.5' in told
    assert 'parexec_agent_tokens_total{agent_type="codex",kind="input",session="s1"} 7.0' in told
    assert "agent_tokens" not in exposition([ordinary()]).decode()


def ordinary() -> SessionMetrics:
    session = Session("A:")
    meter = Meter(SessionState(session.plan))
    for event in session.journal:
        meter.note(event)
    return session_metrics(meter, "running", None, session.now, is_up=False)
