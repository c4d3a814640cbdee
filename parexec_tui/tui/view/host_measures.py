"""What the gauges show of several hosts: each at a glance, and all about one that is another machine."""

from collections.abc import Callable, Iterator, Mapping

from parexec_tui.core.plan.hosts import LOCAL, LOCAL_NAME
from parexec_tui.core.state.hosts import HostState
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire.protocol import HostSample
from parexec_tui.text.host_facts import host_fact
from parexec_tui.text.hosts import standing_text
from parexec_tui.tui.view.measures import Gauge, amount_gauges, busy_gauges, slots_gauge, usual_gauges


def at_a_glance(
    state: SessionState, latest: Callable[[str], HostSample | None], shown: str, now: float, me: str
) -> Iterator[Gauge]:
    """A gauge for each host: its slots and how much of its CPUs is busy, or what is wrong with it. `shown`: the one
    that the other gauges are about."""
    for name in (LOCAL, *state.hosts):
        host, sample = state.hosts.get(name), latest(name)
        running, limit = (state.live_here, state.slots) if host is None else (len(host.live), host.slots)
        wrong = standing_text(host_fact(state, host), now, me) if host is not None else ""
        is_told = sample is not None and not wrong
        yield Gauge(
            name or LOCAL_NAME,
            f"{running}/{limit or '?'}{f' {sample.cpu:.0%}' if sample is not None and is_told else ''}",
            sample.cpu if sample is not None and is_told else None,
            holds=wrong,
            read=lambda of: of.cpu,
            top=1.0,
            host=name,
            is_shown=name == shown,
        )


def gauges_of(host: HostState, sample: HostSample | None) -> Iterator[Gauge]:
    """All about one other machine, the most important first."""
    if sample is not None:
        yield from usual_gauges(sample)
    yield slots_gauge(len(host.live), host.slots)
    yield from amount_gauges(host.holdings, host.spec.resources.amounts, _NOBODY)
    if sample is not None:
        yield from busy_gauges(sample, host.cpus)


_NOBODY: Mapping[str, int] = {}
"""Who waits for what of one host: tickets wait for any host that has it."""
