"""What a ticket waits for in the end, and how many wait for it."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.model import Plan
from parexec_tui.core.schedule import roots as rules
from parexec_tui.core.schedule.root import Root
from parexec_tui.core.schedule.root_counts import roots, waiting_for
from parexec_tui.core.schedule.roots import path_to_root, root_of
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import PENDING
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq
from tests.core.sessions import Session, plan
from tests.core.state.test_properties import plans, run, steps

ONE = {"agent": AgentType(max=1)}
TWO = {"agent": AgentType(max=2)}
TWO_TYPES = {"a": AgentType(max=1), "b": AgentType(max=1)}

CHAIN = """
    compile:
    link: compile
    pack: link
    test: pack
    docs:
    site: docs
"""


def root(session: Session, id_: str) -> Root:
    found = root_of(session.state, session[id_])
    assert found is not None
    return found


def said(session: Session, id_: str) -> tuple[str, str]:
    """The kind of a root, and what it is about."""
    found = root(session, id_)
    return found.kind, found.ticket or found.agent or found.name


def path(session: Session, id_: str) -> list[str]:
    return list(path_to_root(session.state, session[id_]))


def counted(session: Session) -> list[tuple[str, str, int]]:
    return [
        (found.root.kind, found.root.ticket or found.root.agent or found.root.name, found.count)
        for found in roots(session.state)
    ]


def test_a_frozen_ticket_is_the_root_of_all_that_need_it() -> None:
    session = Session(plan(CHAIN))
    session.dispatch()
    session.wait(20)
    session.ask(rq.Freeze(tickets=("compile",), by="ann@pts/3"))
    for id_ in ("link", "pack", "test", "compile"):
        found = root(session, id_)
        assert (found.kind, found.ticket, found.agent, found.by) == ("frozen", "compile", "agent-1", "ann@pts/3")
        assert (found.since, found.stays) == (1020.0, True)
    assert path(session, "test") == ["test", "pack", "link", "compile"]
    assert said(session, "site") == ("running", "docs")
    assert counted(session) == [("frozen", "compile", 3), ("running", "docs", 1)]
    session.ask(rq.Thaw(tickets=("compile",)))
    assert said(session, "test") == ("running", "compile")


def test_what_is_over_has_no_root() -> None:
    session = Session(plan(CHAIN))
    session.dispatch()
    session.succeed("compile")
    assert root_of(session.state, session["compile"]) is None
    assert path_to_root(session.state, session["compile"]) == ()


def test_a_held_ticket_is_a_root_before_its_needs_are_met() -> None:
    session = Session(plan(CHAIN))
    session.dispatch()
    session.ask(rq.Hold(tickets=("pack",), by="ann"))
    assert said(session, "test") == ("held", "pack")
    assert said(session, "pack") == ("held", "pack")
    assert said(session, "link") == ("running", "compile")
    assert ("held", "pack", 1) not in counted(session)  # it could not start anyway
    session.succeed("compile")
    session.dispatch()
    session.succeed("link")
    assert counted(session)[0] == ("held", "pack", 1)
    session.ask(rq.Release(tickets=("pack",)))
    assert said(session, "test") == ("next", "pack")


def test_a_hold_of_what_runs_holds_nothing_up_until_it_waits_again() -> None:
    session = Session(plan("A: retries=1 retry_delay=1s\nB: A"))
    session.dispatch()
    session.ask(rq.Hold(tickets=("A",), by="ann"))
    assert said(session, "B") == ("running", "A")
    session.fail("A")
    assert said(session, "B") == ("held", "A")


def test_what_stays_is_preferred_to_what_moves() -> None:
    session = Session(plan("moves:\nstays:\nboth: moves stays"))
    session.dispatch()
    session.ask(rq.Freeze(tickets=("stays",)))
    assert said(session, "both") == ("frozen", "stays")


def test_of_what_moves_the_longest_path_is_the_root() -> None:
    session = Session(plan("short: estimate=1s\nlong: estimate=9s\nboth: short long"))
    session.dispatch()
    assert said(session, "both") == ("running", "long")


def test_the_frozen_holder_of_a_lock() -> None:
    session = Session(plan("A: locks=db priority=high\nB: locks=db\nC: B\nD:\nE: D C"))
    session.dispatch()
    assert said(session, "C") == ("running", "A")
    session.ask(rq.Freeze(tickets=("A",), by="ann"))
    assert path(session, "C") == ["C", "B", "A"]
    assert said(session, "E") == ("frozen", "A")  # although D, which it needs as well, runs
    assert path(session, "E") == ["E", "C", "B", "A"]
    assert counted(session)[0] == ("frozen", "A", 3)


def test_a_frozen_user_of_a_resource_is_the_root_only_if_the_others_cannot_make_room() -> None:
    session = Session(plan("A: uses=gpu:1\nB: uses=gpu:2\nC: uses=gpu:2\nD: uses=gpu:3", resources={"gpu": 3}))
    session.dispatch()
    session.ask(rq.Freeze(tickets=("A",)))
    assert said(session, "C") == ("running", "B")
    assert said(session, "D") == ("frozen", "A")


def test_the_only_agent_is_frozen_with_another_ticket() -> None:
    session = Session(plan("compile: priority=high\nlint:\nafter: lint", agents=ONE))
    session.dispatch()
    assert said(session, "lint") == ("busy", "agents")
    session.ask(rq.Freeze(tickets=("compile",), by="ann"))
    assert said(session, "lint") == ("frozen", "compile")
    assert path(session, "after") == ["after", "lint", "compile"]
    assert counted(session) == [("frozen", "compile", 2)]


def test_an_agent_that_moves_is_enough() -> None:
    session = Session(plan("A:\nB:\nC:", agents={"agent": AgentType(max=2)}))
    session.dispatch()
    session.ask(rq.Freeze(tickets=("A",)))
    assert said(session, "C") == ("busy", "agents")
    assert counted(session) == [("frozen", "A", 0), ("busy", "agents", 1), ("running", "B", 0)]


def test_all_that_may_run_at_once_is_frozen() -> None:
    session = Session(plan("A:\nB:", parallel=1, agents={"agent": AgentType(max=2)}))
    session.dispatch()
    assert said(session, "B") == ("busy", "slots")
    session.ask(rq.Freeze(tickets=("A",)))
    assert said(session, "B") == ("frozen", "A")


def test_agents_that_take_no_ticket() -> None:
    session = Session(plan("A:\nB: A", agents=ONE))
    session.dispatch()
    session.ask(rq.Hold(agents=("agent-1",), by="ann"))
    assert said(session, "B") == ("running", "A")
    session.succeed("A")
    assert said(session, "B") == ("agent", "agent-1")
    assert (root(session, "B").how, root(session, "B").by) == ("held", "ann")
    session.ask(rq.Release(agents=("agent-1",)))
    session.ask(rq.Hold(types=("agent",), by="bob"))
    assert said(session, "B") == ("type", "agent")
    assert root(session, "B").by == "bob"
    assert counted(session) == [("type", "agent", 1)]


def test_an_agent_that_takes_nothing_more_once_it_is_done() -> None:
    session = Session(plan("A:\nB:", agents=ONE))
    session.dispatch()
    session.ask(rq.Hold(agents=("agent-1",), by="ann"))
    assert said(session, "B") == ("agent", "agent-1")


def test_what_keeps_everything_comes_first() -> None:
    session = Session(plan(CHAIN))
    session.dispatch()
    session.ask(rq.Freeze(by="ann"))
    assert (root(session, "test").kind, root(session, "test").how) == ("session", "frozen")
    assert path(session, "test") == ["test"]
    assert counted(session) == [("session", "", 4), ("frozen", "compile", 3), ("frozen", "docs", 1)]
    session.ask(rq.Thaw())
    session.apply(ev.HostPressed(at=session.now, resource="memory", text="1 GiB free"))
    assert said(session, "test") == ("host", "memory")


def test_backoff_and_its_end() -> None:
    session = Session(plan("A: retries=1 retry_delay=60s\nB: A"))
    session.dispatch()
    session.fail("A")
    assert said(session, "B") == ("backoff", "A")
    assert root(session, "B").until == session["A"].retry_at


def test_behind_a_barrier_and_a_reservation() -> None:
    session = Session(plan("A:\nB:\nC: B", barrier=True, parallel=2))
    session.dispatch()
    session.ask(rq.Freeze(tickets=("A",)))
    session.succeed("B")
    assert path(session, "C") == ["C", "A"]


def test_a_deep_chain_is_followed_without_recursion() -> None:
    size = 5_000
    text = "\n".join(f"T{n}: {f'T{n - 1}' if n else ''}" for n in range(size))
    session = Session(plan(text), checks=False)
    session.dispatch()
    session.ask(rq.Freeze(tickets=("T0",)))
    assert said(session, f"T{size - 1}") == ("frozen", "T0")
    assert len(path(session, f"T{size - 1}")) == size
    assert waiting_for(session.state, root(session, "T9")).count == size - 1
    session.ask(rq.Thaw(tickets=("T0",)))
    assert root(session, f"T{size - 1}").kind == "far"
    assert said(session, "T9") == ("running", "T0")


def calls_of(monkeypatch: pytest.MonkeyPatch, name: str) -> list[str]:
    """The tickets that a function is asked about from now on, where the roots are found."""
    asked: list[str] = []
    original = getattr(rules, name)

    def ask(state: SessionState, ticket: TicketState, *others: object) -> object:
        asked.append(ticket.id)
        return original(state, ticket, *others)

    monkeypatch.setattr(rules, name, ask)
    return asked


def test_a_ticket_that_needs_everything_is_not_searched_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    size = 3_000
    text = "\n".join(f"T{n}: writes=o{n}/**" for n in range(size))
    session = Session(plan(f"{text}\nall: {' '.join(f'T{n}' for n in range(size))}", agents=TWO), checks=False)
    session.dispatch()
    session.ask(rq.Hold(agents=("agent-1",)))
    asked = calls_of(monkeypatch, "next_link")
    assert root(session, "all").kind == "running"
    assert len(asked) <= 100


@pytest.mark.parametrize("verb", [rq.Cancel, rq.Waive])
def test_a_ticket_that_is_given_up_holds_nothing_up(verb: type[rq.Cancel | rq.Waive]) -> None:
    session = Session(plan("A:\nB:\nC: A B"))
    session.ask(rq.Hold(tickets=("A",)))
    assert said(session, "C") == ("held", "A")
    session.ask(verb(tickets=("A",)))
    assert not session["C"].is_stalled


@given(st.data())
def test_roots_agree_with_a_search_of_everything(data: st.DataObject) -> None:
    """A ticket has a root that stays if and only if a frozen or held one is upstream; the counts are right."""
    size = data.draw(st.integers(2, 12))
    needs = {n: data.draw(st.sets(st.integers(0, n - 1), max_size=3)) if n else set() for n in range(size)}
    text = "\n".join(f"T{n}: {' '.join(f'T{need}' for need in needs[n])}" for n in range(size))
    session = Session(plan(text, parallel=size), checks=True)
    session.dispatch()
    for n in data.draw(st.lists(st.integers(0, size - 1), max_size=6)):
        ticket = session[f"T{n}"]
        match data.draw(st.sampled_from(("freeze", "hold", "release", "succeed", "waive"))):
            case "freeze":
                session.ask((rq.Thaw if ticket.is_frozen else rq.Freeze)(tickets=(ticket.id,)))
            case "hold":
                session.ask(rq.Hold(tickets=(ticket.id,)))
            case "release":
                session.ask(rq.Release(tickets=(ticket.id,)))
            case "succeed" if ticket.is_live and not ticket.is_frozen:
                session.succeed(ticket.id)
                session.dispatch()
            case "waive":
                session.ask(rq.Waive(tickets=(ticket.id,)))
                session.dispatch()
            case _:
                pass
    state = session.state
    upstream: dict[str, set[str]] = {}
    for n in range(size):
        ticket = session[f"T{n}"]
        waits = ticket.status == "waiting"
        above = [upstream[f"T{need}"] for need in needs[n]] if waits else []
        paused = {ticket.id} if ticket.is_frozen or (waits and ticket.held is not None) else set()
        upstream[ticket.id] = paused.union(*above)
        found = root_of(state, ticket)
        if waits:
            assert found is not None
            assert found.stays == bool(upstream[ticket.id])
            assert not found.stays or found.ticket in upstream[ticket.id]
            steps = path_to_root(state, ticket)
            assert all(after in session[before].spec.needs for before, after in pairwise(steps))
    for entry in roots(state):
        if entry.root.stays:
            others = (id_ for id_ in upstream if id_ != entry.root.ticket)
            assert entry.count == sum(entry.root.ticket in upstream[id_] for id_ in others)


@settings(max_examples=60, deadline=None)
@given(plan=plans(), numbers=steps(60))
def test_whatever_happens_every_ticket_that_waits_has_a_root_and_a_way_to_it(plan: Plan, numbers: list[int]) -> None:
    session = Session(plan, checks=False)
    run(session, numbers)
    state = session.state
    waiting = [ticket for ticket in state.tickets.values() if ticket.status in PENDING]
    for ticket in waiting:
        found = root(session, ticket.id)
        steps_ = path(session, ticket.id)
        assert steps_[0] == ticket.id
        assert len(set(steps_)) == len(steps_)
        last = state.tickets[steps_[-1]]
        if found.kind in ("frozen", "running", "stopping", "backoff", "held"):
            assert last.id == found.ticket
        assert not ticket.is_stalled or found.stays
        assert waiting_for(state, found).count <= len(waiting)
        if found.kind not in ("far", "resource"):
            assert waiting_for(state, found).count >= (ticket.id not in (found.ticket, ""))
    for entry in roots(state):
        assert entry == waiting_for(state, entry.root)
