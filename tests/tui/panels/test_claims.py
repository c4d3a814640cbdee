"""The table of claims: who holds what, and who waits for it."""

import pytest
from textual.app import App, ComposeResult

from parexec_tui.core.plan.claims import ClaimKey
from parexec_tui.core.plan.model import Plan
from parexec_tui.core.schedule.claim_waits import MAX_ASKED
from parexec_tui.core.state import events as ev
from parexec_tui.core.wire import requests as rq
from parexec_tui.tui.panels.claims import ClaimsPanel
from parexec_tui.tui.view.view_state import Change
from parexec_tui.tui.view.waiting import Waiting
from tests.core.sessions import Session, plan
from tests.tui.drawn import lines, panel_of, text, view_of


def contended() -> Plan:
    return plan(
        """
        A: writes=out/a.txt locks=db title=Build
        B: reads=docs/** uses=gpu:1
        C: reads=docs/** uses=gpu:1,memory:3000000
        D: writes=docs/a.md
        E: locks=db writes=out/**
        F: uses=gpu:2
        G: writes=logs
        """,
        parallel=8,
        resources={"gpu": 2},
    )


def running(of: Plan | None = None) -> Session:
    session = Session(of or contended())
    session.dispatch()
    session.wait(125)
    return session


def panel(session: Session, width: int, height: int = 18) -> ClaimsPanel:
    return panel_of(ClaimsPanel, view_of(session), width, height)


DRAWN = {
    40: """
 CLAIM              TICKET HOW LONG
]lock db            A      holds 2m05
   ` lock db        E      waits 2m05
 writes out/a.txt   A      holds 2m05
   ` to write out   E      waits 2m05
 reads docs         B      holds 2m05
 reads docs         C      holds 2m05
   ` to write docs~ D      waits 2m05
 gpu: 2 of 2 used
   uses 1           B      holds 2m05
   uses 1           C      holds 2m05
   ` wants 2        F      waits 2m05
 writes logs        G      holds 2m05
 memory: 2.9MiB of 8GiB used
   uses 2.9MiB      C      holds 2m05
""",
    78: """
 CLAIM                  TICKET HOW LONG     TITLE
]lock db                A      holds 2m05   Build
   ` lock db            E      waits 2m05
 writes out/a.txt       A      holds 2m05   Build
   ` to write out       E      waits 2m05
 reads docs             B      holds 2m05
 reads docs             C      holds 2m05
   ` to write docs/a.md D      waits 2m05
 gpu: 2 of 2 used
   uses 1               B      holds 2m05
   uses 1               C      holds 2m05
   ` wants 2            F      waits 2m05
 writes logs            G      holds 2m05
 memory: 2.9MiB of 8GiB used
   uses 2.9MiB          C      holds 2m05
""",
}


@pytest.mark.parametrize("width", DRAWN)
def test_what_is_waited_for_stands_first_and_those_who_wait_below_those_who_hold(width: int) -> None:
    shown = panel(running(), width)
    assert text(shown) == DRAWN[width].strip("\n")
    assert shown.subtitle() == "6 held, 3 waiting"


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (2, 2), (9, 3), (17, 12), (300, 4)])
def test_any_size_can_be_drawn(size: tuple[int, int]) -> None:
    assert len(lines(panel(running(), *size))) == size[1] - 1


def test_a_row_with_a_ticket_is_the_selection_and_leads_to_the_ticket() -> None:
    shown = panel(running(), 78)
    assert shown.view.selected == ""
    shown.move(1)
    assert shown.view.selected == "E"
    shown.move(5)
    assert (shown.view.selected, shown.open()) == ("D", "ticket")
    shown.move(1)
    assert (shown.view.selected, shown.open()) == ("D", "")


def test_the_cursor_stays_on_its_row_when_others_give_back() -> None:
    session = running()
    shown = panel(session, 78)
    shown.move(5)
    session.wait(2)
    session.succeed("A")
    session.dispatch()
    shown.changed(Change.state)
    assert [line for line in lines(shown) if line.startswith("]")] == ["]reads docs             C      holds 2m07"]


def test_nothing_is_held() -> None:
    assert text(panel(running(plan("A:")), 78)).splitlines()[1:] == [
        " nothing is held: no ticket that runs claims anything"
    ]


def test_titles_and_claims_cannot_act_on_the_terminal() -> None:
    shown = panel(running(plan("A: writes=a\x1bcb title=\x1b]0;x\x07t")), 78)
    assert lines(shown)[1] == "]writes ab A      holds 2m05   t"


# --- The look at who waits ---


def test_a_look_finds_who_waits_for_what() -> None:
    session = running()
    waiting = Waiting(clock=lambda: session.now)
    assert waiting.update(session.state) == 0
    found = {key: [wait.ticket.id for wait in waits] for key, waits in waiting.by_key.items()}
    assert found == {
        ClaimKey("read", "docs"): ["D"],
        ClaimKey("lock", "db"): ["E"],
        ClaimKey("write", "out/a.txt"): ["E"],
        ClaimKey("resource", "gpu"): ["F"],
    }
    assert (waiting.ready, waiting.ready_for, waiting.blocked, waiting.unchecked) == (3, {"agent": 3}, 3, 0)


def test_a_held_ticket_waits_for_claims_but_is_not_ready() -> None:
    session = running()
    session.ask(rq.Hold(tickets=("D",)))
    waiting = Waiting(clock=lambda: session.now)
    waiting.update(session.state)
    assert (waiting.ready, waiting.blocked) == (2, 3)


def test_the_next_look_comes_a_second_later_and_at_another_session_at_once() -> None:
    session = running()
    waiting = Waiting(clock=lambda: session.now)
    waiting.update(session.state)
    session.wait(0.75)
    session.succeed("A")
    assert (waiting.update(session.state), waiting.version, waiting.blocked) == (0.25, 1, 3)
    session.wait(0.25)
    assert (waiting.update(session.state), waiting.version, waiting.blocked) == (0, 2, 2)
    assert (waiting.update(running().state), waiting.version) == (0, 3)


def test_of_thousands_that_wait_only_the_first_are_asked() -> None:
    many = plan("\n".join(f"T{n}: locks=db" for n in range(MAX_ASKED + 101)), parallel=2)
    session = Session(many, checks=False)
    session.dispatch()
    shown = panel(session, 78, MAX_ASKED + 50)
    assert shown.view.waiting.unchecked == 100
    assert shown.subtitle() == f"1 held, {MAX_ASKED}+ waiting"
    assert shown.count == 1 + MAX_ASKED + 1
    assert text(shown).splitlines()[-1] == (" 100 more ready tickets with claims were not asked what they wait for")


class _OnePanel(App[None]):
    def __init__(self, panel: ClaimsPanel) -> None:
        super().__init__()
        self.panel = panel

    def compose(self) -> ComposeResult:
        yield self.panel


@pytest.mark.asyncio
async def test_what_was_given_back_just_after_a_look_is_gone_though_nothing_happens_any_more() -> None:
    session = running(plan("A: locks=db"))
    view = view_of(session)
    shown = ClaimsPanel(view, 8)
    async with _OnePanel(shown).run_test() as pilot:
        view.waiting = Waiting()
        shown.changed(Change.state)
        assert shown.count == 1
        session.succeed("A")
        shown.changed(Change.state)
        assert shown.count == 1
        while shown.count:
            await pilot.pause(0.05)


def test_units_are_named_where_a_resource_has_them() -> None:
    of = plan("A: uses=gpu:1\nB: uses=gpu:1\nC: uses=gpu:2", parallel=4, resources={"gpu": ("x", "y", "z")})
    session = running(of)
    session.state.holdings.set_aside("gpu", ("z",))
    drawn = text(panel(session, 60, 30))
    assert "gpu: 3 of 3 used, z by other programs" in drawn
    assert "   uses x " in drawn
    assert "   uses y " in drawn


def test_a_coming_conflict_between_worktrees_names_both_tickets() -> None:
    session = running()
    session.apply(ev.ConflictForeseen(at=session.now, ticket="B", other="C", files=("src/a.py",), count=1))
    drawn = text(panel(session, 60, 30))
    assert "conflict ahead in src/a.py" in drawn
    assert drawn.count("changes it") == 2
    assert drawn.count(" runs ") == 2, "neither holds what both may change"


def test_it_says_who_gives_back_first_what_others_wait_for() -> None:
    session = running(
        plan(
            "A: locks=db estimate=3m\nB: uses=gpu:1 estimate=10m\nC: estimate=2m30s locks=web\nD: locks=db",
            parallel=8,
            resources={"gpu": 2},
        )
    )
    shown = panel(session, 78)
    assert lines(shown)[1] == "]given back next A      in 55s", "nobody waits for C"
    session.ask(rq.Freeze(tickets=("A",)))
    session.wait(2)
    shown.changed(Change.state)
    assert "given back next" not in text(shown)


def test_what_was_written_unclaimed_leads_to_its_ticket_and_appears_at_once() -> None:
    session = running(plan("A: locks=db writes=out claims=warn\nB: locks=web"))
    shown = panel(session, 78)
    session.succeed("A")
    session.found_unclaimed("A", "src/db.py", "x")
    session.wait(2)
    shown.changed(Change.state)
    drawn = text(shown)
    assert " written unclaimed" in drawn
    assert "   wrote outside its claim: src/db.py (and 1 more)        A      wrote 2s" in drawn
    shown.move(2)
    assert (shown.view.selected, shown.open()) == ("A", "ticket")
