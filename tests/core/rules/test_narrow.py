"""A request for several tickets, agents or types: what can be granted is, and what cannot is named."""

from typing import Any

import pytest

from parexec_tui.core.plan.ticket import Priority
from parexec_tui.core.rules.narrow import narrow
from parexec_tui.core.state import events as ev
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import Refusal
from tests.core.sessions import Session


def session() -> Session:
    """`done` has succeeded, `failed` has failed, `lost` is skipped, `runs` and `froze` run, `waits` waits."""
    made = Session("done:\nfailed:\nlost: failed\nruns:\nfroze:\nwaits: runs\n")
    made.dispatch()
    made.succeed("done")
    made.fail("failed")
    made.ask(rq.Freeze(tickets=("froze",)))
    return made


ALL = ("done", "failed", "lost", "runs", "froze", "waits")


@pytest.mark.parametrize(
    ("verb", "more", "granted"),
    [
        (rq.Freeze, {}, ("runs", "froze")),
        (rq.Thaw, {}, ("froze",)),
        (rq.Hold, {}, ("runs", "froze", "waits")),
        (rq.Drain, {}, ("runs", "froze", "waits")),
        (rq.Cancel, {}, ("runs", "froze", "waits")),
        (rq.Waive, {}, ("failed", "lost", "waits")),
        (rq.Retry, {}, ("done", "failed", "lost")),
        (rq.Reassign, {"agent": "agent"}, ("failed", "lost", "runs", "froze", "waits")),
        (rq.Prioritise, {"priority": Priority.high}, ("failed", "lost", "runs", "froze", "waits")),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_what_can_be_granted_is_and_the_rest_is_named(
    verb: Any, more: dict[str, Any], granted: tuple[str, ...]
) -> None:
    made = session()
    narrowed, left_out = narrow(made.state, verb(tickets=ALL, **more))
    assert isinstance(narrowed, verb)
    assert narrowed.tickets == granted
    refused = [id_ for id_ in ALL if id_ not in granted]
    assert len(left_out) == len(refused)
    for id_, refusal in zip(refused, left_out, strict=True):
        assert id_ in refusal.reason
    answer = made.act(verb(tickets=ALL, **more))
    assert not isinstance(answer, Refusal)
    if answer:
        assert isinstance(answer[0], ev.OperatorActed)
        assert answer[0].left_out == tuple(map(str, left_out))
        assert not any(id_ in answer[0].text.replace(",", "").split() for id_ in refused)


def test_one_that_just_ended_does_not_refuse_the_others() -> None:
    made = session()
    answer = made.act(rq.Freeze(tickets=("done", "runs")))
    assert not isinstance(answer, Refusal)
    acted, frozen = answer
    assert isinstance(acted, ev.OperatorActed)
    assert acted.text == "freeze runs"
    assert acted.left_out == ("done succeeded, only what runs can be frozen",)
    assert isinstance(frozen, ev.AttemptFrozen)
    assert frozen.ticket == "runs"
    undone = made.act(rq.Undo())
    assert not isinstance(undone, Refusal)


def test_agents_and_types_are_targets_as_well() -> None:
    made = session()
    idle = next(agent.id for agent in made.state.agents.values() if agent.ticket is None)
    answer = made.act(rq.Freeze(tickets=("done",), agents=(idle,), types=("agent",)))
    assert not isinstance(answer, Refusal)
    assert isinstance(answer[0], ev.OperatorActed)
    assert answer[0].text == "freeze agent type agent"
    assert [text.split()[0] for text in answer[0].left_out] == ["done", idle]


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (rq.Freeze(tickets=("done", "waits")), "done succeeded"),
        (rq.Freeze(tickets=("runs", "nobody")), "there is no ticket nobody"),
        (rq.Cancel(tickets=("done",)), "done succeeded"),
        (rq.Freeze(tickets=("froze", "waits")), "waits is waiting"),
        (rq.Retry(tickets=("failed", "done"), run="x"), "another command is for one ticket only"),
    ],
    ids=["none of them", "a slip", "one", "the rest is so already", "not for several"],
)
def test_what_is_refused_as_a_whole(asked: rq.AnyRequest, reason: str) -> None:
    made = session()
    before = len(made.journal)
    answer = made.act(asked)
    assert isinstance(answer, Refusal)
    assert answer.reason.startswith(reason)
    assert len(made.journal) == before


def test_a_retry_leaves_out_what_needs_a_ticket_that_is_not_retried() -> None:
    made = Session("a:\nb: a\nc:\nd: c")
    made.dispatch()
    made.fail("a", "c")
    made.ask(rq.Waive(tickets=("b", "d")))
    narrowed, left_out = narrow(made.state, rq.Retry(tickets=("b", "c", "d")))
    assert isinstance(narrowed, rq.Retry)
    assert narrowed.tickets == ("c", "d")
    assert [refusal.reason for refusal in left_out] == ["b needs a, which failed"]
