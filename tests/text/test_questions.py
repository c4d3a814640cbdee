"""What the engine answers to questions, from a state that was brought about by hand."""

import msgspec
from msgspec import structs

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.checks import RunningCheck
from parexec_tui.core.plan.services import Service
from parexec_tui.core.plan.units import Lease
from parexec_tui.core.state.used import Used
from parexec_tui.core.wire import codec
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.protocol import Question, StatusReport
from parexec_tui.core.wire.requests import Refusal
from parexec_tui.text.dashboard import dashboard
from parexec_tui.text.questions import answer
from parexec_tui.text.services import fact_text
from parexec_tui.text.session_facts import session_report
from parexec_tui.text.session_lines import report_lines
from parexec_tui.text.status_facts import status_report
from tests.core.hosts import lose, two_hosts
from tests.core.sessions import OPENED_AT, Session, plan


def ask(session: Session, about: str, *tickets: str) -> object:
    """The answer as it goes over the wire and comes out again."""
    question = msgspec.convert({"type": "question", "id": 1, "about": about, "tickets": tickets}, Question)
    found = answer(session.state, question, session.now)
    return found if isinstance(found, Refusal) else msgspec.json.decode(codec.encode(found))


def status(session: Session) -> StatusReport:
    return msgspec.convert(ask(session, "status"), StatusReport)


def test_status_tells_the_session_in_short() -> None:
    session = Session("A:\nB:\nC: A B\nD: C")
    session.dispatch()
    session.succeed("A")
    found = status(session)
    assert (found.session, found.plan, found.state, found.engine_pid) == ("s1", "test", "running", 100)
    assert (found.started, found.ended) == (OPENED_AT, None)
    assert found.counts == {"succeeded": 1, "running": 1, "waiting": 2}
    assert (found.group, found.groups) == (1, 3)
    assert [(agent.id, agent.status, agent.ticket) for agent in found.agents] == [
        ("agent-1", "idle", None),
        ("agent-2", "busy", "B"),
    ]


def test_status_tells_every_hold_and_by_whom() -> None:
    session = Session(plan("A:\nB:\nC:", agents={"a": AgentType(min=1), "b": AgentType()}))
    for request in (
        rq.Hold(by="ann@pts/1"),
        rq.Hold(tickets=("B",), by="bob"),
        rq.Hold(agents=("a-1",), by="cyd"),
        rq.Hold(types=("b",), by="dan"),
    ):
        assert not isinstance(session.ask(request), Refusal)
    found = status(session)
    assert [(hold.what, hold.name, hold.by) for hold in found.holds] == [
        ("session", "s1", "ann@pts/1"),
        ("type", "b", "dan"),
        ("agent", "a-1", "cyd"),
        ("ticket", "B", "bob"),
    ]
    assert found.holds[0].since == OPENED_AT
    assert found.state == "held"


def test_status_of_a_session_without_an_engine() -> None:
    session = Session("A: estimate=1m\nB: A estimate=1m", checks=False)
    session.dispatch()
    found = status_report(session.state, session.now)
    assert found.eta is not None
    session.state.note_engine_lost(session.state.without_engine())
    found = status_report(session.state, session.now)
    assert (found.state, found.engine_pid, found.eta) == ("interrupted", None, None)
    assert found.needs_you == 1
    assert [agent.status for agent in found.agents if agent.ticket] == ["last busy"]
    assert [line for line in dashboard(found) if "busy" in line][:1] == ["agents   1 last busy"]
    assert [(each.root.kind, each.count) for each in found.roots][:1] == [("engine", 1)]
    session.state.note_engine_lost(None)
    assert status_report(session.state, session.now).needs_you == 0
    for id_ in "AB":
        session.succeed(id_)
        session.dispatch()
    session.close()
    session.state.note_engine_lost(session.state.without_engine())
    found = status_report(session.state, session.now)
    assert not found.needs_you
    assert (found.state, found.ended, found.group, found.groups) == ("finished", session.now, 2, 2)


def test_report_is_what_show_prints() -> None:
    session = Session("A:\nB: A")
    found = ask(session, "report")
    assert isinstance(found, dict)
    assert [ticket["id"] for ticket in found["tickets"]] == ["A", "B"]


def test_why_of_a_service_tells_how_it_stands_and_of_what_failed_with_it_how_it_is_run_again() -> None:
    services = {"db": Service(run="db", ready="tcp:1", restart="never"), "site": Service(run="site", ready="tcp:2")}
    session = Session(plan("A: uses_service=db\nB: uses_service=site\nC: uses_service=db", services=services))
    session.dispatch()
    session.service_ended("db", code=3)
    session.wait(65)
    assert ask(session, "why", "db", "site") == {
        "db": ["failed: exit 3: no disk"],
        "site": ["starting: waits for tcp:2, 1m05, 1 to come"],
    }
    found = ask(session, "roots", "db", "A", "C")
    assert isinstance(found, dict)
    assert [(each["root"]["kind"], each["root"]["name"], each["count"]) for each in found["roots"]] == [
        ("service", "db", 2)
    ], "one for all of them"
    session.service_is_up("site")
    session.dispatch()
    session.succeed("B")
    session.end_unrunnable()
    assert ask(session, "why", "A") == {
        "A": [
            "failed: service db failed: exit 3: no disk",
            "run it again: parexec retry A (that starts service db again)",
        ]
    }
    assert ask(session, "why", "nothing") == Refusal("there is no ticket or service nothing")


def test_status_tells_what_a_service_used() -> None:
    session = Session(plan("A: uses_service=db", services={"db": Service(run="db")}))
    session.dispatch()
    session.service_is_up("db")
    session.dispatch()
    session.succeed("A")
    session.end_unwanted()
    key = session.service("db").key
    session.tell(rq.ProcessEnded(key.ticket, key.attempt, 0, cpu_seconds=1.5, peak_memory=52 << 20))
    (fact,) = status(session).services
    assert (fact.cpu_seconds, fact.peak_memory) == (1.5, 52 << 20)
    assert fact_text(fact) == "stopped, 52MiB, 1.5s of cpu"
    session.act(rq.Retry(tickets=("A",)))
    session.dispatch()
    assert status(session).services[0].peak_memory == 0, "of its newest start"


def test_show_tells_what_an_attempt_used_once_it_is_over() -> None:
    session = Session("A:\nB:\nC:")
    session.dispatch()
    used = Used(1.5, 52 << 20, 19, 7 << 20)
    session.tell(rq.ProcessEnded("A", 1, 0, **used.fields()))
    session.tell(rq.ProcessEnded("B", 1, 1, cpu_seconds=0.01, peak_processes=3, disk_written=4096))
    report = session_report(session.state)
    assert [ticket.used for ticket in report.tickets] == [used, Used(0.01, 0, 3, 0, 4096), None]
    lines = list(report_lines(report, ascii_only=True))
    assert lines[-3].endswith("on agent-1  52MiB, 1.5s of cpu, 19 processes, 7MiB read")
    assert lines[-2].endswith("on agent-2  exit 1"), "that is usual"


def test_why_of_named_tickets_or_of_all_that_wait() -> None:
    session = Session("A:\nB: A\nC: B")
    session.dispatch()
    assert ask(session, "why", "C") == {"C": ["needs B (waiting)"]}
    found = ask(session, "why")
    assert isinstance(found, dict)
    assert list(found) == ["B", "C"]
    assert ask(session, "why", "Z") == Refusal("there is no ticket Z")


def test_what_a_check_froze_waits_for_a_person_and_says_so() -> None:
    checks = (RunningCheck(forbid="bad", then="freeze"),)
    written = plan("A:")
    written.tickets["A"] = structs.replace(written.tickets["A"], checks=checks)
    session = Session(written)
    session.dispatch()
    assert ask(session, "why") == {}
    session.tell(rq.CheckMade("A", 1, number=0, problem="it printed bad"))
    assert ask(session, "why") == {"A": ["frozen on agent-1"]}
    (ticket,) = session_report(session.state).tickets
    assert ticket.why == ("frozen: check no bad: it printed bad",)
    assert "frozen: check no bad: it printed bad" in "\n".join(
        report_lines(session_report(session.state), ascii_only=True)
    )


def test_roots_of_named_tickets_or_of_all_that_wait_each_root_once() -> None:
    session = Session("A:\nB: A\nC: B\nD:")
    session.dispatch()
    session.ask(rq.Freeze(tickets=("A",), by="ann"))
    found = ask(session, "roots")
    assert isinstance(found, dict)
    assert found["of"] == {"A": 0, "B": 0, "C": 0}
    (only,) = found["roots"]
    assert (only["root"]["kind"], only["root"]["ticket"], only["root"]["by"], only["count"]) == (
        "frozen",
        "A",
        "ann",
        2,
    )
    named = ask(session, "roots", "A", "D")
    assert isinstance(named, dict)
    assert [each["root"]["kind"] for each in named["roots"]] == ["frozen", "running"]
    assert ask(session, "roots", "Z") == Refusal("there is no ticket Z")


def test_why_tells_the_lease_of_what_runs_on_a_host_that_is_not_reached() -> None:
    session = two_hosts(lease=Lease(300.0))
    lose(session)
    session.wait(10)
    found = ask(session, "why")
    assert isinstance(found, dict)
    assert "C" not in found, "it runs here"
    ran, lease, sooner = found["A"]
    assert ran == "running on trainer-A"
    assert lease == "gpu-box unreachable for 10s; A's lease there ends in 5m15, then it may run elsewhere"
    assert sooner == "if you know that gpu-box is dead: parexec reassign A any --now; else it may run twice"
