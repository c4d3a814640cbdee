"""What is waited for, in words, and the command that ends it."""

import pytest

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.schedule.root import Root, WaitedFor
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.protocol import AgentFact, HoldFact, Roots, StatusReport
from parexec_tui.text.dashboard import dashboard
from parexec_tui.text.roots import command_of, root_text, waited_for_text
from parexec_tui.text.status_facts import status_report
from parexec_tui.text.waits import last_reasons, why_lines
from tests.core.sessions import Session, plan

FROZEN = Root("frozen", ticket="compile", agent="builder-1", by="ann@pts/3", since=1000.0)

ALL = (
    (FROZEN, "builder-1 is frozen with compile, by ann@pts/3, for 40s", "thaw compile"),
    (Root("frozen", ticket="a b", agent="x"), "x is frozen with a b", "thaw 'a b'"),
    (Root("held", ticket="lint", by="ann", since=760.0), "lint is held, by ann, for 4m40", "release lint"),
    (Root("session", how="held", by="me", reason="lunch"), "the session is held, by you: lunch", "release"),
    (Root("session", how="frozen"), "the session is frozen", "thaw"),
    (Root("session", how="draining"), "the session drains", "release"),
    (Root("session", how="stopping"), "the session is stopping", ""),
    (Root("host", name="memory", reason="1 GiB"), "host short of memory: 1 GiB", ""),
    (Root("engine", reason="killed"), "no engine runs the session: killed", "resume"),
    (Root("agent", agent="a-1", how="quarantined", reason="dead"), "a-1 is quarantined: dead", "release a-1"),
    (Root("type", name="a", by="bob"), "agent type a is held, by bob", "release a"),
    (Root("running", ticket="T", agent="a-1", since=1000.0), "T runs on a-1, for 40s", ""),
    (Root("backoff", ticket="T", until=1100.0), "T is tried again, in 1m00", "retry T"),
    (Root("busy", name="agents"), "all agents are busy", ""),
    (Root("secret", ticket="T", reason="secret K is not known"), "T waits: secret K is not known", ""),
)


@pytest.mark.parametrize(("root", "text", "command"), ALL)
def test_words_and_command(root: Root, text: str, command: str) -> None:
    assert root_text(root, 1040.0, "me") == text
    assert command_of(root) == (f"parexec {command}" if command else "")


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (WaitedFor(FROZEN, 5), "builder-1 is frozen with compile, by ann@pts/3; 5 wait for it"),
        (WaitedFor(FROZEN, 1), "builder-1 is frozen with compile, by ann@pts/3; 1 waits for it"),
        (WaitedFor(FROZEN, 0), "builder-1 is frozen with compile, by ann@pts/3"),
        (WaitedFor(FROZEN, 9, False), "builder-1 is frozen with compile, by ann@pts/3; more than 9 wait for it"),
        (WaitedFor(Root("session", how="held"), 7), "the session is held; 7 tickets wait"),
    ],
)
def test_how_many_wait(found: WaitedFor, text: str) -> None:
    assert waited_for_text(found, None) == text


def test_why_says_a_root_once_and_what_stays_first() -> None:
    running = Root("running", ticket="docs", agent="builder-2", since=1035.0)
    roots = Roots([WaitedFor(running, 1), WaitedFor(FROZEN, 2)], {"site": 0, "link": 1, "pack": 1})
    reasons = {
        "site": ["needs docs (running)"],
        "link": ["needs compile (frozen)"],
        "pack": ["needs link (waiting)", "held"],
    }
    assert list(why_lines(reasons, roots, 1040.0, "ann@pts/3")) == [
        "builder-1 is frozen with compile, by you, for 40s; 2 wait for it: parexec thaw compile",
        "  link  needs compile (frozen)",
        "  pack  needs link (waiting)",
        "        held",
        "docs runs on builder-2, for 5s; 1 waits for it",
        "  site  needs docs (running)",
    ]
    frozen = Roots([WaitedFor(Root("session", how="frozen"), 2)], {"A": 0, "B": 0})
    reasons_ = {"A": ["session held by ann: frozen"], "B": ["needs A (waiting)", "session held by ann: frozen"]}
    assert list(why_lines(reasons_, frozen, 0.0, "")) == [
        "the session is frozen; 2 tickets wait: parexec thaw",
        "  A",
        "  B  needs A (waiting)",
    ]
    secret = Roots([WaitedFor(Root("secret", ticket="T", reason="secret K is not known"), 0)], {"T": 0})
    told = list(why_lines({"T": ["secret K is not known"]}, secret, 0.0, ""))
    assert told == ["T waits: secret K is not known", "  T"]
    assert list(why_lines({"T": []}, Roots([], {}), 0.0, "")) == ["T  could start now"]
    assert last_reasons(reasons, roots)["link"] == [
        "needs compile (frozen)",
        "builder-1 is frozen with compile, by ann@pts/3",
    ]
    starts = Roots([WaitedFor(Root("next", ticket="T"), 0), WaitedFor(Root("far", ticket="U"), 1)], {"T": 0, "V": 1})
    assert last_reasons({"T": [], "V": ["needs U (waiting)"]}, starts) == {"T": [], "V": ["needs U (waiting)"]}


def test_status_says_what_is_waited_for_and_says_a_hold_once() -> None:
    held = Root("held", ticket="T1", by="ann", since=1000.0)
    report = StatusReport(
        session="s",
        plan="p",
        state="running",
        engine_pid=1,
        started=0.0,
        ended=None,
        counts={},
        groups=1,
        group=1,
        eta=None,
        holds=[HoldFact("ticket", "T1", "ann", "", 1000.0), HoldFact("ticket", "T2", "ann")],
        agents=[AgentFact("builder-2", "busy", "docs"), AgentFact("builder-1", "frozen", "compile")],
        failures=[],
        roots=[WaitedFor(FROZEN, 5), WaitedFor(held, 1), WaitedFor(Root("busy", name="agents"), 3)],
    )
    lines = dashboard(report, now=1040.0, me="ann@pts/3")
    assert lines[4:] == [
        "waits    builder-1 is frozen with compile, by you, for 40s; 5 wait for it",
        "         parexec thaw compile",
        "waits    T1 is held, by ann, for 40s; 1 waits for it: parexec release T1",
        "held     ticket T2 by ann",
        "agents   1 busy, 1 frozen",
        "  builder-1  frozen       compile",
        "  builder-2  busy         docs",
    ]


def test_status_gives_the_reason_why_there_is_no_eta_as_the_header_does() -> None:
    session = Session(plan("A: estimate=10s\nB: A estimate=10s", agents={"agent": AgentType(max=1)}))
    session.dispatch()

    def said() -> str:
        return next(line for line in dashboard(status_report(session.state, session.now)) if line.startswith("eta"))

    assert said().startswith("eta      20.0s")
    session.act(rq.Hold(agents=("agent-1",)))
    assert said() == "eta      -: agent-1 held"


def test_status_says_what_more_of_something_would_save() -> None:
    session = Session(plan("A: estimate=60s\nB: estimate=60s\nC: estimate=60s", parallel=2))
    session.dispatch()
    said = "narrow   1 ticket waits for a slot (2 at once): one more would start 1 now and save about 1m"
    assert said[:80] in [line[:80] for line in dashboard(status_report(session.state, session.now), whole=True)]
    session.ask(rq.Hold())
    assert status_report(session.state, session.now).bottlenecks == []
