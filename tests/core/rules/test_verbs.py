"""What a person may ask: what follows from it, when it is refused, and how it is taken back."""

from typing import Any

import msgspec
import pytest

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.ticket import Priority, Ticket
from parexec_tui.core.rules.verbs.undo import cannot_undo, history, next_undo
from parexec_tui.core.rules.wording import wording
from parexec_tui.core.state import events as ev
from parexec_tui.core.state import undo
from parexec_tui.core.state.apply.session import MAX_ACTIONS
from parexec_tui.core.state.status import End
from parexec_tui.core.wire import codec
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import Refusal
from tests.core.sessions import Session, lasting, plan, replay

CHAIN = "A:\nB: A\nC: B"
TWO_TYPES = {"x": AgentType(max=2, can=("docs",)), "y": AgentType(max=2)}
ONE_EACH = {"x": AgentType(min=1, max=1), "y": AgentType(min=1, max=1)}


def done(text: str, *ids: str, **more: Any) -> Session:
    """A session in which these tickets have run in this order; a `!` before an id says that it failed."""
    session = Session(plan(text, **more))
    for id_ in ids:
        session.dispatch()
        if id_.startswith("!"):
            session.fail(id_[1:])
        else:
            session.succeed(id_)
    return session


def kinds(events: Refusal | list[ev.AnyEvent]) -> list[str]:
    assert not isinstance(events, Refusal), str(events)
    return [codec.kind_of(event) for event in events]


def only(events: Refusal | list[ev.AnyEvent]) -> Any:
    assert not isinstance(events, Refusal), str(events)
    (event,) = events
    return event


# --- skip: what needs it may run without it ---


def test_what_needs_a_skipped_ticket_runs_without_it() -> None:
    session = Session(CHAIN)
    assert session.ask(rq.Waive(tickets=("A",), by="ann")) == [ev.TicketWaived(at=session.now, ticket="A", by="ann")]
    assert session.ask(rq.Waive(tickets=("A",))) == []
    assert session.dispatch() == ["B"]
    assert session.why("A") == ["waived: by ann"]


def test_a_skip_brings_back_what_nothing_else_blocks() -> None:
    session = done("A:\nX:\nB: A\nC: A X\nD: B", "!A", "!X")
    assert only(session.ask(rq.Waive(tickets=("A",)))).restored == ("B", "D")
    assert session.statuses() == {"A": "waived", "X": "failed", "B": "waiting", "C": "skipped", "D": "waiting"}


@pytest.mark.parametrize("order", ["AB", "BA"])
def test_a_skip_of_a_failed_ticket_and_its_dependent(order: str) -> None:
    session = done(CHAIN, "!A")
    session.ask(rq.Waive(tickets=tuple(order)))
    assert session.statuses() == {"A": "waived", "B": "waived", "C": "waiting"}


def test_a_session_with_a_waived_ticket_finishes_but_not_all_of_it_succeeded() -> None:
    session = Session("A:\nB: A")
    session.ask(rq.Waive(tickets=("A",)))
    session.dispatch()
    session.succeed("B")
    handled, validated, _ = session.close()
    assert isinstance(handled, ev.FailuresHandled)
    assert isinstance(validated, ev.CompletionValidated)
    assert (handled.waived, handled.skipped) == (1, 0)
    assert (validated.counts["waived"], validated.counts["succeeded"]) == (1, 1)


def test_a_waived_ticket_can_be_retried() -> None:
    session = Session("A:")
    session.ask(rq.Waive(tickets=("A",)))
    session.ask(rq.Retry(tickets=("A",)))
    assert session.dispatch() == ["A"]


# --- retry, with what depends on it ---


def test_a_ticket_that_succeeded_can_run_again_and_what_has_not_started_waits_for_it() -> None:
    session = done(CHAIN, "A")
    assert kinds(session.ask(rq.Retry(tickets=("A",)))) == ["ticket_retried"]
    assert session.dispatch() == ["A"]
    assert session.why("B") == ["needs A (running)"]


def test_downstream_runs_again_what_has_run_and_restores_what_was_skipped() -> None:
    session = done("A:\nB: A\nC: A\nD: B\nE: C\nF:", "F", "A", "B", "D", "!C")
    event = only(session.ask(rq.Retry(tickets=("A",), downstream=True, by="ann", note="new data")))
    assert event == ev.TicketRetried(
        at=session.now, ticket="A", by="ann", rerun=("B", "C", "D"), restored=("E",), note="new data"
    )
    assert session.statuses() == dict.fromkeys("ABCDE", "waiting") | {"F": "succeeded"}
    assert session.dispatch() == ["A"]


def test_downstream_passes_through_what_has_yet_to_run() -> None:
    """C ran before B was retried; when A runs again, B will, and then C must as well."""
    session = done(CHAIN, "A", "B", "C")
    session.ask(rq.Retry(tickets=("B",)))
    assert only(session.ask(rq.Retry(tickets=("A",), downstream=True))).rerun == ("C",)


@pytest.mark.parametrize("verb", [rq.Cancel, rq.Waive])
def test_downstream_stops_at_what_a_person_took_out(verb: type[rq.Cancel | rq.Waive]) -> None:
    session = done(CHAIN, "A")
    session.ask(verb(tickets=("B",)))
    event = only(session.ask(rq.Retry(tickets=("A",), downstream=True)))
    assert (event.rerun, event.restored) == ((), ())


def test_tickets_that_are_retried_together_take_their_downstream_along_once() -> None:
    session = done("A:\nB:\nC: A B\nD: C", "A", "B", "C", "D")
    events = session.ask(rq.Retry(tickets=("C", "A", "B"), downstream=True))
    assert not isinstance(events, Refusal)
    assert [(event.ticket, event.rerun) for event in events if isinstance(event, ev.TicketRetried)] == [
        ("A", ("C", "D")),
        ("B", ()),
    ]


def test_a_retry_ends_a_backoff() -> None:
    session = done("A: retries=1 retry_delay=1h", "!A")
    session.ask(rq.Retry(tickets=("A",)))
    assert session.dispatch() == ["A"]


def test_a_retry_with_another_command_on_another_agent() -> None:
    session = done("A:\nB: A", "!A", agents=TWO_TYPES)
    events = session.ask(rq.Retry(tickets=("A",), run="make again", agent="y", note="once more"))
    assert kinds(events) == ["plan_amended", "ticket_pinned", "ticket_retried"]
    session.dispatch()
    assert (session["A"].spec.run, session["A"].agent, session["A"].note) == ("make again", "y-1", "once more")


def test_a_retry_with_another_command_of_a_ticket_that_succeeded() -> None:
    session = done("A:", "A")
    session.ask(rq.Retry(tickets=("A",), run="make"))
    assert session.dispatch() == ["A"]


def test_a_retry_with_other_amounts_of_what_is_named() -> None:
    session = done("A: uses=cpu:1,memory:100\nB: uses=cpu:2", "!A", "!B")
    events = session.act(rq.Retry(tickets=("A", "B"), uses={"cpu": 0.5, "memory": None}))
    assert kinds(events) == ["operator_acted", "plan_amended", "ticket_retried", "ticket_retried"]
    assert [session[id_].spec.uses for id_ in "AB"] == [{"cpu": 0.5}, {"cpu": 0.5}]
    session.act(rq.Undo())
    assert [session[id_].spec.uses for id_ in "AB"] == [{"cpu": 1, "memory": 100}, {"cpu": 2}]
    assert [session.status(id_) for id_ in "AB"] == ["failed", "failed"]


def test_a_retry_with_another_command_and_other_amounts_changes_the_plan_once() -> None:
    session = done("A:", "!A")
    events = session.ask(rq.Retry(tickets=("A",), run="make", uses={"memory": "1KiB"}))
    assert kinds(events) == ["plan_amended", "ticket_retried"]
    assert (session["A"].spec.run, session["A"].spec.uses) == ("make", {"memory": 1024})


def test_a_retry_with_other_variables_keeps_those_that_are_not_named() -> None:
    session = done("A:\nB:", "!A", "!B")
    session.ask(rq.Edit(ticket="A", changes={"env": {"MODE": "slow", "LANG": "C"}}))
    events = session.act(rq.Retry(tickets=("A", "B"), env={"MODE": "fast"}))
    assert kinds(events) == ["operator_acted", "plan_amended", "ticket_retried", "ticket_retried"]
    assert [session[id_].spec.env for id_ in "AB"] == [{"MODE": "fast", "LANG": "C"}, {"MODE": "fast"}]
    session.act(rq.Undo())
    assert [session[id_].spec.env for id_ in "AB"] == [{"MODE": "slow", "LANG": "C"}, {}]
    assert [session.status(id_) for id_ in "AB"] == ["failed", "failed"]


@pytest.mark.parametrize(
    ("text", "runs", "asked", "refusal"),
    [
        ("A:", ["!A"], {"env": {"": "x"}}, "A.env: '' is not a name of an environment variable"),
        ("A:", ["!A"], {"env": {"A=B": "x"}}, "A.env: 'A=B' is not a name of an environment variable"),
        ("A:", ["!A"], {"env": {"A": "\0"}}, "A.env: a NUL character cannot be passed to a process"),
        (CHAIN, ["A"], {}, "B needs A and is running (wait for B to end, or cancel it)"),
        (CHAIN, ["A", "B"], {"downstream": True}, "C depends on A and is running (wait for C to end, or cancel it)"),
        ("A:\nB:", ["!A", "!B"], {"tickets": ("A", "B"), "run": "x"}, "another command is for one ticket only (edit"),
        ("A:", ["!A"], {"agent": "z"}, "there is no agent or agent type z (there is agent)"),
        ("A:", ["!A"], {"uses": {"cpu": "x"}}, "A.uses: 'x' is not an amount of cpu"),
        ("A:", ["!A"], {"uses": {"gpu": 1}}, "A.uses: there is no resource 'gpu'"),
        ("A:", ["!A"], {"run": "\0"}, "A.run: a NUL character cannot be passed to a process"),
    ],
)
def test_a_retry_is_refused(text: str, runs: list[str], asked: dict[str, Any], refusal: str) -> None:
    session = done(text, *runs)
    session.dispatch()
    assert str(session.ask(rq.Retry(**{"tickets": ("A",), **asked}))).startswith(refusal)


# --- reassign ---


def test_a_waiting_ticket_is_pinned() -> None:
    session = Session(plan("A:\nB:", agents=ONE_EACH))
    assert kinds(session.ask(rq.Reassign(tickets=("A", "B"), agent="y-1"))) == ["ticket_pinned", "ticket_pinned"]
    assert session.ask(rq.Reassign(tickets=("A",), agent="y-1")) == []
    assert session.dispatch() == ["A"]
    assert session["A"].agent == "y-1"
    assert session.why("B") == ["reassigned: y-1 runs A"]
    session.ask(rq.Reassign(tickets=("B",), agent=""))
    assert session.dispatch() == ["B"]
    assert session["B"].agent == "x-1"


def test_a_running_ticket_is_stopped_on_purpose_and_starts_there_without_a_charge() -> None:
    session = Session(plan("A: retries=1\nB:", agents=ONE_EACH))
    session.dispatch()
    was, other = session["A"].agent, session["B"].agent
    session.succeed("B")
    assert kinds(session.ask(rq.Reassign(tickets=("A",), agent=str(other)))) == [
        "ticket_pinned",
        "attempt_stop_requested",
    ]
    session.killed("A")
    assert (session.status("A"), session["A"].end, session["A"].charged) == ("waiting", End.stopped, 0)
    assert session["A"].reason == f"moved to {other}"
    assert session.dispatch() == ["A"]
    assert (session["A"].agent, session["A"].agent != was) == (other, True)


def test_a_ticket_that_runs_there_already_is_not_stopped() -> None:
    session = Session(plan("A:", agents=ONE_EACH))
    session.dispatch()
    for place in ("x-1", "x"):
        assert kinds(session.ask(rq.Reassign(tickets=("A",), agent=place))) == ["ticket_pinned"]


def test_a_pin_goes_before_the_type_that_the_plan_names() -> None:
    session = Session(plan("A: agent=x", agents=TWO_TYPES))
    session.ask(rq.Reassign(tickets=("A",), agent="y"))
    session.dispatch()
    assert session["A"].agent == "y-1"


@pytest.mark.parametrize("ends", ["stop", "quarantine"])
def test_a_pin_to_an_agent_that_is_gone_holds_for_its_type(ends: str) -> None:
    session = Session(plan("A:", agents={"x": AgentType(min=1, max=2), "y": AgentType(min=1)}))
    session.ask(rq.Hold(agents=("x-1",)))
    session.ask(rq.Reassign(tickets=("A",), agent="x-1"))
    assert session.dispatch() == []
    assert session.why("A") == ["reassigned: x-1 held"]
    if ends == "stop":
        session.ask(rq.Drain(agents=("x-1",)))
    else:
        session.apply(ev.AgentQuarantined(at=session.now, agent="x-1", reason="bad"))
    assert session.dispatch() == ["A"]
    assert session["A"].agent == "x-2"


@pytest.mark.parametrize(
    ("ticket", "place", "refusal"),
    [
        ("A", "x-2", "x-2 is quarantined: bad disk (release x-2, or name its type, x)"),
        ("A", "x-3", "x-3 has stopped (name its type, x)"),
        ("A", "x-4", "x-4 is draining (release x-4, or name its type, x)"),
        ("A", "x-9", "there is no agent or agent type x-9 (did you mean"),
        ("D", "y", "y cannot run D: it cannot docs (x can)"),
        ("P", "y", "y cannot run P: P has no prompt (x can)"),
        ("S", "x", "S succeeded (retry S on x)"),
        ("T", "y", "T is being stopped already (wait for it to end)"),
        ("Z", "x", "there is no ticket Z"),
    ],
)
def test_a_reassignment_is_refused(ticket: str, place: str, refusal: str) -> None:
    agents = {
        "x": AgentType(min=4, max=5, can=("docs",)),
        "y": AgentType(command=("ai", "{prompt}"), can=()),
    }
    text = "S:\nT: prompt=do\nA: S prompt=do\nD: S requires=docs prompt=do\nP: S"
    session = Session(plan(text, agents=agents))
    session.dispatch()  # S and T, on x-1 and x-2
    session.ask(rq.Hold(tickets=("A", "D", "P")))
    session.succeed("S")
    session.ask(rq.Cancel(tickets=("T",)))
    session.apply(ev.AgentQuarantined(at=session.now, agent="x-2", reason="bad disk"))
    session.ask(rq.Drain(agents=("x-3",)))
    session.apply(ev.AgentDraining(at=session.now, agent="x-4"))
    session.checks = False  # an agent that drains and is idle has not been told to stop yet
    assert str(session.ask(rq.Reassign(tickets=(ticket,), agent=place))).startswith(refusal)


# --- priority ---


def test_a_new_priority_takes_its_place_in_the_queue_at_once() -> None:
    session = Session(plan("A:\nB:\nC: locks=l\nD: locks=l", parallel=1))
    asked = rq.Prioritise(tickets=("B", "D"), priority=Priority.high)
    assert kinds(session.ask(asked)) == ["priority_changed", "priority_changed"]
    assert session.ask(asked) == []
    order = []
    while wave := session.dispatch():
        order += wave
        session.succeed(*wave)
    assert order == ["B", "D", "A", "C"]


def test_a_parked_ticket_goes_before_those_parked_with_it() -> None:
    session = Session("A: locks=l\nB: locks=l\nC: locks=l")
    session.dispatch()
    session.ask(rq.Prioritise(tickets=("C",), priority=Priority.critical))
    session.succeed("A")
    assert session.dispatch() == ["C"]


def test_what_is_done_has_no_priority() -> None:
    session = done("A:", "A")
    assert session.ask(rq.Prioritise(tickets=("A",), priority=Priority.low)) == Refusal("A succeeded")


# --- agent types: hold, drain, freeze, scale ---


def test_hold_of_a_type_keeps_its_agents_from_starting_anything() -> None:
    session = Session(plan("A: agent=x\nB:\nC: agent=x", agents=ONE_EACH))
    assert kinds(session.ask(rq.Hold(types=("x",), by="ann"))) == ["agent_type_held"]
    assert session.ask(rq.Hold(types=("x",))) == []
    assert session.dispatch() == ["B"]
    assert session["B"].agent == "y-1"
    assert session.why("A") == ["agent type x held by ann"]
    assert kinds(session.ask(rq.Release(types=("x",)))) == ["agent_type_released"]
    assert session.dispatch() == ["A"]


def test_hold_of_one_of_two_types_is_one_of_the_reasons() -> None:
    session = Session(plan("A:\nB:", agents=ONE_EACH))
    session.ask(rq.Hold(types=("x",)))
    session.dispatch()
    assert session.why("B") == ["no idle agent: agent type x held, y-1 runs A"]


def test_drain_of_a_type_holds_it_and_drains_its_agents() -> None:
    session = Session(plan("A:\nB: agent=x", agents={"x": AgentType(min=2, max=2)}))
    session.ask(rq.Hold(tickets=("B",)))
    session.dispatch()
    assert kinds(session.ask(rq.Drain(types=("x",)))) == [
        "agent_type_held",
        "agent_draining",
        "agent_draining",
        "agent_stopped",
    ]
    session.succeed("A")
    session.ask(rq.Release(tickets=("B",)))
    assert session.dispatch() == []
    session.ask(rq.Release(types=("x",)))
    assert session.dispatch() == ["B"]


def test_drain_of_a_ticket_keeps_it_from_being_tried_again() -> None:
    session = Session("A: retries=1 retry_delay=1s")
    session.dispatch()
    assert kinds(session.ask(rq.Drain(tickets=("A",)))) == ["ticket_held"]
    session.fail("A")
    session.back_off("A")
    assert session.dispatch() == []


@pytest.mark.parametrize("scope", [{"agents": ("x-1",)}, {"types": ("x",)}])
def test_freeze_and_thaw_of_what_an_agent_or_type_runs(scope: dict[str, Any]) -> None:
    session = Session(plan("A: agent=x\nB: agent=y", agents=ONE_EACH))
    session.dispatch()
    assert only(session.ask(rq.Freeze(**scope))).ticket == "A"
    assert session.ask(rq.Freeze(**scope)) == []
    assert only(session.ask(rq.Thaw(**scope))).ticket == "A"
    assert session.ask(rq.Thaw(**scope)) == []


def test_what_runs_nothing_cannot_be_frozen() -> None:
    session = Session(plan("A: agent=x", agents=ONE_EACH))
    assert str(session.ask(rq.Freeze(agents=("y-1",)))) == "y-1 runs nothing, only what runs can be frozen (hold y-1)"
    assert isinstance(session.ask(rq.Freeze(types=("y",))), Refusal)


def test_fewer_agents_stop_the_idle_ones_first_and_then_drain_the_newest() -> None:
    session = Session(plan("A:\nB:", agents={"x": AgentType(min=4, max=4)}))
    session.dispatch()
    events = session.ask(rq.Scale(type="x", most=1))
    assert kinds(events) == ["type_scaled", *["agent_draining", "agent_stopped"] * 2, "agent_draining"]
    assert {agent.id: agent.status for agent in session.state.agents.values()} == {
        "x-1": "busy",
        "x-2": "draining",
        "x-3": "stopped",
        "x-4": "stopped",
    }


def test_fewer_agents_count_neither_what_drains_nor_what_has_stopped_nor_another_type() -> None:
    session = Session(plan("A:\nB:\nC:", agents={"x": AgentType(min=4, max=4), "y": AgentType(min=1)}))
    assert session.dispatch() == ["A", "B", "C"]
    session.ask(rq.Drain(agents=("x-1",)))
    session.apply(ev.AgentStopped(at=session.now, agent="x-4", reason="idle"))
    assert [agent.status for agent in session.state.agents.values()] == [
        "draining", "busy", "busy", "stopped", "idle",
    ]  # fmt: skip
    assert kinds(session.ask(rq.Scale(type="x", most=2))) == ["type_scaled"]


def test_more_agents_make_room_at_once() -> None:
    session = Session(plan("A:\nB:\nC:", agents={"x": AgentType(max=1)}))
    assert session.dispatch() == ["A"]
    session.ask(rq.Scale(type="x", most=1, relative=True))
    assert session.dispatch() == ["B"]
    session.ask(rq.Scale(type="x", most=None))
    assert session.state.agent_limits == {"x": 1}


def test_how_many_run_at_once_can_be_changed() -> None:
    session = Session(plan("A:\nB:\nC:\nD:", parallel=1))
    session.dispatch()
    assert only(session.ask(rq.Scale(most=2, relative=True))).parallel == 3
    assert session.dispatch() == ["B", "C"]
    session.ask(rq.Scale(most=1))
    session.succeed("A", "B")
    assert session.dispatch() == []
    assert session.why("D") == ["1 of 1 running"]


@pytest.mark.parametrize(
    ("asked", "refusal"),
    [
        (rq.Scale(type="x", most=0), "there may be 1 to 1,000,000 agents of a type, not 0 (drain x to have none)"),
        (rq.Scale(type="z", most=1), "there is no agent type z"),
        (rq.Scale(most=-9, relative=True), "1 to 1,000,000 tickets may run at once, not -5 (hold"),
        (rq.Scale(most=None), "how many tickets shall run at once is not said (name a number)"),
    ],
)
def test_a_scale_is_refused(asked: rq.Scale, refusal: str) -> None:
    assert str(Session(plan("A:", agents=TWO_TYPES)).ask(asked)).startswith(refusal)


# --- edit, add, reload ---


def test_an_edit_changes_a_ticket_that_waits() -> None:
    session = Session(plan("A: locks=l\nB: locks=l timeout=5s", parallel=1))
    session.dispatch()
    changes = {"locks": None, "timeout": "2m", "run": "make", "uses": {"cpu": 0.5}, "priority": "high"}
    event = only(session.ask(rq.Edit(ticket="B", changes=changes)))
    spec = event.changed["B"]
    assert (spec.locks, spec.timeout, spec.run, spec.uses) == ((), 120.0, "make", {"cpu": 0.5})
    assert session["B"].spec is session.state.plan.tickets["B"] is spec
    session.ask(rq.Scale(most=2))
    assert session.dispatch() == ["B"]
    assert session.ask(rq.Edit(ticket="A", changes={"retries": 0})) == []


def test_an_edit_of_needs_changes_groups_and_what_is_ready() -> None:
    session = Session("A:\nB: A\nC: B")
    session.dispatch()
    session.ask(rq.Edit(ticket="C", changes={"needs": []}))
    assert session.state.groups == [["A", "C"], ["B"]]
    assert session.dispatch() == ["C"]


def test_an_edit_that_takes_away_the_lost_need_brings_the_ticket_back_and_what_follows() -> None:
    session = done("A:\nB: A\nC: B\nD: A", "!A")
    event = only(session.ask(rq.Edit(ticket="B", changes={"needs": []})))
    assert event.restored == ("B", "C")
    assert session.statuses() == {"A": "failed", "B": "waiting", "C": "waiting", "D": "skipped"}
    assert session.dispatch() == ["B"]


def test_an_edit_that_adds_a_lost_need_skips_the_ticket_and_what_follows() -> None:
    session = done("A:\nX:\nB: X\nC: B", "!A")
    event = only(session.ask(rq.Edit(ticket="B", changes={"needs": ["A"]})))
    assert event.skipped == ("B", "C")
    assert session["B"].because == "A"


def test_a_failed_ticket_can_be_mended_and_retried() -> None:
    session = done("A:", "!A")
    session.ask(rq.Edit(ticket="A", changes={"run": "make"}))
    assert session.status("A") == "failed"
    session.ask(rq.Retry(tickets=("A",)))
    assert session.dispatch() == ["A"]


@pytest.mark.parametrize(
    ("ticket", "changes", "refusal"),
    [
        ("W", {"neds": []}, "a ticket has no key neds (did you mean `needs`?)"),
        ("W", {"neds": None}, "a ticket has no key neds (did you mean `needs`?)"),
        ("W", {"needs": ["Q"]}, "W.needs: there is no ticket 'Q'"),
        ("W", {"needs": ["V"]}, "W.needs: a cycle of needs: W -> V -> W (each would wait"),
        ("W", {"needs": ["W"]}, "W.needs: a ticket cannot need itself"),
        ("W", {"timeout": "soon"}, "W.timeout: 'soon' is not a duration"),
        ("W", {"priority": "hihg"}, "W.priority: expected one of critical, high, medium, low, got 'hihg' (did you"),
        ("W", {"writes": ["a["]}, "W.writes: "),
        ("W", {"uses": {"cpu": 99}}, "W.uses: asks for 99 cpu, and this host has 8"),
        ("W", {"uses": {"gpu": 1}}, "W.uses: there is no resource 'gpu'"),
        ("W", {"requires": ["wings"]}, "W.requires: no agent type can 'wings'"),
        ("W", {"retries": -1, "run": 7}, "W.run: expected a string, got 7 (and 1 more)"),
        ("R", {"run": "x"}, "R is running: what runs cannot be changed or dropped (cancel R first)"),
        ("S", {"run": "x"}, "S has succeeded: what is done cannot be changed (retry S first, or leave it as it is)"),
        ("Z", {"run": "x"}, "there is no ticket Z"),
    ],
)
def test_an_edit_is_refused(ticket: str, changes: dict[str, Any], refusal: str) -> None:
    session = Session("S:\nR: S\nW: R\nV: W")
    session.dispatch()
    session.succeed("S")
    session.dispatch()
    assert str(session.ask(rq.Edit(ticket=ticket, changes=changes))).startswith(refusal)


def test_an_edit_may_not_lead_a_ticket_away_from_its_pin() -> None:
    session = Session(plan("A:", agents=TWO_TYPES))
    session.ask(rq.Reassign(tickets=("A",), agent="y"))
    refusal = session.ask(rq.Edit(ticket="A", changes={"requires": ["docs"]}))
    assert refusal == Refusal("A is reassigned to y, which could not run it so", "reassign A first")


def test_an_amendment_adds_changes_and_drops_at_once() -> None:
    """A and B change places, which no order of single changes to the plan would allow without a cycle."""
    session = Session("S:\nA: S\nB: A\nX: B\nY: X")
    session.dispatch()
    session.ask(
        rq.Amend(
            added={"N": Ticket(run="true", needs=("A",)), "M": Ticket(run="true", needs=("N",))},
            changed={
                "A": Ticket(run="true", needs=("B",)),
                "B": Ticket(run="true", needs=("S",)),
                "Y": Ticket(run="true", needs=("M",)),
            },
            dropped=("X",),
        )
    )
    assert session.state.groups == [["S"], ["B"], ["A"], ["N"], ["M"], ["Y"]]
    assert list(session.state.tickets) == ["S", "A", "B", "Y", "N", "M"]
    session.succeed("S")
    for id_ in "BANMY":
        assert session.dispatch() == [id_]
        session.succeed(id_)
    session.restart()
    assert session.state.unfinished == 0


def test_a_ticket_that_is_added_below_a_failed_one_is_skipped() -> None:
    session = done("A:\nB:", "!A")
    session.ask(rq.Amend(added={"N": Ticket(run="true", needs=("A",))}))
    assert session.why("N") == ["skipped: A failed"]


def test_a_ticket_that_was_dropped_and_added_again_counts_its_attempts_on() -> None:
    """Their numbers are in the names of logs and exit records."""
    session = done("A:\nB:", "!A")
    session.ask(rq.Amend(dropped=("A",)))
    session.ask(rq.Amend(added={"A": Ticket(run="true")}))
    session.dispatch()
    assert session["A"].attempts == 2


def test_an_added_ticket_opens_a_finished_session() -> None:
    session = done("A:", "A")
    session.close()
    session.ask(rq.Amend(added={"B": Ticket(run="true", needs=("A",))}))
    assert (session.state.status, session.dispatch()) == ("running", ["B"])


@pytest.mark.parametrize(
    ("asked", "refusal"),
    [
        (rq.Amend(added={"W": Ticket(run="x")}), "there is W already (change it, or give the new one another id)"),
        (rq.Amend(added={"w": Ticket(run="x")}), "w: 'w' and 'W' differ only in case"),
        (rq.Amend(added={"a/b": Ticket(run="x")}), "a/b: 'a/b' is not a plain name"),
        (rq.Amend(added={"N": Ticket()}), "N: no agent type can run it"),
        (rq.Amend(dropped=("Z",)), "there is no ticket Z"),
        (rq.Amend(dropped=("W",)), "V needs W, which would be dropped (drop V too, or change its needs)"),
        (rq.Amend(dropped=("R", "W", "V")), "R is running: what runs cannot be changed or dropped (cancel R first)"),
        (rq.Amend(dropped=("S",)), "R needs S, which would be dropped (drop R too, or change its needs)"),
        (rq.Amend(dropped=("V",), changed={"V": Ticket(run="x")}), "V cannot be both changed and dropped"),
        (
            rq.Amend(changed={"R": Ticket(run="x"), "S": Ticket(run="x")}),
            "R is running: what runs cannot be changed or dropped (cancel R first)",
        ),
    ],
)
def test_an_amendment_is_refused(asked: rq.Amend, refusal: str) -> None:
    session = done("S:\nR: S\nW: R\nV: W", "S")
    session.dispatch()
    assert str(session.ask(asked)).startswith(refusal)


def test_a_plan_keeps_a_ticket() -> None:
    refusal = Session("A:").ask(rq.Amend(dropped=("A",)))
    assert refusal == Refusal("a plan has at least one ticket", "cancel what shall not run")


def test_the_plan_that_a_session_began_with_is_not_touched() -> None:
    session = Session("A:\nB:")
    session.ask(rq.Amend(dropped=("B",), added={"C": Ticket(run="true")}))
    assert list(session.plan.tickets) == ["A", "B"]
    assert list(replay(session.plan, session.journal).tickets) == ["A", "C"]


@pytest.mark.parametrize("ends", ["", "!"])
def test_what_is_over_runs_again_with_its_changes(ends: str) -> None:
    session = done("A:\nB: A\nC: A", f"{ends}A", *("B", "C") * (not ends))
    session.close()
    changed = {"A": Ticket(run="make", needs=("N",)), "B": Ticket(run="true", needs=())}
    session.act(rq.Amend(added={"N": Ticket(run="true")}, changed=changed, rerun=("A",)))
    others = "waiting" if ends else "succeeded"
    assert session.statuses() == {"A": "waiting", "B": others, "C": others, "N": "waiting"}
    assert "N" in session.dispatch()
    session.succeed("N")
    assert session.dispatch() == ["A"]
    assert session["A"].spec.run == "make"


@pytest.mark.parametrize(
    ("asked", "refusal"),
    [
        (rq.Amend(changed={"A": Ticket(run="x")}, rerun=("A", "B")), "B would run again without a change (retry B)"),
        (rq.Amend(changed={"B": Ticket(run="x")}, rerun=("B",)), "B was skipped: A failed (retry A)"),
        (
            rq.Amend(changed={"A": Ticket(run="x")}, dropped=("A",), rerun=("A",)),
            "A cannot be both changed and dropped",
        ),
    ],
)
def test_running_again_with_changes_is_refused(asked: rq.Amend, refusal: str) -> None:
    assert str(done("A:\nB: A", "!A").ask(asked)) == refusal


# --- Who acted, and undo ---


def acted(events: Refusal | list[ev.AnyEvent]) -> ev.OperatorActed:
    assert not isinstance(events, Refusal), str(events)
    assert isinstance(events[0], ev.OperatorActed)
    return events[0]


def test_what_is_granted_is_led_by_who_asked_for_what() -> None:
    session = Session("A:")
    event = acted(session.act(rq.Hold(tickets=("A",), by="ann")))
    assert (event.by, event.verb, event.text) == ("ann", "hold", "hold A")
    assert event.inverse == (undo.ReleaseHolds(tickets=("A",)),)
    assert session.state.actions == [event]


def test_what_changes_nothing_or_is_refused_is_no_action() -> None:
    session = Session("A:")
    assert session.act(rq.Release()) == []
    assert isinstance(session.act(rq.Thaw(tickets=("A",))), Refusal)
    assert session.state.actions == []


def test_only_the_last_actions_are_kept() -> None:
    session = Session("A:", checks=False)
    for number in range(MAX_ACTIONS + 5):
        session.act(rq.Prioritise(tickets=("A",), priority=(Priority.low, Priority.high)[number % 2]))
    assert len(session.state.actions) == MAX_ACTIONS


# A has failed and B is skipped because of it; S has succeeded; R runs and F is frozen; W waits for R.
UNDO = "A:\nB: A\nS:\nR: S\nF: S\nW: R"


@pytest.mark.parametrize(
    "asked",
    [
        rq.Hold(tickets=("W", "R"), agents=("agent-1",), types=("agent",)),
        rq.Hold(),
        rq.Drain(),
        rq.Drain(tickets=("R",)),
        rq.Freeze(),
        rq.Freeze(tickets=("R",)),
        rq.Thaw(),
        rq.Cancel(tickets=("W",)),
        rq.Waive(tickets=("A",)),
        rq.Waive(tickets=("A", "B", "W")),
        rq.Retry(tickets=("A",)),
        rq.Retry(tickets=("A",), downstream=True, note="again", run="make", agent="agent"),
        rq.Reassign(tickets=("W", "A"), agent="agent-1"),
        rq.Prioritise(tickets=("W", "R"), priority=Priority.high),
        rq.Scale(type="agent", most=9),
        rq.Scale(most=1, relative=True),
        rq.SetFailurePolicy(policy="stop"),
        rq.Edit(ticket="B", changes={"needs": [], "timeout": "5s"}),
        rq.Edit(ticket="W", changes={"needs": ["A"]}),
        rq.Amend(added={"N": Ticket(run="true", needs=("W",))}, changed={"A": Ticket(run="make")}),
        rq.Amend(dropped=("B",)),
        rq.Amend(changed={"A": Ticket(run="make")}, rerun=("A",)),
        rq.Amend(
            added={"N": Ticket(run="true", needs=("A",)), "M": Ticket(run="true")},
            changed={"A": Ticket(run="make", needs=("M",)), "B": Ticket(run="true")},
            rerun=("A",),
        ),
        rq.Amend(changed={"A": Ticket(run="make")}, dropped=("B",), rerun=("A",)),
        rq.Release(),
    ],
    ids=wording,
)  # fmt: skip
def test_an_undo_restores_everything(asked: rq.AnyRequest) -> None:
    session = done(UNDO, "!A", "S", parallel=5)
    session.dispatch()
    session.ask(rq.Freeze(tickets=("F",)))
    if isinstance(asked, rq.Release):
        session.ask(rq.Hold(by="carl", reason="lunch"))
    before = lasting(session.state)
    assert acted(session.act(msgspec.structs.replace(asked, by="ann"))).inverse
    event = acted(session.act(rq.Undo(by="bob")))
    assert (event.by, event.verb, event.text) == ("bob", "undo", f"undo: {wording(asked)}")
    assert lasting(session.state) == before
    assert str(session.act(rq.Undo())) == "there is nothing that could be undone"


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (rq.Stop(), "it stopped what ran"),
        (rq.Cancel(tickets=("R",)), "it stopped R"),
        (rq.Cancel(tickets=("W", "R")), "it stopped R"),
        (rq.Reassign(tickets=("R",), agent="agent-5"), "it stopped R"),
        (rq.Amend(dropped=("A", "B")), "a dropped ticket had run, or was held, reassigned or cancelled: A"),
        (rq.Release(agents=("agent-4",)), "agent-4 was in quarantine, and nobody can put it there"),
        (rq.Drain(agents=("agent-5",)), "it stopped agent-5"),
    ],
    ids=str,
)
def test_what_cannot_be_undone_is_said_and_nothing_older_is_undone(asked: rq.AnyRequest, why: str) -> None:
    session = done(UNDO, "!A", "S", agents={"agent": AgentType(min=5)}, parallel=5)
    session.dispatch()
    session.apply(ev.AgentQuarantined(at=session.now, agent="agent-4", reason="bad"))
    session.act(rq.Hold(tickets=("W",)))
    assert acted(session.act(asked)).inverse == ()
    refusal = f'the last action, "{wording(asked)}", cannot be taken back: {why}'
    assert str(session.act(rq.Undo())) == str(cannot_undo(session.state, rq.Undo(), session.now)) == refusal
    assert session["W"].held is not None
    listed = [(action.text, why) for action, why in history(session.state, session.now)]
    assert listed == [(wording(asked), why), ("hold W", f'"{wording(asked)}" is newer and stays')]
    session.act(rq.Scale(most=9))
    assert acted(session.act(rq.Undo())).text == "undo: at most 9 tickets at once"
    assert str(session.act(rq.Undo())) == refusal


def test_an_undo_of_an_earlier_version_is_replayed_as_it_was_meant() -> None:
    """It passed over what could not be taken back."""
    session = done(UNDO, "!A", "S", parallel=5)
    session.dispatch()
    session.act(rq.Hold(tickets=("W",)))
    session.act(rq.Cancel(tickets=("R",)))
    session.apply(ev.OperatorActed(at=session.now, by="ann", verb="undo", text="undo: hold W"))
    assert [action.text for action in session.state.actions] == ["cancel R"]


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (rq.Drain(agents=("agent-1",)), rq.Hold(agents=("agent-1",))),
        (rq.Hold(agents=("agent-1",)), rq.Drain(agents=("agent-1",))),
        (None, rq.Hold(agents=("agent-1",))),
        (None, rq.Drain(agents=("agent-1",))),
    ],
)
def test_what_kept_an_agent_back_before_is_not_released_by_an_undo(
    first: rq.AnyRequest | None, then: rq.AnyRequest
) -> None:
    session = Session("A:")
    session.dispatch()
    if first is None:
        session.apply(ev.AgentQuarantined(at=session.now, agent="agent-1", reason="bad"))
    else:
        session.ask(first)
    assert acted(session.act(then)).inverse == ()


def test_undo_goes_back_step_by_step() -> None:
    session = done(CHAIN, "!A")
    states = [lasting(session.state)]
    for asked in (
        rq.Retry(tickets=("A",)),
        rq.Cancel(tickets=("B",)),
        rq.Waive(tickets=("B",)),
        rq.Retry(tickets=("B",)),
        rq.Cancel(tickets=("A",)),
    ):
        assert not isinstance(session.act(asked), Refusal)
        states.append(lasting(session.state))
    while len(states) > 1:
        assert lasting(session.state) == states.pop()
        assert not isinstance(session.act(rq.Undo()), Refusal)
    assert lasting(session.state) == states[0]


def test_a_release_that_is_undone_is_a_hold_in_the_old_name() -> None:
    session = Session("A:")
    session.act(rq.Hold(tickets=("A",), by="ann"))
    session.act(rq.Release(tickets=("A",), by="bob"))
    session.act(rq.Undo(by="carl"))
    assert session.why("A") == ["held by ann"]


def test_a_drain_of_an_agent_is_undone_while_it_is_busy() -> None:
    session = Session(plan("A:\nB:", agents={"x": AgentType(min=1, max=1)}))
    session.dispatch()
    session.act(rq.Drain(agents=("x-1",)))
    session.act(rq.Undo())
    session.succeed("A")
    session.dispatch()
    assert session["B"].agent == "x-1"


@pytest.mark.parametrize(
    ("asked", "refusal"),
    [
        (rq.Retry(tickets=("A",)), 'too late to undo "retry A": A has started since'),
        (rq.Waive(tickets=("A",)), 'too late to undo "waive A": B has started without A (retry A)'),
        (rq.Edit(ticket="A", changes={"run": "x"}), ""),
        (
            rq.Retry(tickets=("A",), run="make"),
            'too late to undo "retry A with another command": A has started since',
        ),
    ],
)
def test_an_undo_is_refused_once_something_came_of_it(asked: rq.AnyRequest, refusal: str) -> None:
    session = done("A:\nB: A", "!A")
    session.act(asked)
    session.dispatch()
    answer = session.act(rq.Undo())
    assert str(answer) == refusal if refusal else not isinstance(answer, Refusal)


def test_the_history_says_what_it_is_too_late_for() -> None:
    session = done("A:", "!A")
    session.act(rq.Scale(most=1))
    session.act(rq.Retry(tickets=("A",)))
    assert [(action.verb, why) for action, why in history(session.state, session.now)] == [
        ("retry", ""),
        ("scale", ""),
    ]
    session.dispatch()
    assert [why for _, why in history(session.state, session.now)] == [
        "A has started since",
        "",
    ], "it is too late for the newer one, and that keeps nothing older"


@pytest.mark.parametrize("ends", ["stop", "quarantine"])
def test_an_undo_brings_back_a_pin_to_an_agent_that_is_gone(ends: str) -> None:
    session = Session(plan("A:", agents={"x": AgentType(min=1, max=2), "y": AgentType(min=1)}))
    session.ask(rq.Hold(tickets=("A",)))
    session.ask(rq.Reassign(tickets=("A",), agent="x-1"))
    if ends == "stop":
        session.ask(rq.Drain(agents=("x-1",)))
    else:
        session.apply(ev.AgentQuarantined(at=session.now, agent="x-1", reason="bad"))
    before = lasting(session.state)
    session.act(rq.Reassign(tickets=("A",), agent="y"))
    assert not isinstance(session.act(rq.Undo()), Refusal)
    assert lasting(session.state) == before
    session.ask(rq.Release(tickets=("A",)))
    assert session.dispatch() == ["A"]
    assert session["A"].agent == "x-2"


def test_an_undo_stops_nothing() -> None:
    session = Session(plan("A:", agents=ONE_EACH))
    session.ask(rq.Reassign(tickets=("A",), agent="x"))
    session.act(rq.Reassign(tickets=("A",), agent="y"))
    session.dispatch()
    refusal = session.act(rq.Undo())
    assert refusal == Refusal('too late to undo "A to y": A has started since', "cancel A")


def test_an_undo_of_a_cancel_minds_what_has_failed_since() -> None:
    session = Session("A:\nB: A\nC: B")
    session.act(rq.Cancel(tickets=("B",)))
    session.dispatch()
    session.fail("A")
    session.act(rq.Undo())
    assert session.statuses() == {"A": "failed", "B": "skipped", "C": "skipped"}
    session.ask(rq.Retry(tickets=("A",)))
    assert session.statuses() == dict.fromkeys("ABC", "waiting")


def test_an_undo_that_has_nothing_left_to_do_is_used_up() -> None:
    session = Session("A:")
    session.act(rq.Hold(tickets=("A",)))
    session.ask(rq.Release(tickets=("A",)))
    assert kinds(session.act(rq.Undo())) == ["operator_acted"]
    assert session.state.actions == []


def test_what_can_be_undone_survives_a_restart() -> None:
    session = done(CHAIN, "!A")
    session.act(rq.Retry(tickets=("A",), run="make"))
    session.restart()
    session.act(rq.Undo())
    assert (session.status("A"), session["A"].spec.run) == ("failed", "true")


def test_a_name_that_is_nearly_right_gets_a_hint() -> None:
    session = Session(plan("MOD-012:", agents={"builder": AgentType(min=1)}))
    for asked, hint in (
        (rq.Hold(tickets=("MOD-12",)), "did you mean `MOD-012`?"),
        (rq.Hold(agents=("bilder-1",)), "did you mean `builder-1`?"),
        (rq.Hold(types=("bilder",)), "did you mean `builder`?"),
    ):
        refusal = session.ask(asked)
        assert isinstance(refusal, Refusal)
        assert refusal.remedy == hint


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        (rq.Drain(reason="lunch"), "drain the session: lunch"),
        (
            rq.Hold(tickets=("A", "B"), agents=("x-1",), types=("x", "y")),
            "hold A and B; agent x-1; agent types x and y",
        ),
        (rq.Waive(tickets=tuple("ABCDEFG")), "waive A, B, C, D and 3 more"),
        (rq.Retry(tickets=("A",), agent="x", note="now"), "retry A on x: now"),
        (
            rq.Retry(tickets=("A",), run="x", uses={"cpu": 2, "memory": None}),
            "retry A with another command, cpu=2 and no memory",
        ),
        (rq.Retry(tickets=("A",), env={"MODE": "", "TEXT": "a b"}), "retry A with MODE='' and TEXT='a b'"),
        (rq.Retry(tickets=("A",), budget="$4"), "retry A with a budget of $4"),
        (rq.Scale(most=None, budget="$20"), "the session spends at most $20"),
        (rq.Scale(most=None, budget="$20", type="x"), "agent type x spends at most $20"),
        (rq.Reassign(tickets=("A",), agent=""), "A to any agent"),
        (rq.Scale(most=-2, relative=True), "2 fewer tickets at once"),
        (rq.Scale(most=1, relative=True), "1 more ticket at once"),
        (rq.Scale(most=-1, relative=True, type="x"), "1 fewer agent of type x"),
        (rq.Scale(most=1), "at most 1 ticket at once"),
        (rq.Scale(most=None, type="x"), "as many agents of type x as planned"),
        (rq.SetFailurePolicy(policy="hold"), "when a ticket fails: start nothing new"),
        (rq.Amend(added={"A": Ticket()}, dropped=("B",)), "add A, drop B"),
        (rq.Stop(now=True), "stop now"),
    ],
)
def test_requests_in_words(asked: rq.AnyRequest, text: str) -> None:
    assert wording(asked) == text


def test_what_it_is_too_late_for_keeps_nothing_older_from_being_undone() -> None:
    session = Session(plan("A:\nB:", agents={"agent": AgentType(max=5)}, parallel=5))
    session.act(rq.Scale(most=3, by="ann"))
    session.wait(1)
    session.dispatch()
    session.act(rq.Freeze(tickets=("A",), by="ann"))
    session.wait(1)
    session.act(rq.Thaw(tickets=("A",), by="ann"))
    session.succeed("A")
    scaled, _, thawed = session.state.actions
    assert str(session.act(rq.Undo())).startswith('too late to undo "thaw A": '), "without a name it is the last"
    found, passed = next_undo(session.state, session.now)
    assert found == scaled
    assert [text.partition(":")[0] for text in passed] == ['too late to undo "thaw A"', 'too late to undo "freeze A"']
    assert [not why for _, why in history(session.state, session.now)][-1]
    event = acted(session.act(rq.Undo(at=scaled.at, text=scaled.text)))
    assert (event.text, event.undone) == ("undo: at most 3 tickets at once", scaled.at)
    assert session.state.parallel == 5
    assert thawed in session.state.actions
    assert scaled not in session.state.actions


def test_an_undo_of_one_action_takes_back_no_other() -> None:
    session = Session("A:\nB:")
    session.act(rq.Hold(tickets=("A",), by="ann"))
    first = session.state.actions[-1]
    session.wait(1)
    session.act(rq.Hold(tickets=("B",), by="bo"))
    refused = 'it is not the last action any more: that is "hold B", by bo'
    for asked in (rq.Undo(at=first.at, text=first.text), rq.Undo(text=first.text), rq.Undo(at=first.at)):
        assert str(session.act(asked)) == str(cannot_undo(session.state, asked, session.now)) == refused
    last = session.state.actions[-1]
    assert not isinstance(session.act(rq.Undo(at=last.at, text=last.text)), Refusal)
    assert session["B"].held is None
