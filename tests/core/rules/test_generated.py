"""Tickets that one of them generates: they join with its success, and what needs their family waits for them."""

import pytest

from parexec_tui.core.plan.check import survey
from parexec_tui.core.plan.model import Selection
from parexec_tui.core.plan.reading.file import PlanErrors, read_plan
from parexec_tui.core.plan.reading.fragment import Generation, read_fragment
from parexec_tui.core.rules.difference import compare
from parexec_tui.core.schedule.blockers import why
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.process_key import TICKETS
from parexec_tui.core.state.status import Status
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.selection import choose
from parexec_tui.core.wire.selectors import SelectorError, select
from parexec_tui.report.dot import dot_lines
from parexec_tui.report.graph_facts import graph_facts
from parexec_tui.text.session_facts import session_report
from parexec_tui.text.session_lines import report_lines
from parexec_tui.text.status_facts import status_report
from tests.core.sessions import Session, plan

PLAN = """
[plan]
parallel = 2
[tickets.split]
generates = "parts"
run = "split"
[tickets.merge]
needs = ["parts"]
run = "merge"
[tickets.last]
after = ["parts"]
run = "last"
"""


def session(text: str = PLAN) -> Session:
    found = Session(read_plan(text, source="p", folder="/work/plan", format="toml"))
    found.dispatch()
    return found


def tell(found: Session, id_: str, written: str) -> None:
    """The command of a ticket has succeeded, and wrote this."""
    found.succeed(id_)
    state = found.state
    assert state.live[id_].live_attempt.step == TICKETS
    report = rq.TicketsRead(id_, state.live[id_].attempts, amended=state.amended, step=TICKETS)
    generation = Generation(id_, state.generated_by(id_))
    try:
        tickets = read_fragment(
            written, source="f", format="toml", plan=state.plan, host=state.host, generation=generation
        )
    except PlanErrors as errors:
        found.tell(rq.TicketsRead(id_, report.attempt, problem=str(errors.problems[0]), step=TICKETS))
    else:
        found.tell(rq.TicketsRead(id_, report.attempt, tickets=tickets, amended=state.amended, step=TICKETS))
    found.dispatch()


def written(**runs: str) -> str:
    return "".join(f'[tickets.{id_}]\nrun = "{run}"\n' for id_, run in runs.items())


def test_what_needs_the_family_waits_for_its_members() -> None:
    found = session()
    assert found.state.plan.tickets["merge"].waits.keys() == {"split"}
    tell(found, "split", written(a="1", b="2"))
    assert found.status("split") == "succeeded"
    assert {id_ for id_, each in found.state.tickets.items() if each.is_live} == {"a", "b"}
    assert found.state.plan.tickets["merge"].needs == ("split", "a", "b")
    assert found.state.plan.tickets["last"].after == ("split", "a", "b")
    assert found.state.tickets["a"].spec.family == "parts"
    found.fail("a")
    found.succeed("b")
    found.dispatch()
    assert (found.status("merge"), found.status("last")) == ("skipped", "running")
    found.restart()
    assert found.state.generated["split"].members == ("a", "b")


@pytest.mark.parametrize("told", ["", "[tickets]", '[vars]\nx = "1"', "[defaults]\nretries = 1"])
def test_a_family_without_members_keeps_nobody_waiting(told: str) -> None:
    found = session()
    tell(found, "split", told)
    assert (found.status("merge"), found.status("last")) == ("running", "running")


@pytest.mark.parametrize("told", ["tickets = 3", "[defaults]\nnope = 1", "tickets = [1]", "[vars]\nx = { y = 1 }"])
def test_what_is_no_fragment_fails_the_ticket(told: str) -> None:
    found = session()
    tell(found, "split", told)
    assert found.status("split") == "failed"


def test_a_mistake_fails_the_ticket_and_nothing_joins() -> None:
    found = session()
    tell(found, "split", written(a="1") + 'needs = ["merge"]\n')
    assert found.state.tickets["split"].reason.startswith("its tickets: f:3:10: ")
    assert "a cycle of needs" in found.state.tickets["split"].reason
    assert found.state.plan.tickets.keys() == {"split", "merge", "last"}
    assert (found.status("merge"), found.status("last")) == ("skipped", "running")


@pytest.mark.parametrize(("id_", "key"), [("split", "tickets.split"), ("parts", "tickets.split.generates")])
def test_a_mistake_is_told_of_the_line_that_made_it_and_of_nothing_else(id_: str, key: str) -> None:
    found = session()
    found.succeed("split")
    with pytest.raises(PlanErrors) as told:
        read_fragment(
            written(**{id_: "1"}),
            source="f",
            format="toml",
            plan=found.state.plan,
            generation=Generation("split"),
        )
    assert [each.key for each in told.value.problems] == [key]


def test_what_was_generated_again_replaces_what_has_not_begun() -> None:
    found = session()
    tell(found, "split", written(ran="1", same="1", failed="1", stopped="1", gone="1"))
    found.succeed("ran", "same")
    found.dispatch()
    found.fail("failed")
    found.ask(rq.Cancel(tickets=("stopped",)))
    found.killed("stopped")
    assert isinstance(found.ask(rq.Retry(tickets=("split",))), list)
    found.dispatch()
    assert (found.status("split"), found.status("gone")) == ("running", "waiting")
    tell(found, "split", written(ran="2", same="1", failed="2", stopped="2", new="1"))
    specs = found.state.plan.tickets
    assert {id_: specs[id_].run for id_ in found.state.generated["split"].members} == {
        "ran": "1", "same": "1", "failed": "2", "stopped": "2", "new": "1",
    }  # fmt: skip
    assert (found.status("failed"), found.status("stopped")) == ("running", "cancelled")
    assert "gone" not in specs
    assert set(specs["merge"].needs) == {"split", "ran", "same", "failed", "stopped", "new"}
    assert found.state.generated["split"].left == {"ran": "changed now, but it is done"}
    found.restart()


def test_none_in_common_with_before_leaves_none_of_before() -> None:
    found = session()
    found.ask(rq.Hold(tickets=()))
    tell(found, "split", written(a="1"))
    found.ask(rq.Retry(tickets=("split",)))
    found.ask(rq.Release())
    found.dispatch()
    tell(found, "split", written(b="1"))
    assert found.state.plan.tickets.keys() == {"split", "merge", "last", "b"}
    assert found.state.plan.tickets["merge"].needs == ("split", "b")


@pytest.mark.parametrize("downstream", [True, False])
def test_who_is_done_keeps_nothing_that_is_generated_no_more(downstream: bool) -> None:
    found = session(PLAN + '[tickets.maybe]\nneeds = ["parts?"]\nrun = "maybe"\n')
    tell(found, "split", written(a="1", c="1"))
    found.succeed("a")
    found.dispatch()
    if downstream:
        found.succeed("c")
    else:
        found.ask(rq.Cancel(tickets=("c",)))
        found.killed("c")
    found.dispatch()
    while found.state.live:
        found.succeed(*found.state.live)
        found.dispatch()
    assert found.status("last") == "succeeded"
    assert isinstance(found.ask(rq.Retry(tickets=("split",), downstream=downstream)), list)
    found.dispatch()
    tell(found, "split", written(x="1", y="1"))
    specs = found.state.plan.tickets
    assert {*found.state.generated["split"].members} == {"x", "y"}
    assert not {"a", "c"} & specs.keys()
    assert (specs["last"].after, found.status("last")) == (("split", "x", "y"), "succeeded")
    assert found.status("merge") == "waiting"
    again = read_plan(
        PLAN + '[tickets.maybe]\nneeds = ["parts?"]\nrun = "maybe"\n', source="p", folder="/work/plan", format="toml"
    )
    assert compare(found.state, again).is_empty
    found.restart()


def test_a_reload_keeps_what_was_generated() -> None:
    found = session()
    tell(found, "split", written(a="1", b="2"))
    again = read_plan(PLAN, source="p", folder="/work/plan", format="toml")
    assert compare(found.state, again).is_empty
    more = read_plan(
        PLAN + '[tickets.more]\nneeds = ["parts"]\nrun = "true"\n', source="p", folder="/work/plan", format="toml"
    )
    assert [*compare(found.state, more).lines()] == ["+ more  needs split, a, b"]


def test_another_amendment_meanwhile_is_checked_again() -> None:
    found = session()
    found.succeed("split")
    state = found.state
    tickets = read_fragment(
        written(a="1"), source="f", format="toml", plan=state.plan, generation=Generation("split")
    )
    amended = state.amended
    found.ask(rq.Amend(added=plan("a:").tickets))
    found.tell(rq.TicketsRead("split", 1, tickets=tickets, amended=amended, step=TICKETS))
    assert state.tickets["split"].reason.startswith("its tickets: there is a already")


def test_after_a_stop_nothing_joins() -> None:
    found = session()
    found.succeed("split")
    found.ask(rq.Cancel(tickets=("split",)))
    found.tell(rq.TicketsRead("split", 1, tickets={}, amended=0, step=TICKETS))
    assert found.state.tickets["split"].status is Status.cancelled
    assert not any(isinstance(event, ev.TicketsGenerated) for event in found.journal)


def test_what_is_not_known_yet_is_said() -> None:
    found = session()
    assert why(found.state, found["merge"])[0].text == (
        "needs split (running), and for the tickets of parts, which split generates: not known yet"
    )
    refusal = found.ask(rq.Hold(tickets=("parts",)))
    assert isinstance(refusal, rq.Refusal)
    assert refusal.reason == "the tickets of parts, which split generates, are not known yet"
    with pytest.raises(SelectorError, match="the tickets of parts, which split generates, are not known yet"):
        select(found.state, ["parts"])
    assert select(found.state, ["family:parts"]) == []
    assert status_report(found.state, now=found.now).not_known == {"parts": "split"}
    drawn = dot_lines(graph_facts(found.state, None, survey(found.state.plan)))
    assert "generates parts: not known yet" in "\n".join(drawn)
    report = session_report(found.state)
    assert "generates parts: not known yet" in "\n".join(report_lines(report, ascii_only=True))
    tell(found, "split", written(a="1", b="2"))
    assert select(found.state, ["parts"]) == ["a", "b"]
    assert found.state.unknown_families == {}
    assert "generates parts: 2 tickets" in "\n".join(report_lines(session_report(found.state), ascii_only=True))


def test_needs_that_a_person_edits_may_name_the_family() -> None:
    found = session(PLAN + '[tickets.more]\nrun = "more"\nneeds = ["merge"]\n')
    found.ask(rq.Edit(ticket="more", changes={"needs": ["parts?"]}))
    found.ask(rq.Edit(ticket="merge", changes={"needs": []}))
    tell(found, "split", written(a="1"))
    specs = found.state.plan.tickets
    assert (specs["more"].needs, specs["merge"].needs) == (("split?", "a?"), ())
    found.ask(rq.Edit(ticket="last", changes={"after": [], "needs": ["parts"]}))
    assert found.state.plan.tickets["last"].needs == ("split", "a")


def test_what_joins_is_no_part_of_what_was_not_selected() -> None:
    chosen = choose(read_plan(PLAN, source="p", folder="/", format="toml"), Selection(excluded=("last",)))
    found = Session(chosen.plan)
    found.dispatch()
    tell(found, "split", written(a="1", b="2"))
    assert (found.state.plan.selection.of, len(found.state.tickets)) == (5, 4)
