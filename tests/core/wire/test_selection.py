"""Some tickets of a plan: those that are named with what they need, narrowed, and what is taken as done."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from parexec_tui.core.plan.gates import Group, described, is_gate_ticket
from parexec_tui.core.plan.model import Plan, Selection
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire import codec
from parexec_tui.core.wire.selection import choose
from parexec_tui.core.wire.selectors import SelectorError, select
from tests.core.sessions import plan

SITE = plan("""
    gen:
    fetch: priority=low
    build: gen fetch
    lint: gen
    test: build
    deploy: test lint
""")


@pytest.mark.parametrize(
    ("wanted", "chosen", "taken_as_done"),
    [
        (Selection(("test",)), "gen fetch build test", ""),
        (Selection(("lint", "fetch")), "gen fetch lint", ""),
        (Selection(("*t",)), "gen fetch build lint test", ""),
        (Selection(("priority:low",)), "fetch", ""),
        (Selection(only=("test,lint",)), "lint test", "gen build"),
        (Selection(start=("build",)), "build test deploy", "gen fetch lint"),
        (Selection(("test",), start=("fetch",)), "fetch build test", "gen"),
        (Selection(excluded=("build",)), "gen fetch lint test deploy", "build"),
        (Selection(("deploy",), excluded=("test",)), "gen lint deploy", "test"),
        (Selection(("deploy",), excluded=("test", "lint")), "deploy", "lint test"),
        (Selection(start=("gen",), only=("build", "fetch")), "build", "gen fetch"),
    ],
    ids=lambda it: it.words if isinstance(it, Selection) else None,
)
def test_what_is_chosen_and_what_is_taken_as_done(wanted: Selection, chosen: str, taken_as_done: str) -> None:
    choice = choose(SITE, wanted)
    assert " ".join(choice.plan.tickets) == " ".join(choice.because) == chosen
    assert " ".join(choice.taken_as_done) == taken_as_done
    assert choice.plan.selection.of == len(SITE.tickets)


def test_what_may_fail_is_brought_and_what_only_comes_before_is_not() -> None:
    whole = plan("a:\nb:\nc: a? after=b\nd: c? after=a")
    chosen = choose(whole, Selection(("c",)))
    assert (list(chosen.plan.tickets), chosen.taken_as_done) == (["a", "c"], {})
    assert (chosen.plan.tickets["c"].needs, chosen.plan.tickets["c"].after) == (("a?",), ())
    assert list(choose(whole, Selection(start=("b",))).plan.tickets) == ["b"]
    assert list(choose(whole, Selection(start=("a",))).plan.tickets) == ["a", "c", "d"]
    alone = choose(whole, Selection(only=("d",)))
    assert (alone.plan.tickets["d"].needs, alone.plan.tickets["d"].after) == ((), ())
    assert alone.taken_as_done == {"c": ("d",)}


def test_each_ticket_has_its_reason() -> None:
    assert choose(SITE, Selection(("test", "lint"))).because == {
        "gen": "needed by lint",
        "fetch": "needed by build",
        "build": "needed by test",
        "lint": "named",
        "test": "named",
    }
    assert choose(SITE, Selection(start=("build",))).because == {
        "build": "named by --from",
        "test": "needs build",
        "deploy": "needs test",
    }
    assert choose(SITE, Selection(only=("lint",))).because == {"lint": "named by --only"}
    assert set(choose(SITE, Selection()).because.values()) == {""}


@pytest.mark.parametrize("wanted", [Selection(("@plan",)), Selection(excluded=("clean",)), Selection()])
def test_the_gates_of_the_plan_do_not_wait_for_what_runs_after_them(wanted: Selection) -> None:
    choice = choose(plan("a:\nb: a\nclean: finally=true", gates=("whole",)), wanted)
    assert (choice.plan.settings.gates, choice.gates_left_out) == (("whole",), {})


def test_the_gates_of_the_plan_are_left_out_with_a_ticket_that_they_wait_for() -> None:
    choice = choose(plan("a:\nb: a\nclean: finally=true", gates=("whole",)), Selection(("a", "clean")))
    assert (choice.plan.settings.gates, choice.gates_left_out) == ((), {"the plan": ("b",)})


@pytest.mark.parametrize(
    ("wanted", "groups", "left_out"),
    [
        (Selection(("c",)), [["a"], ["c", "@2"]], {"group g": ("b",)}),
        (Selection(excluded=("a", "z,y")), [["b", "@g"], ["c", "@2"], ["d"]], {}),
        (Selection(start=("c",)), [[], ["c", "@2"], ["d"]], {"group g": ("b",)}),
        (Selection(only=("d", "z")), [[], [], ["d"], ["z"]], {"group g": ("b",), "group 2": ("c",)}),
        (Selection(only=("b,y",)), [["b", "@g"], [], [], [], ["y"]], {"group 2": ("c",)}),
        (Selection(only=("@2",)), [[], ["c", "@2"]], {"group g": ("b",)}),
        (Selection(only=("@g", "d")), [["b", "@g"], [], ["d"]], {"group 2": ("c",)}),
        (Selection(start=("@2",)), [[], ["c", "@2"], ["d"]], {"group g": ("b",)}),
        (Selection(("d",), excluded=("@2",)), [["a"], ["c"], ["d"]], {"group 2": (), "group g": ("b",)}),
        (Selection(("d", "b"), excluded=("priority:critical",)), [["a", "b", "@g"], ["c", "@2"], ["d"]], {}),
    ],
    ids=lambda it: it.words if isinstance(it, Selection) else None,
)
def test_groups_keep_their_numbers_and_whole_ones_their_gates(
    wanted: Selection, groups: list[list[str]], left_out: dict[str, tuple[str, ...]]
) -> None:
    whole = plan(
        "a:\nb: group=g\nc: a\nd: c\nz: finally=true\ny: z finally=true",
        groups={"g": ("true",), "2": ("true",)},
    )
    choice = choose(whole, wanted)
    assert SessionState(choice.plan).groups == groups
    assert choice.gates_left_out == left_out


def test_a_group_of_which_nothing_was_chosen_is_none_to_begin_at() -> None:
    session = SessionState(choose(SITE, Selection(start=("build",))).plan)
    assert select(session, ["group:2"]) == ["build"]
    with pytest.raises(SelectorError, match="there is no group 1, there is 2, 3 and 4"):
        select(session, ["group:1"])


def test_the_words_are_those_of_the_command_line() -> None:
    wanted = Selection(("a", "b*"), ("c",), ("d",), ("e", "f"))
    assert wanted.words == "a b* --only c --from d --except e --except f"
    assert wanted
    assert not Selection()


@pytest.mark.parametrize(
    "wanted",
    [Selection(("none",)), Selection(only=("x*",)), Selection(("test",), excluded=("test", "build", "gen", "fetch"))],
)
def test_nothing_that_could_be_run_is_an_error(wanted: Selection) -> None:
    with pytest.raises(SelectorError):
        choose(SITE, wanted)


def test_a_session_remembers_its_selection_and_one_without_is_written_as_before() -> None:
    chosen = choose(SITE, Selection(("test",))).plan
    assert codec.decode_plan(codec.encode(chosen)) == chosen
    assert choose(chosen, chosen.selection).plan.tickets == chosen.tickets


def test_a_session_of_an_earlier_version_keeps_the_numbers_that_it_gave() -> None:
    chosen = choose(SITE, Selection(start=("build",))).plan
    assert SessionState(chosen).groups == [[], ["build"], ["test"], ["deploy"]]
    earlier = structs.replace(chosen, selection=Selection(start=("build",), of=6))
    assert b"numbers" not in codec.encode(earlier)
    assert SessionState(codec.decode_plan(codec.encode(earlier))).groups == [["build"], ["test"], ["deploy"]]


IDS = [f"t{number}" for number in range(8)]
WORDS = st.lists(st.sampled_from(IDS), max_size=2).map(tuple)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    tickets = {}
    for number, id_ in enumerate(IDS):
        needs = draw(st.lists(st.sampled_from(IDS[:number]), unique=True, max_size=3)) if number else []
        tickets[id_] = Ticket(run="true", needs=tuple(needs))
    return Plan(settings=SITE.settings, tickets=tickets, agents=SITE.agents, workdir="/w")


@st.composite
def plans_with_gates(draw: st.DrawFn) -> Plan:
    whole = draw(plans())
    last = draw(st.integers(4, len(IDS)))
    tickets = {
        id_: Ticket(run="true", needs=tuple(need for need in ticket.needs if IDS.index(need) < last))
        if number < last
        else Ticket(run="true", needs=tuple(need for need in ticket.needs if IDS.index(need) >= last), finally_=True)
        for number, (id_, ticket) in enumerate(whole.tickets.items())
    }
    for id_ in draw(st.lists(st.sampled_from(IDS[:last]), unique=True, max_size=2)):
        if not tickets[id_].needs:
            tickets[id_] = structs.replace(tickets[id_], group="g")
    groups = {name: Group(gates=("true",)) for name in ("g", *draw(st.lists(st.sampled_from("123"), unique=True)))}
    settings = structs.replace(whole.settings, gates=("whole",))
    return structs.replace(whole, tickets=tickets, groups=groups, settings=settings)


@given(plans_with_gates(), st.builds(Selection, WORDS, WORDS, WORDS, WORDS))
def test_what_is_chosen_has_the_numbers_and_the_gates_of_the_whole_plan(whole: Plan, wanted: Selection) -> None:
    try:
        choice = choose(whole, wanted)
    except SelectorError:
        return
    of_all, of_some = SessionState(whole), SessionState(codec.decode_plan(codec.encode(choice.plan)))
    for id_, ticket in of_some.tickets.items():
        assert ticket.group == of_all.tickets[id_].group
    for id_ in filter(is_gate_ticket, of_all.tickets):
        members = {need for need in of_all.graph.needs[id_] if not is_gate_ticket(need)}
        assert (id_ in of_some.tickets) is (members <= choice.plan.tickets.keys())
        if id_ in of_some.tickets:
            assert {need for need in of_some.graph.needs[id_] if not is_gate_ticket(need)} == members
        else:
            assert set(choice.gates_left_out[described(id_)]) == members - choice.plan.tickets.keys()


@given(plans(), st.builds(Selection, WORDS, WORDS, WORDS, WORDS))
def test_the_chosen_tickets_are_a_plan_of_their_own(whole: Plan, wanted: Selection) -> None:
    try:
        choice = choose(whole, wanted)
    except SelectorError:
        return
    chosen = choice.plan.tickets
    assert list(chosen) == [id_ for id_ in whole.tickets if id_ in chosen]
    assert not chosen.keys() & set(wanted.excluded)
    for id_, spec in chosen.items():
        assert set(spec.needs) == set(whole.tickets[id_].needs) & chosen.keys()
        for need in set(whole.tickets[id_].needs) - chosen.keys():
            assert id_ in choice.taken_as_done[need]
    if wanted.tickets and not (wanted.only or wanted.start or wanted.excluded):
        assert not choice.taken_as_done
    if wanted.start and not (wanted.tickets or wanted.only or wanted.excluded):
        assert all(id_ in chosen for id_, spec in whole.tickets.items() if set(spec.needs) & chosen.keys())
