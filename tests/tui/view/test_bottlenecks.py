"""What holds the session up, as the screen says it: only now and then, and only what is worth it."""

import pytest

from parexec_tui.core.wire import requests as rq
from parexec_tui.tui.view.bottlenecks import Bottlenecks
from tests.core.sessions import Session, plan


class Clock:
    at = 0.0

    def __call__(self) -> float:
        return self.at


def narrow(count: int = 6, seconds: int = 100) -> Session:
    """A session in which all tickets want the one license."""
    lines = [f"T{number}: uses=license:1 estimate={seconds}s" for number in range(count)]
    session = Session(plan("\n".join(lines), resources={"license": 1}, parallel=8))
    session.dispatch()
    return session


def test_the_worst_bottleneck_is_said_in_words() -> None:
    session, found = narrow(), Bottlenecks(Clock())
    assert found.update(session.state, session.now)
    assert found.lines[0].startswith(
        "5 tickets wait for license (1 in all): one more would start 1 now and save about"
    )
    assert found.worst == found.lines[0]


def test_it_is_looked_at_now_and_then() -> None:
    clock = Clock()
    session, found = narrow(), Bottlenecks(clock)
    found.update(session.state, session.now)
    session.succeed("T0")
    session.dispatch()
    assert not found.update(session.state, session.now)
    assert found.lines[0].startswith("5 tickets")
    clock.at = 60.0
    assert found.update(session.state, session.now)
    assert found.lines[0].startswith("4 tickets")


def test_nothing_is_said_of_bottlenecks_once_something_else_holds_the_session_up() -> None:
    session, found = narrow(), Bottlenecks(Clock())
    found.update(session.state, session.now)
    session.ask(rq.Hold())
    assert found.update(session.state, session.now)
    assert found.lines == ()


def test_what_saves_little_is_left_to_who_asks() -> None:
    session, found = narrow(seconds=5), Bottlenecks(Clock())
    found.update(session.state, session.now)
    assert (found.lines, found.worst) == ((), "")


@pytest.mark.parametrize("count", [1_001])
def test_a_large_rest_is_left_to_who_asks(count: int) -> None:
    session, found = narrow(count), Bottlenecks(Clock())
    found.update(session.state, session.now)
    assert found.lines == ()
