"""`allow_failure`: a failure that is shown and counted apart, and for which the session does not fail."""

from typing import Any

import pytest

from parexec_tui.cli.exits import SUCCEEDED, UNSUCCESSFUL, exit_code
from parexec_tui.core.rules.attention import needs
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.status import Flag, Status
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.selectors import select
from parexec_tui.engine.hook_calls import calls_for
from parexec_tui.registry.sessions import Counts
from parexec_tui.registry.standing import counts_of
from tests.core.sessions import Session, plan


def session(text: str, **settings: Any) -> Session:
    found = Session(plan(text, **settings))
    found.dispatch()
    return found


def finish(found: Session) -> int:
    """Let the session end; returns the exit code."""
    while found.live():
        found.succeed(*found.live())
        found.dispatch()
    found.close()
    return exit_code(found.state, "finished")


def test_the_session_succeeds_although_it_failed() -> None:
    found = session("A: allow_failure=true\nB: A?\nC:")
    found.fail("A")
    found.dispatch()
    assert finish(found) == SUCCEEDED
    assert found.status("A") == "failed"


def test_a_failure_that_is_not_allowed_beside_it_still_counts() -> None:
    found = session("A: allow_failure=true\nB:")
    found.fail("A", "B")
    assert finish(found) == UNSUCCESSFUL


def test_what_needs_its_success_is_skipped_and_that_counts() -> None:
    found = session("A: allow_failure=true\nB: A")
    found.fail("A")
    assert found.status("B") == "skipped"
    assert finish(found) == UNSUCCESSFUL


def test_a_cancel_is_no_failure_that_is_allowed() -> None:
    found = session("A: allow_failure=true\nB:")
    found.ask(rq.Cancel(tickets=("A",)))
    found.killed("A")
    assert finish(found) == UNSUCCESSFUL


def test_it_is_counted_apart_everywhere() -> None:
    found = session("A: allow_failure=true\nB:\nC:")
    found.fail("A", "B")
    finish(found)
    counts = {word: count for word, count in found.state.shown_counts().items() if count}
    assert counts == {Status.succeeded: 1, Status.failed: 1, Flag.allowed: 1}
    handled, validated = found.journal[-3:-1]
    assert isinstance(handled, ev.FailuresHandled)
    assert isinstance(validated, ev.CompletionValidated)
    assert (handled.failed, handled.allowed) == (1, 1)
    assert {word: count for word, count in validated.counts.items() if count} == {
        "succeeded": 1,
        "failed": 1,
        "allowed failure": 1,
    }
    assert counts_of(found.state) == Counts(total=3, succeeded=1, failed=1)


def test_nobody_is_called_for_it() -> None:
    found = session("A: allow_failure=true\nB:")
    found.fail("A")
    ended = found.journal[-1]
    assert list(needs(found.state)) == []
    assert [call.hook for call in calls_for(found.state, ended)] == ["on_ticket_end"]
    found.fail("B")
    assert [need.subject.name for need in needs(found.state)] == ["B"]


@pytest.mark.parametrize("policy", ["hold", "stop"])
def test_what_shall_happen_after_a_failure_does_not(policy: str) -> None:
    found = session("A: allow_failure=true\nB:", on_failure=policy)
    found.fail("A")
    assert found.state.status == "running"


def test_retries_come_first() -> None:
    found = session("A: allow_failure=true retries=1 retry_delay=1s")
    found.fail("A")
    assert found.status("A") == "backoff"
    assert not found.state.allowed


def test_an_edit_may_allow_a_failure_that_was_and_forbid_it_again() -> None:
    found = session("A:\nB:")
    found.fail("A")
    found.act(rq.Edit(ticket="A", changes={"allow_failure": True}))
    assert list(found.state.allowed) == ["A"]
    found.act(rq.Edit(ticket="A", changes={"allow_failure": None}))
    assert not found.state.allowed


def test_it_can_be_selected_and_is_among_the_failed() -> None:
    found = session("A: allow_failure=true\nB:")
    found.fail("A", "B")
    assert select(found.state, ["status:allowed failure"]) == ["A"]
    assert select(found.state, ["status:failed"]) == ["A", "B"]
