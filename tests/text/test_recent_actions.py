"""What others did a moment ago: in words, a burst as one, without one's own, and gone after some seconds."""

from hypothesis import given
from hypothesis import strategies as st

from parexec_tui.core.plan.ticket import Priority
from parexec_tui.core.state import events as ev
from parexec_tui.core.wire import requests as rq
from parexec_tui.text.recent_actions import RECENT_SECONDS, RecentActions
from tests.core.sessions import Session

BO, ANN, ME = "bo@pts/2", "ann@pts/3", "me@pts/1"


class Played:
    """A session, and the actions that the viewer ME is told of."""

    def __init__(self, tickets: int = 12) -> None:
        self.session = Session("\n".join(["A:", *(f"T{number}: A" for number in range(tickets))]))
        self.session.dispatch()
        self.recent_actions = RecentActions()
        self._seen = len(self.session.journal)

    def act(self, *requests: rq.AnyRequest) -> None:
        for request in requests:
            assert not isinstance(self.session.act(request), rq.Refusal)
        news = self.session.journal[self._seen :]
        self._seen = len(self.session.journal)
        for event in news:  # events of one request need not come together
            self.recent_actions.take([event], ME, self.session.now)

    @property
    def shown(self) -> tuple[str, ...]:
        return self.recent_actions.shown(self.session.now)


def names(count: int) -> tuple[str, ...]:
    return tuple(f"T{number}" for number in range(count))


def test_an_action_is_told_in_words() -> None:
    for request, words in (
        (rq.Hold(tickets=("T1",), by=BO), "held T1"),
        (rq.Hold(tickets=("T1",), reason="look first", by=BO), "held T1: look first"),
        (rq.Hold(agents=("agent-1",), by=BO), "held agent agent-1"),
        (rq.Freeze(tickets=("A",), by=BO), "froze A"),
        (rq.Cancel(tickets=("A",), by=BO), "cancelled A"),
        (rq.Cancel(tickets=("A",), now=True, by=BO), "killed A"),
        (rq.Waive(tickets=("T1",), by=BO), "waived T1"),
        (rq.Prioritise(tickets=("T1",), priority=Priority.high, by=BO), "set the priority of T1 to high"),
        (rq.Reassign(tickets=("T1",), agent="agent-1", by=BO), "moved T1 to agent-1"),
        (rq.Scale(most=1, by=BO), "asked for at most 1 ticket at once"),
        (rq.SetFailurePolicy(policy="continue", by=BO), "decided: when a ticket fails: carry on"),
    ):
        played = Played()
        if isinstance(request, rq.SetFailurePolicy):
            played.act(rq.SetFailurePolicy(policy="hold", by=ME))
        played.act(request)
        assert played.shown == (f"{BO} {words}",)


def test_to_take_back_is_an_action() -> None:
    played = Played()
    played.act(rq.Hold(tickets=("T1",), by=ME), rq.Undo(by=BO))
    assert played.shown == (f"{BO} took back: hold T1",)


def test_ones_own_actions_are_not_told() -> None:
    played = Played()
    played.act(rq.Hold(tickets=("T1",), by=ME), rq.Hold(tickets=("T2",), by=BO), rq.Hold(tickets=("T3",), by=ME))
    assert played.shown == (f"{BO} held T2",)


def test_what_lasts_for_the_whole_session_is_told_elsewhere() -> None:
    played = Played()
    played.act(rq.Hold(by=BO))
    assert not played.shown
    played.act(rq.Release(by=BO))
    assert played.shown == (f"{BO} released the session",)


def test_many_tickets_at_once_or_in_a_burst_are_counted() -> None:
    played = Played()
    played.act(rq.Hold(tickets=names(12), by=BO))
    assert played.shown == (f"{BO} held 12 tickets",)
    played = Played()
    played.act(*(rq.Hold(tickets=(id_,), by=BO) for id_ in names(12)))
    assert played.shown == (f"{BO} held 12 tickets",)


def test_the_same_ticket_again_is_one() -> None:
    played = Played()
    played.act(rq.Hold(tickets=("T1",), by=BO), rq.Release(tickets=("T1",), by=ME), rq.Hold(tickets=("T1",), by=BO))
    assert played.shown == (f"{BO} held T1",)


def test_a_burst_about_more_than_tickets_says_the_last_and_how_many() -> None:
    played = Played()
    played.act(rq.Hold(tickets=("T1",), by=BO), rq.Hold(agents=("agent-1",), by=BO))
    assert played.shown == (f"{BO} held agent agent-1 (+1 more)",)


def test_each_person_and_verb_is_told_apart_the_newest_first() -> None:
    played = Played()
    played.act(rq.Hold(tickets=("T1",), by=BO), rq.Hold(tickets=("T2",), by=ANN), rq.Release(tickets=("T1",), by=BO))
    assert played.shown == (f"{BO} released T1", f"{ANN} held T2", f"{BO} held T1")


def test_after_some_seconds_it_is_gone() -> None:
    played = Played()
    assert played.recent_actions.ends_in(played.session.now) is None
    played.act(rq.Hold(tickets=("T1",), by=BO))
    assert played.recent_actions.ends_in(played.session.now) == RECENT_SECONDS
    played.session.wait(RECENT_SECONDS - 1)
    assert played.shown
    played.session.wait(1)
    assert played.shown == ()
    assert played.recent_actions.ends_in(played.session.now) is None


def test_what_is_old_when_it_is_heard_of_is_not_told() -> None:
    played = Played()
    assert not isinstance(played.session.act(rq.Hold(tickets=("T1",), by=BO)), rq.Refusal)
    played.session.wait(RECENT_SECONDS)
    played.act()
    assert played.shown == ()


@given(st.lists(st.tuples(st.sampled_from([BO, ANN, ME, *map(str, range(30))]), st.floats(0, 3)), max_size=60))
def test_it_tells_of_few_and_of_nothing_old(acts: list[tuple[str, float]]) -> None:
    actions, now, latest = RecentActions(), 0.0, dict[str, float]()
    for number, (by, pause) in enumerate(acts):
        now += pause
        actions.take([ev.OperatorActed(at=now, by=by, verb="hold", text=f"hold T{number}")], ME, now)
        latest[by] = now
        shown = actions.shown(now)
        assert len(shown) <= 3
        assert all(now - latest[text.split()[0]] < RECENT_SECONDS for text in shown)
        assert not any(text.startswith(ME) for text in shown)
        assert shown[:1] == ((f"{by} held T{number}",) if by != ME else shown[:1])
