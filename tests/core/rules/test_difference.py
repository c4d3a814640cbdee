"""What a reload takes over of a plan file, where that names what the session does not have."""

from pathlib import Path

from msgspec.structs import replace

from parexec_tui.client.plan_files import read_fragment_file
from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.services import Service
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.rules.difference import compare
from parexec_tui.core.wire import requests as rq
from tests.core.sessions import Session, plan


def newer(text: str) -> Plan:
    return plan(text, services={"db": Service(run="true")}, resources={"gpu": 1})


def test_what_uses_a_new_table_is_left_out_with_what_waits_for_it_and_the_rest_is_taken_over() -> None:
    session = Session("A:\nG:")
    found = compare(session.state, newer("A:\nG: uses=gpu:1\nB: uses_service=db\nC: B\nD: C?\nE: A\nF: G"))
    service = "it uses the new service db, which is for the next session"
    assert found.left_out == {
        "B": service,
        "C": "it waits for B, which is left out",
        "D": "it waits for C, which is left out",
    }
    assert found.too_late == {
        "G": "changed in the file, but it uses the new resource gpu, which is for the next session"
    }
    assert (list(found.added), found.changed) == (["E", "F"], {})
    assert f"! B  is left out: {service}" in list(found.lines())
    session.act(found.request)
    assert "F" in session.state.tickets


def test_if_nothing_else_differs_nothing_can_be_taken_over() -> None:
    found = compare(Session("A:").state, newer("A:\nB: uses_service=db"))
    assert (found.is_empty, found.concerns_session) == (True, True)


def test_what_differs_of_a_family_is_folded() -> None:
    def family(numbers: range, command: str = "x") -> dict[str, Ticket]:
        return {
            f"p-{n}": Ticket(run=f"{command} {n}", family="p", member={"n": str(n)}, needs=("a",) if n > 6 else ())
            for n in numbers
        } | {"a": Ticket(run="a")}

    session = Session(replace(plan("a:"), tickets=family(range(7))))
    few = compare(session.state, replace(plan("a:"), tickets=family(range(1, 9))))
    assert list(few.lines()) == ["+ p-7  needs a", "+ p-8  needs a", "- p-0"]
    assert list(compare(session.state, replace(plan("a:"), tickets=family(range(3, 9)))).lines()) == [
        "~ family p: 2 more, 3 gone",
        "  + p-7 and p-8",
        "  - p-0, p-1 and p-2",
    ]
    session.dispatch()
    session.succeed("p-0", "p-1", "p-2", "p-3")
    found = compare(session.state, replace(plan("a:"), tickets=family(range(2, 8), "y")))
    assert list(found.lines()) == [
        "~ family p: 1 more, 2 gone, 3 changed, 2 as before",
        "  + p-7  needs a",
        "  ~ p-4, p-5 and p-6  run",
        "  - p-0 and p-1",
        "  ! p-2 and p-3  stay as they are: changed in the file, but they are done",
    ]


def test_a_family_that_joins_has_the_limits_of_its_file(tmp_path: Path) -> None:
    session = Session("A:\nB:")
    session.dispatch()
    session.succeed("A")
    (file := tmp_path / "more.toml").write_text(
        '[tickets.f]\nmatrix = { n = [1, 2, 3] }\nmax_parallel = 1\nfail_fast = true\nrun = "true"\n'
    )
    session.act(read_fragment_file(file, session.state))
    session.dispatch()
    assert len([id_ for id_ in session.state.live if id_.startswith("f-")]) == 1
    assert session.state.plan.families["f"].fail_fast
    assert compare(session.state, plan("A:\nB:")).is_empty
    session.restart()


def test_what_was_added_beside_the_file_stays_with_what_it_needs() -> None:
    session = Session("A:\nB:\nC:")
    session.act(rq.Amend(added={"X": Ticket(run="x", needs=("B",)), "Y": Ticket(run="y")}, beside=True))
    assert compare(session.state, plan("A:\nB:\nC:")).concerns_session is False
    found = compare(session.state, plan("A:\nY:"))
    assert (found.dropped, tuple(found.changed)) == (("C",), ("Y",))
    assert found.too_late == {"B": "dropped in the file, but needed by what stays"}
    session.act(rq.Amend(dropped=("X",)))
    assert session.state.beside == {"Y"}
    session.restart()
