"""What may be typed behind `/`, and which tickets it lets through."""

import pytest

from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.selectors import SelectorError
from parexec_tui.tui.view.filtering import compile_filter
from tests.core.sessions import Session
from tests.tui.release import release


@pytest.fixture(scope="module")
def session() -> Session:
    return release()


def found(session: Session, text: str) -> list[str]:
    test = compile_filter(session.state, text)
    assert test is not None
    return [ticket.id for ticket in session.state.tickets.values() if test(ticket)]


@pytest.mark.parametrize(
    ("text", "tickets"),
    [
        ("unit-web", ["unit-web-1", "unit-web-2"]),
        ("BROWSER", ["unit-web-2"]),
        ("unit part", ["unit-core-1", "unit-core-2", "unit-core-3", "unit-web-1"]),
        ("unit !part", ["unit-web-2"]),
        ("status:failed", ["unit-core-3", "bench"]),
        ("status:frozen,stopping", ["migrate", "fuzz"]),
        ("agent:writer-1", ["draft"]),
        ("claim:BROWSER", ["unit-web-2", "screenshots"]),
        ("claim:out/core !status:succeeded", ["unit-core-3"]),
        ("claim:gpu", ["load", "bench"]),
        ("priority:low !status:waiting", ["style", "lint-web", "links", "fuzz"]),
        ("no-such-thing", []),
    ],
)
def test_a_filter(session: Session, text: str, tickets: list[str]) -> None:
    assert found(session, text) == tickets


@pytest.mark.parametrize("text", ["", "   "])
def test_no_words_are_no_filter(session: Session, text: str) -> None:
    assert compile_filter(session.state, text) is None


def test_a_filter_goes_along_with_what_happens() -> None:
    session = release()
    test = compile_filter(session.state, "status:waiting")
    assert test is not None
    assert not test(session["bench"])
    session.act(rq.Retry(tickets=("bench",)))
    assert test(session["bench"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("!", "stands before a word"),
        ("claim:", "say what is claimed"),
        ("status:done", "done"),
        ("colour:red", "colour"),
    ],
)
def test_what_is_no_filter_is_said(session: Session, text: str, said: str) -> None:
    with pytest.raises(SelectorError, match=said):
        compile_filter(session.state, text)
