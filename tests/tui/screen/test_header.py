"""The header: what is needed most stays where there is little room, and it says nothing that is not so."""

import re
from collections import Counter

import msgspec
import pytest
from textual.geometry import Size

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.schedule.readiness import display_status
from parexec_tui.core.state import events as ev
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.protocol import Progress, Usage, Viewer, Viewers
from parexec_tui.text.dashboard import dashboard
from parexec_tui.text.status_facts import status_report
from parexec_tui.tui.screen.header import Header
from parexec_tui.tui.view.view_state import NO_ENGINE, ViewState
from tests.core.sessions import Session, plan
from tests.tui.drawn import view_of
from tests.tui.release import finish, release


def lines(view: ViewState, width: int = 120) -> list[str]:
    sized: type[Header] = type("Sized", (Header,), {"size": property(lambda _: Size(width, 2))})
    header = sized(view)
    strips = [header.render_line(y) for y in range(2)]
    assert [strip.cell_length for strip in strips] == [width, width]
    return [strip.text.rstrip() for strip in strips]


def words(view: ViewState, width: int = 200) -> str:
    return " ".join(" ".join(lines(view, width)).split())


def started(text: str = "A:\nB: A\nC:") -> Session:
    session = Session(text)
    session.dispatch()
    return session


# -- how far ---------------------------------------------------------------------------------------------------


def test_it_says_which_session_and_how_far_it_is() -> None:
    session = started("A:\nB: A\nC: A\nD: B")
    session.wait(90)
    session.succeed("A")
    first = words(view_of(session))
    assert first.startswith("test s1 1970-01-01 00:16:40 1m30 ")
    assert re.search(r" 25% 1/4 group 2/3 ETA \d+m\d\d-\d+m\d\d ", first)


def test_all_is_done_only_once_all_is_done() -> None:
    session = started("\n".join(f"T{number}:" for number in range(3)))
    session.succeed("T0", "T1")
    assert " 66% 2/3 " in words(view_of(session))


def test_until_it_can_know_it_says_so() -> None:
    assert "ETA learning" in words(view_of(started()))


def test_who_looks_back_is_told_which_moment_it_is() -> None:
    session = started()
    view = view_of(session)
    view.past, view.past_seq, view.event_history.last = session.state, 4, 9
    assert "at 00:16:40" in words(view)
    assert words(view).endswith("PAST 4/9: end returns")


def test_at_the_end_it_says_how_long_it_took_and_the_clock_stands() -> None:
    session = release()
    finish(session)
    view = view_of(session)
    before = lines(view)
    assert before[0].endswith(" done 43/43, 2 failed, 2 cancelled  in 22m46s")
    session.wait(100)
    assert lines(view) == before


@pytest.mark.parametrize(
    ("done", "failed", "bar"),
    [(0, 0, r">{10}\.{30}"), (1, 0, r"#{10}>{10}\.{20}"), (4, 0, "#{40}"), (2, 1, r"#{20}x{20}")],
)
def test_the_bar_tells_by_its_letters(done: int, failed: int, bar: str) -> None:
    session = started("A:\nB: A\nC: B\nD: C")
    for id_ in "ABCD"[:done]:
        session.succeed(id_)
        session.dispatch()
    session.fail(*"ABCD"[done : done + failed])
    assert re.search(f" {bar} ", words(view_of(session)))


@pytest.mark.parametrize("width", [80, 120, 200])
def test_a_long_name_leaves_room_for_the_bar(width: int) -> None:
    made = plan("A:\nB: A")
    settings = msgspec.structs.replace(made.settings, name="a study of what is said where room is short " * 5)
    session = Session(msgspec.structs.replace(made, settings=settings))
    session.dispatch()
    first = lines(view_of(session), width)[0]
    assert first.startswith(" a study of what ")
    assert "~" in first
    assert re.search(r" >{4,}\.{4,} +0% 0/2 ", first)


@pytest.mark.parametrize("request_", [rq.Hold(), rq.Drain(), rq.Stop()])
def test_no_end_is_foreseen_from_the_moment_it_does_not_go_on(request_: rq.AnyRequest) -> None:
    session = started("A: estimate=2m\nB: A estimate=2m")
    header = Header(view_of(session))
    assert re.fullmatch(r"ETA 4m0\d-5m\d\d", header._when(session.state))
    session.act(request_)
    assert header._when(session.state) == "ETA -"


def test_an_end_that_is_sure_is_said_once() -> None:
    session = Session(plan("\n".join(f"T{number}:" for number in range(6)), parallel=5))
    ran = session.dispatch()
    session.wait(60)
    session.succeed(*ran)
    session.dispatch()
    assert " ETA 1m00 " in words(view_of(session))


def test_the_end_is_by_what_the_output_tells_rather_than_by_the_estimate() -> None:
    session = started("A: estimate=1m\nB: A estimate=1m")
    session.wait(60)
    view = view_of(session)
    told = Usage("A", 1, cpu=1.0, memory=0, processes=1, silence=0.0, log_size=9, progress=Progress(40))
    view.samples.usage, view.samples.taken_at = {"A": told}, session.now
    assert re.search(r" ETA 2m[34]\d-3m\d\d ", words(view))


# -- counts and alerts -----------------------------------------------------------------------------------------


def test_what_is_wrong_comes_first_and_keeps_its_words_longest() -> None:
    view = view_of(release())
    problems = "x 2 failed  f 1 frozen  | 1 held  r 1 backoff  s 1 stopping"
    others = "> 4 running  * 1 ready  . 16 waiting  + 12 succeeded"
    assert lines(view, 200)[1].startswith(f" {problems}  {others}  - 2 skipped  c 1 cancelled  w 1 waived ")
    short = "> 4  * 1  . 16  + 12  - 2  c 1  w 1"
    assert lines(view, 120)[1].startswith(f" {problems}  {short} ")
    assert lines(view, 80)[1].startswith(f" x 2 failed  f 1  | 1  r 1  s 1  {short} ")


def test_what_does_not_even_fit_in_short_is_counted() -> None:
    assert lines(view_of(release()), 60)[1].startswith(" x 2  f 1  | 1  r 1  s 1  > 4  * 1  . 16  + 12  +3 more ")


@pytest.mark.parametrize("width", [80, 120, 200])
def test_holds_and_alerts_are_there_at_any_width(width: int) -> None:
    said = lines(view_of(release()), width)[1].removesuffix("  connected")
    assert re.search(r" \| 1( held)? .* (1 quarantined|! 1)$", said)


def test_how_many_run_at_once_is_said_if_the_engine_finds_that_out() -> None:
    session = Session(plan("A:\nB:", parallel="auto"))
    session.dispatch()
    assert " auto 8 " in words(view_of(session))
    session.act(rq.Scale(most=8, by="ann"))
    assert "auto" not in words(view_of(session))


def test_that_all_is_well_gives_way_first() -> None:
    view = view_of(release())
    assert lines(view, 200)[1].endswith("connected")
    assert "connected" not in lines(view, 120)[1]
    view.contact = "read-only"
    assert lines(view, 80)[1].endswith("read-only")
    view.contact, view.connected = "engine 12 is stopped and does not answer; kill -CONT 12", False
    assert lines(view, 80)[1].endswith("no answer"), "as the rows do; the banner says more"


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (rq.Hold(by="ann"), " HELD "),
        (rq.Drain(by="ann"), " DRAINING "),
        (rq.Freeze(by="ann"), " FROZEN "),
        (rq.Stop(by="ann"), " STOPPING "),
        (rq.Hold(types=("agent",), by="ann"), "1 type held"),
        (rq.Hold(tickets=("B", "C"), by="ann"), "| 2 held"),
    ],
)
def test_what_keeps_the_session_back_is_said(request_: rq.AnyRequest, said: str) -> None:
    session = started("A:\nB: A\nC: A")
    assert said not in words(view_of(session))
    session.ask(request_)
    assert said in words(view_of(session))


STANDINGS = ("HELD", "FROZEN", "DRAINING", "STOPPING", "STOPPED", "INTERRUPTED", "finished")


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ((), "HELD"),
        ((ev.EngineLeft(at=1001, reason="stopped"),), "STOPPED"),
        ((ev.SessionInterrupted(at=1001, reason="it died"),), "INTERRUPTED"),
    ],
)
def test_the_session_stands_in_one_way_and_that_is_said_once(ends: tuple[ev.AnyEvent, ...], said: str) -> None:
    session = started()
    session.act(rq.Hold(by="ann"))
    for event in ends:
        session.apply(event)
    view = view_of(session)
    view.set_contact("connected" if not ends else "stopped", up=not ends)
    assert [word for word in words(view).split() if word in STANDINGS] == [said]
    assert session.state.status == said.lower(), "as in `parexec ls` and in the list of sessions"


def test_a_session_that_is_over_is_neither_held_nor_stopping() -> None:
    session = started("A:")
    session.act(rq.Hold(by="ann"))
    session.succeed("A")
    session.close()
    view = view_of(session)
    assert [word for word in words(view).split() if word in STANDINGS] == ["finished"]
    view.set_contact("finished", up=False)
    assert [word for word in words(view).split() if word in STANDINGS] == ["finished"]


def test_an_engine_that_is_gone_without_a_word_leaves_the_session_interrupted() -> None:
    session = started()
    session.act(rq.Hold(by="ann"))
    view = view_of(session)
    view.set_contact("reconnecting", up=False)
    assert words(view).endswith("HELD reconnecting")
    view.set_contact(NO_ENGINE, up=False)
    assert words(view).endswith("INTERRUPTED")
    view.set_contact("connected", up=True)
    assert words(view).endswith("HELD connected")


def test_the_counts_have_the_words_of_the_rows() -> None:
    session = Session(plan("A: locks=db\nB: locks=db\nC:\nD:\nE: A\nF:\nG: agent=one", parallel=2, agents={
        "one": AgentType(), "other": AgentType(),
    }))  # fmt: skip
    session.act(rq.Hold(tickets=("F",), by="ann"))
    session.act(rq.Hold(types=("one",), by="ann"))
    session.dispatch()
    shown = Counter(display_status(session.state, ticket) for ticket in session.state.tickets.values())
    assert shown == {"running": 2, "waiting": 2, "held": 2, "ready": 1}
    for word, count in shown.items():
        assert f" {count} {word} " in words(view_of(session))
    dashed = "\n".join(dashboard(status_report(session.state, session.now)))
    assert "tickets  2 waiting, 1 ready, 2 held, 2 running;" in dashed


def test_too_many_to_tell_the_ready_ones_are_not_guessed() -> None:
    session = Session(plan("\n".join(f"T{number}: writes=out/{number}" for number in range(700))), checks=False)
    session.dispatch()
    assert " 4 running . 696 waiting or ready " in words(view_of(session))
    session = Session(plan("\n".join(f"T{number}:" for number in range(700))), checks=False)
    session.dispatch()
    assert " 4 running * 696 ready " in words(view_of(session)), "they are all alike"


def test_living_sessions_that_claim_the_same_are_said_as_long_as_they_live() -> None:
    session = started("A:")
    others = [ev.Neighbour(f"exec_{number}", "nightly", "A and its B both write out") for number in (1, 2)]
    for count, said in ((1, " beside exec_1 connected"), (2, " beside exec_1 and 1 more connected"), (0, "1/1")):
        session.apply(ev.NeighboursSeen(at=session.now, neighbours=tuple(others[:count])))
        assert said in words(view_of(session), 80) or not count
    assert "beside" not in words(view_of(session))


def test_a_session_that_is_over_is_beside_nobody() -> None:
    session = started("A:")
    session.apply(ev.NeighboursSeen(at=session.now, neighbours=(ev.Neighbour("exec_1", "nightly", "both"),)))
    session.succeed("A")
    session.close()
    assert "beside" not in words(view_of(session))


def test_a_lost_connection_is_said() -> None:
    view = view_of(started())
    view.contact, view.connected = "reconnecting", False
    assert words(view).endswith("reconnecting")


def test_before_the_session_is_read_it_says_what_it_is_doing() -> None:
    view = view_of(started())
    view.live, view.contact = None, "opening"
    assert lines(view)[0] == " parexec  opening"


@pytest.mark.parametrize("width", [1, 5, 20, 500])
def test_it_has_any_width(width: int) -> None:
    lines(view_of(release()), width)
    lines(view_of(release(), ascii_only=False), width)


# -- who else is here ------------------------------------------------------------------------------------------


def test_it_says_who_else_looks_while_somebody_does() -> None:
    view = view_of(started())
    view.contact, view.connected = "connected", True
    assert "with" not in words(view)
    view.viewers = Viewers(others=(Viewer(by="bo@pts/2 from 10.0.0.7", read_only=True),))
    assert words(view).endswith("with bo@pts/2 connected")
    view.viewers = Viewers(others=(Viewer(by="bo\x1b[2J@pts/2"), Viewer(by="ann@pts/3")), more=4)
    assert words(view).endswith("@pts/2, +5 connected")
    assert "\x1b" not in words(view)
    view.connected = False
    assert "with" not in words(view)


def test_who_else_looks_is_counted_where_there_is_little_room() -> None:
    session = started("\n".join(f"T{number}:" for number in range(9)))
    session.fail("T1")
    view = view_of(session)
    view.contact, view.connected = "connected", True
    view.viewers = Viewers(others=(Viewer(by="bo@pts/2"), Viewer(by="ann@pts/3")))
    assert lines(view, 30)[1].endswith("with 2")


def test_a_session_that_is_not_opened_yet_began_at_no_time() -> None:
    session = started()
    session.state.opened_at = 0.0
    assert "1970" not in words(view_of(session))


def test_the_agent_whose_hold_leaves_no_end_to_tell_is_named() -> None:
    session = Session(plan("A: estimate=10s\nB: A estimate=10s", agents={"agent": AgentType(max=1)}))
    session.dispatch()
    assert re.search(r" ETA (19|2\d)s-2\ds ", words(view_of(session)))
    session.act(rq.Hold(agents=("agent-1",)))
    assert " ETA -: agent-1 held " in words(view_of(session))
