"""Tickets that generate others in a plan file, and the fragments that they and people add."""

import pytest

from parexec_tui.core.plan.expanding.given import Given
from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.reading.file import PlanErrors, read_plan
from parexec_tui.core.plan.reading.fragment import Generation, read_fragment
from parexec_tui.core.plan.ticket import Ticket

SPLIT = '[tickets.split]\nrun = "true"\ngenerates = "parts"\n'


DEFAULTS = """
[defaults]
run = "true"
"""


def read(text: str) -> Plan:
    return read_plan(text + DEFAULTS, source="p", folder="/work", format="toml")


def fragment(text: str, plan: Plan, by: str = "", **more: str) -> dict[str, Ticket]:
    generation = Generation(by) if by else None
    given = Given(sets=more)
    text = text if "[defaults]" in text else text + DEFAULTS
    return read_fragment(text, source="f", format="toml", plan=plan, generation=generation, given=given)


def errors(text: str, plan: Plan | None = None, by: str = "") -> list[str]:
    with pytest.raises(PlanErrors) as caught:
        read(text) if plan is None else fragment(text, plan, by)
    return [str(each) for each in caught.value.problems]


def test_a_need_on_a_generated_family_waits_for_the_one_that_generates_it() -> None:
    plan = read(
        SPLIT + '[tickets.a]\nneeds = ["parts"]\n[tickets.b]\nneeds = ["parts?"]\n[tickets.c]\nafter = ["parts"]\n'
    )
    assert [(t.needs, t.after, t.awaits) for t in list(plan.tickets.values())[1:]] == [
        (("split",), (), {"parts": "needs"}),
        (("split?",), (), {"parts": "needs?"}),
        ((), ("split",), {"parts": "after"}),
    ]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('[tickets.a]\nneeds = ["parts"]\n', "p:2:10: tickets.a.needs[0]: there is no ticket 'parts'"),
        (
            SPLIT + '[tickets.a]\nneeds = ["parts?"]\nafter = ["split"]\nrun = "true"\n',
            "p:6:10: tickets.a.after[0]: 'parts', which 'split' generates, is in `needs`, and waits for more "
            "(leave it out of one)",
        ),
        (
            SPLIT + '[tickets.a]\nneeds = ["parts-1"]\n',
            "p:5:10: tickets.a.needs[0]: there is no ticket 'parts-1' "
            "(the tickets of parts are not known yet: write 'parts', which means all of them)",
        ),
        (
            SPLIT + '[tickets.other]\ngenerates = "parts"\n',
            "p:5:1: tickets.other.generates: 'split' generates 'parts' already (one ticket generates a family)",
        ),
        (
            SPLIT + "[tickets.parts]\n",
            "p:3:1: tickets.split.generates: a ticket is called 'parts' too (give the family another name)",
        ),
        (
            SPLIT + "[tickets.parts]\nmatrix = { n = [1] }\n",
            "p:3:1: tickets.split.generates: there is a family 'parts' already (give the new one another name)",
        ),
        (
            SPLIT + 'skip_if = "true"\n',
            "p:4:1: tickets.split.skip_if: without a run of its command nobody knows what it generates "
            "(leave it out, or write up_to_date = true)",
        ),
        (
            SPLIT + 'approve = "after"\n',
            "p:4:1: tickets.split.approve: what it generates joins when its command has succeeded "
            '(write approve = "before" in the tickets that it generates)',
        ),
        (
            '[tickets.a]\nawaits = { parts = "needs" }\n',
            "p:2:12: tickets.a.awaits.parts: nothing that it waits for generates 'parts'",
        ),
    ],
)
def test_mistakes_of_those_that_generate(text: str, error: str) -> None:
    assert error in errors(text)


def test_each_member_of_a_family_may_generate_one() -> None:
    plan = read(
        '[tickets.split]\nmatrix = { n = [1, 2] }\ngenerates = "parts-{n}"\n[tickets.a]\nneeds = ["parts-2"]\n'
    )
    assert plan.tickets["a"].needs == ("split-2",)
    assert plan.tickets["a"].awaits == {"parts-2": "needs"}


def test_a_fragment_is_expanded_with_the_variables_of_the_session() -> None:
    plan = read(
        '[vars]\nmode = "debug"\nlist = ["x", "y"]\n[resources]\ngpu = ["0"]\n[tickets.t]\nmatrix = { n = [1, 2] }\n'
    )
    added = fragment(
        """
[vars]
own = 1
[defaults]
needs = ["t-1"]
[tickets.new]
foreach = { each = "{list}" }
run = "{each} {mode} {own} {gpu} {t-1.count}"
uses.gpu = 1
[tickets.all]
needs = ["t", "new"]
run = "{{}}"
""",
        plan,
        mode="release",
        own="2",
    )
    assert {id_: ticket.run for id_, ticket in added.items()} == {
        "new-x": "x release 2 {gpu} {t-1.count}",
        "new-y": "y release 2 {gpu} {t-1.count}",
        "all": "{}",
    }
    assert added["all"].needs == ("t-1", "t-2", "new-x", "new-y")
    assert added["new-x"].family == "new"


@pytest.mark.parametrize(
    ("text", "by", "error"),
    [
        (
            '[tickets.a]\nrun = "{mod}"\n',
            "",
            "f:2:1: tickets.a.run: there is no variable 'mod' (did you mean `mode`?)",
        ),
        (
            '[tickets.a]\nrun = "true"\n[tickets.t]\nmatrix = { n = [3] }\n',
            "",
            "f:3:10: tickets.t: the plan has a family 't' already",
        ),
        (
            "[tickets.a]\nmatrix = { n = [3] }\nmax_parallel = 1\n",
            "split",
            "f:3:1: tickets.a.max_parallel: the limits of a family stand in the plan "
            "(write [families.parts] in the plan file)",
        ),
        (
            '[tickets.a]\nneeds = ["parts"]\n',
            "split",
            "f:2:10: tickets.a.needs[0]: a family cannot need itself",
        ),
        (
            '[tickets.a]\nneeds = ["merge"]\n',
            "split",
            "f:2:10: tickets.a.needs[0]: a cycle of needs: a -> merge -> a (each would wait for the next for ever)",
        ),
        (
            'include = ["x.toml"]\n[tickets.a]\n',
            "split",
            "f:1:1: include: a fragment has tickets, defaults and vars only (edit the plan file, then reload it)",
        ),
        (
            "[tickets.a]\nfinally = true\n",
            "split",
            "f:2:1: tickets.a.finally: what runs at the end stands in the plan file",
        ),
    ],
)
def test_mistakes_of_fragments(text: str, by: str, error: str) -> None:
    plan = read(
        '[vars]\nmode = "x"\n[tickets.t]\nmatrix = { n = [1] }\n'
        + SPLIT
        + '[tickets.merge]\nneeds = ["parts"]\nrun = "true"\n'
    )
    assert error in errors(text, plan, by)
