"""Why a ticket of a coding agent is where it is, and which keys help."""

from parexec_tui.tui.actions.table import ACTIONS
from parexec_tui.tui.dialogs.why_text import Explanation, explain
from parexec_tui.tui.input.keymap import Keymap
from parexec_tui.tui.view.targets import Targets
from tests.core.coded import coded, said, tells
from tests.core.sessions import Session


def of(session: Session, id_: str) -> Explanation:
    return explain(session.state, session.state.tickets[id_], session.now, Keymap(ACTIONS))


def test_a_limit_ends_by_itself_and_a_key_tries_its_account_at_once() -> None:
    session = coded("A: agent=claude")
    said(session, "A", "limited", "You've hit your limit", until=session.now + 4320)
    found = of(session, "A")
    assert any(line.startswith("1. claude is limited until ") and "(1h12)" in line for line in found.lines)
    assert "   it goes on by itself then; p tries claude at once, with one ticket" in found.lines
    assert next(offer.targets for offer in found.offers if offer.action == "hold") == Targets(agent_type="claude")


def test_a_ticket_that_needs_an_answer_names_the_key_and_the_command_for_it() -> None:
    session = coded("A: agent=claude\nB: A agent=claude")
    tells(session, "A", conversation="c-1")
    said(session, "A", "needs you", "denied: Bash")
    lines = of(session, "A").lines
    assert "its agent needs you, 0s ago: denied: Bash" in lines
    assert "   its conversation goes on with what you answer: c-1" in lines
    assert any(line.endswith("answers it, or from a shell: parexec answer A TEXT") for line in lines)
    assert any("A needs you: denied: Bash" in line for line in of(session, "B").lines)


def test_a_ticket_waits_for_one_whose_agent_asks() -> None:
    session = coded("A: agent=claude\nB: A agent=claude")
    tells(session, "A", question="q", asks="drop the table?")
    assert any("A asks" in line and "drop the table?" in line for line in of(session, "B").lines)
