"""Random plans, random steps: the invariants hold after every event, and replay equals state.

A step is a number: which thing is done, and to whom. `Session` checks everything that can be checked after each
event; see `sessions.py`. For a step that finds nothing to do there is another one instead. Some steps do what a
person asks and undo it at once: that must leave everything as it was.
"""

import math
from collections.abc import Callable, Iterable
from functools import cache
from itertools import count, cycle
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from parexec_tui.core.plan import graph
from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.checks import RunningCheck
from parexec_tui.core.plan.gates import Gate, GateCommand, Gates, Group
from parexec_tui.core.plan.group_gates import with_gates
from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.plan_settings import PlanSettings
from parexec_tui.core.plan.resources import Amounts, Resources, Units
from parexec_tui.core.plan.retries import Budgets
from parexec_tui.core.plan.services import Service
from parexec_tui.core.plan.ticket import Priority, Ticket
from parexec_tui.core.plan.units import Duration
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.apply import apply
from parexec_tui.core.state.process_key import READY, RUN, SKIP_IF, STOP
from parexec_tui.core.state.services import ServiceState
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import TERMINAL, Flag, ServiceStatus, Status
from parexec_tui.core.wire import codec
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import Refusal
from tests.core.sessions import WORKDIR, Session, dump, lasting

T = TypeVar("T")

# --- Plans ---

_PATHS = ("src", "src/*.py", "src/a.py", "docs/**/b", "out")
_DEMANDS: tuple[tuple[str | None, tuple[str, ...]], ...] = ((None, ()), ("x", ()), ("y", ()), (None, ("docs",)))
_GATES: tuple[Gates, ...] = (
    (), (), (), ("lint",),
    (Gate(run="lint", retries=1, timeout=Duration(3)), Gate(any=("make", GateCommand(run="ninja")))),
)  # fmt: skip
_CONDITIONS: tuple[tuple[tuple[str, ...], str], ...] = (((), ""), ((), ""), (("out",), ""), ((), "test -s out"))
_CHECKS = (
    (), (), (), (RunningCheck(forbid="bad"),),
    (RunningCheck(forbid="bad", then="freeze"), RunningCheck(grows="out", then="stop")),
)  # fmt: skip
_SERVICES = {
    "db": Service(run="db", ready="tcp:5432", restart=2, on_death="retry", restart_delay=Duration(2)),
    "site": Service(run="site", ready="curl -f localhost", restart=0, stop="site stop"),
    "bus": Service(run="bus", restart="always"),
}
_TOOL = ("/opt/tool", "{run}")


@cache
def some(*values: T) -> st.SearchStrategy[tuple[T, ...]]:
    """Mostly none, sometimes one or two of these."""
    few = st.lists(st.sampled_from(values), min_size=1, max_size=2, unique=True).map(tuple)
    return st.one_of(st.just(()), st.just(()), few)


_retried = some("failed", "lost", "could not start", "timed out", "signal 9", 127)


@st.composite
def tickets(draw: st.DrawFn, number: int, last: tuple[int, ...] = ()) -> Ticket:
    agent, requires = draw(st.sampled_from(_DEMANDS))
    earlier = [f"T{other}" for other in range(number) if (other in last) is (number in last)]
    expected = draw(st.sampled_from(((0,), (0,), (0, 1), (127, 0))))
    writes = draw(some(*_PATHS))
    rollback = draw(st.sampled_from(("", "", "undo")))
    snapshot = bool(writes) and draw(st.booleans())
    needs = draw(some(*earlier)) if earlier else ()
    others = [id_ for id_ in earlier if id_ not in needs]
    if_done, skip_if = draw(st.sampled_from(_CONDITIONS))
    return Ticket(
        run="true",
        needs=tuple(need + draw(st.sampled_from(("", "", "?"))) for need in needs),
        after=draw(some(*others)) if others else (),
        priority=draw(st.sampled_from(Priority)),
        agent=agent,
        requires=requires,
        reads=draw(some(*_PATHS)),
        writes=writes,
        outputs=draw(st.sampled_from(((), (), ("out",)))),
        claims=draw(st.sampled_from((None, None, None, "enforce"))),
        if_done=if_done,
        skip_if=skip_if,
        up_to_date=draw(st.sampled_from((False, False, True))),
        gates=draw(st.sampled_from(_GATES)),
        approve=draw(st.sampled_from(("no", "no", "no", "before", "after"))),
        on_fail=draw(st.sampled_from(("keep", "rollback"))) if rollback or snapshot else "keep",
        rollback=rollback,
        snapshot=snapshot,
        checks=draw(st.sampled_from(_CHECKS)),
        locks=draw(some("db", "web")),
        uses=Amounts(
            draw(
                st.sampled_from(
                    ({}, {}, {"gpu": 1}, {"gpu": 2}, {"gpu": 3, "cpu": 0.5}, {"port": 1}, {"port": 2, "gpu": 1})
                )
            )
        ),
        uses_service=draw(some(*_SERVICES)),
        estimate=draw(st.sampled_from((None, Duration(1), Duration(100)))),
        timeout=Duration(5),
        expect_codes=expected,
        retries=draw(st.integers(0, 2) | st.builds(Budgets, failed=st.integers(0, 2), lost=st.integers(0, 2))),
        allow_failure=draw(st.sampled_from((False, False, True))),
        retry_on=tuple(each for each in draw(_retried) if each not in expected),
        retry_delay=Duration(draw(st.integers(0, 3))),
        finally_=number in last,
    )


_GROUPS: tuple[tuple[str, ...], ...] = ((), (), ("1",), ("g",), ("2", "g"), ("1", "2", "3"))
"""Groups with gates, numbered and named."""


def _in_group(found: dict[str, Ticket], chosen: Iterable[str]) -> dict[str, Ticket]:
    """The tickets, of which as many of the chosen ones are in a group as may be in one."""
    for id_ in sorted(chosen):
        more = {**found, id_: structs.replace(found[id_], group="" if found[id_].finally_ else "g")}
        whole = with_gates(more, {"g": Group(gates=("together",))}, ())
        found = found if graph.cycles(graph.build(whole)) else more
    return found


_resources: st.SearchStrategy[dict[str, float | Units]] = st.sampled_from(
    ({"gpu": 3, "port": ("80", "81")}, {"gpu": ("a", "b", "c"), "port": ("80", "81")})
)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    def agent_type(*can: str) -> AgentType:
        most = draw(st.integers(1, 3))
        command = draw(st.sampled_from((AgentType().command, _TOOL)))
        gates = draw(st.sampled_from(((), (), ("check",))))
        return AgentType(min=draw(st.integers(0, most)), max=most, can=can, command=command, gates=gates)

    last = draw(some(*range(6)))
    found = {f"T{number}": draw(tickets(number, last)) for number in range(draw(st.integers(3, 12)))}
    groups = {name: Group(gates=("together",)) for name in draw(st.sampled_from(_GROUPS))}
    if "g" in groups:
        found = _in_group(found, draw(st.sets(st.sampled_from(list(found)), max_size=4)))
    return Plan(
        settings=PlanSettings(
            name="random",
            parallel=draw(st.integers(1, 4)),
            on_failure=draw(st.sampled_from(("continue", "continue", "hold", "stop"))),
            barrier=draw(st.sampled_from((False, False, True))),
            reserve_after=Duration(draw(st.sampled_from((0, 2, 60)))),
            reserve_after_usual=draw(st.sampled_from((0, 2))),
            gates=draw(st.sampled_from(((), (), ("whole",), ("whole", "sound")))),
        ),
        groups=groups,
        tickets=found,
        agents={"x": agent_type("docs"), "y": agent_type("docs", "web")},
        resources=Resources(draw(_resources)),
        services=_SERVICES,
        workdir=WORKDIR,
    )


# --- Steps ---

Step = Callable[[Session, int], object]


def of(values: Iterable[T], number: int) -> list[T]:
    """One of them, if there is any."""
    found = list(values)
    return [found[number % len(found)]] if found else []


def with_status(session: Session, *statuses: Status | Flag) -> list[str]:
    return [ticket.id for ticket in session.state.tickets.values() if ticket.shown_status in statuses]


def up(session: Session) -> list[str]:
    return [agent.id for agent in session.state.agents.values() if not agent.stopped]


def end(**exit_: Any) -> Step:
    def step(session: Session, number: int) -> None:
        for id_ in of(session.live(), number):
            session.ended(id_, **exit_)

    return step


def end_somehow(session: Session, number: int) -> None:
    end(code=(0, 0, 1, 0, 127)[number % 5])(session, number)


def refuse_to_start(session: Session, number: int) -> None:
    session.could_not_start(*session.live())


def find_a_port_taken(session: Session, number: int) -> None:
    attempts = {id_: session[id_].live_attempt for id_ in session.live()}
    for id_ in of((id_ for id_, each in attempts.items() if each.units and each.step == RUN), number):
        units = attempts[id_].units.get("port", ())
        taken = {"port": units[: 1 + number % 2]} if units else {}
        session.tell(rq.ProcessEnded(id_, attempts[id_].number, problem="taken", taken=taken))


def try_ports(session: Session, number: int) -> None:
    session.tell(rq.PortsTried("port", session.state.holdings.aside("port")[: number % 2]))


def lose(session: Session, number: int) -> None:
    for id_ in of(session.live(), number):
        session.lost(id_, began=number % 3 > 0)


def spawn(session: Session, number: int) -> None:
    for id_ in of(session.live(), number):
        session.spawned(id_)


def answer(session: Session, number: int) -> None:
    for id_ in of(session.state.asking, number):
        session.answer(id_, done=number % 3 == 0)


def lose_the_answer(session: Session, number: int) -> None:
    for id_ in of(session.state.asking, number):
        step = session[id_].asking
        if step.startswith(SKIP_IF):
            ends = (
                rq.ProcessLost(id_, 0, reason="no trace of it", began=number % 2 == 0, step=step),
                rq.ProcessEnded(id_, 0, code=127, step=step),
                rq.ProcessEnded(id_, 0, signal=9, step=step),
            )
            session.tell(ends[number % 3])


def time_out(session: Session, number: int) -> None:
    for id_ in of(session.live(), number):
        session.time_out(id_)


def kill_stopping(session: Session, number: int) -> None:
    code = (None, 0, 127)[number % 3]
    for id_ in of(with_status(session, Status.stopping), number):
        session.ended(id_, code=code, signal=15 if code is None else None)


def back_off(session: Session, number: int) -> None:
    for id_ in of(with_status(session, Status.backoff), number):
        session.back_off(id_)


def learn(session: Session, number: int) -> None:
    session.learn(**{id_: float(place * number % 90) for place, id_ in enumerate(session.state.tickets, 1)})


def report_too_early(session: Session, number: int) -> None:
    for id_ in of(session.state.tickets, number):
        if session.now < (session[id_].retry_at or math.inf):
            assert session.tell(rq.BackoffElapsed(id_)) == []


def report_too_late(session: Session, number: int) -> None:
    for id_ in of(session.state.tickets, number):
        attempt = session[id_].attempts
        over = attempt if id_ not in session.state.live else attempt - 1
        for report in (
            rq.ProcessEnded(id_, over, code=number % 2),
            rq.ProcessLost(id_, over, reason="late"),
            rq.TimeoutElapsed(id_, over),
            rq.ProcessStarted(id_, over, pid=1, birth=1),
        ):
            assert session.tell(report) == []


def check(session: Session, number: int) -> None:
    for id_ in of(session.live(), number):
        for which, _ in enumerate(session[id_].spec.checks):
            session.tell(rq.CheckMade(id_, session[id_].attempts, number=which, problem=("", "bad")[number % 2]))


def rest(session: Session, number: int) -> None:
    for agent in of(session.state.agents, number):
        session.tell(rq.IdleElapsed(agent))


def dispatch(session: Session, number: int) -> None:
    session.dispatch()


def pass_time(session: Session, number: int) -> None:
    session.wait(number % 50)


def on_tickets(request: Callable[..., rq.AnyRequest], *statuses: Status | Flag) -> Step:
    """Ask it for one to three tickets, mostly of these statuses; the same one may be named twice."""

    def step(session: Session, number: int) -> None:
        size, number = number % 3 + 1, number // 3
        fitting = [*with_status(session, *statuses), *of(session.state.tickets, number)]
        ids = [id_ for place in range(size) for id_ in of(fitting, number + place * place)]
        if ids:
            session.act(request(tickets=tuple(ids), by="bob"))

    return step


def on_agent(request: Callable[..., rq.AnyRequest]) -> Step:
    def step(session: Session, number: int) -> None:
        for agent in of(session.state.agents, number):
            session.act(request(agents=(agent,), by="bob"))

    return step


def on_type(request: Callable[..., rq.AnyRequest]) -> Step:
    def step(session: Session, number: int) -> None:
        session.act(request(types=("xy"[number % 2],), by="bob"))

    return step


def on_session(request: rq.AnyRequest) -> Step:
    def step(session: Session, number: int) -> None:
        session.act(request)

    return step


def stop(session: Session, number: int) -> None:
    session.act(rq.Stop(now=number % 2 == 0))


def retry_downstream(session: Session, number: int) -> None:
    agent = (None, None, "", "x", "y-1")[number % 5]
    run = ("true", "make")[number % 2]
    for id_ in of(with_status(session, *TERMINAL), number):
        session.act(rq.Retry(tickets=(id_,), downstream=True, agent=agent, run=run, note="so", by="bob"))


def reassign(session: Session, number: int) -> None:
    places = ["", "x", "y", *up(session)]
    fitting = (Status.waiting, Status.running, Flag.frozen, Status.backoff, Status.failed)
    for id_ in of(with_status(session, *fitting), number):
        session.act(rq.Reassign(tickets=(id_,), agent=places[number % len(places)], by="bob"))


def prioritise(session: Session, number: int) -> None:
    on_tickets(lambda **names: rq.Prioritise(priority=list(Priority)[number % 4], **names))(session, number)


def scale(session: Session, number: int) -> None:
    session.act(rq.Scale(type=(None, "x", "y")[number % 3], most=number // 3 % 4, by="bob"))


def scale_by(session: Session, number: int) -> None:
    session.act(rq.Scale(type=(None, "x", "y")[number % 3], most=number // 3 % 3 - 1, relative=True, by="bob"))


def edit(session: Session, number: int) -> None:
    needs = [id_ for place in (1, 2) for id_ in of(session.state.tickets, number * place + place)][: number % 3]
    changes: dict[str, Any] = {"needs": needs, "after": None}
    if number % 4 == 2:
        changes = {"allow_failure": number % 8 == 2}
    elif number % 4 == 0:
        changes = {"needs": [f"{id_}?" for id_ in needs[:1]], "after": needs[1:]}
    if number % 2:
        changes = {
            "estimate": (None, "5s")[number % 3 > 0],
            "locks": ["web"],
            "retries": {"lost": number % 3},
            "uses": None,
        }
    for id_ in of(session.state.tickets, number // 5):
        session.act(rq.Edit(ticket=id_, changes=changes, by="bob"))


def amend(session: Session, number: int) -> None:
    """Add a ticket, or one that was dropped before; sometimes drop another one."""
    ids = list(session.state.tickets)
    new = f"N{number % 4}"
    spec = Ticket(
        run="true",
        needs=tuple(of(ids, number)),
        after=tuple(of(ids, number + 1))[: number % 2],
        locks=("db",),
        timeout=Duration(5),
    )
    added = {} if new in ids else {new: spec}
    dropped = tuple(of(ids, number // 2)) if number % 3 else ()
    session.act(rq.Amend(added=added, dropped=dropped, by="bob"))


def retype(session: Session, number: int) -> None:
    """Another agent type, one less, or others of those that there are."""
    now = session.state.plan.agents
    there = AgentType(can=("docs",), max=1 + number % 3)
    changes: tuple[dict[str, AgentType | None], ...] = (
        {"z": there},
        {"z": None},
        {"x": structs.replace(now["x"], max=number % 4 or None, fallback=("y",) * (number % 2))},
        {"y": structs.replace(now["y"], min=number % 2, max=2, command=(_TOOL, None)[number % 2])},
    )
    session.act(rq.Amend(agents=changes[number % 7 % 4], by="bob"))


def drop(session: Session, number: int) -> None:
    leaves = [id_ for id_ in session.state.tickets if not any(session.state.dependents(id_))]
    session.act(rq.Amend(dropped=tuple(of(leaves, number)), by="bob"))


def roll_back(session: Session, number: int) -> None:
    ids = of(with_status(session, Status.succeeded, Status.failed, Status.cancelled), number)
    if ids:
        request = rq.Rollback(tickets=tuple(ids), downstream=number % 2 > 0, rerun=number % 3 > 1, by="bob")
        session.act(request)


def keep_files(session: Session, number: int) -> None:
    for id_ in of(session.live(), number):
        if session[id_].spec.snapshot:
            session.tell(rq.SnapshotMade(id_, session[id_].attempts, 1, number % 3 * 2**32))


def kill_rollback(session: Session, number: int) -> None:
    for id_ in of(with_status(session, Status.rolling_back), number):
        session.act(rq.Cancel(tickets=(id_,), now=True))


def freeze_a_question(session: Session, number: int) -> None:
    for id_ in of(session.state.asking, number):
        session.act((rq.Freeze, rq.Thaw)[number % 2](tickets=(id_,), by="bob"))


def undo(session: Session, number: int) -> None:
    session.act(rq.Undo(by="eve"))


def and_back(step: Step) -> Step:
    """Take the step, and undo it at once: if that can be done, all is as it was."""

    def there_and_back(session: Session, number: int) -> None:
        before, backing_off = lasting(session.state), with_status(session, Status.backoff)
        was_frozen = any(ticket.is_check_frozen for ticket in session.state.asking.values())
        known = len(session.journal)
        step(session, number)
        events = session.journal[known:]
        acted = events[0] if events else None
        if not isinstance(acted, ev.OperatorActed) or not acted.inverse:
            return
        undone = session.act(rq.Undo(by="eve"))
        assert not isinstance(undone, Refusal), f"{acted.text}: {undone}"
        # What was being paused before a retry is not, an agent that stopped is not started, and none stops that a new
        # minimum started. A question that was frozen, and that nobody waited for, is not asked again at once.
        is_pool_other = any(isinstance(event, ev.AgentStopped | ev.AgentStarted) for event in (*events, *undone))
        if not is_pool_other and not was_frozen and backing_off == with_status(session, Status.backoff):
            assert lasting(session.state) == before, acted.text

    return there_and_back


def approve_one(session: Session, number: int) -> None:
    for id_ in of(session.state.unapproved, number):
        session.act((rq.Approve, rq.Approve, rq.Reject)[number % 3](tickets=(id_,), note="so", by="bob"))


def services(session: Session, *statuses: ServiceStatus) -> list[ServiceState]:
    return [each for each in session.state.services.values() if each.status in statuses]


_MOVING = (ServiceStatus.starting, ServiceStatus.stopping, ServiceStatus.backoff)


def service_up(session: Session, number: int) -> None:
    for service in of(services(session, ServiceStatus.starting), number):
        session.service_is_up(service.name)
        key = service.step_key(READY)
        session.tell(rq.ProcessEnded(key.ticket, key.attempt, code=0, step=READY))


def service_dies(session: Session, number: int) -> None:
    for service in of(session.state.living_services, number):
        key = service.key
        if number % 5 == 0:
            session.tell(rq.ProcessLost(key.ticket, key.attempt, reason="no trace of it", began=number % 2 == 0))
        else:
            session.service_ended(service.name, code=number % 2)


def service_is_late(session: Session, number: int) -> None:
    for service in of(session.state.living_services, number):
        step = (READY, STOP)[number % 2]
        if step == READY:
            session.wait(60)
        key = service.step_key(step)
        if number % 3:
            session.tell(rq.TimeoutElapsed(key.ticket, key.attempt, step=step))
        else:
            session.tell(rq.ProcessEnded(key.ticket, key.attempt, code=number % 4, step=step))


def service_backs_off(session: Session, number: int) -> None:
    for service in of(services(session, ServiceStatus.backoff), number):
        assert service.retry_at is not None
        session.wait(max(0.0, service.retry_at - session.now))
        session.tell(rq.BackoffElapsed(service.key.ticket))


def end_unwanted(session: Session, number: int) -> None:
    session.end_unwanted(leaves=number % 10 == 0 and not session.state.live)


def on_service(request: Callable[..., rq.AnyRequest]) -> Step:
    def step(session: Session, number: int) -> None:
        for name in of(session.state.services, number):
            session.act(request(services=(name,), by="bob"))

    return step


def serve(session: Session, number: int) -> None:
    """Let all services come up that are wanted."""
    end_unwanted(session, 1)
    for service in session.state.services.values():
        if service.is_frozen:
            session.ask(rq.Thaw(services=(service.name,)))
        match service.status:
            case ServiceStatus.starting:
                service_up(session, list(services(session, ServiceStatus.starting)).index(service))
            case ServiceStatus.stopping:
                session.service_ended(service.name)
            case ServiceStatus.backoff:
                service_backs_off(session, services(session, ServiceStatus.backoff).index(service))
            case _:
                pass


def end_unrunnable(session: Session, number: int) -> None:
    if session.state.is_idle_forever():
        session.end_unrunnable()


def restart(session: Session, number: int) -> None:
    session.restart()


def resume(session: Session, number: int) -> None:
    if session.state.status in ("draining", "stopping"):
        session.resume()


UNSUCCESSFUL = (Status.failed, Status.cancelled, Status.skipped)

VERBS: tuple[Step, ...] = (
    on_tickets(rq.Hold, Status.waiting),
    on_tickets(rq.Release, Status.waiting),
    on_tickets(rq.Drain, Status.running),
    on_tickets(rq.Cancel, Status.waiting),
    on_tickets(rq.Waive, Status.waiting, *UNSUCCESSFUL),
    on_tickets(rq.Waive, *UNSUCCESSFUL),
    on_tickets(rq.Retry, *TERMINAL, Status.approval),
    on_tickets(rq.Approve, Status.approval, Status.waiting),
    on_tickets(rq.Reject, Status.approval, Status.waiting),
    on_tickets(rq.Cancel, Status.approval),
    on_tickets(rq.Waive, Status.approval),
    retry_downstream,
    reassign,
    prioritise,
    scale,
    scale_by,
    edit,
    amend,
    retype,
    drop,
    on_agent(rq.Drain),
    on_agent(rq.Freeze),
    on_agent(rq.Thaw),
    on_type(rq.Hold),
    on_type(rq.Release),
    on_type(rq.Drain),
    on_type(rq.Freeze),
    on_type(rq.Thaw),
    on_service(rq.Freeze),
    on_service(rq.Thaw),
    on_service(rq.Restart),
    on_session(rq.Freeze(by="bob")),
    on_session(rq.Thaw(by="bob")),
    on_session(rq.Release(by="bob")),
)

STEPS: tuple[Step, ...] = (
    *[dispatch] * 8,
    *[end(code=0)] * 10,
    *[end(code=1)] * 4,
    *[end(code=127)] * 3,
    *[refuse_to_start] * 3,
    find_a_port_taken,
    try_ports,
    end(signal=9),
    end(problem="no such file"),
    lose,
    spawn,
    *[time_out] * 2,
    *[answer] * 6,
    lose_the_answer,
    *[kill_stopping] * 4,
    *[back_off] * 4,
    learn,
    *[check] * 3,
    report_too_early,
    report_too_late,
    rest,
    pass_time,
    on_tickets(rq.Hold, Status.waiting),
    *[on_tickets(rq.Release, Status.waiting)] * 2,
    on_tickets(rq.Cancel, Status.waiting, Status.running, Flag.frozen),
    *[on_tickets(rq.Retry, *UNSUCCESSFUL)] * 4,
    *[on_tickets(rq.Freeze, Status.running)] * 2,
    freeze_a_question,
    *[on_tickets(rq.Thaw, Flag.frozen)] * 2,
    on_agent(rq.Hold),
    *[on_agent(rq.Release)] * 3,
    on_agent(rq.Drain),
    on_session(rq.Hold()),
    *[on_session(rq.Release())] * 4,
    on_session(rq.Freeze()),
    *[on_session(rq.Thaw())] * 2,
    on_session(rq.Drain()),
    stop,
    end_unrunnable,
    restart,
    *[service_up] * 12,
    *[service_dies] * 3,
    *[service_is_late] * 2,
    *[service_backs_off] * 3,
    *[end_unwanted] * 4,
    *[serve] * 3,
    *[roll_back] * 4,
    *[keep_files] * 3,
    kill_rollback,
    *[resume] * 4,
    *[approve_one] * 6,
    *[step for verb in VERBS for step in (verb, verb, and_back(verb))],
    *[undo] * 4,
)

INSTEAD: tuple[Step, ...] = (
    resume,
    on_session(rq.Release()),
    dispatch,
    kill_stopping,
    end_somehow,
    back_off,
    answer,
    service_up,
    on_tickets(rq.Retry, Status.failed),
)


def steps(most: int) -> st.SearchStrategy[list[int]]:
    """Numbers that say which step, and the rest of the number to whom."""
    return st.lists(st.integers(0, len(STEPS) * 100 - 1), min_size=most // 2, max_size=most)


def run(session: Session, numbers: list[int]) -> int:
    """Take the steps; returns how many of them changed something."""
    changed = 0
    for number in numbers:
        session.wait(0.25)
        before = len(session.journal)
        for step in (STEPS[number % len(STEPS)], *INSTEAD):
            if len(session.journal) == before:
                step(session, number // len(STEPS))
        changed += len(session.journal) > before
    return changed


# --- What is true of every run ---


def check_replay(session: Session) -> None:
    """The state after each prefix of the journal, read back from its lines, is the state as it was then."""
    state = SessionState(session.plan)
    lines = codec.lines(session.journal).splitlines()
    assert len(lines) == len(session.dumps)
    for line, then in zip(lines, session.dumps, strict=True):
        apply(state, codec.decode_event(line))
        assert dump(state) == then


def drive_to_the_end(session: Session, outcomes: list[Step]) -> None:
    """Undo what persons hold, let other programs give back the ports, and let everything run out."""
    session.resume()
    session.ask(rq.Thaw())
    session.ask(rq.Release(types=("x", "y")))
    outcome = cycle(outcomes)
    for turn in count():
        assert turn < 500, "it goes on for ever"
        session.ask(rq.Thaw())  # the last look at an output may have frozen its ticket
        if session.state.held:  # a failure may hold the session again
            session.ask(rq.Release())
        if session.state.stopping:
            session.resume()
        held = [agent.id for agent in session.state.agents.values() if agent.held is not None and not agent.stopped]
        if held:
            session.ask(rq.Release(agents=tuple(held)))
        session.ask(rq.Release(tickets=tuple(session.state.tickets)))
        session.ask(rq.Approve(tickets=tuple(session.state.unapproved)))
        session.tell(rq.PortsTried("port", ()))
        serve(session, turn)
        session.dispatch()
        if session.state.asking:
            answer(session, turn)
        elif session.state.live:
            stopping = with_status(session, Status.stopping)
            if stopping:
                session.killed(*stopping)
            elif rolling := with_status(session, Status.rolling_back):  # it takes no outcome from an attempt
                session.succeed(rolling[0])
            else:
                next(outcome)(session, turn)
        elif retrying := with_status(session, Status.backoff):
            session.back_off(retrying[0])
        elif not session.state.unapproved and not session.end_unrunnable() and not services(session, *_MOVING):
            return


def check_the_end(session: Session) -> None:
    """With no person holding anything, every ticket is over, nothing is held, and the closing steps add up."""
    assert with_status(session, *TERMINAL) == list(session.state.tickets)
    assert session.state.unfinished == 0
    assert session.state.is_idle_forever()
    session.close()
    assert session.state.status == "finished"
    counts = session.journal[-2]
    assert isinstance(counts, ev.CompletionValidated)
    assert sum(counts.counts.values()) == len(session.state.tickets)


OUTCOMES: tuple[Step, ...] = (end(code=0), end(code=1), end(code=127), lose)


RUNS = (plans(), steps(40), st.lists(st.sampled_from(OUTCOMES), min_size=1, max_size=4))


def run_to_the_end(plan: Plan, numbers: list[int], outcomes: list[Step]) -> int:
    session = Session(plan)
    changed = run(session, numbers)
    drive_to_the_end(session, [end(code=0), *outcomes])
    check_the_end(session)
    check_replay(session)
    return changed


@given(*RUNS)
@settings(max_examples=150)
def test_invariants_hold_after_every_event_and_every_prefix_replays(
    plan: Plan, numbers: list[int], outcomes: list[Step]
) -> None:
    run_to_the_end(plan, numbers, outcomes)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_hundred_thousand_steps(capsys: pytest.CaptureFixture[str]) -> None:
    """The same for so long that each of the steps was taken in many a situation."""
    taken = 0

    @given(*RUNS)
    @settings(max_examples=500, database=None)
    def take_steps(plan: Plan, numbers: list[int], outcomes: list[Step]) -> None:
        nonlocal taken
        taken += run_to_the_end(plan, numbers, outcomes)

    while taken < 100_000:
        take_steps()
    with capsys.disabled():
        print(f"\n{taken:,} steps that changed something")
