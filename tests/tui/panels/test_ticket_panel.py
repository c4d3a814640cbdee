"""The panel of one ticket: where it stands and why, what is around it, its attempts, and all that the plan says."""

from dataclasses import dataclass

import pytest
from msgspec import structs

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.limits import Limits
from parexec_tui.core.plan.retries import RetryUses
from parexec_tui.core.plan.units import Factor, Size
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.protocol import Sampled, Usage
from parexec_tui.tui.panels.ticket import TicketPanel
from parexec_tui.tui.view.view_state import STALE_AFTER, Change, ViewState
from tests.core.sessions import Session, plan, replay
from tests.tui.drawn import lines, panel_of, view_of
from tests.tui.release import release, samples


@dataclass
class Shown:
    """The panel with one ticket in it."""

    session: Session
    view: ViewState
    panel: TicketPanel

    def lines(self) -> list[str]:
        return [line[1:].rstrip("#: ") for line in lines(self.panel)]

    def said(self, name: str) -> list[str]:
        """What stands behind a name in the margin, with the lines that go on below it."""
        found: list[str] = []
        for line in self.lines():
            if line[:10].strip() == name:
                found.append(line[11:])
            elif found and line[:10].strip():
                break
            elif found and line:
                found.append(line[11:])
        return found


def show(session: Session, ticket: str, *, width: int = 100, height: int = 60, ascii_only: bool = True) -> Shown:
    view = view_of(session, ascii_only=ascii_only)
    for event in session.journal:
        view.event_history.take(event)
    view.selected = ticket
    return Shown(session, view, panel_of(TicketPanel, view, width, height))


# -- where it stands -------------------------------------------------------------------------------------------


def test_a_ticket_that_runs_tells_of_its_attempt() -> None:
    shown = show(release(), "unit-web-2")
    assert shown.said("status") == ["> running  on tester-2  for 6m48"]
    (pid,) = [ticket.live_attempt.pid for ticket in shown.session.state.live.values() if ticket.id == "unit-web-2"]
    assert shown.said("attempt") == [f"1, pid {pid}"]
    (sampled,) = samples(shown.session.now, count=1)
    assert isinstance(sampled, Sampled)
    shown.view.samples.take(sampled)
    shown.panel.changed(Change.clock)
    assert shown.said("attempt") == [f"1, pid {pid}, 1.7 cpu, 2GiB, 19 processes"]
    assert shown.said("progress") == ["42% 3/7 unit/web/session"]
    shown.session.wait(STALE_AFTER + 1)
    shown.panel.changed(Change.clock)
    assert shown.said("attempt") == [f"1, pid {pid}"], "that was measured too long ago"


def test_without_a_word_of_its_output_a_ticket_has_a_guess() -> None:
    assert show(release(), "migrate").said("progress") == ["~57% of the expected time"]


def test_what_is_measured_now_is_not_said_of_the_past() -> None:
    session = Session("A:")
    session.dispatch()
    session.spawned("A", pid=7)
    shown = show(session, "A")
    usage = Usage("A", 1, cpu=0.5, memory=2**20, processes=1, silence=None, log_size=0)
    (sampled,) = samples(session.now, count=1)
    shown.view.samples.take(structs.replace(sampled, attempts=(usage,)))
    shown.panel.changed(Change.clock)
    assert shown.said("attempt") == ["1, pid 7, 0.5 cpu, 1MiB, 1 process"]
    usage = structs.replace(usage, disk_read=2**19, disk_written=7 * 2**20)
    shown.view.samples.take(structs.replace(sampled, attempts=(usage,)))
    shown.panel.changed(Change.clock)
    assert shown.said("attempt") == ["1, pid 7, 0.5 cpu, 1MiB, 1 process, 7MiB written"]
    shown.view.past = replay(session.plan, session.journal)
    shown.panel.changed(Change.state)
    assert shown.said("attempt") == ["1, pid 7"]


def test_a_time_out_that_is_near_is_told() -> None:
    session = Session("A: timeout=200s retries=2")
    session.dispatch()
    session.wait(50)
    assert "0 of 2 retries used, timeout in 2m30" in show(session, "A").said("attempt")[0]


def test_a_ticket_that_waits_tells_every_reason() -> None:
    shown = show(release(), "integration-1")
    assert shown.said("status") == ["| held"]
    assert shown.said("why")[0] == "held by ann"
    assert shown.said("why")[1].startswith("no idle agent: tester-2 (quarantined) runs unit-web-2, tester-4 held")


def test_what_is_waited_for_in_the_end_comes_first() -> None:
    session = Session("A:\nB: A\nC: B")
    session.dispatch()
    assert show(session, "B").said("waits for") == []
    assert show(session, "C").said("waits for") == ["A runs on agent-1, for 0s; 2 wait for it"]
    session.ask(rq.Freeze(tickets=("A",), by="ann"))
    session.ask(rq.Hold(tickets=("A",), by="bob"))
    assert show(session, "C").said("waits for") == ["agent-1 is frozen with A, by ann, for 0s; 2 wait for it"]
    said = "frozen by ann, for 0s; 2 wait for it; held by bob: it is not tried again"
    assert show(session, "A").said("paused") == [said]


@pytest.mark.parametrize(
    ("ticket", "status", "because"),
    [
        ("bench", "x failed  last on builder-3", "exit 1: AssertionError: p99 is 61.2 ms, promised are 50 ms"),
        ("unit-core-3", "t timed out  last on tester-3", "after 3m20s"),
        ("integration-3", "- skipped", "unit-core-3 timed out"),
        ("translate-pt", "c cancelled", "by bo"),
    ],
)
def test_a_ticket_that_is_over_tells_why(ticket: str, status: str, because: str) -> None:
    shown = show(release(), ticket)
    assert (shown.said("status"), shown.said("because")) == ([status], [because])


def test_what_a_person_chose_and_said_is_told() -> None:
    session = Session(plan("A:", agents={"one": AgentType(min=1), "other": AgentType(min=1)}))
    session.dispatch()
    session.fail("A")
    session.ask(rq.Retry(tickets=("A",), agent="other", note="mind the cache", by="ann"))
    shown = show(session, "A")
    assert (shown.said("assigned"), shown.said("note")) == (["to other"], ["mind the cache"])


# -- around it, and before -------------------------------------------------------------------------------------


def test_needs_and_dependents_stand_with_where_they_are() -> None:
    shown = show(release(), "unit-web-2")
    assert shown.said("needs") == ["+ succeeded    web  Build the web client"]
    assert shown.said("needed by") == [". waiting      integration-2  The same with a slow network"]


def test_enter_on_one_of_them_goes_there() -> None:
    shown = show(release(), "unit-web-2")
    shown.panel.go_to(next(at for at, line in enumerate(shown.lines()) if line.startswith("needs ")))
    assert shown.panel.open() == "ticket"
    assert shown.view.selected == "web"
    shown.panel.changed(Change.selection)
    assert shown.panel.cursor == 0
    assert shown.panel.open() == "", "its status leads nowhere"


def test_of_very_many_dependents_the_rest_is_counted() -> None:
    session = Session("A:\n" + "\n".join(f"B{number}: A" for number in range(130)), checks=False)
    assert show(session, "A", height=200).said("needed by")[-1] == "and 80 more"


def test_attempts_are_told_the_newest_first_and_of_the_past_only_those_there_were() -> None:
    shown = show(release(), "mirror", width=250)
    why = "exit 1: rsync error: timeout in data send/receive (code 30) at io.c(199)"
    assert shown.said("attempts") == [
        f"x failed       3  09:09:05  1m36s on tester-4  {why}",
        f"x failed       2  09:03:12  1m00s on tester-1  {why}",
        f"x failed       1  09:00:00  42.0s on tester-2  {why}",
    ]
    journal = shown.session.journal
    seq = next(at for at, event in enumerate(journal, 1) if event.at > shown.session.now - 400)
    shown.view.past, shown.view.past_seq = replay(shown.session.plan, journal[:seq]), seq
    shown.panel.changed(Change.state | Change.appearance)
    assert [line.split()[2] for line in shown.said("attempts")] == ["2", "1"]
    assert shown.said("log")[0].endswith("/mirror.2.log")


def test_what_an_attempt_used_is_told_as_far_as_there_is_room() -> None:
    session = Session("A:")
    session.dispatch()
    mib = 1 << 20
    report = rq.ProcessEnded("A", 1, 1, None, "", 1.5, 52 * mib, peak_processes=19, disk_written=7 * mib)
    session.tell(report)
    (whole,) = show(session, "A", width=120).said("attempts")
    assert whole.endswith("on agent-1, 52MiB, 1.5s of cpu, 19 processes, 7MiB written  exit 1")
    for width in (111, 100):
        (part,) = show(session, "A", width=width).said("attempts")
        assert part.endswith("on agent-1, 52MiB, 1.5s of cpu, 19 processes  exit 1"), width
    (least,) = show(session, "A", width=90).said("attempts")
    assert least.endswith("on agent-1, 52MiB, 1.5s of cpu  exit 1")


@pytest.mark.parametrize("fields", ["", "on_fail=rollback rollback=undo"])
def test_an_attempt_has_not_succeeded_before_it_is_approved_and_never_if_it_is_sent_back(fields: str) -> None:
    def attempts() -> list[str]:
        return [" ".join(line.split()[1:]) for line in show(session, "A", width=120).said("attempts")]

    session = Session(f"A: approve=after {fields}")
    session.dispatch()
    session.succeed("A")
    assert [line.split()[0] for line in attempts()] == ["approval"]
    session.act(rq.Reject(tickets=("A",), by="ann", note="too bad"))
    if fields:
        assert [line.split()[:2] for line in attempts()] == [["rolls", "back"]]
        session.succeed("A")
    (line,) = attempts()
    assert line.startswith("stopped 1 ")
    assert line.endswith("sent back by ann: too bad" + (", rolled back" if fields else ""))
    session.dispatch()
    session.succeed("A")
    session.act(rq.Approve(tickets=("A",)))
    assert [line.split()[:2] for line in attempts()] == [["succeeded", "2"], ["stopped", "1"]]


def test_attempts_that_could_not_start_stand_in_their_columns() -> None:
    session = Session("A: retries=1")
    session.dispatch()
    session.could_not_start("A")
    ((attempt, *_),) = [show(session, "A", width=100).said("attempts")]
    assert attempt.split("  ")[0] == "n could not start"
    assert attempt.startswith("n could not start  1  ")


# -- as in the plan --------------------------------------------------------------------------------------------


def test_all_that_the_plan_says_of_it_is_told() -> None:
    session = Session(
        plan(
            "A: title=Long reads=in/** writes=out locks=db uses=gpu:1,memory:3145728 requires=fast estimate=90s "
            "timeout=5m retries=2 priority=high run=true",
            agents={"agent": AgentType(can=("fast",))},
            resources={"gpu": 2, "memory": 2**30},
        )
    )
    shown = show(session, "A")
    told = {name: shown.said(name)[0] for name in ("title", "reads", "writes", "locks", "uses", "requires", "run")}
    assert told == {
        "title": "Long", "reads": "in/**", "writes": "out", "locks": "db", "uses": "gpu 1, memory 3MiB",
        "requires": "fast", "run": "true",
    }  # fmt: skip
    told = {name: shown.said(name)[0] for name in ("estimate", "timeout", "retries", "priority", "agents", "group")}
    assert told == {
        "estimate": "1m30s", "timeout": "5m00s", "retries": "2", "priority": "high", "agents": "agent", "group": "1",
    }  # fmt: skip
    assert shown.panel.text_to_copy() == "true"


def test_its_limits_are_those_of_its_agent_as_well_and_what_a_retry_raised_them_to() -> None:
    written = plan("A: uses=memory:1048576", agents={"agent": AgentType(limits=Limits(cpu=2), nice=5)})
    limits, more = Limits(memory=Size(64 * 2**20)), RetryUses(memory=Factor(2))
    written.tickets["A"] = structs.replace(written.tickets["A"], limits=limits, retry_uses=more, retries=1)
    session = Session(written)
    assert show(session, "A").said("limits") == ["memory 64MiB"]
    session.dispatch()
    assert show(session, "A").said("limits") == ["memory 64MiB, cpu 2, nice 5"]
    session.tell(rq.ProcessEnded("A", 1, signal=9, out_of_memory="at 64MiB of 64MiB"))
    shown = show(session, "A")
    assert shown.said("limits") == ["memory 128MiB, cpu 2, nice 5"]
    assert shown.said("uses") == ["memory 2MiB"]
    assert "at 64MiB of 64MiB" in shown.said("attempts")[0]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("A: estimate=90s\nB: A estimate=30s", "2m00s to the end of the plan"),
        ("A: estimate=90s\nB: A\nC: B", "1m30s to the end of the plan, and 2 tickets without an estimate"),
        ("A:\nB: A", "unknown: 2 tickets without an estimate"),
    ],
)
def test_of_the_way_to_the_end_only_what_is_known_is_counted(text: str, path: str) -> None:
    assert show(Session(text), "A").said("path") == [path]


def test_what_came_from_a_plan_cannot_act_on_the_terminal_and_is_folded() -> None:
    made = plan("A:")
    session = Session(made)
    session.ask(rq.Edit(ticket="A", changes={"title": "word " * 30, "run": "echo\x1b[2J\n\tdone"}))
    shown = show(session, "A", width=60)
    assert len(shown.said("title")) == 4
    assert all("\x1b" not in line for line in shown.lines())
    assert len(shown.said("run")) == 2


def test_wide_letters_are_folded_by_the_cells_that_they_take() -> None:
    session = Session("A:")
    title = "索引を作り直す" * 5
    session.ask(rq.Edit(ticket="A", changes={"title": title}))
    said = show(session, "A", width=40, ascii_only=False).said("title")
    assert "".join(said) == title
    assert len(said) == 3


def test_without_a_ticket_it_says_so() -> None:
    shown = show(release(), "")
    assert shown.lines()[0].strip() == "no ticket is selected"


def test_what_it_wrote_unclaimed_is_told_with_the_files() -> None:
    session = Session("A: writes=out claims=warn\nB: claims=enforce")
    session.dispatch()
    session.succeed("A", "B")
    session.found_unclaimed("A", "src/db.py", "x\x07y")
    session.found_unclaimed("B", "src/db.py")
    shown = show(session, "A")
    assert shown.said("unclaimed") == ["wrote outside its claim: src/db.py (and 1 more)", "xy"]
    assert shown.said("claims") == ["warn"]
    assert show(session, "B").said("unclaimed") == ["wrote outside its claim: src/db.py"]
