"""The state of what a command is about: a session, or a plan file as if it began now."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from parexec_tui.cli.variables import refuse_given

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parexec_tui.core.plan.expanding.given import Given
    from parexec_tui.core.plan.model import Plan
    from parexec_tui.core.state.history import TicketHistory
    from parexec_tui.core.state.session import SessionState


def is_plan(target: str | None) -> bool:
    """Whether a plan file is meant, and no session."""
    return target is not None and (Path(target).is_file() or target.endswith((".toml", ".yaml", ".yml", ".json")))


def state_of(target: str | None, now: float, given: "Given") -> "SessionState":
    """A session as it is now, or that of a plan file as it would begin now. Exits if the plan has errors, or if
    something is given for the variables of a session; raises RegistryError."""
    if target is not None and is_plan(target):
        return planned_state(Path(target), now, given)
    refuse_given(given)
    return past_state(target)


def past_state(session: str | None) -> "SessionState":
    """A session as it is now; that a part of it is lost is said. Raises RegistryError."""
    from parexec_tui.client.sessions import open_registry, resolve_past
    from parexec_tui.registry.lock import note_engine
    from parexec_tui.registry.replay import replay

    with open_registry() as registry:
        past = replay(registry, resolve_past(registry, session).session)
    if past.warning:
        click.echo(f"parexec: {past.warning}", err=True)
    note_engine(past.state)
    return past.state


def planned_state(file: Path, now: float, given: "Given") -> "SessionState":
    """The state of a session that began with a plan file now. Exits if the file has errors."""
    from parexec_tui.cli.plans import plan_of
    from parexec_tui.engine.measure.monitor import host

    plan = plan_of(file, host(), given=given)
    return begun_state(plan, history_of(plan), now)


def begun_state(plan: "Plan", history: "Mapping[str, TicketHistory]", now: float) -> "SessionState":
    """The state of a session that began with a plan now."""
    from parexec_tui.core.rules.reports import on_report
    from parexec_tui.core.rules.session_events import opening
    from parexec_tui.core.state.apply import apply
    from parexec_tui.core.state.session import SessionState
    from parexec_tui.core.wire import requests as rq
    from parexec_tui.engine.measure.monitor import host

    here = host()
    state = SessionState(plan)
    events = opening(
        state,
        session="simulated",
        cpus=here.cpus,
        memory=here.memory,
        pid=0,
        boot="",
        version="",
        by="",
        now=now,
    )
    for event in events:
        apply(state, event)
    for event in on_report(state, rq.HistoryRead(dict(history)), now):
        apply(state, event)
    if state.undecided:
        from parexec_tui.core.rules.wanting import answers

        for event in answers(state, list(state.to_be_decided()), now, foresees=True):
            apply(state, event)
    return state


def history_of(plan: "Plan") -> "dict[str, TicketHistory]":
    """What earlier sessions of a plan tell of its tickets; nothing before the first one."""
    from parexec_tui.client.sessions import NoSuchSession, open_registry

    try:
        with open_registry() as registry:
            return registry.history(plan)
    except NoSuchSession:
        return {}
