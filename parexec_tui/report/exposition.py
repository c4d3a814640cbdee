"""Metrics in the text format of Prometheus, by its own library. Only who writes that imports this."""

from collections.abc import Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from parexec_tui.core.state.status import AgentStatus, End
from parexec_tui.core.state.tally import BOUNDS
from parexec_tui.report.metrics import STATES, SessionMetrics


def exposition(sessions: Sequence[SessionMetrics]) -> bytes:
    """All metrics of these sessions."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Sessions(sessions))
    return generate_latest(registry)


_AGENT_STATES = tuple(str(status) for status in AgentStatus if status is not AgentStatus.stopped)


class _Sessions(Collector):
    """Gives what is known already; the library only asks for it."""

    def __init__(self, sessions: Sequence[SessionMetrics]) -> None:
        self._sessions = sessions

    def collect(self) -> Iterator[Metric]:
        yield from self._of_sessions()
        yield from self._of_types()
        yield from self._durations()
        yield from self._of_hosts()

    def _of_sessions(self) -> Iterator[Metric]:
        all_ = self._sessions
        yield _gauge("session_info", "What session this is.", ("plan",), ((each, (each.plan,), 1) for each in all_))
        yield _gauge(
            "session_state",
            "1 for how the session stands, 0 for the rest.",
            ("state",),
            ((each, (state,), each.state == state) for each in all_ for state in STATES),
        )
        yield _gauge("engine_up", "Whether an engine is at work for it.", (), ((x, (), x.engine_up) for x in all_))
        yield _gauge(
            "session_started_timestamp_seconds", "When it was opened.", (), ((x, (), x.started) for x in all_)
        )
        yield _gauge(
            "session_ended_timestamp_seconds",
            "When it was finished.",
            (),
            ((each, (), each.ended) for each in all_ if each.ended is not None),
        )
        yield _gauge(
            "last_event_timestamp_seconds", "When something happened last.", (), ((x, (), x.last_event) for x in all_)
        )
        yield _gauge(
            "tickets",
            "Tickets by status.",
            ("status",),
            ((each, (status,), count) for each in all_ for status, count in each.tickets.items()),
        )
        yield _gauge(
            "needs_person",
            "Tickets, agents and other things that need a person.",
            (),
            ((each, (), each.needs_you) for each in all_),
        )
        yield _gauge(
            "eta_seconds",
            "Until it is finished: as likely as not, and nine times in ten.",
            ("quantile",),
            (
                (each, (quantile,), seconds)
                for each in all_
                if each.eta is not None
                for quantile, seconds in (("0.5", each.eta.p50), ("0.9", each.eta.p90))
            ),
        )
        yield _gauge(
            "bottlenecks",
            "Limits of which more would save time.",
            (),
            ((each, (), each.bottlenecks) for each in all_),
        )
        yield _gauge("live_attempts", "Attempts that live.", (), ((each, (), each.figures.running) for each in all_))
        yield _gauge("slots", "Attempts that may run at once.", (), ((each, (), each.figures.slots) for each in all_))
        yield _gauge(
            "claims_held",
            "Claims that are held, by kind.",
            ("kind",),
            (
                (each, (kind,), each.figures.claims.get(kind, 0))
                for each in all_
                for kind in ("lock", "read", "write")
            ),
        )
        yield _gauge(
            "tickets_serialised",
            "Tickets that had to wait for a claim.",
            (),
            ((each, (), each.figures.serialised) for each in all_),
        )
        for name, about in (("used", "What is claimed of a resource of the plan."), ("capacity", "What there is.")):
            yield _gauge(
                f"resource_{name}",
                about,
                ("resource",),
                (
                    (each, (found.name,), found.used if name == "used" else found.total)
                    for each in all_
                    for found in each.figures.resources
                ),
            )
        yield _counter("merges", "Attempts whose work was merged.", (), ((x, (), x.figures.merges) for x in all_))
        yield _counter(
            "merge_conflicts",
            "How often work conflicted with what was merged.",
            (),
            ((each, (), each.figures.conflicts) for each in all_),
        )
        yield _gauge(
            "waiting_tickets",
            "Tickets that are not over and do not run, by what they wait for.",
            ("cause",),
            ((each, (wait.cause,), wait.tickets) for each in all_ for wait in each.waits),
        )
        yield _counter(
            "wait_seconds",
            "What all tickets waited, by what they waited for.",
            ("cause",),
            ((each, (wait.cause,), wait.seconds) for each in all_ for wait in each.waits),
        )

    def _of_types(self) -> Iterator[Metric]:
        types = [(each, type_) for each in self._sessions for type_ in each.figures.types]
        yield _gauge(
            "agents",
            "Agents by what they do.",
            ("agent_type", "state"),
            (
                (each, (type_.type, state), type_.agents.get(state, 0))
                for each, type_ in types
                if type_.type
                for state in _AGENT_STATES
            ),
        )
        yield _counter(
            "attempts",
            "Attempts that were started.",
            ("agent_type",),
            ((each, (type_.type,), type_.attempts) for each, type_ in types),
        )
        yield _counter(
            "retries",
            "Attempts that were not the first of their ticket.",
            ("agent_type",),
            ((each, (type_.type,), type_.retries) for each, type_ in types),
        )
        yield _counter(
            "attempts_ended",
            "Attempts that ended, by how.",
            ("agent_type", "end"),
            ((each, (type_.type, str(end)), type_.ends.get(str(end), 0)) for each, type_ in types for end in End),
        )
        yield _counter(
            "cpu_seconds",
            "CPU time of attempts that ended.",
            ("agent_type",),
            ((each, (type_.type,), type_.cpu_seconds) for each, type_ in types),
        )
        yield _counter(
            "disk_read_bytes",
            "What attempts that ended read from disks.",
            ("agent_type",),
            ((each, (type_.type,), type_.disk_read) for each, type_ in types),
        )
        yield _counter(
            "disk_written_bytes",
            "What attempts that ended wrote to disks.",
            ("agent_type",),
            ((each, (type_.type,), type_.disk_written) for each, type_ in types),
        )
        yield _gauge(
            "peak_memory_bytes",
            "The most that one attempt used.",
            ("agent_type",),
            ((each, (type_.type,), type_.peak_memory) for each, type_ in types),
        )

        told = [(each, type_.type, type_.spent) for each, type_ in types if type_.spent is not None]
        if told:
            yield _counter(
                "agent_cost_dollars",
                "What coding agents are known to have spent, in attempts that ended.",
                ("agent_type",),
                ((each, (name,), spent.cost) for each, name, spent in told if spent.cost is not None),
            )
            yield _counter(
                "agent_tokens",
                "Tokens that coding agents read anew, wrote, and had from a cache, in attempts that ended.",
                ("agent_type", "kind"),
                (
                    (each, (name, kind), count)
                    for each, name, spent in told
                    for kind, count in (("input", spent.inp), ("output", spent.out), ("cached", spent.cached))
                    if count is not None
                ),
            )

    def _durations(self) -> Iterator[Metric]:
        family = HistogramMetricFamily(
            "parexec_attempt_duration_seconds",
            "How long attempts took that ended, without the time they were frozen.",
            labels=("session", "agent_type"),
        )
        for each in self._sessions:
            for type_ in each.figures.types:
                buckets, count = [], 0
                for bound, number in zip((*map(str, BOUNDS), "+Inf"), type_.durations, strict=True):
                    count += number
                    buckets.append((bound, float(count)))
                family.add_metric((_text(each.session), _text(type_.type)), buckets, type_.seconds)
        yield family

    def _of_hosts(self) -> Iterator[Metric]:
        hosts = [(each, each.host) for each in self._sessions if each.host is not None]
        yield _gauge(
            "host_cpu_ratio", "Share of all CPUs that is busy.", (), ((x, (), host.cpu) for x, host in hosts)
        )
        yield _gauge(
            "host_memory_used_bytes", "What is not available.", (), ((x, (), host.memory_used) for x, host in hosts)
        )
        yield _gauge("host_memory_bytes", "What there is.", (), ((x, (), host.memory_total) for x, host in hosts))


_Samples = Iterable[tuple[SessionMetrics, tuple[str, ...], float]]


def _gauge(name: str, about: str, labels: tuple[str, ...], samples: _Samples) -> Metric:
    return _filled(GaugeMetricFamily(f"parexec_{name}", about, labels=("session", *labels)), samples)


def _counter(name: str, about: str, labels: tuple[str, ...], samples: _Samples) -> Metric:
    """The library adds `_total` to its name."""
    return _filled(CounterMetricFamily(f"parexec_{name}", about, labels=("session", *labels)), samples)


def _filled(family: GaugeMetricFamily | CounterMetricFamily, samples: _Samples) -> Metric:
    for session, values, value in samples:
        family.add_metric((_text(session.session), *map(_text, values)), float(value))
    return family


def _text(value: str) -> str:
    """As UTF-8 has it: what is written must be that."""
    return value.encode(errors="replace").decode()
