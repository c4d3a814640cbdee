"""What coding agents used, added up."""

import pytest

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.state.accounts import coding_of
from parexec_tui.core.state.copying import copy_of
from parexec_tui.core.state.figures import Figures
from parexec_tui.text.dashboard import dashboard
from parexec_tui.text.figures import spent
from parexec_tui.text.headless import Headless
from parexec_tui.text.session_facts import session_report
from parexec_tui.text.session_lines import report_lines
from parexec_tui.text.spending import cost_text, spent_text, tokens_text
from parexec_tui.text.status_facts import status_report
from tests.core.coding import coder, coding_session, says
from tests.core.sessions import Session, dump, replay

AGENTS = {"claude": coder(), "codex": coder("codex")}


def of_ticket(session: Session, id_: str) -> Figures | None:
    return coding_of(session.state, session.state.tickets[id_]).figures


def test_what_attempts_used_is_summed_up_by_ticket_type_and_session() -> None:
    session = coding_session("A: agent=claude retries=1 retry_delay=1s\nB: agent=codex", agents=AGENTS)
    session.dispatch()
    says(session, "A", "failed", cost=0.5, inp=1000, out=100, cached=5000, turns=3)
    session.back_off("A")
    session.dispatch()
    says(session, "A", cost=1.0, inp=2000, out=200)
    says(session, "B", inp=7, out=3)
    assert of_ticket(session, "A") == Figures(1.5, 3000, 300, 5000, 3)
    told = spent(session.state)
    assert told is not None
    assert spent_text(told) == "≥$1.50 and 8.3k tokens; claude $1.50, codex -"
    assert dump(replay(session.plan, session.journal)) == dump(session.state)


def test_a_gate_after_it_does_not_count_it_twice() -> None:
    session = coding_session("A: gates=true,true", agents={"claude": coder()})
    session.dispatch()
    says(session, "A", cost=0.25, inp=10, out=1)
    assert of_ticket(session, "A") == Figures(0.25, 10, 1), "as soon as the agent is done"
    session.succeed("A", "A")
    assert of_ticket(session, "A") == Figures(0.25, 10, 1)


@pytest.mark.parametrize("end", ["killed", "crashed"])
def test_an_attempt_that_could_not_tell_makes_the_sum_a_lower_bound(end: str) -> None:
    session = coding_session("A: retries=1 retry_delay=1s")
    session.dispatch()
    if end == "killed":
        session.spawned("A")
        session.lost("A")
    else:
        says(session, "A", "crashed", is_least=True)
    assert (cost_text(of_ticket(session, "A")), tokens_text(of_ticket(session, "A"))) == ("-", "-")
    session.back_off("A")
    session.dispatch()
    says(session, "A", cost=2.0, inp=1, out=1)
    assert (cost_text(of_ticket(session, "A")), tokens_text(of_ticket(session, "A"))) == ("≥$2", "≥2")


def test_who_was_not_logged_in_used_nothing() -> None:
    session = coding_session("A:")
    session.dispatch()
    says(session, "A", "auth", is_least=True)
    assert of_ticket(session, "A") is None


def test_ordinary_agents_have_no_figures() -> None:
    session = Session("A:")
    session.dispatch()
    session.succeed("A")
    assert spent(session.state) is None
    assert not session.state.coding


def test_a_copy_counts_for_itself() -> None:
    session = coding_session("A:\nB:")
    session.dispatch()
    says(session, "A", cost=1.0)
    copy = copy_of(session.state)
    before = dump(copy)
    says(session, "B", cost=2.0)
    assert dump(copy) == before
    assert session.state.tally.types["claude"].usual_cost == 2.0


def test_it_is_told_wherever_a_session_is(capsys: pytest.CaptureFixture[str]) -> None:
    types = {"claude": coder(), "mill": AgentType()}
    session = coding_session("A: agent=claude retries=1 retry_delay=1s", agents=types)
    session.dispatch()
    says(session, "A", "failed", cost=0.004, inp=84_000, out=100, is_computed=True)
    session.back_off("A")
    session.dispatch()
    says(session, "A", cost=1.0, inp=4_000_000, out=200)
    session.close()
    shown = list(report_lines(session_report(session.state), ascii_only=True))
    assert "spent ~$1.00 and 4.1M tokens" in shown
    assert any(line.strip() == "spent ~$1.00 and 4.1M tokens, in attempt 2 $1 and 4.0M tokens" for line in shown)
    assert "spent    ~$1.00 and 4.1M tokens" in dashboard(status_report(session.state, session.now))
    with Headless("quiet") as output:
        output.summary(session.state, "finished")
    assert "\nspent ~$1.00 and 4.1M tokens\n" in capsys.readouterr().out
