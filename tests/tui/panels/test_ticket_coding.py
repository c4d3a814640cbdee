"""What the panel of a ticket says of its coding agent, and what is copied there."""

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.coding import resume_words
from parexec_tui.core.plan.units import Money
from parexec_tui.core.state import events as ev
from parexec_tui.core.wire.protocol import Doing
from parexec_tui.tui.panels.agents import AgentsPanel
from parexec_tui.tui.panels.ticket import TicketPanel
from parexec_tui.tui.view.event_history import EventHistory
from tests.core.coded import coded, said, tells
from tests.core.sessions import Session
from tests.tui.drawn import panel_of, text
from tests.tui.panels.test_coding_rows import view
from tests.tui.screen.test_header import words

LONG = "8a6f0000-1111-2222-3333-444455556666"


def panel(session: Session, **doings: Doing) -> TicketPanel:
    of = view(session, **doings)
    of.selected = "A"
    of.event_history = EventHistory()
    for event in session.journal:
        of.event_history.take(event)
    return panel_of(TicketPanel, of, 100, 30)


def test_what_it_does_what_it_used_and_what_it_was_denied() -> None:
    session = coded("A: agent=claude")
    tells(session, "A", conversation=LONG, model="opus", version="2.1.332", mode="acceptEdits")
    session.wait(70)
    doing = Doing(what="$ npm test", since=1000.0, inp=84_000, out=2_100, turns=6, denied=("Bash: not here",))
    drawn = text(panel(session, A=doing))
    assert " does       $ npm test, for 1m10" in drawn
    assert " used       86k tokens, 6 turns so far" in drawn
    assert " denied     Bash: not here" in drawn
    assert " agent      opus, claude 2.1.332, permissions sandbox (acceptEdits)" in drawn
    assert f" y copies: claude --resume {LONG}" in drawn


def test_the_command_that_resumes_its_conversation_is_copied_with_its_folder() -> None:
    session = coded("A: agent=claude")
    assert panel(session).text_to_copy() == "do it", "there is no conversation yet"
    tells(session, "A", conversation=LONG)
    assert panel(session).text_to_copy() == f"cd /work/plan && claude --resume {LONG}"
    made = ev.WorktreeMade(
        at=session.now, ticket="A", attempt=1, path="/work/w 1", branch="b", target="main", base="0"
    )
    session.apply(made)
    assert panel(session).text_to_copy() == f"cd '/work/w 1' && claude --resume {LONG}"
    assert "/work/w 1, branch b; d shows the changes" in text(panel(session))


def test_each_kind_has_its_own_words_to_resume() -> None:
    of = {kind: AgentType(kind=kind, program="/opt/x") for kind in ("claude", "codex", "gemini", "opencode", "acp")}
    assert [" ".join(resume_words(each, "ID")) for each in of.values()] == [
        "/opt/x --resume ID",
        "/opt/x resume ID",
        "/opt/x --resume ID",
        "/opt/x -s ID",
        "",
    ]
    assert resume_words(AgentType(command=("x",), speaks="facts"), "ID") == ()


def test_what_it_asks_and_what_its_attempts_cost() -> None:
    session = coded("A: agent=claude retries=2 retry_delay=1s\nB: agent=claude")
    tells(session, "A", question="q", asks="drop the table?", choices=("yes", "no"))
    assert " asks       drop the table? (yes, no)" in text(panel(session))
    said(session, "A", "failed", "it went wrong", cost=0.41, inp=1000, out=200)
    drawn = text(panel(session))
    assert "drop the table" not in drawn
    assert "$0.41 and 1.2k tokens" in next(line for line in drawn.split("\n") if "attempts " in line)
    assert " $0.41 " in words(view(session))
    assert " $0.66 " in words(view(session, B=Doing(cost=0.25)), 200), "what works counts"


def test_what_is_spent_stands_beside_the_budget_and_a_type_says_that_its_own_is_spent() -> None:
    session = coded(
        "A: agent=claude\nB: agent=claude",
        budget=50.0,
        claude=AgentType(kind="claude", max=1, budget=Money(0.4)),
    )
    said(session, "A", "succeeded", cost=0.41)
    assert " $0.41 of $50 " in words(view(session))
    assert "budget of claude: $0.41 of $0.40 spent" in text(panel_of(AgentsPanel, view(session), 70, 14))
