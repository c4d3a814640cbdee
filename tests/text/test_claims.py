"""`parexec claims`: who holds what, who waits, what is given back next, and what was written unclaimed."""

import msgspec

from parexec_tui.text.claims import claims_lines, claims_report
from parexec_tui.text.dashboard import dashboard
from parexec_tui.text.session_facts import session_report
from parexec_tui.text.session_lines import report_lines
from parexec_tui.text.status_facts import status_report
from tests.core.sessions import Session, plan


def contended() -> Session:
    session = Session(
        plan(
            """
            A: locks=db estimate=3m
            B: uses=gpu:1 estimate=10m
            C: writes=out/** claims=warn estimate=150s
            D: locks=db reads=out/a
            E: uses=gpu:2
            """,
            parallel=8,
            resources={"gpu": ("x", "y")},
        )
    )
    session.dispatch()
    session.wait(125)
    return session


def test_what_others_wait_for_comes_first_and_who_gives_it_back() -> None:
    session = contended()
    assert list(claims_lines(claims_report(session.state, session.now), session.now)) == [
        "released next: C in 25s",
        "lock db",
        "  A holds 2m05",
        "  D waits lock db 2m05",
        "writes out",
        "  C holds 2m05",
        "  D waits to read out/a 2m05",
        "gpu: 1 of 2 used",
        "  B holds x 2m05",
        "  E waits wants 2 2m05",
    ]


def test_nothing_is_held() -> None:
    session = Session(plan("A:"))
    session.dispatch()
    assert list(claims_lines(claims_report(session.state, session.now), session.now)) == ["nothing is held"]


def test_what_was_written_unclaimed_is_told_everywhere() -> None:
    session = contended()
    session.succeed("C")
    session.found_unclaimed("C", "src/db.py", "x")
    session.dispatch()
    told = "wrote outside its claim: src/db.py (and 1 more)"
    facts = msgspec.to_builtins(claims_report(session.state, session.now))
    assert facts["unclaimed"]["C"]["files"] == ("src/db.py", "x")
    assert list(claims_lines(claims_report(session.state, session.now), session.now))[-1] == f"C: {told}"
    status = status_report(session.state, session.now)
    assert status.unclaimed["C"].count == 2
    assert f"claims   C: {told}" in dashboard(status)
    assert any(told in line for line in report_lines(session_report(session.state), ascii_only=True))
