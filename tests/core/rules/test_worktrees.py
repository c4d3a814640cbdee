"""Tickets that work in worktrees: their work is committed, tried, looked at by gates, and merged."""

from collections import Counter
from typing import Any

import pytest
from msgspec import structs

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.rules.attention import Subject, needs, relieved
from parexec_tui.core.rules.conflicts import decided_conflict, is_decided
from parexec_tui.core.rules.verbs.approve import approve_all
from parexec_tui.core.rules.verbs.undo import history
from parexec_tui.core.schedule.bottlenecks import bottlenecks
from parexec_tui.core.schedule.forecast import comes_to_an_end
from parexec_tui.core.schedule.roots import root_of
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.isolation import conflict_of
from parexec_tui.core.state.status import End, Flag, Status
from parexec_tui.core.state.steps import step_text, time_left
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.protocol import Question, Roots
from parexec_tui.core.wire.selectors import select
from parexec_tui.text.banner import pieces
from parexec_tui.text.bottlenecks import bottleneck_lines
from parexec_tui.text.dashboard import dashboard
from parexec_tui.text.event_lines import lines, lines_alone
from parexec_tui.text.questions import answer
from parexec_tui.text.reasons import why_report
from parexec_tui.text.roots import command_of, root_text
from parexec_tui.text.status_facts import status_report
from parexec_tui.text.waits import why_lines
from parexec_tui.tui.view.facts import reason_of
from tests.core.sessions import Session, plan, replay
from tests.core.sessions import dump as dumped

WORK = rq.Work("base", "mine", "theirs", "both")
CONFLICT = rq.Conflict("base", "mine", "theirs", ("src/a.py",), 1, ("A",))


def session(text: str = "A:\nT: gates=lint,test\nD: T", **of_type: object) -> Session:
    agents = {"agent": AgentType(isolation="worktree", **of_type)}  # type: ignore[arg-type]
    begun = Session(plan(text, agents=agents))
    begun.dispatch()
    return begun


def at(begun: Session, id_: str) -> str:
    return begun[id_].live_attempt.step


def made(begun: Session, id_: str) -> None:
    attempt = begun[id_].attempts
    begun.tell(rq.WorktreeMade(id_, attempt, f"/state/{id_}", "base"))


def tried(begun: Session, id_: str, work: rq.Work | None = WORK, **more: object) -> list[ev.AnyEvent]:
    """The commit or the merge of a ticket came to this."""
    attempt = begun[id_].attempts
    return begun.tell(rq.WorkTried(id_, attempt, work, step=at(begun, id_), **more))  # type: ignore[arg-type]


def committed(begun: Session, id_: str) -> None:
    made(begun, id_)
    begun.succeed(id_)
    assert at(begun, id_) == "commit"
    tried(begun, id_)


def test_the_time_of_a_command_begins_once_its_worktree_is_made() -> None:
    begun = session("T: timeout=5s")
    begun.wait(100.0)
    assert time_left(begun.state, begun["T"], begun.now) is None
    made(begun, "T")
    begun.wait(2.0)
    assert time_left(begun.state, begun["T"], begun.now) == 3.0
    begun.fail("T")
    begun.act(rq.Retry(tickets=("T",)))
    begun.dispatch()
    assert time_left(begun.state, begun["T"], begun.now) is None, "the next attempt has another worktree"


def test_it_is_committed_looked_at_by_its_gates_and_merged_before_it_has_succeeded() -> None:
    begun = session()
    committed(begun, "T")
    assert (begun.status("T"), at(begun, "T")) == ("validating", "gate-1")
    begun.succeed("T")
    assert at(begun, "T") == "gate-2"
    begun.succeed("T")
    assert at(begun, "T") == "merge"
    assert begun["D"].missing == 1
    events = tried(begun, "T")
    assert isinstance(events[0], ev.WorkMerged)
    assert begun.status("T") == "succeeded"
    assert begun.state.worktrees["T"].landed == events[0]
    assert dumped(replay(begun.plan, begun.journal)) == dumped(begun.state)


def test_what_finds_no_room_fails_nothing_waits_and_says_so_until_there_is_some() -> None:
    begun = session("T: retries=1")
    made(begun, "T")
    begun.succeed("T")
    assert tried(begun, "T", None, lacks="waits for room in /r") != []
    assert tried(begun, "T", None, lacks="waits for room in /r") == [], "it is told once"
    assert (begun.status("T"), begun.why("T")) == ("validating", ["validating on agent-1: waits for room in /r"])
    [need] = needs(begun.state)
    assert need.reason == "waits for room in /r"
    assert dumped(replay(begun.plan, begun.journal)) == dumped(begun.state)
    tried(begun, "T")
    assert (at(begun, "T"), begun["T"].live_attempt.lacks, list(needs(begun.state))) == ("merge", "", [])
    tried(begun, "T", None, lacks="waits for room in /s")
    begun.act(rq.Cancel(tickets=("T",)))
    begun.lost("T", began=False)
    assert (begun.status("T"), begun["T"].charged) == ("cancelled", 0)
    assert dumped(replay(begun.plan, begun.journal)) == dumped(begun.state)


def test_while_a_ticket_waits_for_room_why_and_bottlenecks_say_so_and_no_end_is_promised() -> None:
    begun = session("T: estimate=10s\nD: T estimate=5s")
    made(begun, "T")
    assert comes_to_an_end(begun.state)
    begun.succeed("T")
    lacks = "waits for room: what it did (5MiB) does not fit in /r; make room there, or parexec cancel T"
    tried(begun, "T", None, lacks=lacks)
    assert not comes_to_an_end(begun.state)
    found = list(bottleneck_lines(begun.state, *bottlenecks(begun.state, begun.now), ["T", "D"], begun.now))
    assert found[0] == f"T {lacks}; 1 waits for it"
    assert found[-1] == "as it is, no end can be told"
    assert not any(line.startswith("nothing that") for line in found)
    reasons, roots = (answer(begun.state, Question(id=1, about=about), begun.now) for about in ("why", "roots"))
    assert isinstance(reasons, dict)
    assert isinstance(roots, Roots)
    assert list(why_lines(reasons, roots, begun.now, "")) == [
        f"T {lacks}; 1 waits for it",
        "  T",
        "  D  needs T (validating)",
    ]
    tried(begun, "T")
    assert comes_to_an_end(begun.state)


def test_why_of_the_whole_session_tells_of_a_conflict_ahead() -> None:
    begun = session("A:\nB:")
    begun.dispatch()
    begun.apply(ev.ConflictForeseen(at=begun.now, ticket="A", other="B", files=("f",), count=1))
    reasons = answer(begun.state, Question(id=1, about="why"), begun.now)
    assert isinstance(reasons, dict)
    assert [found[-1] for found in reasons.values()] == ["conflict ahead with B in f", "conflict ahead with A in f"]


def test_gates_are_run_again_under_new_names_when_others_merged_first() -> None:
    begun = session()
    committed(begun, "T")
    begun.succeed("T")
    begun.succeed("T")
    tried(begun, "T", None)
    assert at(begun, "T") == "commit"
    tried(begun, "T")
    assert at(begun, "T") == "gate-1-2"
    begun.succeed("T")
    assert at(begun, "T") == "gate-2-2"
    begun.succeed("T")
    tried(begun, "T")
    assert begun.status("T") == "succeeded"


def test_a_failed_gate_fails_it_and_nothing_is_merged() -> None:
    begun = session()
    committed(begun, "T")
    begun.fail("T")
    assert begun.status("T") == "failed"
    assert begun.state.worktrees["T"].landed is None


def test_a_conflict_lets_it_run_again_without_a_charge_and_tells_it_why() -> None:
    begun = session()
    made(begun, "T")
    begun.succeed("T")
    tried(begun, "T", None, conflict=CONFLICT)
    ticket = begun["T"]
    assert (ticket.status, ticket.end, ticket.charged) == (Status.waiting, End.stopped, 0)
    assert ticket.reason == "conflicts with A in src/a.py"
    assert ticket.note.startswith("conflicts with A in src/a.py. This attempt begins at what is merged by now")
    begun.dispatch()
    assert ticket.attempts == 2


def test_a_conflict_may_wait_for_a_person_who_sends_it_back_or_decides() -> None:
    begun = session(on_conflict="hold")
    made(begun, "T")
    begun.succeed("T")
    tried(begun, "T", None, conflict=CONFLICT)
    assert begun["T"].shown_status == "conflict"
    assert [need.reason for need in needs(begun.state)] == [
        "conflicts with A in src/a.py; you decide: parexec merge T"
    ]
    refused = begun.ask(rq.Approve(tickets=("T",)))
    assert isinstance(refused, rq.Refusal)
    assert "conflicts with A in src/a.py" in refused.reason
    begun.ask(rq.Reject(tickets=("T",), note="mind A"))
    assert (begun.status("T"), begun["T"].note) == ("waiting", "mind A")


@pytest.mark.parametrize(("mine", "wins"), [("high", True), ("medium", False), ("low", False)])
def test_the_higher_class_wins_a_conflict(mine: str, wins: bool) -> None:
    begun = session(f"A:\nT: priority={mine}", on_conflict="priority")
    made(begun, "T")
    begun.succeed("T")
    tried(begun, "T", None, conflict=CONFLICT)
    if not wins:
        assert begun.status("T") == "waiting"
        return
    assert (at(begun, "T"), begun["T"].live_attempt.side) == ("commit", "theirs")
    tried(begun, "T")
    tried(begun, "T")
    assert begun.status("T") == "succeeded"


@pytest.mark.parametrize("its_class", ["high", "critical", "low"])
def test_what_won_once_wins_over_nobody_else_without_being_compared(its_class: str) -> None:
    begun = session(f"A: priority=low\nT: priority=high\nB: priority={its_class}", on_conflict="priority")
    made(begun, "T")
    begun.succeed("T")
    tried(begun, "T", None, conflict=CONFLICT)
    decided = decided_conflict(begun.state, begun["T"])
    assert decided is not None
    assert (decided.tickets, decided.files) == (CONFLICT.tickets, CONFLICT.files)
    other = structs.replace(CONFLICT, tickets=("A", "B"))
    assert not is_decided(other, decided)
    tried(begun, "T", None, conflict=other)
    assert begun.status("T") == ("validating" if its_class == "low" else "waiting")
    assert dumped(replay(begun.plan, begun.journal)) == dumped(begun.state)


def test_nothing_wins_against_what_nobody_knows() -> None:
    begun = session("A:\nT: priority=high", on_conflict="priority")
    made(begun, "T")
    begun.succeed("T")
    tried(begun, "T", None, conflict=rq.Conflict("base", "mine", "theirs", ("f",), 1))
    assert begun.status("T") == "waiting"
    assert begun["T"].reason == "conflicts with parexec/s1/@merged in f".replace("s1", begun.state.session)


def test_it_is_merged_once_it_is_approved() -> None:
    begun = session("A:\nT: approve=after\nD: T")
    committed(begun, "T")
    assert begun.status("T") == "approval"
    begun.ask(rq.Approve(tickets=("T",)))
    assert (begun.status("T"), at(begun, "T")) == ("validating", "merge")
    tried(begun, "T", None)
    tried(begun, "T")
    assert at(begun, "T") == "merge", "nobody has to approve of it twice"
    tried(begun, "T")
    assert begun.status("T") == "succeeded"
    assert dumped(replay(begun.plan, begun.journal)) == dumped(begun.state)


def test_it_took_what_it_worked_and_not_how_long_a_person_thought_it_over() -> None:
    begun = session("A:\nT: approve=after")
    begun.now += 40
    committed(begun, "T")
    took = begun["T"].worked(begun.now)
    begun.now += 3600
    begun.ask(rq.Approve(tickets=("T",)))
    assert took >= 40
    assert begun["T"].worked(begun.now) == took
    assert begun["T"].live_attempt.step_worked(begun.now) == 0
    tried(begun, "T", None)
    tried(begun, "T")
    begun.now += 2
    tried(begun, "T")
    assert begun["T"].worked(begun.now) == took + 2
    assert next(event for event in reversed(begun.journal) if isinstance(event, ev.AttemptEnded)).seconds == took + 2


def test_what_cannot_be_merged_has_failed() -> None:
    begun = session("A:\nT:")
    committed(begun, "T")
    tried(begun, "T", None, problem="main is checked out in /repo")
    assert begun.status("T") == "failed"
    assert begun["T"].reason == "main is checked out in /repo"


def test_a_merge_that_is_done_cannot_be_cancelled_and_any_other_step_can() -> None:
    begun = session("A:\nT:\nU:")
    for id_ in ("T", "U"):
        committed(begun, id_)
        begun.ask(rq.Cancel(tickets=(id_,)))
        assert begun.status(id_) == "stopping"
    tried(begun, "T")
    tried(begun, "U", None)
    assert (begun.status("T"), begun.status("U")) == ("succeeded", "cancelled")
    assert begun.state.worktrees["T"].landed is not None


def test_a_stop_waits_for_a_merge_and_for_nothing_else() -> None:
    begun = session("A:\nT:\nU:")
    committed(begun, "T")
    made(begun, "U")
    begun.succeed("U")
    begun.ask(rq.Stop())
    assert (begun.status("T"), begun.status("U")) == ("validating", "stopping")
    tried(begun, "T")
    tried(begun, "U")
    assert (begun.status("T"), begun.status("U")) == ("succeeded", "waiting")


def test_of_what_is_not_merged_the_oldest_goes_when_it_takes_too_much_room() -> None:
    agents = {"agent": AgentType(isolation="worktree")}
    begun = Session(plan("A:\nB:\nC:", agents=agents, keep_worktrees=100))
    begun.dispatch()
    for id_ in ("A", "B", "C"):
        made(begun, id_)
        begun.fail(id_)
    dropped: list[str] = []
    for id_ in ("A", "B", "C"):
        events = begun.tell(rq.WorktreeSized(id_, 1, 45))
        dropped += (event.ticket for event in events if isinstance(event, ev.WorktreeDropped))
    assert dropped == ["A"]
    assert begun.state.worktrees_size == 90


def test_what_no_commit_can_stand_for_stays_whatever_room_it_takes() -> None:
    begun = Session(plan("A:\nB:", agents={"agent": AgentType(isolation="worktree")}, keep_worktrees=100))
    begun.dispatch()
    for id_ in ("A", "B"):
        made(begun, id_)
        begun.fail(id_)
    [kept] = begun.tell(rq.WorktreeSized("A", 1, 145, stays="sub is a git repository of its own"))
    assert [line.text for line in lines(begun.state, kept)] == [
        "its worktree, whatever room it takes: sub is a git repository of its own"
    ]
    events = begun.tell(rq.WorktreeSized("B", 1, 45))
    assert [event.ticket for event in events if isinstance(event, ev.WorktreeDropped)] == ["B"]


def test_where_an_agent_is_to_go_on_stays_until_its_ticket_is_over() -> None:
    coder = AgentType(kind="codex", permissions="edit", isolation="worktree")
    begun = Session(plan("A: prompt=x retries=0\nB: prompt=x retries=0", agents={"coder": coder}, keep_worktrees=100))
    begun.dispatch()
    for id_ in ("A", "B"):
        made(begun, id_)
        said = rq.Said("limited" if id_ == "A" else "failed", session=f"c-{id_}", until=begun.now + 60)
        begun.tell(rq.ProcessEnded(id_, 1, code=1, said=said))
    begun.tell(rq.WorktreeSized("A", 1, 145))
    events = begun.tell(rq.WorktreeSized("B", 1, 45))
    assert [event.ticket for event in events if isinstance(event, ev.WorktreeDropped)] == ["B"]


def test_a_worktree_that_is_put_aside_for_a_retry_is_told() -> None:
    begun = session("T:")
    [told] = begun.tell(rq.WorktreeMade("T", 1, "/w/T", "c0", aside="/w/T.left-0", why_aside="lib has changes"))
    assert [(line.word, line.text) for line in lines(begun.state, told)] == [
        ("kept", "its worktree of the attempt before, now /w/T.left-0: lib has changes")
    ]


def test_in_a_plan_without_worktrees_nothing_of_all_that_happens() -> None:
    begun = Session("T: gates=lint")
    begun.dispatch()
    begun.succeed("T")
    assert at(begun, "T") == "gate-1"
    begun.succeed("T")
    assert begun.status("T") == "succeeded"
    assert not begun.state.has_worktrees


def in_conflict(text: str = "A:\nT: gates=lint\nD: T") -> Session:
    begun = session(text, on_conflict="hold")
    made(begun, "T")
    begun.succeed("T")
    tried(begun, "T", None, conflict=CONFLICT)
    return begun


@pytest.mark.parametrize("side", ["ours", "theirs"])
def test_a_person_says_which_side_wins_and_its_gates_look_before_it_is_merged(side: str) -> None:
    begun = in_conflict()
    started = begun.ask(rq.Merge(tickets=("T",), side=side))  # type: ignore[arg-type]
    assert not isinstance(started, rq.Refusal)
    assert list(relieved(started[-1])) == [Subject("ticket", "T")]
    assert (begun.status("T"), at(begun, "T"), begun["T"].live_attempt.side) == ("validating", "commit", side)
    tried(begun, "T")
    assert at(begun, "T") == "gate-1"
    begun.succeed("T")
    tried(begun, "T")
    assert begun.status("T") == "succeeded"
    assert dumped(replay(begun.plan, begun.journal)) == dumped(begun.state)


def test_a_command_resolves_a_conflict_and_if_it_fails_a_person_decides_again() -> None:
    begun = in_conflict()
    begun.ask(rq.Merge(tickets=("T",), run="false"))
    assert at(begun, "T") == "resolve"
    begun.lost("T", began=False)
    assert at(begun, "T") == "resolve-2", "an engine died before it could begin"
    [left] = begun.tell(rq.WorktreeMade("T", 1, "/w/T", "c0", "/w/T.left", "x is a repository", step="resolve-2"))
    assert [(line.word, line.text) for line in lines(begun.state, left)] == [
        ("kept", "what the command before left, now /w/T.left: x is a repository")
    ]
    begun.fail("T")
    assert (begun.status("T"), begun["T"].reason) == (
        "conflict",
        "`false`: exit 1; conflicts with A in src/a.py",
    )
    begun.ask(rq.Merge(tickets=("T",), run="true"))
    assert at(begun, "T") == "resolve-3"
    begun.succeed("T")
    assert (at(begun, "T"), begun["T"].live_attempt.side) == ("commit", "by")
    tried(begun, "T")
    begun.succeed("T")
    tried(begun, "T")
    assert begun.status("T") == "succeeded"
    assert dumped(replay(begun.plan, begun.journal)) == dumped(begun.state)


def test_a_conflict_is_no_approval_wherever_people_see_it() -> None:
    begun = in_conflict("A:\nT:\nD: T\nU: approve=after")
    committed(begun, "U")
    state, said = begun.state, "conflicts with A in src/a.py"
    assert begun.why("T") == [said]
    assert (select(state, ["status:conflict"]), select(state, ["status:approval"])) == (["T"], ["U"])
    counts = state.shown_counts()
    assert (counts[Flag.conflict], counts[Status.approval]) == (1, 1)
    assert counts == {**counts, **Counter(ticket.shown_status for ticket in state.tickets.values())}
    command = "parexec merge T --ours|--theirs|--by CMD"
    found = root_of(state, begun["D"])
    assert found is not None
    assert (root_text(found, None), command_of(found)) == (f"T {said}; you decide", command)
    (ended,) = (event for event in begun.journal if isinstance(event, ev.AttemptEnded) and event.ticket == "T")
    assert [line.text for line in lines(state, ended)] == [f"{said}; you decide: {command}"]
    assert not any(list(lines(state, event)) for event in begun.journal if isinstance(event, ev.WorkConflicted))
    assert [piece.text for piece in pieces(state)][:2] == [
        f"T {said}; you decide; 1 waits for it",
        "U has run, and waits for your approval",
    ]
    shown = "\n".join(dashboard(status_report(state, now=begun.now), now=begun.now, me="", whole=True))
    assert f"waits    T {said}; you decide" in shown
    assert "1 conflict" in shown


@pytest.mark.parametrize("side", ["ours", "theirs"])
def test_another_conflict_than_the_one_that_was_decided_is_asked_again(side: str) -> None:
    begun = in_conflict()
    begun.ask(rq.Merge(tickets=("T",), side=side))  # type: ignore[arg-type]
    tried(begun, "T", None, conflict=structs.replace(CONFLICT, files=("src/a.py", "b"), count=2, tickets=("A", "B")))
    assert begun["T"].is_in_conflict
    assert begun["T"].reason == (
        "conflicts with A and B in src/a.py and b; others merged since the conflict was looked at, "
        "so you are asked again"
    )
    assert conflict_of(begun.state, begun["T"]).count == 2  # type: ignore[union-attr]
    assert dumped(replay(begun.plan, begun.journal)) == dumped(begun.state)


@pytest.mark.parametrize(
    ("found", "holds"),
    [
        ({"tickets": ("A", "D")}, True),
        ({"tickets": ("D",)}, True),
        ({"tickets": ("A", "E")}, False),
        ({"files": ("b",), "tickets": ("D",)}, False),
        ({"files": tuple("abcd"), "count": 41, "tickets": ("D",)}, False),
    ],
)
def test_a_decision_holds_for_what_others_merged_that_were_decided_by_the_same_request(
    found: dict[str, Any], holds: bool
) -> None:
    begun = session("A:\nT:\nD:\nE:", on_conflict="hold")
    for id_ in ("T", "D"):
        made(begun, id_)
        begun.succeed(id_)
        tried(begun, id_, None, conflict=CONFLICT)
    begun.ask(rq.Merge(tickets=("T", "D"), run="sort"))
    begun.succeed("T")
    tried(begun, "T")
    conflict = structs.replace(CONFLICT, onto="newer", **found)
    tried(begun, "T", None, conflict=conflict)
    decided = decided_conflict(begun.state, begun["T"])
    assert decided is not None
    assert is_decided(conflict, decided) is holds
    if holds:
        assert (at(begun, "T"), begun.state.worktrees["T"].conflict.onto) == ("resolve-2", "newer")  # type: ignore[union-attr]
    else:
        assert begun.status("T") == "conflict"
    assert dumped(replay(begun.plan, begun.journal)) == dumped(begun.state)


def test_a_conflict_that_waits_is_the_one_that_it_is_by_now() -> None:
    begun = in_conflict()
    newer = structs.replace(CONFLICT, onto="newer", files=("src/a.py", "b"), count=2, tickets=("A", "B"))
    assert begun.tell(rq.ConflictSeen("T", 1)) == []
    (event,) = begun.tell(rq.ConflictSeen("T", 1, newer))
    said = "conflicts with A and B in src/a.py and b"
    assert [line.text for line in lines(begun.state, event)] == [f"it {said} by now; you decide"]
    assert (begun["T"].reason, begun.why("T")) == (said, [said])
    refused = begun.ask(rq.Merge(tickets=("T",), side="ours", onto=CONFLICT.onto))
    assert isinstance(refused, rq.Refusal)
    assert refused.reason == f"since you looked, T {said}"
    assert not isinstance(begun.ask(rq.Merge(tickets=("T",), side="ours", onto="newer")), rq.Refusal)
    assert begun.tell(rq.ConflictSeen("T", 1, newer)) == [], "it is decided"
    decided = decided_conflict(begun.state, begun["T"])
    assert decided is not None
    assert is_decided(newer, decided)
    assert dumped(replay(begun.plan, begun.journal)) == dumped(begun.state)


def test_a_conflict_that_is_gone_is_merged_and_may_be_one_again() -> None:
    begun = in_conflict()
    (event,) = begun.tell(rq.ConflictSeen("T", 1, is_gone=True))
    assert [line.text for line in lines(begun.state, event)] == ["its conflict is gone, as its target has moved"]
    assert (begun.status("T"), at(begun, "T")) == ("validating", "commit")
    tried(begun, "T", None, conflict=CONFLICT)
    assert (begun.status("T"), begun["T"].reason) == ("conflict", "conflicts with A in src/a.py")
    begun.tell(rq.ConflictSeen("T", 1, is_gone=True))
    tried(begun, "T", None, problem="the disk is sick")
    assert begun.status("T") == "conflict", "that is no failure of the ticket"
    begun.ask(rq.Drain())
    assert begun.tell(rq.ConflictSeen("T", 1, is_gone=True)) == [], "nothing new begins"
    begun.ask(rq.Release())
    begun.tell(rq.ConflictSeen("T", 1, is_gone=True))
    tried(begun, "T")
    assert at(begun, "T") == "gate-1"
    assert begun.tell(rq.ConflictSeen("T", 1, is_gone=True)) == []
    assert dumped(replay(begun.plan, begun.journal)) == dumped(begun.state)


def test_of_many_files_in_conflict_it_is_said_once_how_many_more() -> None:
    begun = session(on_conflict="hold")
    made(begun, "T")
    begun.succeed("T")
    files = tuple(f"f{number}" for number in range(20))
    tried(begun, "T", None, conflict=structs.replace(CONFLICT, files=files, count=41))
    assert begun["T"].reason == "conflicts with A in f0, f1, f2, f3, f4 and 36 more"


def test_a_command_that_leaves_a_conflict_is_no_failure_of_the_ticket() -> None:
    begun = in_conflict("A:\nT: retries=1\nD: T")
    begun.ask(rq.Merge(tickets=("T",), run="true"))
    begun.succeed("T")
    tried(begun, "T", None, problem="there still is a conflict in src/a.py")
    assert begun["T"].is_in_conflict
    assert begun["T"].reason == "`true`: there still is a conflict in src/a.py; conflicts with A in src/a.py"
    assert begun.status("D") == "waiting"
    begun.ask(rq.Merge(tickets=("T",), side="ours"))
    tried(begun, "T", None, problem="git: no room")
    assert begun["T"].reason == "git: no room; conflicts with A in src/a.py"
    assert dumped(replay(begun.plan, begun.journal)) == dumped(begun.state)


def test_a_stop_while_a_command_resolves_a_conflict_leaves_it_to_be_decided() -> None:
    begun = in_conflict()
    begun.ask(rq.Merge(tickets=("T",), run="sleep 9"))
    begun.ask(rq.Stop())
    assert begun.status("T") == "stopping"
    begun.tell(rq.ProcessEnded("T", 1, signal=15, step="resolve"))
    assert begun["T"].is_in_conflict
    assert begun["T"].reason == "`sleep 9`: it was stopped; conflicts with A in src/a.py"
    assert dumped(replay(begun.plan, begun.journal)) == dumped(begun.state)


@pytest.mark.parametrize("decision", [{"side": "theirs"}, {"run": "true"}])
def test_it_is_approved_of_after_its_conflict_is_decided(decision: dict[str, str]) -> None:
    begun = in_conflict("A:\nT: approve=after\nD: T")
    begun.ask(rq.Merge(tickets=("T",), **decision))  # type: ignore[arg-type]
    if "run" in decision:
        begun.succeed("T")
    tried(begun, "T")
    assert (begun.status("T"), begun["T"].shown_status) == ("approval", "approval")
    begun.ask(rq.Approve(tickets=("T",)))
    assert (at(begun, "T"), begun["T"].live_attempt.side) == ("merge", decision.get("side", "by"))
    tried(begun, "T")
    assert begun.status("T") == "succeeded"
    assert dumped(replay(begun.plan, begun.journal)) == dumped(begun.state)


def test_a_decision_that_no_engine_has_begun_can_be_changed() -> None:
    begun = in_conflict()
    begun.apply(ev.EngineLeft(at=begun.now, reason="approval"))
    for request, status in (
        (rq.Merge(tickets=("T",), run="true"), "validating"),
        (rq.Merge(tickets=("T",), side="ours"), "validating"),
        (rq.Merge(tickets=("T",), side="theirs"), "validating"),
        (rq.Reject(tickets=("T",), note="mind A"), "waiting"),
    ):
        begun.now += 5
        assert not isinstance(begun.ask(request), rq.Refusal)
        assert begun.status("T") == status
    assert begun["T"].worked(begun.now) == 0, "the time that a person thinks is not its own"
    assert dumped(replay(begun.plan, begun.journal)) == dumped(begun.state)


def test_a_decision_that_no_engine_has_begun_can_be_undone() -> None:
    begun = in_conflict()
    begun.apply(ev.EngineLeft(at=begun.now, reason="approval"))
    reason = begun["T"].reason
    for request in (rq.Merge(tickets=("T",), side="ours"), rq.Merge(tickets=("T",), run="true")):
        begun.now += 5
        begun.act(request)
        undone = begun.act(rq.Undo())
        assert not isinstance(undone, rq.Refusal)
        assert (begun.status("T"), begun["T"].reason, begun["T"].worked(begun.now)) == ("conflict", reason, 0)
    begun.act(rq.Merge(tickets=("T",), side="ours"))
    begun.apply(ev.MonitoringStarted(at=begun.now, pid=1, boot="b", version="1"))
    tried(begun, "T")
    begun.succeed("T")
    assert at(begun, "T") == "merge"
    late = begun.act(rq.Undo())
    assert isinstance(late, rq.Refusal)
    assert "T is validating by now" in late.reason
    assert dumped(replay(begun.plan, begun.journal)) == dumped(begun.state)


def killed(begun: Session) -> None:
    """Its engine is, as a command sees it that finds none."""
    begun.checks = False  # no event says so
    begun.state.note_engine_lost(begun.state.without_engine())


def test_an_approval_without_an_engine_can_be_undone_until_one_merges() -> None:
    begun = session("A:\nT: approve=after")
    made(begun, "T")
    begun.succeed("T")
    tried(begun, "T")
    assert begun.status("T") == "approval"
    killed(begun)
    begun.now += 5
    begun.act(rq.Approve(tickets=("T",)))
    assert begun.status("T") == "validating"
    assert [why for _, why in history(begun.state, begun.now)] == [""]
    assert not isinstance(begun.act(rq.Undo()), rq.Refusal)
    assert (begun.status("T"), conflict_of(begun.state, begun["T"])) == ("approval", None)
    begun.act(rq.Approve(tickets=("T",)))
    begun.state.note_engine_lost(None)
    begun.apply(ev.MonitoringStarted(at=begun.now, pid=1, boot="b", version="1"))
    late = begun.act(rq.Undo())
    assert isinstance(late, rq.Refusal)
    assert late.reason.endswith("T is validating by now")
    assert dumped(replay(begun.plan, begun.journal)) == dumped(begun.state)


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_a_decision_can_be_undone_while_its_gates_run_until_the_merge_begins(steps: int) -> None:
    """Of a wrong decision, `undo` said that it was merged, minutes before it was."""
    begun = in_conflict("A:\nT: gates=lint,test")
    reason = begun["T"].reason
    begun.now += 5
    begun.act(rq.Merge(tickets=("T",), side="theirs", by="p"))
    if steps:
        tried(begun, "T")
        for _ in range(steps - 1):
            begun.succeed("T")
    assert at(begun, "T") == ("commit", "gate-1", "gate-2")[steps]
    assert next(why for _, why in history(begun.state, begun.now)) == ""
    undone = begun.act(rq.Undo(by="p"))
    assert not isinstance(undone, rq.Refusal)
    assert begun.status("T") == "stopping"
    assert isinstance(begun.act(rq.Undo()), rq.Refusal), "once is enough"
    if steps:
        begun.killed("T")
    else:
        tried(begun, "T")
    assert (begun.status("T"), begun["T"].reason, begun["T"].charged) == ("conflict", reason, 0)
    found = conflict_of(begun.state, begun["T"])
    assert found is not None
    assert found.commit == CONFLICT.commit
    assert begun.state.worktrees["T"].merged == ""
    assert dumped(replay(begun.plan, begun.journal)) == dumped(begun.state)
    begun.act(rq.Merge(tickets=("T",), side="ours"))
    tried(begun, "T")
    begun.succeed("T")
    begun.succeed("T")
    assert at(begun, "T") == "merge"
    late = begun.act(rq.Undo())
    assert isinstance(late, rq.Refusal)
    assert "T is validating by now" in late.reason
    tried(begun, "T")
    assert begun.status("T") == "succeeded"
    assert dumped(replay(begun.plan, begun.journal)) == dumped(begun.state)


def test_a_decision_can_be_changed_and_undone_after_an_engine_was_killed() -> None:
    begun = in_conflict()
    killed(begun)
    for side in ("ours", "theirs"):
        begun.now += 5
        assert not isinstance(begun.act(rq.Merge(tickets=("T",), side=side)), rq.Refusal)
    report = status_report(begun.state, begun.now)
    assert (report.counts["validating"], report.decided) == (1, 1)
    assert any("1 decided (waiting for resume)" in line for line in dashboard(report))
    assert step_text(begun.state, begun["T"]) == "decided: parexec resume does it"
    replaced = "that is no longer in force: it was decided otherwise since"
    assert [why for _, why in history(begun.state, begun.now)] == ["", replaced]
    undone = begun.act(rq.Undo())
    assert not isinstance(undone, rq.Refusal)
    assert [(line.word, line.subject, line.text) for event in undone for line in lines_alone(event)][1:] == [
        ("restored", "T", "waits for your decision again")
    ]
    assert begun.status("T") == "conflict"
    over = "that is no longer in force: T is in conflict by now"
    assert [why for _, why in history(begun.state, begun.now)] == [over]
    begun.act(rq.Merge(tickets=("T",), side="ours"))
    begun.state.note_engine_lost(None)
    begun.apply(ev.MonitoringStarted(at=begun.now, pid=1, boot="b", version="1"))
    assert status_report(begun.state, begun.now).decided == 0
    tried(begun, "T")
    begun.succeed("T")
    assert isinstance(begun.act(rq.Undo()), rq.Refusal)
    assert dumped(replay(begun.plan, begun.journal)) == dumped(begun.state)


def test_what_is_decided_without_an_engine_has_not_worked_until_there_is_one() -> None:
    begun = in_conflict("T:")
    begun.apply(ev.EngineLeft(at=begun.now, reason="waits for a decision"))
    begun.now += 5
    begun.act(rq.Merge(tickets=("T",), side="ours"))
    begun.now += 3600
    begun.apply(ev.MonitoringStarted(at=begun.now, pid=1, boot="b", version="1"))
    begun.now += 2
    tried(begun, "T")
    tried(begun, "T")
    assert begun.status("T") == "succeeded"
    assert begun["T"].worked(begun.now) == 2
    assert dumped(replay(begun.plan, begun.journal)) == dumped(begun.state)


def test_what_an_engine_had_begun_when_it_was_killed_is_not_decided_otherwise() -> None:
    begun = in_conflict()
    begun.act(rq.Merge(tickets=("T",), side="ours"))
    killed(begun)
    assert isinstance(begun.act(rq.Undo()), rq.Refusal)
    assert isinstance(begun.act(rq.Merge(tickets=("T",), side="theirs")), rq.Refusal)
    assert status_report(begun.state, begun.now).decided == 0


def test_a_conflict_whose_ticket_was_cancelled_is_one_again_when_that_is_undone() -> None:
    begun = in_conflict()
    begun.act(rq.Cancel(tickets=("T",)))
    undone = begun.act(rq.Undo())
    assert not isinstance(undone, rq.Refusal)
    assert begun.status("T") == "conflict"
    assert [line.text for event in undone for line in lines_alone(event, "a")][-1].startswith("conflict again")


def test_a_decision_that_no_engine_has_begun_can_be_cancelled_with_the_ticket_and_one_that_runs_is_not_changed() -> (
    None
):
    begun = in_conflict()
    begun.apply(ev.EngineLeft(at=begun.now, reason="approval"))
    begun.now += 5
    begun.ask(rq.Merge(tickets=("T",), side="ours"))
    begun.ask(rq.Cancel(tickets=("T",)))
    assert begun.status("T") == "cancelled"
    running = in_conflict()
    running.ask(rq.Merge(tickets=("T",), side="ours"))
    assert isinstance(running.ask(rq.Merge(tickets=("T",), side="theirs")), rq.Refusal)
    assert isinstance(running.ask(rq.Reject(tickets=("T",))), rq.Refusal)


def test_what_is_decided_without_an_engine_waits_for_one_and_no_more_for_a_decision() -> None:
    begun = in_conflict()
    begun.apply(ev.EngineLeft(at=begun.now, reason="waits for a decision"))
    begun.ask(rq.Merge(tickets=("T",), side="ours"))
    found = root_of(begun.state, begun["T"])
    assert found is not None
    assert (found.kind, found.reason) == ("engine", "")
    assert step_text(begun.state, begun["T"]) == "decided: parexec resume does it"


def test_what_has_no_conflict_cannot_be_decided_on() -> None:
    begun = session("A:\nT: approve=after")
    committed(begun, "T")
    for request, reason in (
        (rq.Merge(tickets=("T",), side="ours"), "T has no conflict, it waits for approval"),
        (rq.Merge(tickets=("A",), side="ours"), "A is running, no conflict of it waits for you"),
        (rq.Merge(tickets=("T",)), "say what is to be done about the conflict"),
        (rq.Merge(tickets=("T",), side="ours", run="true"), "say what is to be done about the conflict"),
    ):
        refused = begun.ask(request)
        assert isinstance(refused, rq.Refusal)
        assert refused.reason == reason


def test_what_conflicts_is_not_approved_with_all_the_rest() -> None:
    begun = in_conflict("A:\nT:\nU: approve=after")
    committed(begun, "U")
    assert [event.ticket for event in approve_all(begun.state, "--yes", begun.now)] == ["U"]  # type: ignore[union-attr]


def test_coming_conflicts_are_said_where_people_look() -> None:
    begun = session("A:\nB:\nC:")
    for id_ in ("A", "B", "C"):
        made(begun, id_)
    begun.tell(rq.ConflictsForeseen(("A", "B"), (rq.Foreseen("A", "B", ("f", "g"), 3),)))
    state, said = begun.state, "conflict ahead with {} in f, g and 1 more file"
    told = [(line.word, line.text) for line in lines(state, begun.journal[-1])]
    assert told == [("ahead", "a conflict with B in f, g and 1 more file")], "not as one that is to be decided"
    assert why_report(state, ["A", "B"], begun.now) == {
        "A": ("running on agent-1", said.format("B")),
        "B": ("running on agent-2", said.format("A")),
    }
    assert f"A: {said.format('B')}" in [piece.text for piece in pieces(state)]
    shown = dashboard(status_report(state, now=begun.now), now=begun.now, me="", whole=True)
    assert f"ahead    A: {said.format('B')}" in shown
    assert reason_of(state, begun["B"], begun.now) == said.format("A")
    assert reason_of(state, begun["C"], begun.now) == ""


def test_what_will_conflict_is_told_once_and_no_more_when_it_will_not() -> None:
    begun = session("A:\nB:\nC:")
    for id_ in ("A", "B", "C"):
        made(begun, id_)
    foreseen = (rq.Foreseen("A", "B", ("f",), 1), rq.Foreseen("A", "C", ("g",), 1))
    report = rq.ConflictsForeseen(("A", "B", "C"), foreseen)
    assert [(event.ticket, event.other) for event in begun.tell(report)] == [("A", "B"), ("A", "C")]  # type: ignore[union-attr]
    assert begun.tell(report) == []
    (averted,) = begun.tell(rq.ConflictsForeseen(("A", "B", "C"), foreseen[1:]))
    assert isinstance(averted, ev.ConflictAverted)
    assert list(begun.state.foreseen) == [("A", "C")]
    begun.fail("C")
    assert begun.state.foreseen == {}
    assert begun.tell(report)[1:] == [], "one of them is over"
    assert dumped(replay(begun.plan, begun.journal)) == dumped(begun.state)


def test_what_its_target_has_lost_has_not_succeeded_until_it_is_merged_again() -> None:
    begun = session("A:\nB: A\nC: B")
    for step in ("commit", "merge"):
        if step == "commit":
            made(begun, "A")
            begun.succeed("A")
        tried(begun, "A")
    begun.dispatch()
    made(begun, "B")
    assert begun.status("A") == "succeeded"
    assert begun.tell(rq.MergesLost(("another",))) == []
    begun.tell(rq.MergesLost(("both", "another")))
    lost = begun.journal[-1]
    assert isinstance(lost, ev.WorkLost)
    assert begun.tell(rq.MergesLost(("both",))) == [], "it is said once"
    told = f"{lost.target} has lost what it merged as both"
    assert (begun["A"].status, begun["A"].reason, begun["B"].status) == (Status.approval, told, Status.running)
    assert [need.reason for need in needs(begun.state)] == [f"{told}; parexec approve A merges it again"]
    [line] = lines(begun.state, lost)
    assert (line.word, line.style) == ("lost", "warn")
    assert told in (reason_of(begun.state, begun["A"], 9.0) or "")
    root = root_of(begun.state, begun["A"])
    assert root is not None
    assert told in root_text(root, None)
    # What runs and needs it goes on, and waits if it cannot start.
    report = rq.ProcessEnded("B", 1, problem="lost", ticket_at_fault=True, lost=("both",), step="run")
    begun.tell(report)
    assert begun["B"].status is Status.failed, "nobody knows what is lost now"

    begun.act(rq.Approve(("A",)))
    assert at(begun, "A") == "merge"
    tried(begun, "A", None, problem="the branch is gone")
    assert (begun.status("A"), begun["A"].reason) == ("approval", f"the branch is gone; {told}"), "no failure of it"
    begun.act(rq.Approve(("A",)))
    tried(begun, "A", rq.Work("base", "mine", "theirs", "again"))
    assert begun.status("A") == "succeeded"
    assert dumped(replay(begun.plan, begun.journal)) == dumped(begun.state)


def test_what_needs_what_is_lost_waits_for_it_and_is_charged_nothing() -> None:
    begun = session("A:\nB: A")
    made(begun, "A")
    begun.succeed("A")
    tried(begun, "A")
    tried(begun, "A")
    begun.dispatch()
    begun.tell(rq.ProcessEnded("B", 1, problem="lost", ticket_at_fault=True, lost=("both",), step="run"))
    assert (begun["A"].status, begun["B"].status) == (Status.approval, Status.waiting)
    assert (begun["B"].missing, begun["B"].charged, begun.state.agents["agent-1"].strikes) == (1, 0, ())
    assert dumped(replay(begun.plan, begun.journal)) == dumped(begun.state)


def test_a_repository_that_would_be_lost_is_told_once() -> None:
    begun = session("A: gates=lint")
    made(begun, "A")
    begun.succeed("A")
    told = [event for event in tried(begun, "A", holds="/w/A/sub") if isinstance(event, ev.RepositoryLeft)]
    assert [line.word for event in told for line in lines(begun.state, event)] == ["kept"]
    begun.succeed("A")
    tried(begun, "A", None)
    assert at(begun, "A") == "commit", "others merged first"
    assert not any(isinstance(event, ev.RepositoryLeft) for event in tried(begun, "A", holds="/w/A/sub"))
    assert begun.state.worktrees["A"].holds == "/w/A/sub"
    assert dumped(replay(begun.plan, begun.journal)) == dumped(begun.state)
