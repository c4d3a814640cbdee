"""The chain of tickets that the rest of a session cannot be faster than."""

from parexec_tui.core.schedule.critical_path import critical_path
from tests.core.sessions import Session


def test_the_critical_path_follows_estimates() -> None:
    session = Session("A:\nB: A estimate=5s\nC: A estimate=2s\nD: B C\nE: estimate=6s")

    assert critical_path(session.state) == ["A", "B", "D"]


def test_what_is_over_is_not_critical() -> None:
    session = Session("A:\nB: A estimate=5s\nC: A estimate=2s\nD: B C")
    session.dispatch()
    session.succeed("A")

    assert critical_path(session.state) == ["B", "D"]
    session.dispatch()
    session.succeed("B")
    assert critical_path(session.state) == ["C", "D"]


def test_a_skipped_ticket_is_not_critical() -> None:
    session = Session("A: estimate=9s\nB: A\nC: estimate=1s")
    session.dispatch()
    session.fail("A")

    assert critical_path(session.state) == ["C"]


def test_when_all_is_over_nothing_is_critical() -> None:
    session = Session("A:")
    session.dispatch()
    session.succeed("A")

    assert critical_path(session.state) == []
