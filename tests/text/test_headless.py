"""Output without a screen: what is said, how it looks where, and what it must never do."""

import io
import json
import os
import pty
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import pytest
from msgspec import structs

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.units import Money
from parexec_tui.core.state import events as ev
from parexec_tui.core.wire import requests as rq
from parexec_tui.outputs.local import LocalOutput
from parexec_tui.text.attempt_output import attempt_output, last_lines
from parexec_tui.text.dashboard import dashboard
from parexec_tui.text.event_lines import lines
from parexec_tui.text.failures import failure_groups
from parexec_tui.text.headless import Headless, Style
from parexec_tui.text.session_facts import session_report
from parexec_tui.text.session_lines import report_lines
from parexec_tui.text.status_facts import status_report
from parexec_tui.text.words import is_ascii_only, printable, with_name
from tests.core.coding import coder, coding_session, says
from tests.core.sessions import Session, plan

PLAN = """
A:
B: A  retries=1 retry_delay=2s
C: B
D: writes=out/**
E: writes=out/e.txt
"""


@pytest.fixture(autouse=True)
def plain_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LC_ALL", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


class Stream(io.StringIO):
    """A stream of text that remembers what was written, and can be a terminal."""

    encoding = "utf-8"

    def __init__(self, *, terminal: bool = False) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


def ascii_stream() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)


def told(session: Session, style: Style = "lines", stream: Stream | None = None, outcome: str = "finished") -> str:
    """All that is written of a session, with the times taken out."""
    stream = stream or Stream()
    with Headless(style, stream) as output:
        output.tell(session.state, session.journal)
    output.summary(session.state, outcome)
    return re.sub(r"\d\d:\d\d:\d\d", "TIME", stream.getvalue())


def a_bit_of_everything() -> Session:
    session = Session(plan(PLAN))
    session.dispatch()
    session.wait(1)
    session.succeed("A")
    session.dispatch()
    session.fail("B")
    session.wait(5)
    session.tell(rq.BackoffElapsed("B"))
    session.succeed("D")
    session.dispatch()
    session.ended("B", signal=9)
    session.succeed("E")
    session.close()
    return session


# -- what is said ----------------------------------------------------------------------------------------------


def test_a_line_for_each_fact_that_matters() -> None:
    text = told(a_bit_of_everything())
    pause = re.search(r"retry 1 of 1 in (\S+)", text)
    assert pause is not None
    assert text.replace(pause[1], "PAUSE") == (
        """\
TIME  → opened           s1  test: 5 tickets, 4 at once
TIME  → queued           in 3 groups of 3, 1, 1
TIME  ▶ started          A  on agent-1
TIME  ▶ started          D  on agent-2
TIME  · waits            E  writes out/e.txt while D writes out
TIME  ✓ succeeded        A  on agent-1 in 1.0s
TIME  ▶ started          B  on agent-1
TIME  ✗ failed           B  exit 1, on agent-1 after 0.00s; retry 1 of 1 in PAUSE
TIME  ✓ succeeded        D  on agent-2 in 6.0s
TIME  ▶ started          B  on agent-1, attempt 2
TIME  ▶ started          E  on agent-2
TIME  ✗ failed           B  signal 9 (KILL), on agent-1 after 0.00s
TIME  » skipped          C  because of B
TIME  ✓ succeeded        E  on agent-2 in 0.00s
TIME  → finished         s1  in 6.0s

✗ B  failed in attempt 2: signal 9 (KILL)
  log: LOG

3 of 5 succeeded, 1 failed, 1 skipped in 6.0s
run what failed once more: parexec resume s1 --retry-failed
""".replace("LOG", attempt_output(a_bit_of_everything().state, a_bit_of_everything().state.tickets["B"]).name)
    )


def test_brief_is_a_line_for_each_ticket_that_is_over() -> None:
    assert told(a_bit_of_everything(), "brief").partition("\n\n")[0] == (
        """\
TIME  ✓ succeeded        A  on agent-1 in 1.0s
TIME  ✓ succeeded        D  on agent-2 in 6.0s
TIME  ✗ failed           B  signal 9 (KILL), on agent-1 after 0.00s, attempt 2
TIME  » skipped          C  because of B
TIME  ✓ succeeded        E  on agent-2 in 0.00s"""
    )


def test_brief_says_what_a_person_ended_and_what_keeps_all_from_starting() -> None:
    session = Session("A:\nB: A\nC:")
    session.dispatch()
    session.ask(rq.Hold(reason="lunch"))
    session.ask(rq.Cancel(tickets=("A",), by="ann"))
    session.ended("A", signal=15)
    session.ask(rq.Waive(tickets=("B",), by="ann"))
    assert [line.split()[2:4] for line in told(session, "brief").partition("\n\n")[0].splitlines()] == [
        ["held", "session"],
        ["cancelled", "A"],
        ["skipped", "B"],
        ["waived", "B"],
    ]


WORDS: list[tuple[ev.AnyEvent, str]] = [
    (ev.SessionHeld(at=0, reason="T failed"), "held session T failed"),
    (ev.SessionHeld(at=0, by="ann"), "held session by ann"),
    (ev.SessionReleased(at=0, by="ann"), "released session by ann"),
    (ev.SessionDraining(at=0, by="SIGINT"), "draining session by SIGINT"),
    (ev.SessionStopping(at=0, by="SIGTERM"), "stopping session by SIGTERM"),
    (ev.EngineLeft(at=0, reason="drained"), "left s1 drained: 1 ticket not over"),
    (ev.AgentQuarantined(at=0, agent="agent-1", reason="no luck"), "quarantined agent-1 no luck"),
    (ev.AgentDraining(at=0, agent="agent-1", by="ann"), "draining agent-1 by ann"),
    (ev.AgentHeld(at=0, agent="agent-1", by="ann"), "held agent-1 by ann"),
    (ev.TicketHeld(at=0, ticket="T", by="ann"), "held T by ann"),
    (ev.TicketReleased(at=0, ticket="T", by="ann"), "released T by ann"),
    (ev.TicketCancelled(at=0, ticket="T", by="ann", skipped=("U",)), "cancelled T by ann; skipped U because of T"),
    (ev.TicketUnrunnable(at=0, ticket="T", reason="nobody"), "could not start T nobody"),
    (ev.TicketRetried(at=0, ticket="T", by="ann", restored=("U",)), "retry T by ann; may run again: U"),
    (ev.AttemptFrozen(at=0, ticket="T", attempt=1, by="ann"), "frozen T by ann"),
    (ev.AttemptFrozen(at=0, ticket="T", attempt=1, reason="check a: b"), "frozen T check a: b"),
    (ev.AttemptThawed(at=0, ticket="T", attempt=1, by="ann"), "thawed T by ann"),
    (ev.AttemptStopRequested(at=0, ticket="T", attempt=1, why="timed out"), "stopping T timed out"),
    (ev.AgentsDeployed(at=0, agents=()), ""),
    (ev.AttemptSpawned(at=0, ticket="T", attempt=1, pid=1, birth=0), ""),
    (ev.BackoffEnded(at=0, ticket="T"), ""),
]


@pytest.mark.parametrize(("event", "said"), WORDS, ids=lambda value: type(value).__name__)
def test_what_is_said_of_other_events(event: ev.AnyEvent, said: str) -> None:
    session = Session("T:")
    found = [" ".join((line.word, line.subject, line.text)) for line in lines(session.state, event)]
    assert "; ".join(found) == said


def test_a_hundred_skipped_tickets_do_not_fill_the_screen() -> None:
    skipped = tuple(f"T{number}" for number in range(100))
    event = ev.TicketCancelled(at=0, ticket="T", by="ann", skipped=skipped)
    said = list(lines(Session("T:").state, event))
    assert len(said) == 12
    assert (said[-1].subject, said[-1].text) == ("90 more", "because of T")


def test_a_report_has_the_time_of_the_attempt_not_of_a_cancel_long_after_it() -> None:
    session = Session("A: retries=1 retry_delay=1h")
    session.dispatch()
    session.wait(2)
    session.fail("A")
    session.wait(30)
    session.ask(rq.Cancel(tickets=("A",), by="ann"))
    said = list(report_lines(session_report(session.state), ascii_only=False))[-1]
    assert said.split() == ["¬", "cancelled", "A", "2.0s", "on", "agent-1", "by", "ann"]


def test_what_could_not_start_goes_to_another_agent() -> None:
    session = Session("A:")
    session.dispatch()
    session.could_not_start("A")
    assert "could not start  A  command not found (exit 127), on agent-1 after 0.00s; another agent is asked" in told(
        session
    )


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        ("drained", "drained, 4 to go; go on with: parexec resume s1"),
        ("stopped", "stopped, 4 to go; go on with: parexec resume s1"),
        ("held", "held, 4 to go; go on with: parexec resume s1"),
        ("blocked", "nothing left that can run, 4 to go; go on with: parexec resume s1"),
    ],
)
def test_the_summary_says_how_to_go_on(outcome: str, said: str) -> None:
    session = Session(plan(PLAN))
    session.dispatch()
    session.succeed("A")
    assert told(session, outcome=outcome).splitlines()[-1] == said


def test_quiet_says_notices_and_the_summary() -> None:
    session, stream = a_bit_of_everything(), Stream()
    with Headless("quiet", stream) as output:
        output.tell(session.state, session.journal)
        output.notice("draining")
    output.summary(session.state, "finished")
    text = stream.getvalue()
    assert text.startswith("parexec: draining\n\n✗ B  failed")
    assert "started" not in text


def test_json_is_one_object_to_a_line() -> None:
    session, stream = a_bit_of_everything(), Stream()
    with Headless("json", stream) as output:
        output.tell(session.state, session.journal)
        output.notice("draining")
    output.summary(session.state, "finished")
    parsed = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert len(parsed) == len(session.journal) + 2
    assert parsed[-2] == {"kind": "notice", "text": "draining"}
    assert parsed[-1]["counts"] == {"succeeded": 3, "failed": 1, "skipped": 1}


def test_of_many_failures_the_first_are_shown() -> None:
    session = Session(plan("\n".join(f"T{number}:" for number in range(30)), parallel=30))
    session.fail(*session.dispatch())
    text = told(session)
    assert text.count("failed: exit 1\n") == 20
    assert "and 10 more, see parexec show s1" in text


# -- what failed attempts printed ------------------------------------------------------------------------------


def printed(session: Session, ticket: str, attempt: int, text: str) -> None:
    """Write the log of an attempt."""
    file = Path(attempt_output(session.state, session.state.tickets[ticket], attempt).name)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def test_the_last_lines_stand_below_each_failure_and_are_not_repeated(own_state_home: Path) -> None:
    session = a_bit_of_everything()
    printed(session, "B", 1, "first try\n")
    printed(session, "B", 2, "1\n2\n3\n4\nwarning\nerror: no such file\n")
    text = told(session)
    assert re.search(r"✗ failed +B  exit 1.*\n +│ first try\nTIME  ✓ succeeded", text)
    assert re.search(r"✗ failed +B  signal 9.*\n +│ 2\n +│ 3\n +│ 4\n +│ warning\n +│ error: no such file\n", text)
    assert "\n✗ B  failed in attempt 2: signal 9 (KILL)\n  log: " in text
    assert text.count("error: no such file") == 1


def test_a_failure_says_its_error_line(own_state_home: Path) -> None:
    session = Session("A:")
    session.dispatch()
    session.tell(rq.ProcessEnded("A", 1, 1, error_line="ModuleNotFoundError: foo"))
    text = told(session)
    assert "A  exit 1: ModuleNotFoundError: foo, on agent-1 after " in text
    assert "\n✗ A  failed: exit 1: ModuleNotFoundError: foo\n" in text
    report = session_report(session.state)
    assert report.tickets[0].error_line == "ModuleNotFoundError: foo"
    assert any(line.endswith("exit 1: ModuleNotFoundError: foo") for line in report_lines(report, ascii_only=True))
    facts = status_report(session.state, session.now)
    assert facts.failures[0].error_line == "ModuleNotFoundError: foo"
    assert any(line.endswith("exit 1: ModuleNotFoundError: foo") for line in dashboard(facts))


def test_what_may_fail_is_not_to_be_run_once_more() -> None:
    session = Session("A: allow_failure=true\nB:")
    session.dispatch()
    session.fail("A")
    session.succeed("B")
    assert "run what failed once more" not in told(session)


def test_a_timeout_says_where_it_was(own_state_home: Path) -> None:
    session = Session("A: timeout=90s")
    session.dispatch()
    session.time_out("A")
    session.tell(rq.ProcessEnded("A", 1, None, 15, error_line="at step 3"))
    assert re.search(r"timed out +A  at step 3, on agent-1 after ", told(session))


def failing_alike() -> Session:
    """A, C, D and E fail, all but D for the want of a module."""
    session = Session(plan("A:\nB:\nC:\nD:\nE:", parallel=5))
    session.dispatch()
    for id_, line in (
        ("A", "foo:1: no module"),
        ("D", "disk full"),
        ("C", "foo:22: no module"),
        ("E", "foo:3: no module"),
    ):
        session.tell(rq.ProcessEnded(id_, 1, 1, error_line=line))
    session.succeed("B")
    return session


def test_tickets_that_failed_alike_are_told_together(own_state_home: Path) -> None:
    session = failing_alike()
    session.close()
    assert [[each.id for each in group] for group in failure_groups(session.state)] == [["A", "C", "E"], ["D"]]
    text = told(session, "quiet")
    assert "\n✗ 3 failed alike: foo:1: no module\n  A, C, E\n  log of A: " in text
    assert "\n✗ D  failed: exit 1: disk full\n  log: " in text
    report = status_report(session.state, session.now)
    assert [(each.ticket, each.alike) for each in report.failures] == [("A", 3), ("C", 3), ("D", 1), ("E", 3)]
    lines = dashboard(report, now=session.now)
    assert lines[0].endswith("finished: 1 succeeded, 4 failed"), "a finished session may have failed"
    failed = [" ".join(line.split()) for line in lines[lines.index("failed   4") :]]
    assert failed == ["failed 4", "A and 2 more failed exit 1: foo:1: no module", "D failed exit 1: disk full"]


def test_of_an_attempt_that_could_not_begin_no_log_is_named(own_state_home: Path) -> None:
    session = Session("A:\nB:")
    session.dispatch()
    for id_ in ("A", "B"):
        why = f"required file {id_} does not exist"
        session.tell(rq.ProcessEnded(id_, 1, problem=why, ticket_at_fault=True))
    session.close()
    log = Path(attempt_output(session.state, session["B"]).name)
    log.parent.mkdir(parents=True)
    log.write_text("", encoding="utf-8")
    text = told(session, "quiet")
    assert "A does not exist\n\n" in text
    assert f"B does not exist\n  log: {log}\n" in text
    assert [each.log for each in session_report(session.state).tickets] == [None, str(log)]


def test_the_summary_repeats_what_was_written_more_than_a_screen_before(own_state_home: Path) -> None:
    session = Session(plan("A:\n" + "\n".join(f"T{number}:" for number in range(30)), parallel=31))
    session.dispatch()
    session.fail("A")
    session.succeed(*(f"T{number}" for number in range(30)))
    session.close()
    printed(session, "A", 1, "reason\n")
    text = told(session)
    assert text.count("│ reason") == 2
    assert "\n✗ A  failed: exit 1\n  │ reason\n  log: " in text


@pytest.mark.parametrize("style", ["quiet", "json"])
def test_what_was_not_shown_at_once_is_in_the_summary(own_state_home: Path, style: Style) -> None:
    session = a_bit_of_everything()
    printed(session, "B", 2, "reason\n")
    assert ("\n  │ reason\n" in told(session, style)) == (style == "quiet")


def test_of_what_a_person_ended_no_lines_are_shown(own_state_home: Path) -> None:
    session = Session("A:")
    session.dispatch()
    session.act(rq.Cancel(tickets=("A",)))
    session.ended("A", signal=15)
    printed(session, "A", 1, "half done\n")
    stream = Stream()
    with Headless("lines", stream) as output:
        output.tell(session.state, session.journal)
    assert "cancelled" in stream.getvalue()
    assert "half done" not in stream.getvalue()


# -- how it looks ----------------------------------------------------------------------------------------------


def test_columns_are_as_wide_as_the_ids_but_not_as_the_longest_that_is_possible() -> None:
    long = "T" * 60
    session = Session(plan(f"A:\nlonger:\n{long}:"))
    session.dispatch()
    rows = [line for line in told(session).splitlines() if " started " in line]
    assert rows[0].index("  on ") == rows[1].index("  on ") == len("TIME  ▶ could not start  ") + 24
    assert f"{long}  on agent-3" in rows[2]


def test_without_utf_8_there_are_ascii_signs_only(own_state_home: Path) -> None:
    session, stream = a_bit_of_everything(), ascii_stream()
    file = Path(attempt_output(session.state, session.state.tickets["B"]).name)
    file.parent.mkdir(parents=True)
    file.write_text("a line\n", encoding="utf-8")
    with Headless("lines", stream) as output:
        output.tell(session.state, session.journal)
    output.summary(session.state, "finished")
    written = stream.buffer
    assert isinstance(written, io.BytesIO)
    text = written.getvalue().decode("ascii")
    assert "x failed " in text
    assert "+ succeeded " in text
    assert "\n          | a line\n" in text


@pytest.mark.parametrize(
    ("encoding", "environment", "terminal", "ascii_only"),
    [
        ("utf-8", {}, False, False),
        ("UTF-8", {"LC_ALL": "de_DE.UTF-8"}, True, False),
        ("iso8859-1", {}, False, True),
        ("utf-8", {"LC_ALL": "C"}, False, True),
        ("utf-8", {"LC_ALL": "POSIX"}, True, True),
        ("utf-8", {"TERM": "linux"}, True, True),
        ("utf-8", {"TERM": "linux"}, False, False),
    ],
)
def test_where_signs_cannot_be_shown(
    encoding: str,
    environment: dict[str, str],
    terminal: bool,
    ascii_only: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    stream = Stream(terminal=terminal)
    stream.encoding = encoding
    assert is_ascii_only(stream) == ascii_only


def test_colour_is_for_terminals_and_only_if_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    session = a_bit_of_everything()
    assert "\x1b[" not in told(session)
    assert "\x1b[32m✓ succeeded" in told(session, stream=Stream(terminal=True))
    monkeypatch.setenv("NO_COLOR", "1")
    text = told(session, stream=Stream(terminal=True))
    assert "✓ succeeded" in text
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", text)


def test_only_the_time_is_dim() -> None:
    text = told(a_bit_of_everything(), stream=Stream(terminal=True))
    assert "\x1b[2mTIME  \x1b[0m▶ started" in text


def test_a_terminal_gets_a_progress_line_and_a_pipe_never(monkeypatch: pytest.MonkeyPatch) -> None:
    session = a_bit_of_everything()
    assert "5/5" in told(session, stream=Stream(terminal=True))
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "5/5" not in told(session)
    monkeypatch.delenv("FORCE_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert "5/5" not in told(session, stream=Stream(terminal=True))


@pytest.mark.parametrize(("width", "rows"), [(60, 4), (80, 2), (160, 1), (50, 1)])
def test_long_lines_are_folded_below_their_beginning(width: int, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless there is hardly room to fold."""
    monkeypatch.setenv("COLUMNS", str(width))
    session = Session(plan("A:  retries=3 retry_delay=1h", agents={"an-agent-with-a-long-name": AgentType()}))
    session.dispatch()
    session.fail("A")
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", told(session, stream=Stream(terminal=True)))
    block = re.search(r"TIME  ✗ failed .*?  (exit 1, on\s[^━]*? in\s+\d+m\d+s)", text, re.DOTALL)
    assert block is not None
    first, *more = block[0].replace("TIME", "00:00:00").splitlines()
    assert 1 + len(more) == rows
    assert rows == 1 or all(len(row) <= width for row in (first, *more))
    assert all(len(row) - len(row.lstrip()) == first.index("exit 1") for row in more)
    assert " ".join(block[1].split()).startswith(
        "exit 1, on an-agent-with-a-long-name-1 after 0.00s; retry 1 of 3 in"
    )


# -- logs are not to be trusted --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[31;1mred\x1b[0m", "red"),
        ("\x1b(B\x1b[mtput", "tput"),
        ("\x1b]0;a title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bP1$r0m\x1b\\after", "after"),
        ("\x1b]52;c;ZXZpbA==", ""),
        ("\x1b[2J\x1b[H\x1bcreset", "reset"),
        ("\x9b31mc1", "c1"),
        ("ring\x07 back\x08space nul\0", "ring backspace nul"),
        ("a\ttab", "a       tab"),
        ('first\n"quoted"\r\nlast\u2028\n', 'first "quoted" last '),
        ("one\x1b\nother", "one other"),
        ("left\u202eright", "leftright"),
        ("half an escape \x1b[", "half an escape "),
        ("naïve 漢字 ✓", "naïve 漢字 ✓"),
        ("joined \U0001f469\u200d\U0001f467 \u26a0\ufe0f", "joined \U0001f469\U0001f467 \u26a0"),
    ],
)
def test_what_is_printed_cannot_act_on_the_screen(raw: str, shown: str) -> None:
    assert printable(raw) == shown


HOSTILE = "\x1b]0;mine\x07\x1b[2Ja\tb"


def test_nothing_that_a_plan_a_person_or_the_system_says_acts_on_the_screen() -> None:
    made = plan("A:\nB:")
    session = Session(structs.replace(made, settings=structs.replace(made.settings, name=HOSTILE)))
    session.dispatch()
    session.fail("B")
    session.act(rq.Retry(tickets=("B",), note=HOSTILE))
    session.act(rq.Hold(reason=HOSTILE))
    session.act(rq.Release())
    session.apply(ev.AgentQuarantined(at=session.now, agent="agent-2", reason=HOSTILE))
    for _ in range(2):
        session.ended("A", problem=HOSTILE)
        session.dispatch()
    session.apply(ev.HostPressed(at=session.now, resource="disk", text=HOSTILE))
    stream = Stream()
    with Headless("lines", stream) as output:
        output.tell(session.state, session.journal)
        output.notice(HOSTILE)
    output.summary(session.state, "finished")
    report = session_report(session.state)
    written = [*stream.getvalue().splitlines(), *report_lines(report, ascii_only=False)]
    assert all(line.isprintable() for line in written)
    for word in ("opened", "retry", "held", "quarantined", "could not start", "pressed", "parexec:", "agent-2"):
        assert any(word in line and re.search("a +b", line) for line in written), word


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "a.log"


def test_the_last_lines_of_a_log_are_those_that_say_something(log: Path) -> None:
    log.write_text("0\n1\n2\n\n  \n3\n\x1b[0m\n4\n5\n\n\n", encoding="utf-8")
    assert last_lines(LocalOutput(log)) == ["1", "2", "3", "4", "5"]
    assert last_lines(LocalOutput(log), limit=1) == ["5"]


@pytest.mark.parametrize("said", ["Terminated", "/bin/sh: line 3: 4711 Terminated              sleep 20"])
def test_that_a_shell_says_last_that_term_ended_its_command_is_left_out(log: Path, said: str) -> None:
    log.write_text(f"Terminated\n1\n2\n{said}\n", encoding="utf-8")
    assert last_lines(LocalOutput(log)) == ["Terminated", "1", "2"]
    assert last_lines(LocalOutput(log), limit=1) == ["2"]
    log.write_text("1\nTerminated normally\n", encoding="utf-8")
    assert last_lines(LocalOutput(log)) == ["1", "Terminated normally"]


@pytest.mark.parametrize("states", [101, 1_000_000])
def test_a_progress_bar_is_one_line_in_its_last_state(log: Path, states: int) -> None:
    log.write_bytes(b"start\n" + b"".join(b"\r%9d done" % state for state in range(states)) + b"\r\nend\n")
    bar = f"{states - 1:9} done"
    assert last_lines(LocalOutput(log)) == (["start", bar, "end"] if states == 101 else [bar, "end"])


def test_short_lines_in_latin_1_are_text(log: Path) -> None:
    log.write_bytes("é\nOù est-il ?\ndéjà\nGröße: 5 µm\n".encode("latin-1"))
    assert last_lines(LocalOutput(log)) == ["é", "Où est-il ?", "déjà", "Größe: 5 µm"]


def test_a_huge_log_is_read_from_its_end_and_a_huge_line_cut(log: Path) -> None:
    with log.open("wb") as file:
        file.truncate(1 << 34)  # sparse: reading it all would take a while
        file.seek(0, os.SEEK_END)
        file.write(b"\nlast\n" + b"x" * 10_000)
    assert last_lines(LocalOutput(log))[-2:] == ["last", "x" * 500]


def test_a_binary_log_is_shown_as_far_as_it_can_be(log: Path) -> None:
    log.write_bytes(bytes(range(256)) * 20)
    for line in last_lines(LocalOutput(log)):
        assert line
        assert line.isprintable()


def test_a_log_that_is_not_there_or_a_folder_has_no_lines(log: Path) -> None:
    assert last_lines(LocalOutput(log)) == []
    assert last_lines(LocalOutput(log.parent)) == []


def test_signals_have_names() -> None:
    assert with_name("signal 15", 15) == "signal 15 (TERM)"
    assert with_name("signal 40", 40) == "signal 40"
    assert with_name("exit 3", None) == "exit 3"


def test_escape_sequences_of_a_log_do_not_reach_the_summary(own_state_home: Path) -> None:
    session = a_bit_of_everything()
    file = Path(attempt_output(session.state, session.state.tickets["B"]).name)
    file.parent.mkdir(parents=True)
    file.write_bytes(b"before\n\x1b[2Jevil\x1b]0;title\x07\n\xff\xfe\n")
    text = told(session)
    bar = "\n          │ "
    assert f"{bar}before{bar}evil{bar}binary, 2B: ff fe  ..\n" in text
    assert "\x1b" not in text


# -- streams that stop, and streams that are gone --------------------------------------------------------------


class Stopped(Stream):
    """A stream that takes nothing until it goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.goes_on = threading.Event()
        self.is_written = threading.Event()

    def write(self, text: str) -> int:
        self.is_written.set()
        assert self.goes_on.wait(20)
        return super().write(text)


def event(number: int) -> ev.AnyEvent:
    return ev.TicketHeld(at=number, ticket=f"T{number}", by="ann")


@pytest.mark.parametrize("style", ["lines", "json"])
def test_what_nobody_reads_in_time_is_left_out_and_that_is_said(
    style: Style, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("parexec_tui.text.headless._MAX_WAITING_TO_BE_WRITTEN", 3)
    session, stream = Session("A:"), Stopped()
    with Headless(style, stream) as output:
        output.tell(session.state, [event(0)])
        assert stream.is_written.wait(20)
        for number in range(1, 10):
            output.tell(session.state, [event(number)])  # would wait for ever if it waited at all
        stream.goes_on.set()
    text = stream.getvalue()
    assert [f"T{number}" in text for number in range(10)] == [True] * 4 + [False] * 6
    assert "6 lines left out: nobody read them in time" in text
    if style == "json":
        assert {"kind": "notice"}.items() <= json.loads(text.splitlines()[-1]).items() or "notice" in text
        for line in text.splitlines():
            json.loads(line)


class Gone(Stream):
    def __init__(self) -> None:
        super().__init__()
        self.tries = 0

    def write(self, _: str) -> int:
        self.tries += 1
        raise BrokenPipeError


@pytest.mark.parametrize("style", ["lines", "json", "quiet"])
def test_a_stream_that_is_gone_is_left_alone(style: Style) -> None:
    session, stream = a_bit_of_everything(), Gone()
    with Headless(style, stream) as output:
        for _ in range(3):
            output.tell(session.state, session.journal)
            output.notice("carrying on")
    output.summary(session.state, "finished")
    assert stream.tries == 1
    assert not output.is_stuck


@pytest.fixture
def terminal() -> Iterator[tuple[int, io.TextIOWrapper]]:
    """A terminal: the end that a person looks at, and the end that a program writes to."""
    ours, theirs = pty.openpty()
    stream = os.fdopen(theirs, "w", encoding="utf-8")
    yield ours, stream
    with suppress(OSError):
        stream.close()
    with suppress(OSError):
        os.close(ours)


def until(condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def test_a_stopped_terminal_holds_nobody_up_and_loses_nothing(terminal: tuple[int, io.TextIOWrapper]) -> None:
    person, stream = terminal
    session = a_bit_of_everything()
    output = Headless("lines", stream)
    output.__enter__()
    for _ in range(500):
        output.tell(session.state, session.journal)  # far more than a terminal takes unread
    seen = bytearray()

    def read() -> None:
        while b"--retry-failed" not in seen:
            seen.extend(os.read(person, 65536))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    output.__exit__()
    output.summary(session.state, "finished")
    reader.join(20)
    assert seen.count(b"finished") == 500


def test_a_terminal_that_is_closed_is_left_alone(terminal: tuple[int, io.TextIOWrapper]) -> None:
    person, stream = terminal
    session = a_bit_of_everything()
    with Headless("lines", stream) as output:
        os.close(person)
        output.tell(session.state, session.journal)
        until(lambda: output._gone)
        output.tell(session.state, session.journal)
    output.summary(session.state, "finished")
    stream.write("to nowhere")
    stream.flush()


def test_the_time_is_the_time_of_day_here() -> None:
    session = Session("A:")
    stream = Stream()
    with Headless("lines", stream) as output:
        output.tell(session.state, session.journal)
    here = datetime.fromtimestamp(session.now).astimezone().strftime("%H:%M:%S")
    assert stream.getvalue().startswith(here)


def test_a_session_that_was_left_for_its_budget_says_so_and_how_to_go_on() -> None:
    session = coding_session("A:\nB:\nC:", budget=Money.parse("$2"), agents={"claude": coder(max=1)})
    (first,) = session.dispatch()
    says(session, first, cost=3.0)
    assert session.dispatch() == []
    last = "budget: $3 of $2 spent, 2 to go; go on with: parexec resume s1 --budget DOLLARS"
    assert told(session, outcome="blocked").splitlines()[-1] == last
    session.apply(ev.EngineLeft(at=session.now, reason="blocked"))
    said = dashboard(status_report(session.state, session.now))
    assert "first    budget: $3 of $2 spent" in said
    assert "         parexec resume --budget DOLLARS" in said
