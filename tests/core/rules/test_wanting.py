"""Tickets that are not wanted: their `when` says no."""

import pytest

from parexec_tui.core.plan.check import survey
from parexec_tui.core.plan.expanding.given import Given
from parexec_tui.core.plan.reading.file import read_plan
from parexec_tui.core.predict.course import Durations, course_of
from parexec_tui.core.rules.difference import compare
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.copying import copy_of
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import Refusal
from tests.core.sessions import Session

PLAN = """
[vars]
mode = "fast"
[tickets.split]
run = "true"
[tickets.test]
needs = ["split"]
when = "split.count > 0"
run = "true"
{more}
[tickets.ship]
needs = ["test"]
run = "true"
[tickets.tell]
after = ["test"]
run = "true"
[tickets.full]
needs = ["split"]
when = "mode == 'full'"
run = "true"
"""


def session(more: str = "", text: str = PLAN) -> Session:
    return Session(read_plan(text.replace("{more}", more), source="p", folder="/", format="toml"))


def shown(found: Session) -> dict[str, str]:
    return {id_: str(ticket.shown_status) for id_, ticket in found.state.tickets.items()}


def told(found: Session, id_: str, **values: str) -> None:
    found.tell(rq.ProcessEnded(id_, found.state.tickets[id_].attempts, code=0, values=values))


def unwanted(**values: str) -> Session:
    found = session()
    found.dispatch()
    told(found, "split", **(values or {"count": "0"}))
    found.dispatch()
    return found


def test_what_variables_alone_say_no_to_is_known_at_once_and_stays_in_the_session() -> None:
    found = session()
    assert found.dispatch() == ["split"]
    assert shown(found) == {
        "split": "running", "test": "waiting", "ship": "waiting", "tell": "waiting", "full": "not wanted",
    }  # fmt: skip
    assert found.state.tickets["full"].reason == "when mode == 'full': mode is 'fast'"


def test_what_is_not_wanted_satisfies_nobody_but_those_that_come_after_it() -> None:
    found = unwanted()
    assert shown(found) == {
        "split": "succeeded", "test": "not wanted", "ship": "not wanted", "tell": "running", "full": "not wanted",
    }  # fmt: skip
    assert found.state.tickets["test"].reason == "when split.count > 0: split.count is 0"
    assert (found.state.tickets["ship"].because, found.state.cause(found["ship"]).id) == ("test", "test")
    assert found.why("ship") == ["not wanted: test is not wanted: when split.count > 0: split.count is 0"]
    found.succeed("tell")
    assert found.state.has_succeeded
    counts = next(each.counts for each in found.close() if isinstance(each, ev.CompletionValidated))
    assert (counts["not wanted"], counts["skipped"], counts["succeeded"]) == (3, 0, 2)


def test_what_is_wanted_runs_and_is_not_asked_again() -> None:
    found = session('retries = 1\nretry_delay = "1s"')
    found.dispatch()
    told(found, "split", count="2")
    assert found.dispatch() == ["test"]
    assert found["test"].decided_by == "split.count is 2"
    found.fail("test")
    found.back_off("test")
    assert found.dispatch() == ["test"]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"other": "1"}, "when split.count > 0: split has told no value count: it told other"),
        ({"count": "many"}, "when split.count > 0: split.count is 'many' and 0: these cannot be compared by `>`"),
    ],
)
def test_what_has_no_answer_fails_before_anything_starts(values: dict[str, str], reason: str) -> None:
    found = unwanted(**values)
    assert (found.status("test"), found["test"].reason, found["test"].attempts) == ("failed", reason, 0)
    assert shown(found)["ship"] == "skipped"


def test_a_person_who_retries_it_runs_it_and_may_take_that_back() -> None:
    found = unwanted()
    found.succeed("tell")
    found.act(rq.Retry(tickets=("test",), by="ann"))
    assert found.dispatch() == ["test"]
    assert shown(found)["ship"] == "waiting"
    found = unwanted()
    found.succeed("tell")
    found.act(rq.Retry(tickets=("test",), by="ann"))
    found.act(rq.Undo(by="ann"))
    assert shown(found)["test"] == shown(found)["ship"] == "not wanted"
    assert isinstance(found.ask(rq.Retry(tickets=("ship",))), Refusal)


def test_it_is_asked_again_once_what_it_needs_has_run_again() -> None:
    found = unwanted()
    found.succeed("tell")
    found.ask(rq.Retry(tickets=("split",), downstream=True))
    assert shown(found)["test"] == shown(found)["ship"] == "waiting"
    assert shown(found)["full"] == "not wanted"
    found.dispatch()
    told(found, "split", count="7")
    assert "test" in found.dispatch()


def test_another_expression_is_asked_at_once_and_other_changes_leave_it() -> None:
    found = unwanted()
    found.succeed("tell")
    found.ask(rq.Edit(ticket="test", changes={"title": "x"}))
    assert shown(found)["test"] == "not wanted"
    found.ask(rq.Edit(ticket="test", changes={"when": "mode == 'fast'"}))
    assert shown(found)["test"] == shown(found)["ship"] == "waiting"
    assert found.dispatch() == ["test"]


def test_one_that_is_waived_lets_its_dependents_run() -> None:
    found = unwanted()
    found.ask(rq.Waive(tickets=("test",)))
    assert found.dispatch() == ["ship"]


def test_nobody_is_asked_to_approve_of_what_is_not_wanted() -> None:
    found = session('approve = "before"')
    found.dispatch()
    told(found, "split", count="0")
    found.dispatch()
    assert not any(isinstance(event, ev.ApprovalAsked) for event in found.journal)


def test_a_need_that_fails_beside_it_makes_no_difference() -> None:
    found = session(
        "", PLAN.replace('needs = ["test"]', 'needs = ["test", "other"]') + '[tickets.other]\nrun = "x"\n'
    )
    found.dispatch()
    found.fail("other")
    assert shown(found)["ship"] == "skipped"
    told(found, "split", count="0")
    found.dispatch()
    assert shown(found)["ship"] == "not wanted"
    found.succeed("tell")
    found.act(rq.Retry(tickets=("test",), by="ann"))
    assert shown(found)["ship"] == "skipped"


GATES = """
[plan]
gates = ["true"]
[group.docs]
gates = ["true"]
[tickets.split]
run = "true"
[tickets.a]
group = "docs"
needs = ["split"]
when = "split.count > 0"
run = "true"
[tickets.b]
group = "docs"
needs = ["split"]
when = "split.count > 1"
run = "true"
"""


@pytest.mark.parametrize(("count", "gates"), [("0", "not wanted"), ("1", "validating")])
def test_gates_do_without_what_is_not_wanted_unless_nothing_is(count: str, gates: str) -> None:
    found = session("", GATES)
    found.dispatch()
    told(found, "split", count=count)
    if found.dispatch() == ["a"]:
        found.succeed("a")
        found.dispatch()
    assert (shown(found)["b"], shown(found)["@docs"]) == ("not wanted", gates)
    if gates == "not wanted":
        assert shown(found)["@plan"] == "validating"
        assert isinstance(found.ask(rq.Retry(tickets=("@docs",))), Refusal)
        found.succeed("@plan")
        found.ask(rq.Retry(tickets=("a",)))
        assert shown(found)["@docs"] == "waiting"


def test_how_a_ticket_ended_can_be_asked() -> None:
    text = """
[tickets.build]
run = "x"
[tickets.undo]
after = ["build"]
when = "build.status in ['failed', 'timed out']"
run = "y"
"""
    found = session("", text)
    found.dispatch()
    found.fail("build")
    assert found.dispatch() == ["undo"]
    found = session("", text)
    found.dispatch()
    found.succeed("build")
    found.dispatch()
    assert shown(found)["undo"] == "not wanted"


def test_what_is_not_known_yet_counts_as_wanted_in_a_course() -> None:
    found = session()
    spans = {span.ticket for span in course_of(copy_of(found.state), Durations({}), found.now).spans}
    assert spans == {"split", "test", "ship", "tell"}


GATED = """
[vars]
go = false
[plan]
gates = ["whole"]
[group.g]
gates = ["look"]
[tickets.a]
group = "g"
when = "go"
run = "true"
[tickets.b]
group = "g"
run = "true"
[tickets.c]
needs = ["a"]
run = "true"
[tickets.d]
needs = ["b"]
run = "true"
"""

FILTERED = """
[vars]
least = 1
[tickets.g]
matrix = { n = [1, 2, 3] }
when = "n > least"
run = "true"
[tickets.x]
matrix = { n = [1, 2, 3] }
needs = ["g-{n}"]
run = "true"
[tickets.h]
needs = ["g", "x"]
run = "true"
[tickets.one]
needs = ["g-1"]
run = "true"
"""


def gated() -> Session:
    """Without `a` and `c`, and the gates of the group have run."""
    found = session(text=GATED)
    for id_ in ("b", "@g"):
        found.dispatch()
        found.succeed(id_)
    found.dispatch()
    return found


def wanted_now(found: Session) -> rq.Amend:
    given = Given(sets={"go": "true"})
    return compare(found.state, read_plan(GATED, source="p", folder="/", format="toml", given=given)).request


def test_gates_run_again_with_what_becomes_wanted() -> None:
    found = gated()
    assert isinstance(refused := found.ask(wanted_now(found)), Refusal)
    assert (
        refused.reason == "the gates of group g have let d start, which is running, and would be about other tickets"
    )
    found.succeed("d")
    found.dispatch()
    assert "@plan" in str(found.ask(wanted_now(found)))
    found.succeed("@plan")
    found.dispatch()
    assert shown(found) == {
        "a": "not wanted", "b": "succeeded", "c": "not wanted", "d": "succeeded", "@g": "succeeded",
        "@plan": "succeeded",
    }  # fmt: skip
    found.act(wanted_now(found))
    assert {id_ for id_, status in shown(found).items() if status == "waiting"} == {"a", "c", "@g", "@plan"}
    for id_ in ("a", "@g", "c", "@plan"):
        found.dispatch()
        found.succeed(id_)
    assert set(shown(found).values()) == {"succeeded"}
    assert found["@g"].attempts == found["@plan"].attempts == 2
    found.restart()


@pytest.mark.parametrize(("go", "when"), [(False, "go"), (2.75, "go > 2.5"), (3, "go < 2")])
def test_a_ticket_can_be_changed_whose_expression_names_what_is_no_text(go: float, when: str) -> None:
    text = GATED.replace("go = false", f"go = {go}".lower()).replace('when = "go"', f'when = "{when}"')
    found = session(text=text)
    found.act(rq.Edit(ticket="a", changes={"title": "x"}))
    assert (found["a"].spec.title, found["a"].spec.when_values) == ("x", {"go": go})


def test_who_needs_a_whole_family_does_without_those_of_it_that_are_not_wanted() -> None:
    found = session(text=FILTERED)
    assert found.dispatch() == ["g-2", "g-3"]
    assert {id_ for id_, status in shown(found).items() if status == "not wanted"} == {"g-1", "x-1", "one"}
    found.succeed("g-2", "g-3")
    assert found.dispatch() == ["x-2", "x-3"]
    found.restart()
    found.succeed("x-2")
    found.fail("x-3")
    assert found.status("h") == "skipped"
    assert shown(found)["h"] == "skipped"
    found.ask(rq.Retry(tickets=("x-3",)))
    found.dispatch()
    found.succeed("x-3")
    assert found.dispatch() == ["h"]
    assert list(survey(found.state.plan).unwanted) == ["g-1", "x-1", "one"]


def test_who_needs_a_whole_family_is_not_wanted_if_none_of_it_is() -> None:
    text = FILTERED.replace("least = 1", "least = 3")
    found = session(text=text)
    assert found.dispatch() == []
    assert {*shown(found).values()} == {"not wanted"}
    assert found.state.tickets["h"].reason == "none of g is wanted"
    assert set(survey(found.state.plan).unwanted) == found.state.tickets.keys()
    found.restart()
    found.ask(rq.Retry(tickets=("g-2",)))
    assert found.dispatch() == ["g-2"]
    found.succeed("g-2")
    assert found.dispatch() == ["x-2"]
    found.succeed("x-2")
    assert found.dispatch() == ["h"]


def test_the_status_of_a_ticket_is_told_in_its_word() -> None:
    text = """
    [tickets.a]
    run = "false"
    [tickets.b]
    needs = ["a?"]
    when = "a.status == 'succeeded'"
    run = "true"
    """
    found = session(text=text)
    found.dispatch()
    found.fail("a")
    found.dispatch()
    assert found.state.tickets["b"].reason == "when a.status == 'succeeded': a.status is 'failed'"
