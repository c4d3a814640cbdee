"""What coding agents do, as the table of tickets, that of agents and the header say it."""

import pytest

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.protocol import Doing, Progress, Usage
from parexec_tui.core.wire.selectors import select
from parexec_tui.text.coding import what_first
from parexec_tui.tui.actions import steering
from parexec_tui.tui.panels.agents import AgentsPanel
from parexec_tui.tui.panels.tickets import TicketsPanel
from parexec_tui.tui.view.targets import Targets
from parexec_tui.tui.view.view_state import ViewState
from tests.core.coded import coded, said, tells
from tests.core.sessions import Session
from tests.tui.drawn import lines, panel_of, text, view_of
from tests.tui.screen.test_header import lines as header_lines
from tests.tui.screen.test_header import words


def working() -> Session:
    session = coded("A: agent=claude title=Move\nB: agent=claude\nC: agent=free\nF: agent=shell\nD: agent=claude")
    session.wait(130)
    return session


def view(session: Session, **doings: Doing) -> ViewState:
    of = view_of(session)
    for id_, doing in doings.items():
        progress = Progress(100 * doing.done // doing.of, doing.done, doing.of) if doing.of and doing.done else None
        of.samples.usage[id_] = Usage(id_, 1, 0.5, 10**6, 3, 2.0, 100, progress=progress, doing=doing)
    of.samples.taken_at = session.now
    return of


def rows(session: Session, width: int, **doings: Doing) -> dict[str, str]:
    found = lines(panel_of(TicketsPanel, view(session, **doings), width, 14))[1:]
    return {id_: next((line for line in found if f" {id_}  " in line[14:]), "") for id_ in session.state.tickets}


def test_a_row_says_what_the_agent_does_now_and_for_how_long() -> None:
    session = working()
    since = session.now - 130
    found = rows(
        session,
        80,
        A=Doing(what="$ npm test -- --watch=false --reporter=dot", since=since, done=2, of=5),
        B=Doing(what="writes src/db.py", since=session.now - 1),
        C=Doing(what="retry 3/4: 429", since=session.now - 30, done=11, of=12),
    )
    assert found["A"].endswith("2/5##.. $ npm test -- --watch=false~ 2m10")
    assert found["B"].endswith("  writes src/db.py"), "no progress is guessed, so its cells are free"
    assert found["C"].endswith("11/12### retry 3/4: 429 30s")
    assert found["F"].endswith("shell-1")


def test_an_estimate_is_no_progress_of_a_coding_agent() -> None:
    session = coded("A: agent=claude estimate=100s\nF: agent=shell estimate=100s")
    session.wait(50)
    found = rows(session, 80)
    assert "~50%" in found["F"]
    assert "%" not in found["A"]


def test_what_needs_an_answer_is_at_the_top_and_says_why() -> None:
    session = working()
    session.fail("F")
    said(session, "B", "needs you", "denied: Bash")
    tells(session, "A", question="q", asks="drop the table?")
    session.wait(75)
    first, second, third, *_ = lines(panel_of(TicketsPanel, view(session), 80, 14))[1:]
    assert first.split()[1:] == ["Y", "needs", "you", "A", "1m15", "asks:", "drop", "the", "table?"]
    assert "needs you   B" in second
    assert second.endswith("needs you: denied: Bash")
    assert "failed" in third
    assert "Y 2 need you" in words(view(session))
    assert what_first(session.state, session.now) == "2 need you, 1 failed"
    assert select(session.state, ["status:needs you"]) == ["A", "B"]


@pytest.mark.parametrize("width", [47, 78])
def test_the_table_of_agents_says_what_they_cost(width: int) -> None:
    session = working()
    doing = Doing(what="thinks", inp=84_000, out=2_100, cached=250_000, cost=1.234)
    heading, *drawn = text(panel_of(AgentsPanel, view(session, A=doing, B=Doing(what="thinks")), width, 14)).split(
        "\n"
    )
    assert " COST TOKENS" in heading
    of = {line.replace("]", " ").split()[0]: line for line in drawn}
    assert "  $1.23   336k" in of["claude-1"]
    assert of["claude-2"].split()[4:6] == ["-", "-"], "nobody tells it"
    assert "$" not in of["shell-1"]


def test_a_type_whose_account_rests_and_one_that_needs_a_person() -> None:
    session = working()
    said(session, "C", "limited", "enough", until=session.now + 4320)
    said(session, "A", "auth", "no key")
    drawn = text(panel_of(AgentsPanel, view(session), 70, 14))
    assert " needs you: not logged in: no key" in drawn
    assert "limited until " in drawn
    assert "(1h12): enough" in drawn
    found = words(view(session), 200)
    assert " codex limited until " in found
    assert found.endswith(" claude needs you connected")


def test_that_an_agent_may_do_anything_is_said_while_it_runs() -> None:
    session = working()
    assert " free may do anything " in words(view(session))
    said(session, "C", "succeeded")
    assert "anything" not in words(view(session))


def test_where_there_is_little_room_what_needs_a_person_stays_and_money_gives_way() -> None:
    types = {f"t{at}": AgentType(kind="claude", account=f"account{at}") for at in range(4)}
    text = "\n".join(f"T{at}: agent=t{at}" for at in range(4))
    session = coded(f"A: agent=claude\nB: agent=free\nC: agent=claude\nF: agent=shell\n{text}", budget=2.0, **types)
    for at in range(4):
        said(session, f"T{at}", "limited", "enough", until=session.now + 4320, cost=0.3)
    said(session, "C", "needs you", "denied: Bash")
    said(session, "A", "auth", "no key")
    session.fail("F")
    found = {width: header_lines(view(session), width)[1] for width in (100, 80, 60)}
    assert found[100].endswith("  $1.20 of $2   may do anything   account0 +3 rest   claude !")
    assert found[80] == " x 1  Y 1  | 1  > 1  * 4         may do anything   account0 +3 rest   claude !"
    assert found[60] == " x 1  Y 1  | 1  > 1  * 4       account0 +3 rest   claude !"


def test_the_key_that_releases_a_type_tries_its_account() -> None:
    session = working()
    targets = Targets(agent_type="free")
    assert steering.hold(session.state, targets) == rq.Hold(types=("free",))
    said(session, "C", "limited", "enough", until=session.now + 4320)
    assert steering.hold(session.state, targets) == rq.Release(types=("free",))
