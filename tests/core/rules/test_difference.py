"""What a reload takes over of a plan file, where that names what the session does not have."""

from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.services import Service
from parexec_tui.core.rules.difference import compare
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
    assert (found.is_empty, found.has_tickets) == (True, True)
