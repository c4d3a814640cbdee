"""What `show` prints of families."""

from parexec_tui.core.plan.reading.file import read_plan
from parexec_tui.text.claims import claims_lines, claims_report
from parexec_tui.text.session_facts import session_report
from parexec_tui.text.session_lines import chosen_lines, report_lines
from tests.core.sessions import Session

PLAN = """
[plan]
parallel = 9
[tickets.build]
run = "true"
[tickets.test]
matrix = { os = ["debian", "alpine"], py = ["3.11", "3.12", "3.13"] }
needs = ["build"]
max_parallel = 2
run = "tox"
[tickets.report]
needs = ["test"]
run = "true"
"""


def running() -> Session:
    session = Session(read_plan(PLAN, source="p.toml", folder="/w", format="toml"))
    session.dispatch()
    session.succeed("build")
    session.dispatch()
    return session


def lines(session: Session) -> list[str]:
    return [*report_lines(session_report(session.state), ascii_only=True)][3:]


def test_a_family_is_a_row_with_those_below_it_that_need_a_look() -> None:
    session = running()
    assert lines(session)[1] == "> running          test              2 running, 4 waiting of 6"
    assert [line.split()[2] for line in lines(session)[2:4]] == ["test-debian-3.11", "test-debian-3.12"]
    assert lines(session)[-1].endswith("needs 6 of test")
    session.fail("test-debian-3.11")
    session.succeed("test-debian-3.12")
    session.dispatch()
    assert lines(session)[1].split()[:2] == ["x", "failed"]
    assert [line.split()[1:3] for line in lines(session)[2:-1]] == [
        ["failed", "test-debian-3.11"],
        ["running", "test-debian-3.13"],
        ["running", "test-alpine-3.11"],
    ]


def test_those_of_one_family_are_a_page_and_a_member_says_what_it_is() -> None:
    session = running()
    session.wait(5)
    session.succeed("test-debian-3.11")
    report = session_report(session.state)
    members = [id_ for id_ in session.state.tickets if id_.startswith("test-")]
    page = [*chosen_lines(report, members, ascii_only=True)][2:]
    assert page[:4] == [
        "family test: 1 running, 4 waiting, 1 succeeded of 6",
        "  os = debian, alpine",
        "  py = 3.11, 3.12, 3.13",
        "  took 5.0s, half of them at most 5.0s; 5.0s in all",
    ]
    assert len(page) == 5 + 6
    some = [*chosen_lines(report, members[:2], ascii_only=True)]
    assert some[2] == "2 of the 6 of family test: 1 running, 1 succeeded of 2"
    one = [*chosen_lines(report, members[:1], ascii_only=True)]
    assert one[-1].strip() == "of the family test: os=debian, py=3.11"


def test_a_large_page_has_the_slowest_and_what_failed() -> None:
    text = '[plan]\nparallel = 500\n[tickets.part]\nforeach = { n = "1..400" }\nrun = "true"\n'
    session = Session(read_plan(text, source="p.toml", folder="/w", format="toml"), checks=False)
    session.dispatch()
    for number in range(1, 401):
        session.wait(1)
        if number % 10:
            session.succeed(f"part-{number}")
        else:
            session.fail(f"part-{number}")
    report = session_report(session.state)
    page = [*chosen_lines(report, [*session.state.tickets], ascii_only=True)]
    assert len(page) < 45
    assert "  n = 1, 2, 3, 4, 5, 6, 7, 8 and 392 more" in page
    assert page[page.index("the slowest") + 1].split()[2] == "part-400"
    assert page[-1].strip() == "and 20 more: parexec show family:part --json"
    assert len([*report_lines(report, ascii_only=True)]) < 30


def test_who_waits_of_a_family_is_said_once() -> None:
    session = running()
    session.wait(3)
    said = [*claims_lines(claims_report(session.state, session.now), session.now)]
    assert said == [
        "released next: test-debian-3.11 in 3s",
        "max_parallel of test: 2 of 2 used",
        "  test-debian-3.11 holds 1 3s",
        "  test-debian-3.12 holds 1 3s",
        "  4 of test wait for a turn, the first for 3s",
    ]
