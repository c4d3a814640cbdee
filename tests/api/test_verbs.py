"""Each verb of a session asks for what the command of that name asks for."""

from collections.abc import Callable, Sequence
from typing import Any, Self, cast, get_args

import pytest

from parexec_tui.api.session import Session
from parexec_tui.core.plan.ticket import Priority
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.protocol import Answer


class Asked:
    """Stands for a connection: notes what is asked, and knows names as they are written."""

    def __init__(self) -> None:
        self.requests: list[rq.Request] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def ask(self, request: rq.Request, **_: object) -> Answer:
        self.requests.append(request)
        return Answer(id=1, events=[])

    def question(self, _: str, words: Sequence[str]) -> dict[str, Sequence[str]]:
        services = [word for word in words if word == "db"]
        return {"tickets": [word for word in words if word not in services], "services": services}


CASES: list[tuple[Callable[[Session], object], rq.Request]] = [
    (lambda it: it.hold(), rq.Hold()),
    (lambda it: it.hold(["a", "b"], reason="x"), rq.Hold(tickets=("a", "b"), reason="x")),
    (lambda it: it.release("a"), rq.Release(tickets=("a",))),
    (lambda it: it.drain(reason="x"), rq.Drain(reason="x")),
    (lambda it: it.freeze({"db": 1}), rq.Freeze(services=("db",))),
    (lambda it: it.thaw(), rq.Thaw()),
    (lambda it: it.restart("db"), rq.Restart(services=("db",))),
    (lambda it: it.cancel("a", now=True), rq.Cancel(tickets=("a",), now=True)),
    (lambda it: it.waive("a"), rq.Waive(tickets=("a",))),
    (
        lambda it: it.retry("a", run="x", uses={"gpu": 1}, env={"A": "1"}, downstream=True, note="n", agent="b"),
        rq.Retry(tickets=("a",), run="x", uses={"gpu": 1}, env={"A": "1"}, downstream=True, note="n", agent="b"),
    ),
    (lambda it: it.retry("a", budget="$4"), rq.Retry(tickets=("a",), budget="$4")),
    (
        lambda it: it.retry("b", run="x"),
        rq.Retry(tickets=("b",), run="x"),
    ),
    (lambda it: it.rollback("a", rerun=True), rq.Rollback(tickets=("a",), rerun=True)),
    (lambda it: it.answer("a", "yes", allow=["b"]), rq.AnswerAgent(tickets=("a",), answer="yes", allow=("b",))),
    (lambda it: it.approve("a", note="n"), rq.Approve(tickets=("a",), note="n")),
    (lambda it: it.reject("a", note="n"), rq.Reject(tickets=("a",), note="n")),
    (lambda it: it.merge("a", side="ours"), rq.Merge(tickets=("a",), side="ours")),
    (lambda it: it.reassign("a", "b-1"), rq.Reassign(tickets=("a",), agent="b-1")),
    (lambda it: it.prioritise("a", "high"), rq.Prioritise(tickets=("a",), priority=Priority.high)),
    (lambda it: it.scale("b", 2, relative=True), rq.Scale(type="b", most=2, relative=True)),
    (lambda it: it.scale("b", None), rq.Scale(type="b", most=None)),
    (lambda it: it.scale(None, None), rq.Scale(most=None, auto=True)),
    (lambda it: it.budget("$20", "b"), rq.Scale(most=None, type="b", budget="$20")),
    (lambda it: it.on_failure("hold"), rq.SetFailurePolicy(policy="hold")),
    (lambda it: it.edit("a", timeout="5m", run=None), rq.Edit(ticket="a", changes={"timeout": "5m", "run": None})),
    (lambda it: it.undo(), rq.Undo()),
    (lambda it: it.stop(now=True, reason="x"), rq.Stop(now=True, reason="x")),
    (lambda it: it.request("on_failure", policy="stop"), rq.SetFailurePolicy(policy="stop")),
]  # fmt: skip


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[rq.Request]:
    found = Asked()
    monkeypatch.setattr(Session, "_connect", lambda _: found)
    return found.requests


@pytest.mark.parametrize(("ask", "request_"), CASES, ids=[type(request).__name__ for _, request in CASES])
def test_a_verb_asks_for(ask: Callable[[Session], object], request_: rq.Request, asked: list[rq.Request]) -> None:
    ask(Session("x"))
    assert asked == [request_]


def test_there_is_a_method_for_each_request() -> None:
    by_name_only = {rq.Amend, rq.PutBack}  # a changed plan is loaded again; undo puts back
    assert {type(request) for _, request in CASES} == {*get_args(rq.AnyRequest)} - by_name_only


def test_no_names_are_never_the_session(asked: list[rq.Request]) -> None:
    session = Session("x")
    nothing: Any = []
    for verb in (session.hold, session.freeze, session.cancel, session.retry):
        assert cast(Any, verb)(nothing).events == ()
    assert not asked


@pytest.mark.parametrize(
    ("verb", "fields", "text"),
    [
        ("hodl", {}, "there is no verb 'hodl': did you mean `hold`?"),
        ("hold", {"ticket": ["a"]}, "hold: there is no field 'ticket': did you mean `tickets`?"),
        ("hold", {"tickets": "a"}, "hold: Expected `array`, got `str`"),
    ],
)
def test_what_cannot_be_asked_is_not_asked(
    verb: str, fields: dict[str, Any], text: str, asked: list[rq.Request]
) -> None:
    with pytest.raises(TypeError) as raised:
        Session("x").request(verb, **fields)
    assert str(raised.value).startswith(text)
    assert not asked
