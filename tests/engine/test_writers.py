"""Who may have written beside an attempt: all that ran in the workdir meanwhile, whenever the engine began to ask."""

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.services import Service
from parexec_tui.core.plan.unclaimed import Writer
from parexec_tui.core.state import events as ev
from parexec_tui.engine.backends.backend import WritesWanted
from parexec_tui.engine.writers import Writers
from tests.core.sessions import OPENED_AT, WORKDIR, Session, plan


def wanted(session: Session, writers: Writers, id_: str) -> WritesWanted:
    """What is asked about a ticket whose command ends now."""
    session.succeed(id_)
    assert session[id_].live_attempt.step == "claims"
    return writers.wanted(session[id_])


def note(session: Session, writers: Writers) -> None:
    for event in session.journal:
        if isinstance(event, ev.AttemptEnded):
            writers.note_end(event)


def test_only_what_ran_at_that_time_may_have_written() -> None:
    session = Session(plan("A: writes=a\nB: A writes=b claims=warn\nC: writes=c\nD: C", parallel=3))
    session.dispatch()  # A, C at 1000
    session.wait(10)
    session.succeed("A")
    session.wait(5)
    session.dispatch()  # B at 1015
    session.wait(5)
    session.succeed("C")  # at 1020
    session.dispatch()  # D
    session.wait(5)
    writers = Writers(session.state, lambda: session.now)
    found = wanted(session, writers, "B")
    assert (found.root, found.folders, found.writes) == (WORKDIR, (), ("b",))
    assert (found.started, found.ended, found.now) == (OPENED_AT + 15, OPENED_AT + 25, OPENED_AT + 25)
    over = Writer("C", OPENED_AT, OPENED_AT + 20, ("c",))
    assert sorted(found.others, key=lambda other: other.name) == [over, Writer("D", OPENED_AT + 20)]


def test_what_ended_is_remembered_from_the_first_question_on_and_forgotten_when_it_does_not_matter_any_more() -> None:
    session = Session(plan("A: claims=enforce\nB:\nC: B claims=enforce\nD: C claims=enforce", parallel=3))
    session.dispatch()
    session.wait(10)
    writers = Writers(session.state, lambda: session.now)
    assert [other.name for other in wanted(session, writers, "A").others] == ["B"]
    session.found_unclaimed("A")
    session.succeed("B")
    session.wait(1)
    session.dispatch()
    note(session, writers)
    session.wait(10)
    assert wanted(session, writers, "C").others == (), "both were over by then"
    session.found_unclaimed("C")
    note(session, writers)
    session.wait(1)
    session.dispatch()
    session.wait(1)
    wanted(session, writers, "D")
    assert list(writers._past()) == []


def test_a_worktree_is_another_place_unless_its_merge_updates_the_checkout() -> None:
    agents = {
        "apart": AgentType(isolation="worktree"),
        "updates": AgentType(isolation="worktree", update_checkout=True),
        "here": AgentType(cwd="../other"),
    }
    session = Session(plan("A: agent=apart\nU: agent=updates\nT: agent=here claims=enforce", agents=agents))
    session.dispatch()
    session.wait(1)
    found = wanted(session, Writers(session.state, lambda: session.now), "T")
    assert [other.name for other in found.others] == ["U"]
    assert found.folders == ("/work/other",)


def test_services_and_other_sessions_may_write_as_well() -> None:
    session = Session(plan("T: uses_service=db claims=enforce", services={"db": Service(run="db")}))
    session.apply(ev.NeighboursSeen(at=session.now, neighbours=(ev.Neighbour("exec_1", "p", "both write out"),)))
    session.dispatch()
    session.service_is_up("db")
    session.dispatch()
    session.wait(1)
    found = wanted(session, Writers(session.state, lambda: session.now), "T")
    assert [other.name for other in found.others] == ["service db", "session exec_1"]


def test_hooks_may_write_while_they_run_and_many_are_remembered_as_one() -> None:
    session = Session(plan("T: claims=enforce", parallel=1))
    writers = Writers(session.state, lambda: session.now)
    writers.note_unknown_hooks()
    session.wait(1)
    session.dispatch()
    session.wait(1)
    with writers.running("on_failure"):
        session.wait(1)
    session.wait(1)
    hooks = list(writers._others(session["T"], 0.0))
    assert hooks == [Writer("hook on_failure", OPENED_AT + 2, OPENED_AT + 3)], "the others were over before"
    for _ in range(150):
        with writers.running("on_ticket_end"):
            session.wait(1)
    with writers.running("on_idle"):
        found = wanted(session, writers, "T").others
    assert (len(found), found[0]) == (101, Writer("hooks", OPENED_AT + 2, OPENED_AT + 55))
    assert found[-1] == Writer("hook on_idle", OPENED_AT + 154)
