"""What the monitor finds out: disks, shortages, sessions nearby, and how long tickets took before."""

from collections.abc import Mapping

from parexec_tui.core.plan.resources import Units
from parexec_tui.core.plan.units import format_size
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.memory import LEAST
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire import requests as rq

RELIEF = 1.05
"""A disk counts as relieved when this many times the floor is free, so that it does not go back and forth."""


def on_disk_measured(state: SessionState, report: rq.DiskMeasured, now: float) -> list[ev.AnyEvent]:
    floor = state.plan.settings.min_free_disk
    pressed = state.pressed.get(report.resource)
    if pressed is None and (report.free is None or report.free >= floor):
        return []
    if report.free is None or (pressed is not None and report.free >= floor * RELIEF):
        return [ev.HostRelieved(at=now, resource=report.resource)]
    if pressed is not None and not _has_changed_much(pressed.free, report.free, floor):
        return []
    text = f"{format_size(report.free)} free in {report.folder}, the plan wants {format_size(floor)}"
    return [ev.HostPressed(at=now, resource=report.resource, text=text, free=report.free)]


def _has_changed_much(said: int | None, free: int, floor: float) -> bool:
    """Whether it is worth an event that there is another amount of room than was said: half as much, or an eighth of
    what the plan wants more or less."""
    return said is None or 2 * free < said or abs(free - said) >= floor / 8


def on_host_short(state: SessionState, report: rq.HostShort, now: float) -> list[ev.AnyEvent]:
    if bool(report.text) == (report.resource in state.pressed):
        return []
    if report.text:
        return [ev.HostPressed(at=now, resource=report.resource, text=report.text)]
    return [ev.HostRelieved(at=now, resource=report.resource)]


def host_short(report: rq.ProcessEnded) -> rq.HostShort:
    """What a process says of the host that could not be started."""
    return rq.HostShort(report.host_short_of, report.problem)


def on_ports_tried(state: SessionState, report: rq.PortsTried, now: float) -> list[ev.AnyEvent]:
    if report.taken == state.holdings.aside(report.resource):
        return []
    return [ev.UnitsSetAside(at=now, resource=report.resource, units=report.taken)]


def on_secrets_found(state: SessionState, report: rq.SecretsFound, now: float) -> list[ev.AnyEvent]:
    if state.secrets == {**dict.fromkeys(report.known, ""), **report.unknown}:
        return []
    return [ev.SecretsLooked(at=now, unknown=report.unknown, known=report.known)]


def set_aside(state: SessionState, taken: Mapping[str, Units], now: float) -> list[ev.AnyEvent]:
    """Give these units, which other programs have, to nobody."""
    return [
        ev.UnitsSetAside(at=now, resource=name, units=tuple(dict.fromkeys((*state.holdings.aside(name), *units))))
        for name, units in taken.items()
    ]


def on_neighbours_changed(state: SessionState, report: rq.NeighboursChanged, now: float) -> list[ev.AnyEvent]:
    seen = {each.session: each for each in (*state.neighbours, *report.found) if each.session not in report.left}
    neighbours = tuple(seen.values())
    return [] if neighbours == state.neighbours else [ev.NeighboursSeen(at=now, neighbours=neighbours)]


def on_history_read(state: SessionState, report: rq.HistoryRead, now: float) -> list[ev.AnyEvent]:
    """Once in a session."""
    if not state.unfinished:
        return []
    return [*_durations(state, report, now), *_peaks(state, report, now)]


def on_eta_found(state: SessionState, report: rq.EtaFound, now: float) -> list[ev.AnyEvent]:
    if state.finished_at is not None:
        return []
    return [ev.EtaTold(at=now, p50=report.p50, p90=report.p90)]


def _durations(state: SessionState, report: rq.HistoryRead, now: float) -> list[ev.AnyEvent]:
    if state.learned:
        return []
    known = {id_: history for id_, history in report.tickets.items() if id_ in state.tickets}
    if not known:
        return []
    seconds = {id_: history.p50 for id_, history in known.items()}
    sigmas = {id_: history.sigma for id_, history in known.items()}
    return [ev.DurationsLearned(at=now, seconds=seconds, sigmas=sigmas)]


def _peaks(state: SessionState, report: rq.HistoryRead, now: float) -> list[ev.AnyEvent]:
    """Nothing where all of them are small: then nothing waits for memory."""
    if state.peaks:
        return []
    peaks = {id_: known.peak for id_, known in report.tickets.items() if known.peak and id_ in state.tickets}
    return [ev.PeaksLearned(at=now, peaks=peaks)] if max(peaks.values(), default=0) >= LEAST else []
