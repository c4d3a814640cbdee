"""Which event may follow which, and what each changes. An event that may not follow changes nothing."""

import gc
import weakref
from collections.abc import Callable, Iterator
from typing import get_args

import pytest

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.ticket import Priority, Ticket
from parexec_tui.core.state import apply as state_room
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.apply import apply
from parexec_tui.core.state.attempts import FreezeCause
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import UNSUCCESSFUL, End, Flag, Status
from parexec_tui.core.state.transitions import FREEZABLE, TRANSITIONS, IllegalEventError
from parexec_tui.core.state.worktrees import WorktreeState
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.codec import decode_event, kind_of
from tests.core.sessions import OPENED_AT, Session, check, dump, plan

LEGAL = """
when_answered           waiting                 skipped
ticket_satisfied        waiting                 succeeded
attempt_started         waiting                 running
attempt_frozen          running validating rolling_back  frozen
attempt_thawed          frozen                  running
step_started            running validating stopping  validating
step_started            frozen                  frozen
step_started            stopping rolling_back   rolling_back
rollback_started        running validating stopping frozen  rolling_back
rollback_started        succeeded failed cancelled waived backoff approval  rolling_back
attempt_stop_requested  running frozen validating rolling_back  stopping
attempt_stop_requested  stopping                stopping
attempt_ended           running frozen validating  succeeded approval failed waiting backoff
attempt_ended           stopping                succeeded approval failed cancelled waiting backoff rolled_back
attempt_ended           rolling_back            failed cancelled waiting backoff rolled_back
merge_started           approval                validating
work_lost               succeeded               approval
backoff_ended           backoff                 waiting
ticket_cancelled        waiting backoff approval  cancelled
ticket_approved         waiting                 waiting
ticket_approved         approval                succeeded
ticket_rejected         waiting                 cancelled
ticket_rejected         approval                waiting
ticket_answered         approval                waiting
ticket_unrunnable       waiting                 failed
ticket_retried          failed cancelled succeeded waived rolled_back backoff approval skipped  waiting
ticket_waived           waiting backoff approval failed cancelled rolled_back skipped  waived
ticket_restored         succeeded               approval
ticket_restored         cancelled               waiting skipped approval
ticket_restored         waived                  waiting failed cancelled rolled_back skipped approval
ticket_restored         waiting                 waiting failed cancelled succeeded waived rolled_back approval skipped
"""
"""Event, from any of these, to any of these; columns stand two spaces apart. All else is illegal.

A step starts after a stop only if a gate took too long and is tried again, or to take back what the attempt did. A
ticket is satisfied only while it is asked whether it is done, and retried where it is skipped only if its own `when`
says no. A blank in a status is written `_` here.
"""


def worktree_made(ticket: str, attempt: int) -> ev.WorktreeMade:
    return ev.WorktreeMade(
        at=1.0, ticket=ticket, attempt=attempt, path="/w", branch="b", target="main", base="0" * 40
    )


CHAIN = "N:\nT: N  retries=1 retry_delay=1s timeout=60s\nD: T"


def legal() -> Iterator[tuple[str, str, str]]:
    for line in LEGAL.strip().splitlines():
        kind, from_, to = (column.split() for column in line.split("  ") if column)
        yield from ((kind[0], before.replace("_", " "), after.replace("_", " ")) for before in from_ for after in to)


def chain(status: str) -> Session:
    """N, then T, then D, with T in this status and an idle agent left over."""
    more = {
        "validating": " gates=true,true",
        "rolling back": " on_fail=rollback rollback=undo",
        "rolled back": " rollback=undo",
        "waiting": " approve=before if_done=out",
        "approval": " approve=after",
    }
    fields = f"60s{more.get(status, '')}"
    session = Session(plan(CHAIN.replace("60s", fields), agents={"agent": AgentType(min=2, max=2)}))
    session.dispatch()
    if status == "skipped":
        session.fail("N")
        return session
    session.succeed("N")
    if status == "waiting":
        session.apply(ev.QuestionAsked(at=session.now, ticket="T", step="if-done"))
    else:
        session.dispatch()
    if status == "frozen":
        session.ask(rq.Freeze(tickets=("T",)))
    elif status == "cancelled":
        session.ask(rq.Cancel(tickets=("T",)))
        session.killed("T")
    elif status == "stopping":
        session.time_out("T")
    elif status in ("validating", "approval", "succeeded", "rolled back"):
        session.succeed("T")
    elif status in ("backoff", "failed", "rolling back", "waived"):
        session.fail("T")
    if status == "waived":
        session.ask(rq.Waive(tickets=("T",)))
    if status == "rolled back":
        session.ask(rq.Rollback(tickets=("T",)))
        session.dispatch()
        session.succeed("T")
        session.dispatch()
    if status == "failed":
        session.back_off("T")
        session.dispatch()
        session.fail("T")
    assert session.status("T") == status
    return session


def unwanted() -> Session:
    """The same chain, with T that is not wanted by its own `when`."""
    session = Session(plan(CHAIN.replace("60s", "60s when=false"), agents={"agent": AgentType(min=2, max=2)}))
    session.dispatch()
    return session


def ended(ticket: str, attempt: int, then: Status, **more: object) -> ev.AttemptEnded:
    values = {"at": 2000.0, "ticket": ticket, "attempt": attempt, "agent": "agent-1", "started": 1000.0}
    values |= {"seconds": 0.0, "end": End.failed, "then": then}
    return ev.AttemptEnded(**(values | more))  # type: ignore[arg-type]


def moves(session: Session) -> list[tuple[str, ev.AnyEvent]]:
    """Every event that moves T, by where it moves it to; D follows along where it has to."""
    at, attempt = 2000.0, session["T"].attempts
    agent = next(iter(session.state.available["agent"]))
    waits = session.status("T") == "waiting"
    comes_back = ("D",) if session["D"].status is Status.skipped else ()

    def goes(then: Status) -> tuple[str, ...]:
        return ("D",) if then in UNSUCCESSFUL and session.status("D") == "waiting" else ()

    outcome = ended("T", attempt, Status.failed) if session["T"].is_live else None
    found: list[tuple[str, ev.AnyEvent]] = [
        ("skipped", ev.WhenAnswered(at=at, ticket="T", wanted=False, skipped=("D",))),
        ("succeeded", ev.TicketSatisfied(at=at, ticket="T", reason="already done")),
        ("running", ev.AttemptStarted(at=at, ticket="T", attempt=attempt + 1, agent=agent)),
        ("frozen", ev.AttemptFrozen(at=at, ticket="T", attempt=attempt)),
        ("running", ev.AttemptThawed(at=at, ticket="T", attempt=attempt)),
        (
            "frozen" if session["T"].is_frozen else "validating",
            ev.StepStarted(at=at, ticket="T", attempt=attempt, step="gate-2"),
        ),
        (
            "rolling back",
            ev.RollbackStarted(
                at=at, ticket="T", attempt=attempt, step="restore", outcome=outcome, restored=comes_back
            ),
        ),
        ("validating", ev.MergeStarted(at=at, ticket="T", attempt=attempt, step="merge")),
        ("approval", ev.WorkLost(at=at, ticket="T", attempt=attempt, commit="c", target="next")),
        ("stopping", ev.AttemptStopRequested(at=at, ticket="T", attempt=attempt, why="cancelled")),
        ("waiting", ev.BackoffEnded(at=at, ticket="T")),
        ("cancelled", ev.TicketCancelled(at=at, ticket="T", skipped=("D",))),
        ("failed", ev.TicketUnrunnable(at=at, ticket="T", reason="none left", skipped=("D",))),
        ("waiting", ev.TicketRetried(at=at, ticket="T", restored=comes_back)),
        ("waiting" if waits else "succeeded", ev.TicketApproved(at=at, ticket="T")),
        ("cancelled" if waits else "waiting", ev.TicketRejected(at=at, ticket="T", skipped=("D",) if waits else ())),
        ("waived", ev.TicketWaived(at=at, ticket="T", restored=comes_back)),
    ]
    if session.status("T") == "rolling back":
        found.append(("rolling back", ev.StepStarted(at=at, ticket="T", attempt=attempt, step="restore")))
    for then in Status:
        skipped = ("D",) if then in UNSUCCESSFUL else ()
        retry_at = 2001.0 if then is Status.backoff else None
        found.append((then.value, ended("T", attempt, then, skipped=skipped, retry_at=retry_at)))
        back = () if then in UNSUCCESSFUL else comes_back
        put_back = ev.TicketPutBack(at=at, ticket="T", then=then, skipped=goes(then), restored=back)
        found.append((then.value, put_back))
    return found


@pytest.mark.parametrize("status", [*map(str, Status), "frozen"])
def test_an_event_is_in_the_table_and_applied_or_illegal_and_changes_nothing(status: str) -> None:
    allowed = set(legal())
    for place, (to, event) in enumerate(moves(chain(status))):
        session = chain(status)
        if isinstance(event, ev.TicketPutBack):
            session["T"].save()
        if isinstance(event, ev.TicketApproved | ev.TicketRejected) and session["T"].asking:
            session.answer("T")  # only then is anybody asked
        if isinstance(event, ev.WhenAnswered):
            session["T"].is_decided = False
        if isinstance(event, ev.TicketRetried) and status == "skipped":
            session = unwanted()
        event = moves(session)[place][1]
        if isinstance(event, ev.MergeStarted | ev.WorkLost):
            found = session.state.worktrees["T"] = WorktreeState(worktree_made("T", event.attempt))
            found.landed = ev.WorkMerged(at=event.at, ticket="T", attempt=event.attempt, commit="c", before="b")
        before = dump(session.state)

        if (kind_of(event), status, to) in allowed:
            apply(session.state, event)
            assert session.status("T") == ("not wanted" if isinstance(event, ev.WhenAnswered) else to)
            if to != "skipped" or isinstance(event, ev.WhenAnswered):  # else a need must be lost
                check(session.state)
        else:
            with pytest.raises(IllegalEventError):
                apply(session.state, event)
            assert dump(session.state) == before


def test_the_table_of_the_code_is_the_table_of_this_page() -> None:
    table = {
        (event.__struct_config__.tag, from_.value, to.value)
        for event, row in TRANSITIONS.items()
        for from_, goals in row.items()
        for to in goals
    }
    assert table == {line for line in legal() if "frozen" not in line}


def test_a_frozen_attempt_may_go_where_it_might_go_if_it_were_not() -> None:
    frozen = {(kind, to) for kind, from_, to in legal() if from_ == "frozen"}
    running = {(kind, to) for kind, from_, to in legal() if from_ == "running"}
    stays = {("step_started", "frozen")}
    goes_on = {
        ("attempt_frozen", "frozen"),
        ("step_started", "validating"),
    }
    assert frozen - {("attempt_thawed", "running")} - stays == running - goes_on
    assert {"running", "validating", "rolling back"} == FREEZABLE


def at(kind: Callable[..., ev.AnyEvent], **fields: object) -> ev.AnyEvent:
    return kind(at=2000.0, **fields)


# N runs on agent-1 and holds the lock that L wants, A runs on agent-2, F is frozen on agent-3; agent-4 has stopped,
# agent-5 is idle. W waits for N. What runs is at attempt 1.
BUSY = "A:\nF:\nN: locks=db\nL: locks=db\nW: N"


def busy() -> Session:
    session = Session(plan(BUSY, parallel=5, agents={"agent": AgentType(min=5, max=6)}))
    session.dispatch()
    session.ask(rq.Freeze(tickets=("F",)))
    session.ask(rq.Drain(agents=("agent-4",)))
    session.spawned("A")
    assert session.live() == ["N", "A", "F"]
    return session


@pytest.mark.parametrize(
    "event",
    [
        at(ev.TicketHeld, ticket="X"),
        at(ev.TicketReleased, ticket="X"),
        at(ev.ConflictFound, ticket="X", holder="A", reason="lock"),
        at(ev.ReservationMade, ticket="X"),
        at(ev.ReservationEnded, ticket="X"),
        at(ev.AttemptStarted, ticket="X", attempt=1, agent="agent-5"),
        at(ev.AttemptSpawned, ticket="X", attempt=1, pid=1, birth=1.0),
        at(ev.AttemptFrozen, ticket="X", attempt=1),
        at(ev.AttemptThawed, ticket="X", attempt=1),
        at(ev.AttemptStopRequested, ticket="X", attempt=1, why="stopped"),
        at(ev.StraysEnded, ticket="X", attempt=1, commands=("sleep 60",), count=1),
        at(ev.BackoffEnded, ticket="X"),
        at(ev.TicketCancelled, ticket="X"),
        at(ev.TicketUnrunnable, ticket="X", reason="none left"),
        at(ev.TicketRetried, ticket="X"),
        at(ev.TicketWaived, ticket="X"),
        at(ev.TicketPutBack, ticket="X", then=Status.waiting),
        at(ev.TicketPinned, ticket="X", agent="agent-1"),
        at(ev.PriorityChanged, ticket="X", priority=Priority.low),
        at(ev.PlanAmended, changed={"X": Ticket(run="true")}),
        ended("X", 1, Status.failed),
    ],
    ids=kind_of,
)
def test_there_is_no_such_ticket(event: ev.AnyEvent) -> None:
    assert_illegal(busy(), event)


@pytest.mark.parametrize(
    "event",
    [
        at(ev.AttemptFrozen, ticket="A", attempt=2),
        at(ev.AttemptThawed, ticket="F", attempt=0),
        at(ev.AttemptStopRequested, ticket="A", attempt=0, why="stopped"),
        at(ev.AttemptSpawned, ticket="F", attempt=2, pid=1, birth=1.0),
        ended("A", 2, Status.succeeded),
        ended("A", 0, Status.succeeded),
    ],
    ids=kind_of,
)
def test_an_event_of_another_attempt_is_illegal(event: ev.AnyEvent) -> None:
    assert_illegal(busy(), event)


@pytest.mark.parametrize(
    ("why", "event"),
    [
        ("its need runs", at(ev.AttemptStarted, ticket="W", attempt=1, agent="agent-5")),
        ("its lock is held", at(ev.AttemptStarted, ticket="L", attempt=1, agent="agent-5")),
        ("the agent is busy", at(ev.AttemptStarted, ticket="L", attempt=1, agent="agent-1")),
        ("the agent has stopped", at(ev.AttemptStarted, ticket="L", attempt=1, agent="agent-4")),
        ("there is no such agent", at(ev.AttemptStarted, ticket="L", attempt=1, agent="agent-9")),
        ("attempts count from 1", at(ev.AttemptStarted, ticket="L", attempt=0, agent="agent-5")),
        ("it has a process", at(ev.AttemptSpawned, ticket="A", attempt=1, pid=2, birth=1.0)),
        ("it does not run", at(ev.AttemptSpawned, ticket="L", attempt=0, pid=2, birth=1.0)),
        ("no such dependent", ended("N", 1, Status.failed, skipped=("W", "X"))),
        ("a dependent that runs", ended("N", 1, Status.failed, skipped=("W", "A"))),
        ("no such dependent", at(ev.TicketCancelled, ticket="L", skipped=("X",))),
        ("the session is open", at(ev.SessionOpened, session="s2", plan="", tickets=5, parallel=1, cpus=1, memory=1)),
        ("tickets are left", at(ev.SessionFinished, seconds=1.0, busy=1.0)),
        ("the name is taken", at(ev.AgentStarted, agent="agent-1", type="agent")),
        ("the name was taken", at(ev.AgentStarted, agent="agent-4", type="agent")),
        ("no such type", at(ev.AgentStarted, agent="other-1", type="other")),
        ("it runs A", at(ev.AgentStopped, agent="agent-2")),
        ("it has stopped", at(ev.AgentStopped, agent="agent-4")),
        ("it has stopped", at(ev.AgentHeld, agent="agent-4")),
        ("no such agent", at(ev.AgentReleased, agent="agent-9")),
        ("no such agent", at(ev.AgentDraining, agent="agent-9")),
        ("no such agent", at(ev.AgentQuarantined, agent="agent-9", reason="")),
        ("no such type", at(ev.AgentTypeHeld, type="other")),
        ("no such type", at(ev.AgentTypeReleased, type="other")),
        ("no such type", at(ev.TypeScaled, type="other", most=1)),
        ("no such agent or type", at(ev.TicketPinned, ticket="L", agent="other")),
        ("nothing to go back to", at(ev.TicketPutBack, ticket="L", then=Status.failed)),
        ("it is there", at(ev.PlanAmended, added={"A": Ticket(run="true")})),
        ("it runs", at(ev.PlanAmended, changed={"A": Ticket(run="true")})),
        ("it runs", at(ev.PlanAmended, dropped=("A",))),
        ("it is needed", at(ev.PlanAmended, added={"B": Ticket(run="true", needs=("L",))}, dropped=("L",))),
        ("a need is not there", at(ev.PlanAmended, changed={"L": Ticket(run="true", needs=("X",))})),
        ("a cycle", at(ev.PlanAmended, changed={"L": Ticket(needs=("W",)), "W": Ticket(needs=("L",))})),
        ("a bad pattern", at(ev.PlanAmended, changed={"L": Ticket(run="true", writes=("a[",))})),
        ("it is not skipped", at(ev.PlanAmended, changed={"L": Ticket(run="make")}, restored=("L",))),
    ],
)
def test_illegal_because(why: str, event: ev.AnyEvent) -> None:
    assert_illegal(busy(), event)


def assert_illegal(session: Session, event: ev.AnyEvent) -> None:
    before = dump(session.state)
    with pytest.raises(IllegalEventError):
        apply(session.state, event)
    assert dump(session.state) == before


def test_every_event_is_applied_by_one_function_and_is_one_of_the_union() -> None:
    assert kinds(ev.Event) == set(get_args(ev.AnyEvent)) == set(state_room._HANDLERS)


def kinds(of: type[ev.Event]) -> set[type[ev.Event]]:
    """The classes that events are of: those that no other is made from."""
    made = of.__subclasses__()
    return set().union(*map(kinds, made)) if made else {of}


# --- Attempts ---


def test_attempts_are_numbered_from_1_whatever_became_of_them() -> None:
    session = Session("A: retries=1 retry_delay=1s")
    session.dispatch()
    session.lost("A", began=False)  # costs no retry
    session.dispatch()
    session.fail("A")
    session.back_off("A")
    session.dispatch()
    session.fail("A")
    session.ask(rq.Retry(tickets=("A",)))
    session.dispatch()

    started = [event.attempt for event in session.journal if isinstance(event, ev.AttemptStarted)]
    assert started == [1, 2, 3, 4]
    assert session["A"].charged == 0, "a retry by a person gives all retries back"


def test_what_is_true_of_one_attempt_is_gone_at_the_next() -> None:
    session = Session("A: retries=1 retry_delay=1s")
    session.dispatch()
    session.spawned("A", pid=77)
    session.ask(rq.Freeze(tickets=("A",)))
    session.wait(5)
    session.ask(rq.Thaw(tickets=("A",)))
    session.fail("A")
    first = session["A"].attempt
    assert first is not None
    assert (first.pid, first.code, first.reason, first.frozen_for) == (77, 1, "exit 1", 5.0)
    first_started, ended_at = session["A"].first_started, session.now

    session.back_off("A")
    session.dispatch()

    ticket = session["A"]
    second = ticket.live_attempt
    assert (second.pid, second.birth, second.code, second.end, second.ended) == (None, None, None, None, None)
    assert (second.reason, second.freeze, second.frozen_for) == ("", None, 0.0)
    assert (ticket.end, ticket.ended, ticket.reason, ticket.retry_at) == (None, None, "", None)
    assert ticket.first_started == first_started == first.started != second.started
    assert (first.number, first.ended, second.number) == (1, ended_at, 2)


# --- Freezes ---


def test_a_frozen_attempt_says_who_froze_it_why_and_since_when_and_goes_on_where_it_was() -> None:
    session = Session("A:\nB:")
    session.dispatch()
    session.apply(ev.AttemptFrozen(at=session.now, ticket="A", attempt=1, reason="memory is short"))
    session.wait(5)
    session.ask(rq.Freeze(tickets=("B",), by="ann"))
    assert session["A"].live_attempt.freeze == FreezeCause("", "memory is short", OPENED_AT)
    assert session["B"].live_attempt.freeze == FreezeCause("ann", "", OPENED_AT + 5)
    assert (session["A"].status, session["A"].shown_status) == (Status.running, Flag.frozen)
    assert {word: count for word, count in session.state.shown_counts().items() if count} == {"frozen": 2}
    session.ask(rq.Thaw())
    assert session.statuses() == {"A": "running", "B": "running"}
    assert session["A"].live_attempt.freeze is None


@pytest.mark.parametrize(
    ("held", "is_released"),
    [
        ('{"kind":"session_held","reason":"frozen","by":"ann","at":1000}', True),
        ('{"kind":"session_held","reason":"frozen","by":"ann","freeze":true,"at":1000}', True),
        ('{"kind":"session_held","reason":"frozen","by":"ann","freeze":false,"at":1000}', False),
        ('{"kind":"session_held","reason":"lunch","by":"ann","at":1000}', False),
    ],
)
def test_a_thaw_of_the_session_releases_what_a_freeze_held(held: str, is_released: bool) -> None:
    session = Session("A:")
    session.apply(decode_event(held))
    session.ask(rq.Thaw())
    assert (session.state.held is None) == is_released


def test_a_hold_for_the_reason_of_a_freeze_is_none() -> None:
    session = Session("A:")
    session.act(rq.Hold(reason="frozen", by="ann"))
    assert session.ask(rq.Thaw()) == []
    session.act(rq.Release())
    session.act(rq.Undo())
    assert session.ask(rq.Thaw()) == []
    assert session.state.held is not None


def test_a_hold_of_a_freeze_that_an_undo_brings_back_is_released_by_a_thaw() -> None:
    session = Session("A:\nB: A")
    session.dispatch()
    session.act(rq.Freeze(by="ann"))
    session.act(rq.Release())
    session.act(rq.Undo())
    session.act(rq.Thaw())
    assert (session.state.held, session.status("A")) == (None, "running")


# --- Clocks ---


def test_the_clock_of_an_attempt_stands_while_it_is_frozen() -> None:
    session = Session("A:")
    session.dispatch()
    worked = []
    for wish in (None, rq.Freeze(tickets=("A",)), rq.Thaw(tickets=("A",)), rq.Freeze(), rq.Thaw()):
        if wish is not None:
            session.ask(wish)
        session.wait(10)
        worked.append(session["A"].worked(session.now))
    assert worked == [10, 10, 20, 20, 30]

    session.succeed("A")
    assert session.state.busy_for == 30
    assert session.state.agents["agent-1"].busy_for == 30
    last = session.journal[-1]
    assert isinstance(last, ev.AttemptEnded)
    assert last.seconds == 30


@pytest.mark.parametrize("asked_to_stop", [True, False])
def test_an_attempt_that_ends_frozen_did_not_work_in_the_freeze(asked_to_stop: bool) -> None:
    session = Session("A:")
    session.dispatch()
    session.wait(3)
    session.ask(rq.Freeze())
    session.wait(100)
    if asked_to_stop:
        session.ask(rq.Cancel(tickets=("A",)))
        session.wait(2)
    session.killed("A")
    assert session.state.busy_for == (5 if asked_to_stop else 3)


DAY = 86_400.0


@pytest.mark.parametrize(
    ("later", "before", "after", "passed"),
    [
        pytest.param(DAY, 1000, 1007, 7, id="the clock was set forward, or the host was suspended"),
        pytest.param(3, 1000, 1007, 7, id="the clock was set back"),
        pytest.param(7, 1000, 1007, 7, id="nothing was done to it"),
        pytest.param(7, None, 1007, 7, id="an earlier version, which tells the wall clock alone"),
        pytest.param(DAY, None, 900, 900, id="no attempt is older than its boot"),
        pytest.param(7, 1000, 900, 7, id="uptimes that do not belong together"),
    ],
)
def test_from_one_engine_to_the_next_time_goes_by_the_boot(
    later: float, before: float | None, after: float, passed: float
) -> None:
    session = Session("A:\nB: retries=1\nC:")
    begun = session.now
    session.apply(ev.MonitoringStarted(at=begun, pid=1, boot="boot", uptime=before))
    session.dispatch()
    session.ask(rq.Freeze(tickets=("C",)))
    session.fail("B")
    until = session["B"].retry_at
    session.wait(3)
    session.now = begun + later
    session.apply(ev.MonitoringStarted(at=session.now, pid=2, boot="boot", uptime=after))
    assert session["A"].worked(session.now) == passed
    if before is not None and after > before:
        assert until is not None
        assert session["B"].retry_at == until + later - passed
    session.ask(rq.Thaw())
    session.wait(5)
    assert session["A"].worked(session.now) == passed + 5
    assert session["C"].worked(session.now) == 5


def test_after_a_boot_nothing_is_said_about_the_one_before() -> None:
    session = Session("A:")
    session.apply(ev.MonitoringStarted(at=session.now, pid=1, boot="boot", uptime=1000))
    session.dispatch()
    session.wait(7)
    session.apply(ev.MonitoringStarted(at=session.now, pid=2, boot="another", uptime=2))
    assert session["A"].worked(session.now) == 7


def test_what_an_attempt_took_stays_when_its_ticket_is_given_up_later() -> None:
    session = Session("A: retries=1 retry_delay=1h")
    session.dispatch()
    session.wait(2)
    session.fail("A")
    session.wait(30)
    session.ask(rq.Cancel(tickets=("A",)))
    session.wait(30)
    assert (session.status("A"), session["A"].worked(session.now)) == ("cancelled", 2)


def test_a_ticket_that_never_started_has_not_worked() -> None:
    assert Session("A:")["A"].worked(5000.0) == 0


# --- Indexes ---


def test_the_agent_that_became_idle_first_stands_first_in_line() -> None:
    session = Session(plan("A:\nB:\nC:", agents={"agent": AgentType(min=3)}))
    session.dispatch()
    session.succeed("B", "A", "C")
    assert list(session.state.available["agent"]) == ["agent-2", "agent-1", "agent-3"]

    session.ask(rq.Hold(agents=("agent-2",)))
    session.ask(rq.Release(agents=("agent-2",)))
    assert list(session.state.available["agent"]) == ["agent-1", "agent-3", "agent-2"]


def test_an_agent_knows_since_when_it_is_there() -> None:
    session = Session("A:\nB: A")
    session.wait(5)
    session.dispatch()
    session.wait(20)
    session.succeed("A")
    session.dispatch()
    assert session["B"].agent == "agent-1"
    assert session.state.agents["agent-1"].started == OPENED_AT + 5


def test_groups_open_one_after_another_and_again_after_a_retry() -> None:
    session = Session("A:\nB: A\nC: A\nD: B C")
    opened = [session.state.open_group]
    session.dispatch()
    session.fail("A")
    opened.append(session.state.open_group)
    session.ask(rq.Retry(tickets=("A",)))
    opened.append(session.state.open_group)
    for ids in ("A", "BC", "D"):
        session.dispatch()
        session.succeed(*ids)
        opened.append(session.state.open_group)
    assert opened == [0, 3, 0, 1, 2, 3]


def test_a_ticket_that_waits_for_a_claim_is_counted_once() -> None:
    session = Session("A: locks=db\nB: locks=db\nC: locks=db")
    while session.dispatch():
        session.succeed(*session.live())
    conflicts = [event.ticket for event in session.journal if isinstance(event, ev.ConflictFound)]
    assert sorted(conflicts) == ["B", "C"]
    assert session.state.serialised == 2


def test_counts_of_agents_tell_done_from_failed() -> None:
    session = Session(plan("A:\nB: retries=1\nC:", parallel=1))
    for outcome in (session.succeed, session.fail, session.killed):
        for id_ in session.dispatch():
            outcome(id_)
    agent = session.state.agents["agent-1"]
    assert (agent.done, agent.failed) == (1, 2)


def test_a_session_has_one_status_at_a_time() -> None:
    session = Session("A:")
    seen = [session.state.status]
    for wish in (rq.Hold(), rq.Drain(), rq.Stop()):
        session.ask(wish)
        seen.append(session.state.status)
    session.apply(ev.EngineLeft(at=session.now, reason="asked to"))
    seen.append(session.state.status)
    session.resume()  # what a person holds stays held
    seen.append(session.state.status)
    session.ask(rq.Release())
    session.dispatch()
    session.succeed("A")
    session.close()
    seen.append(session.state.status)
    assert seen == ["running", "held", "draining", "stopping", "stopped", "held", "finished"]


def test_a_retry_opens_a_finished_session_again() -> None:
    session = Session("A:")
    session.dispatch()
    session.fail("A")
    session.close()
    session.ask(rq.Retry(tickets=("A",)))
    assert session.state.status == "running"


def test_a_plan_alone_is_a_state() -> None:
    state = SessionState(plan("A:\nB: A"))
    check(state)
    assert state.unfinished == 2


def test_a_state_is_gone_with_the_last_that_has_it_and_needs_no_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        state = SessionState(plan("A:\nB: A"))
        gone = weakref.ref(state), weakref.ref(state.graph)
        del state
        assert (gone[0](), gone[1]()) == (None, None)
    finally:
        gc.enable()
