"""Events that were written once are read for ever.

`events_v1.jsonl` holds one line of each kind, as they were first written. A line is never changed. A new kind gets a
line here and there. A new field gets a default, so that the old lines still read as what they meant, and a line more.
"""

from pathlib import Path
from typing import get_args

import msgspec
import pytest

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.family import Family
from parexec_tui.core.plan.gates import Gate
from parexec_tui.core.plan.hosts import HostSpec
from parexec_tui.core.plan.resources import Amounts
from parexec_tui.core.plan.ticket import Priority, Ticket
from parexec_tui.core.plan.unclaimed import Unclaimed
from parexec_tui.core.plan.units import Duration
from parexec_tui.core.state import events as ev
from parexec_tui.core.state import undo
from parexec_tui.core.state.figures import Figures
from parexec_tui.core.state.status import End, ServiceStatus, Status
from parexec_tui.core.wire import codec
from tests.core.sessions import plan

GOLDEN = Path(__file__).parents[1] / "events_v1.jsonl"

EXAMPLES: tuple[ev.AnyEvent, ...] = (
    ev.SessionOpened(
        at=1.5, session="s1", plan="docs", tickets=3, parallel=4, cpus=8.0, memory=2**35, by="ann"
    ),
    ev.PoolInitialised(at=1.5, types={"builder": (1, 4), "tester": (0, 2)}),
    ev.TicketsQueued(at=1.5, groups=(2, 1)),
    ev.AgentsDeployed(at=1.5, agents=("builder-1",)),
    ev.MonitoringStarted(at=1.5, pid=4242, boot="5f0c", version="0.1.0"),
    ev.FailuresHandled(
        at=9.5, retried=1, failed=2, cancelled=3, skipped=4, quarantined=("builder-1",), serialised=5
    ),
    ev.CompletionValidated(at=9.5, counts={"failed": 2, "succeeded": 1}),
    ev.SessionFinished(at=9.5, seconds=8.0, busy=12.25),
    ev.EngineLeft(at=9.5, reason="drained"),
    ev.SessionHeld(at=2.0, reason="T1 failed", by="ann"),
    ev.SessionReleased(at=2.0, by="ann"),
    ev.SessionDraining(at=2.0, reason="lunch", by="ann"),
    ev.SessionStopping(at=2.0, reason="power", by="ann", now=True),
    ev.AgentStarted(at=2.0, agent="builder-2", type="builder"),
    ev.AgentHeld(at=2.0, agent="builder-2", by="ann"),
    ev.AgentReleased(at=2.0, agent="builder-2", by="ann"),
    ev.AgentDraining(at=2.0, agent="builder-2", by="ann"),
    ev.AgentQuarantined(at=2.0, agent="builder-2", reason="command not found (exit 127)"),
    ev.AgentStopped(at=2.0, agent="builder-2", reason="drained"),
    ev.ConflictFound(at=3.0, ticket="T2", holder="T1", reason="lock db is held by T1"),
    ev.AttemptStarted(at=3.0, ticket="T1", attempt=2, agent="builder-1"),
    ev.AttemptSpawned(at=3.0, ticket="T1", attempt=2, pid=4243, birth=123456.0),
    ev.AttemptFrozen(at=3.0, ticket="T1", attempt=2, by="ann"),
    ev.AttemptThawed(at=3.0, ticket="T1", attempt=2, by="ann"),
    ev.AttemptStopRequested(at=3.0, ticket="T1", attempt=2, why="timed out", now=True, by="ann"),
    ev.AttemptEnded(
        at=4.0,
        ticket="T1",
        attempt=2,
        agent="builder-1",
        started=3.0,
        seconds=0.75,
        end=End.could_not_start,
        then=Status.backoff,
        code=127,
        signal=9,
        reason="command not found (exit 127)",
        charged=True,
        shunned="builder-1",
        retry_at=14.5,
        skipped=("T2", "T3"),
        cpu_seconds=0.5,
        peak_memory=1048576,
    ),
    ev.BackoffEnded(at=5.0, ticket="T1"),
    ev.TicketHeld(at=5.0, ticket="T1", by="ann"),
    ev.TicketReleased(at=5.0, ticket="T1", by="ann"),
    ev.TicketCancelled(at=5.0, ticket="T1", by="ann", skipped=("T2",)),
    ev.TicketUnrunnable(at=5.0, ticket="T1", reason="no agent is left that could run it", skipped=("T2",)),
    ev.TicketRetried(at=5.0, ticket="T1", by="ann", restored=("T2",)),
    ev.SessionInterrupted(at=9.5, reason="the engine died 5 times in a minute"),
    ev.HostPressed(at=5.0, resource="disk of the workdir", text="1MiB free in /w, the plan wants 1GiB"),
    ev.HostRelieved(at=5.0, resource="disk of the workdir"),
    # With more fields than at first.
    ev.FailuresHandled(
        at=9.5, retried=1, failed=2, cancelled=3, skipped=4, quarantined=("builder-1",), serialised=5, waived=6
    ),
    ev.TicketRetried(at=5.0, ticket="T1", by="ann", restored=("T2",), rerun=("T3",), note="with more memory"),
    ev.TicketWaived(at=5.0, ticket="T1", by="ann", restored=("T2",)),
    ev.TicketPutBack(at=5.0, ticket="T1", then=Status.failed, by="ann", skipped=("T2",), restored=("T3",)),
    ev.TicketPinned(at=5.0, ticket="T1", agent="builder-2", by="ann"),
    ev.PriorityChanged(at=5.0, ticket="T1", priority=Priority.low, by="ann"),
    ev.PlanAmended(
        at=5.0,
        added={"T4": Ticket(run="make", needs=("T1",), timeout=Duration(90), uses=Amounts(memory=1048576))},
        changed={"T2": Ticket(run="make all", priority=Priority.high, locks=("db",), env={"A": "b"})},
        dropped=("T3",),
        skipped=("T4",),
        restored=("T2",),
        by="ann",
    ),
    ev.DrainEnded(at=5.0, by="ann"),
    ev.AgentTypeHeld(at=5.0, type="builder", by="ann"),
    ev.AgentTypeReleased(at=5.0, type="builder", by="ann"),
    ev.TypeScaled(at=5.0, type="builder", most=3, by="ann"),
    ev.ParallelChanged(at=5.0, parallel=8, by="ann"),
    ev.OperatorActed(
        at=5.0,
        by="ann",
        verb="reload",
        text="change T2, drop T3",
        inverse=(
            undo.PutTicketsBack(tickets=("T1",), since="waiting"),
            undo.RevertPlan(added={"T3": Ticket(run="true")}, changed={"T2": Ticket(estimate=Duration(5))}),
            undo.HoldAgain(tickets=("T1",), by="bob"),
            undo.SetLimit(most=None, type="builder"),
        ),
    ),
    ev.SessionHeld(at=2.0, reason="frozen", by="ann", freeze=True),
    ev.AttemptFrozen(at=3.0, ticket="T1", attempt=2, reason="memory is short"),
    ev.AttemptEnded(
        at=4.0,
        ticket="T1",
        attempt=1,
        agent="builder-1",
        started=3.0,
        seconds=0.0,
        end=End.could_not_start,
        then=Status.failed,
        reason="too long",
        ticket_at_fault=True,
    ),
    ev.ReservationMade(at=3.0, ticket="T2", start_at=90.5, ending=("T1", "T3")),
    ev.ReservationEnded(at=3.0, ticket="T2"),
    ev.DurationsLearned(at=1.5, seconds={"T1": 90.5}),
    ev.OperatorActed(at=5.0, by="ann", verb="cancel", text="cancel T1", why_final="it stopped T1"),
    ev.StraysEnded(at=4.0, ticket="T1", attempt=1, commands=("sleep 60",), count=2),
    ev.MonitoringStarted(at=1.5, pid=4242, boot="5f0c", uptime=90.5),
    ev.AttemptEnded(
        at=4.0,
        ticket="T1",
        attempt=1,
        agent="builder-1",
        started=3.0,
        seconds=0.0,
        end=End.could_not_start,
        then=Status.waiting,
        reason="no process left",
        host_at_fault=True,
    ),
    ev.MonitoringStarted(at=1.5, pid=4242, boot="5f0c", pid_namespace="pid:[7]"),
    ev.FailurePolicyChanged(at=5.0, policy="stop", by="ann"),
    ev.OperatorActed(at=5.0, by="ann", verb="freeze", text="freeze T1", left_out=("T2 is waiting (hold T2)",)),
    ev.LogCut(at=4.0, ticket="T1", attempt=1, left_out=3 << 30, limit=1 << 30, problem="operation not supported"),
    ev.NeighboursSeen(at=5.0, neighbours=(ev.Neighbour("exec_1", "nightly", "a and its b both write out"),)),
    ev.AttemptStopRequested(
        at=4.0, ticket="T1", attempt=1, why="flooding", now=True, by="ann", detail="its output was filling the disk"
    ),
    ev.AttemptEnded(
        at=4.0,
        ticket="T1",
        attempt=1,
        agent="builder-1",
        started=3.0,
        seconds=0.75,
        end=End.failed,
        then=Status.failed,
        code=1,
        reason="exit 1",
        error_line="ModuleNotFoundError: No module named 'foo'",
    ),
    ev.MonitoringStarted(at=1.5, pid=4242, boot="5f0c", died="by signal 9", away=1.25),
    ev.StepEnded(
        at=4.0,
        ticket="T1",
        attempt=2,
        step="gate-2b-3",
        seconds=0.75,
        passed=False,
        code=1,
        signal=9,
        reason="gate lint: exit 1",
        error_line="a.c:1: unused",
        cpu_seconds=0.5,
        peak_memory=1048576,
    ),
    ev.StepStarted(at=4.0, ticket="T1", attempt=2, step="gate-2b-4", title="lint", number=2, of=3),
    ev.AttemptSpawned(at=4.0, ticket="T1", attempt=2, pid=4244, birth=123457.0, step="gate-2b-4"),
    ev.AttemptEnded(
        at=5.0,
        ticket="T1",
        attempt=2,
        agent="builder-1",
        started=3.0,
        seconds=1.75,
        end=End.failed,
        then=Status.failed,
        code=1,
        reason="gate lint: exit 1",
        step="gate-2b-4",
    ),
    ev.SessionOpened(
        at=1.5,
        session="s1",
        plan="docs",
        tickets=3,
        parallel=4,
        cpus=8.0,
        memory=2**35,
        by="ann",
        selected="build --except lint",
        of=20,
    ),
    ev.ApprovalAsked(at=4.0, ticket="T1"),
    ev.CheckFailed(at=4.0, ticket="T1", attempt=2, check="grows", reason="model.log has not grown for 10s"),
    ev.CheckHeld(at=4.5, ticket="T1", attempt=2, check="grows"),
    ev.TicketApproved(at=5.0, ticket="T1", by="ann", note="mind the lock"),
    ev.TicketRejected(at=5.0, ticket="T1", by="ann", note="the numbers are off", skipped=("T2",)),
    ev.QuestionAsked(at=2.5, ticket="T1", step="skip-if-2"),
    ev.QuestionAnswered(at=2.5, ticket="T1", reason="exit 127", again=True),
    ev.TicketSatisfied(at=2.5, ticket="T1", reason="already done: out exists"),
    ev.FailuresHandled(
        at=9.5,
        retried=1,
        failed=2,
        cancelled=3,
        skipped=4,
        quarantined=("builder-1",),
        serialised=5,
        waived=6,
        allowed=7,
    ),
    ev.SnapshotTaken(at=6.0, ticket="T1", attempt=3, files=2, size=4096),
    ev.SnapshotDropped(at=6.0, ticket="T1", attempt=2),
    ev.RollbackStarted(
        at=6.5,
        ticket="T1",
        attempt=3,
        step="rollback",
        by="ann@pts/1",
        restored=("T2",),
        outcome=ev.AttemptEnded(
            at=6.5,
            ticket="T1",
            attempt=3,
            agent="builder-1",
            started=6.0,
            seconds=0.5,
            end=End.failed,
            then=Status.backoff,
            charged=True,
            retry_at=16.5,
        ),
    ),
    ev.RollbackAsked(at=7.0, tickets=("T2", "T1"), by="ann@pts/1", rerun=True),
    ev.RollbackEnded(at=8.0, reason="rollback of T2 failed"),
    ev.QuestionAnswered(at=2.5, ticket="T1", stale="reads src/a.c changed"),
    ev.HostPressed(at=5.0, resource="disk", text="1MiB free in /w, the plan wants 1GiB", free=1 << 20),
    ev.OperatorActed(at=5.0, by="ann", verb="undo", text="undo: hold T1", undone=4.5),
    ev.SessionStopping(at=9.0, reason="power", by="ann", now=True, skips_finally=True),
    ev.FinallyAgain(at=9.5, tickets=("T1",), restored=("T2",)),
    ev.QuestionFrozen(at=2.5, ticket="T1", by="ann"),
    ev.QuestionThawed(at=3.5, ticket="T1", by="ann"),
    ev.ServiceStarted(at=3.0, service="db", number=2),
    ev.ServiceSpawned(at=3.0, service="db", number=2, pid=4243, birth=123456.0),
    ev.ServiceReady(at=3.5, service="db", number=2, seconds=0.5),
    ev.ServiceFrozen(at=4.0, service="db", number=2, by="ann"),
    ev.ServiceThawed(at=4.5, service="db", number=2, by="ann"),
    ev.ServiceStopRequested(
        at=5.0, service="db", number=2, why="restarted", by="ann", detail="so", by_signal=True, now=True
    ),
    ev.ServiceEnded(
        at=6.0,
        service="db",
        number=2,
        seconds=2.5,
        then=ServiceStatus.backoff,
        died=True,
        code=1,
        signal=9,
        reason="exit 1",
        error_line="no disk",
        retry_at=7.0,
    ),
    ev.ServiceRenewed(at=7.0, service="db", by="ann"),
    ev.AttemptEnded(
        at=9.0,
        ticket="T1",
        attempt=3,
        agent="builder-1",
        started=8.0,
        seconds=1.0,
        end=End.failed,
        then=Status.failed,
        reason="rollback failed: it was killed",
        half_done=True,
        ended_before=True,
    ),
    ev.RollbackStarted(at=9.0, ticket="T1", attempt=3, step="restore", by="ann", note="too slow"),
    ev.UnitsSetAside(at=5.0, resource="port", units=("8000", "8002")),
    ev.PlanAmended(
        at=5.0, gates={"@3": ("lint", Gate(name="link", run="link", retries=1)), "@plan": (), "@b": Gate(any=("a",))}
    ),
    ev.OperatorActed(at=5.0, by="ann", verb="reload", text="change @3", inverse=(undo.RevertPlan(gates={"@3": ()}),)),
    ev.MemoryMeasured(at=6.0, available=2**30, total=2**31, used={"T1": 4096}),
    ev.PeaksLearned(at=6.0, peaks={"T1": 2**29}),
    ev.StartedAnyway(at=7.0, ticket="T1", needs=2**32, available=2**30),
    ev.ServiceEnded(
        at=6.0, service="db", number=1, seconds=2.5, then=ServiceStatus.stopped, cpu_seconds=1.5, peak_memory=4096
    ),
    ev.AttemptEnded(
        at=9.0,
        ticket="T1",
        attempt=1,
        agent="builder-1",
        started=8.0,
        seconds=1.0,
        end=End.out_of_memory,
        then=Status.backoff,
        reason="at 64MiB of 64MiB",
        raised=2.5,
    ),
    ev.PressureRaised(
        at=8.0, resource="memory", step="requeue", text="90MiB available", value=90.0, threshold=100.0, ticket="T1",
        attempt=2, parallel=3, memory=4096,
    ),
    ev.PressureEased(
        at=9.0, resource="disk", step="freeze", text="9GiB free", value=9.0, threshold=2.0, ticket="T1", attempt=2,
    ),
    ev.AttemptFrozen(at=9.0, ticket="T1", attempt=2, reason="the host is pressed", pressure="memory"),
    ev.WorktreeMade(
        at=5.0, ticket="T1", attempt=2, path="/state/T1", branch="parexec/s/T1", target="main", base="c0ffee"
    ),
    ev.WorkCommitted(at=5.5, ticket="T1", attempt=2, commit="c1", onto="c2", merged="c3"),
    ev.WorkConflicted(
        at=5.5,
        ticket="T1",
        attempt=2,
        commit="c1",
        onto="c2",
        files=("src/a.py", "b"),
        count=3,
        tickets=("T2",),
        then="requeue",
        note="conflicts with T2 in src/a.py",
    ),
    ev.MergeStarted(at=6.0, ticket="T1", attempt=2, step="commit", side="theirs", by="ann@pts/1", note="mind b"),
    ev.WorkMerged(at=6.5, ticket="T1", attempt=2, commit="c3", before="c2", checkout="main has uncommitted changes"),
    ev.WorktreeKept(at=7.0, ticket="T1", attempt=2, size=4096),
    ev.WorktreeDropped(at=7.5, ticket="T1", attempt=2),
    ev.StepEnded(at=4.0, ticket="T1", attempt=1, step="run", passed=True, seconds=2.5, code=0, ended=3.0),
    ev.AttemptEnded(
        at=4.0, ticket="T1", attempt=1, agent="b-1", started=1.0, seconds=2.0, end=End.succeeded,
        then=Status.succeeded, code=0, ended=3.0,
    ),
    ev.StraysEnded(at=4.0, ticket="T1", attempt=1, commands=("sleep 60",), count=2, check="load"),
    ev.MergeStarted(at=6.0, ticket="T1", attempt=2, step="resolve", side="by", run="resolve-it"),
    ev.ConflictForeseen(at=8.0, ticket="T1", other="T2", files=("a", "b"), count=3),
    ev.ConflictAverted(at=8.5, ticket="T1", other="T2"),
    ev.PlanAmended(at=5.0, numbers={"T1": 2, "T2": 0}),
    ev.OperatorActed(at=5.0, by="ann", verb="reload", text="edit T1", inverse=(undo.RevertPlan(numbers={"T1": 1}),)),
    ev.StepEnded(
        at=4.0,
        ticket="T1",
        attempt=2,
        step="run",
        seconds=0.75,
        passed=True,
        peak_processes=12,
        disk_read=1,
        disk_written=2,
    ),
    ev.AttemptEnded(
        at=5.0,
        ticket="T1",
        attempt=2,
        agent="builder-1",
        started=3.0,
        seconds=1.75,
        end=End.succeeded,
        then=Status.succeeded,
        peak_processes=12,
        disk_read=1,
        disk_written=2,
    ),
    ev.WroteUnclaimed(
        at=9.0, ticket="T1", attempt=2, found=Unclaimed(("src/db.py",), 4, ("x",), 1, ("T2",), 1, "more than 9 files")
    ),
    ev.SessionOpened(at=1.5, session="s1", plan="docs", tickets=3, parallel=2, cpus=2.0, memory=2**35, auto=True),
    ev.ParallelTuned(at=9.0, parallel=8, cause="no gain", text="16 did 3.0 tickets/min", retry_at=39.0),
    ev.ParallelChanged(at=9.5, parallel=8, by="ann", auto=True),
    ev.OperatorActed(at=9.5, by="ann", verb="scale", text="more", inverse=(undo.SetLimit(most=None, auto=True),)),
    ev.WroteUnclaimed(
        at=9.0,
        ticket="T1",
        attempt=2,
        found=Unclaimed(shared=("x",), shared_count=1, others=("T2",), others_count=1, shared_by=(("T2",),)),
    ),
    ev.MergeStarted(at=6.0, ticket="T1", attempt=2, step="commit", side="ours", together=("T1", "T2")),
    ev.DurationsLearned(at=1.5, seconds={"T1": 90.5}, sigmas={"T1": 0.25}),
    ev.WorkLost(at=7.25, ticket="T1", attempt=2, commit="c3", target="next"),
    ev.WorkConflicted(
        at=6.0,
        ticket="T1",
        attempt=2,
        commit="c0ffee",
        onto="0ddba11",
        files=("a",),
        count=1,
        tickets=("T2",),
        then="hold",
        reason="conflicts with T2 in a",
    ),
    ev.WroteUnclaimed(
        at=9.0,
        ticket="T1",
        attempt=2,
        found=Unclaimed(shared=("x",), shared_count=1, others=("T2",), shared_by=(("T2",),), shared_at=(8.5,)),
    ),
    ev.RepositoryLeft(at=7.0, ticket="T1", attempt=2, path="/state/T1/igsub"),
    ev.OrderFound(at=2.5, tickets=(2, 0, 1), seconds=90.5, before=120.0),
    ev.EtaTold(at=6.0, p50=90.5, p90=120.0),
    ev.WorktreeMade(
        at=5.0,
        ticket="T1",
        attempt=3,
        path="/state/T1",
        branch="parexec/s/T1",
        target="main",
        base="c0ffee",
        aside="/state/T1.left-2",
        why_aside="lib has changes",
    ),
    ev.WorktreeKept(at=6.0, ticket="T1", attempt=3, size=4096, stays="lib has changes"),
    ev.ResolutionLeft(at=8.0, ticket="T1", attempt=2, aside="/state/T1.left-2.resolve", why="lib has changes"),
    ev.MergeStarted(at=6.0, ticket="T1", attempt=2, step="commit", side="ours", by="ann", without_engine=True),
    ev.TicketPutBack(at=5.0, ticket="T1", then=Status.approval, by="ann", is_in_conflict=True),
    ev.SecretAwaited(at=8.5, ticket="T1", attempt=2, text="secret KEY is not known: variable KEY is not set"),
    ev.RoomAwaited(at=8.5, ticket="T1", attempt=2, text="waits for room in /r/.git/objects"),
    ev.SessionOpened(
        at=1.5, session="s1", plan="docs", tickets=3, parallel=2, cpus=2.0, memory=2**35,
        traceparent=f"00-{'ab' * 16}-{'cd' * 8}-01",
    ),
    ev.StepEnded(
        at=4.0, ticket="T1", attempt=1, seconds=2.0, code=0, step="run", passed=True,
        values={"count": "3", "b": "x\ny"},
    ),
    ev.AttemptEnded(
        at=4.0, ticket="T1", attempt=1, seconds=2.0, code=0, agent="b-1", started=1.0, end=End.succeeded,
        then=Status.succeeded, values={"count": "3"},
    ),
    ev.TicketSatisfied(at=2.5, ticket="T1", reason="up to date", values={"count": "3"}),
    ev.TicketsGenerated(at=5.0, ticket="T1", family="parts", members=("a", "b"), left={"b": "it is running"}),
    ev.WhenAnswered(at=2.5, ticket="T1", wanted=False, because="split.count is 0", skipped=("T2",)),
    ev.FailuresHandled(at=9.5, retried=1, failed=2, cancelled=3, skipped=4, unwanted=8),
    ev.PlanAmended(at=5.0, variables={"mode": "release", "n": "3"}, profile="ci", sets={"n": "3"}),
    ev.OperatorActed(
        at=5.0,
        by="ann",
        verb="reload",
        text="change variables",
        inverse=(undo.RevertPlan(variables={"mode": "debug", "n": "2"}, profile="x", sets={"n": "2"}),),
    ),
    ev.SecretsLooked(at=5.0, unknown={"API_KEY": "variable API_KEY is not set"}, known=("TOKEN",)),
    ev.AccountRests(at=6.0, account="claude", until=9.0, why="limit", is_outage=True, is_guess=True),
    ev.AccountTried(at=9.0, account="claude", by="ada"),
    ev.AccountWell(at=9.5, account="claude"),
    ev.ConversationKnown(
        at=7.0, ticket="T1", attempt=1, conversation="c1", model="m", version="2.1", mode="acceptEdits"
    ),
    ev.TicketAsks(at=7.0, ticket="T1", attempt=1, question="q1", what="delete it?", choices=("yes", "no")),
    ev.TicketAnswered(at=8.0, ticket="T1", answer="yes", question="q1", by="ada", allow=("Bash(git push *)",)),
    ev.AgentTypeHeld(at=8.0, type="claude", by="ada", reason="not logged in"),
    ev.StepEnded(
        at=8.0, ticket="T1", attempt=1, seconds=2.0, step="run", passed=True,
        figures=Figures(cost=0.25, inp=10, out=5, cached=3, turns=2, is_least=True),
    ),
    ev.AttemptEnded(
        at=9.0, ticket="T1", attempt=1, seconds=2.0, agent="b-1", started=1.0, end=End.needs_you,
        then=Status.approval, figures=Figures(cost=0.25, inp=10, out=5, cached=3, turns=2, is_least=True),
    ),
    ev.PlanAmended(at=5.0, families={"t": Family(max_parallel=1, fail_fast=True), "u": Family()}),
    ev.OperatorActed(
        at=5.0, by="ann", verb="reload", text="change the limits of t",
        inverse=(undo.RevertPlan(families={"t": Family(), "u": Family(max_parallel=2)}),),
    ),
    ev.SessionOpened(
        at=1.5, session="s1", plan="docs", tickets=3, parallel=2, cpus=2.0, memory=2**35, unrestricted=("claude",)
    ),
    ev.AttemptEnded(
        at=9.0, ticket="T1", attempt=2, agent="b-1", started=1.0, seconds=2.0, end=End.over_budget,
        then=Status.waiting, charged=True,
        figures=Figures(cost=0.5, inp=1, out=2, is_cost_least=True, is_computed=True),
    ),
    ev.BudgetChanged(at=5.0, type="b", budget=20.5, by="ann"),
    ev.BudgetChanged(at=5.0, type="", budget=None),
    ev.OperatorActed(
        at=5.0, by="ann", verb="scale", text="the session spends at most $20",
        inverse=(undo.SetBudget(type="", budget=None),),
    ),
    ev.PlanAmended(at=5.0, added={"x": Ticket(run="x")}, beside=True),
    ev.PlanAmended(
        at=5.0,
        agents={"x": AgentType(kind="codex", permissions="all", fallback=("y",)), "z": None},
        unrestricted=("x",),
        by="ann",
    ),
    ev.AgentStarted(at=2.0, agent="trainer-1", type="trainer", host="gpu-box"),
    ev.HostReached(at=2.0, host="gpu-box", cpus=8.0, memory=2**35, boot="b1", skew=-1.5, python="3.11.2"),
    ev.HostUnreachable(at=9.0, host="gpu-box", reason="no answer for 15 s", since=7.5),
    ev.HostUnusable(at=2.0, host="gpu-box", reason="there is no python3: apt install python3"),
    ev.HostHeld(at=2.0, host="gpu-box", by="ann"),
    ev.HostDraining(at=2.0, host="gpu-box", by="ann"),
    ev.HostReleased(at=2.0, host="gpu-box", by="ann"),
    ev.HostScaled(at=2.0, host="gpu-box", most=3, by="ann"),
    ev.TicketAsks(at=7.0, ticket="T1", attempt=1, question="q1", what="delete it?", choices=("yes", "no"), number=2),
    ev.QuestionWithdrawn(at=7.5, ticket="T1", attempt=1, question="q1"),
    ev.TicketAnswered(
        at=8.0, ticket="T1", answer="ok", question="q1", by="ada", allow=("Read",), what="delete it?", denies=True
    ),
    ev.PlanAmended(at=5.0, hosts={"box": HostSpec(ssh="me@box", max=2), "mill": None}),
)  # fmt: skip
"""One of each kind (two, where fields came later), every field with a value of its own."""


@pytest.mark.parametrize("event", EXAMPLES, ids=codec.kind_of)
def test_an_event_that_was_written_is_read_as_it_was(event: ev.AnyEvent) -> None:
    assert codec.decode_event(codec.encode(event)) == event
    assert codec.encode(codec.decode_event(codec.encode(event))) == codec.encode(event)


def test_there_is_an_example_of_each_kind_and_each_field() -> None:
    assert {type(event) for event in EXAMPLES} == set(get_args(ev.AnyEvent))
    written: dict[type, set[str]] = {}
    for event in EXAMPLES:
        written.setdefault(type(event), set()).update(msgspec.json.decode(codec.encode(event)))
    for kind, fields in written.items():
        assert fields == {"kind", *kind.__struct_fields__}, "a field has its default value"  # type: ignore[attr-defined]


def test_old_lines_are_read_for_ever() -> None:
    lines = GOLDEN.read_bytes().splitlines()
    assert [codec.decode_event(line) for line in lines] == list(EXAMPLES)


def test_names_of_kinds_are_those_in_the_file() -> None:
    for line, event in zip(GOLDEN.read_bytes().splitlines(), EXAMPLES, strict=True):
        assert line.startswith(b'{"kind":"%s",' % codec.kind_of(event).encode())


@pytest.mark.parametrize("end", list(End))
@pytest.mark.parametrize("then", list(Status))
def test_every_end_and_status_has_its_name_in_the_file(end: End, then: Status) -> None:
    line = codec.encode(
        ev.AttemptEnded(at=1, ticket="T", attempt=1, agent="a-1", started=0, seconds=1, end=end, then=then)
    )
    assert f'"end":"{end.value}","then":"{then.value}"'.encode() in line
    read = codec.decode_event(line)
    assert isinstance(read, ev.AttemptEnded)
    assert (read.end, read.then) == (end, then)


def test_what_has_its_default_value_is_not_written_and_is_there_when_read() -> None:
    line = codec.encode(ev.TicketHeld(at=1.5, ticket="T1"))
    assert line == b'{"kind":"ticket_held","ticket":"T1","at":1.5}'
    assert codec.decode_event(line) == ev.TicketHeld(at=1.5, ticket="T1", by="")


def test_fields_of_a_newer_version_are_passed_over() -> None:
    line = b'{"kind":"ticket_held","ticket":"T1","at":1.5,"until":[1,{"a":null}],"by":"ann"}'
    assert codec.decode_event(line) == ev.TicketHeld(at=1.5, ticket="T1", by="ann")


@pytest.mark.parametrize(
    "line",
    [
        b'{"kind":"ticket_praised","ticket":"T1","at":1.5}',
        b'{"ticket":"T1","at":1.5}',
        b'{"kind":"ticket_held","at":1.5}',
        b'{"kind":"ticket_held","ticket":"T1"}',
        b'{"kind":"ticket_held","ticket":7,"at":1.5}',
        b'{"kind":"ticket_held","ticket":"T1","at":1.5',
        b'{"kind":"ticket_held","ticket":"T1","at":1.5} {}',
        b'["ticket_held"]',
        b"",
    ],
    ids=["unknown kind", "no kind", "no ticket", "no time", "wrong type", "cut off", "more behind", "list", "empty"],
)
def test_what_is_not_one_of_our_events_is_refused(line: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):  # ValidationError is one
        codec.decode_event(line)


def test_events_are_written_as_lines() -> None:
    lines = codec.lines(EXAMPLES).splitlines()
    assert [codec.decode_event(line) for line in lines] == list(EXAMPLES)


def test_text_of_any_kind_stays_on_its_line() -> None:
    event = ev.SessionHeld(at=1.5, reason='two\nlines, a "quote", \u2028, \N{SNOWMAN} and \x00', by="änn")
    (line,) = codec.lines([event]).split(b"\n")[:-1]
    assert codec.decode_event(line) == event


def test_a_plan_that_was_written_is_read_as_it_was() -> None:
    text = """
        A: priority=high estimate=15m timeout=1h30m
        B: A  requires=docs reads=docs/** writes=out/*.md locks=db uses=gpu:1,cpu:0.5,memory:1048576 retries=2
    """
    agents = {"builder": AgentType(min=1, max=4, can=("docs",), env={"LANG": "C.UTF-8"}, cwd=".", nice=5)}
    written = plan(text, agents=agents, resources={"gpu": 2}, parallel=6, on_failure="hold", barrier=True)
    read = codec.decode_plan(codec.encode(written))
    assert read == written
    assert type(read.tickets["A"].timeout) is type(written.tickets["A"].timeout)
    assert read.tickets["B"].uses == {"gpu": 1, "cpu": 0.5, "memory": 1048576}
