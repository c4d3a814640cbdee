"""What the gauges show: the host as it was measured, and what the plan shares out. No screen.

A gauge warns only if work has to wait because of it: a disk below the plan's floor, slots or a resource that ready
tickets wait for. A busy host makes nothing wait, so it is no warning. One under pressure slows down what runs: it is.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from parexec_tui.core.plan.claims import Holdings, format_amount
from parexec_tui.core.plan.resources import HOST_RESOURCES
from parexec_tui.core.plan.units import format_count
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire.protocol import DiskSample, GpuSample, HostSample
from parexec_tui.tui.view.facts import short_count, short_size
from parexec_tui.tui.view.waiting import Waiting

ReadSample = Callable[[HostSample], float | None]
"""The value of a gauge in a sample; None: it was not measured."""

PRESSING = {"cpu": 0.8, "memory": 0.1, "io": 0.4}
"""The share of time in which somebody waits for it (PSI), from which on what runs is slowed down. To wait for a CPU
is usual on a host that is used well, to wait for memory is not."""

SPAN = 300.0
"""A curve shows at least this many seconds."""

_CELL = 10.0
"""A cell of a curve covers at least this many seconds: a long curve shows a longer time, not a finer one."""


class Gauge(NamedTuple):
    """A measure, in words and numbers."""

    label: str
    text: str
    share: float | None = None
    """The share that is used, from 0 to 1; None: the total is not known."""
    threshold: float | None = None
    """From this share on nothing new is started."""
    holds: str = ""
    """What waits because of it, such as `12 wait`; empty: nothing does."""
    is_short: bool = False
    """The host is short of it: nothing at all is started."""
    is_pressing: bool = False
    """What runs is slowed down by it."""
    read: ReadSample | None = None
    """How to read it from a sample; None: samples do not have it."""
    top: float | None = None
    """The highest value that `read` can return; None: not known."""
    host: str | None = None
    """Whose samples they are; None: those of the host that is shown."""
    is_shown: bool = False
    """It is of the host that is shown, among those of all."""


# --- The host ---


def host_gauges(sample: HostSample, state: SessionState) -> list[Gauge]:
    """The measures of the host, the most important first."""
    floor = state.plan.settings.min_free_disk
    return usual_gauges(sample, floor, state.pressed)


def usual_gauges(sample: HostSample, floor: float = 0.0, pressed: Collection[str] = ()) -> list[Gauge]:
    """CPU, memory and disks. `floor`: bytes that a disk should have free. `pressed`: what there is too little of."""
    return [
        Gauge(_label("cpu", sample), f"{sample.cpu:.0%}", sample.cpu, read=lambda of: of.cpu, top=1.0),
        Gauge(
            _label("memory", sample),
            f"{short_size(sample.memory_used)}/{short_size(sample.memory_total)}",
            _share(sample.memory_used, sample.memory_total),
            read=lambda of: _share(of.memory_used, of.memory_total),
            top=1.0,
        ),
        *(_disk(disk, floor, is_short=disk.name in pressed) for disk in sample.disks),
    ]


def _label(name: str, sample: HostSample) -> str:
    """The label: of the host, or of the cgroup where that sets the limit."""
    return _OF_CGROUP[name] if name in sample.of_cgroup else name


_OF_CGROUP = {"cpu": "cgroup cpu", "memory": "cgroup mem"}


def short_gauges(state: SessionState, sample: HostSample | None) -> Iterator[Gauge]:
    """What the host is short of, except what another gauge shows already."""
    told = {disk.name for disk in sample.disks} if sample is not None else ()
    for pressed in state.pressed.values():
        if pressed.resource not in told:
            yield Gauge(_DISKS.get(pressed.resource, pressed.resource), "short", is_short=True)


def pressure_gauges(state: SessionState) -> Iterator[Gauge]:
    """What the host is pressed for, with the highest step that was taken against it."""
    for ladder in state.ladders.values():
        tickets = format_count(len(ladder.tickets), "ticket") if len(ladder.tickets) > 1 else "".join(ladder.tickets)
        yield Gauge(f"low {ladder.resource}", ladder.rung, holds=tickets or "pressed", is_pressing=True)


def busy_gauges(sample: HostSample, has_cpus: float = 0.0) -> Iterator[Gauge]:
    """The other measures of a host: how busy it is, and what waits for it. `has_cpus`: where the sample does not tell
    of each."""
    for gpu in sample.gpus:
        yield from _gpu(gpu)
    yield Gauge("disk i/o", _rates("r", sample.disk_read, "w", sample.disk_write), read=_io)
    yield Gauge("network", _rates("i", sample.net_in, "o", sample.net_out), read=_net)
    for kind, waited in sample.pressure.items():
        is_pressing = waited >= PRESSING.get(kind, 1.0)
        yield Gauge(f"psi {kind}", f"{waited:.0%}", waited, is_pressing=is_pressing, read=_pressure(kind), top=1.0)
    cpus = float(len(sample.per_cpu)) or has_cpus or None
    one, five, _ = sample.load
    share = min(1.0, one / cpus) if cpus else None
    yield Gauge("load", f"{short_count(one)} {short_count(five)}", share, read=lambda of: of.load[0], top=cpus)
    if sample.swap_total:
        text = f"{short_size(sample.swap_used)}/{short_size(sample.swap_total)}"
        yield Gauge("swap", text, _share(sample.swap_used, sample.swap_total), read=_swap, top=1.0)


def _gpu(gpu: GpuSample) -> Iterator[Gauge]:
    def read(share: Callable[[GpuSample], float | None]) -> ReadSample:
        return lambda of: next((share(each) for each in of.gpus if each.index == gpu.index), None)

    label = f"gpu {gpu.index}"
    if gpu.busy is not None:
        yield Gauge(label, f"{gpu.busy:.0%}", gpu.busy, read=read(lambda of: of.busy), top=1.0)
    if (memory := _gpu_memory(gpu)) is not None:
        text = f"{short_size(gpu.memory_used or 0)}/{short_size(gpu.memory_total or 0)}"
        yield Gauge(f"{label} mem", text, memory, read=read(_gpu_memory), top=1.0)


def _gpu_memory(gpu: GpuSample) -> float | None:
    return None if gpu.memory_used is None or not gpu.memory_total else _share(gpu.memory_used, gpu.memory_total)


def _pressure(kind: str) -> ReadSample:
    return lambda of: of.pressure.get(kind)


def _disk(disk: DiskSample, floor: float, *, is_short: bool) -> Gauge:
    return Gauge(
        _DISKS.get(disk.name, disk.name),
        f"{short_size(disk.free)} free",
        _used(disk),
        1.0 - _share(floor, disk.total) if floor else None,
        is_short=is_short,
        read=lambda of: next((_used(each) for each in of.disks if each.name == disk.name), None),
        top=1.0,
    )


_DISKS = {
    "disk of the workdir": "disk workdir",
    "disk of the state folder": "disk state",
    "disk of the repository": "disk repo",
}


def _used(disk: DiskSample) -> float:
    return _share(disk.total - disk.free, disk.total)


def _swap(sample: HostSample) -> float:
    return _share(sample.swap_used, sample.swap_total)


def _io(sample: HostSample) -> float:
    return sample.disk_read + sample.disk_write


def _net(sample: HostSample) -> float:
    return sample.net_in + sample.net_out


def _share(part: float, whole: float) -> float:
    return min(1.0, max(0.0, part / whole)) if whole else 0.0


def _rates(one: str, into: float, other: str, out: float) -> str:
    return f"{one} {short_size(into)}/s {other} {short_size(out)}/s"


# --- What the plan shares out ---


def slots(state: SessionState, waiting: Waiting) -> Gauge:
    """How many tickets have an attempt, and how many may: what is frozen or is being stopped keeps its place."""
    running, limit = state.live_here, state.slots
    holds = _waits(waiting.ready) if running >= limit else ""
    return slots_gauge(running, limit, holds, is_auto=state.tuning is not None)


def slots_gauge(running: int, limit: int, holds: str = "", *, is_auto: bool = False) -> Gauge:
    """How many tickets have an attempt somewhere, and how many may; 0: that is not known."""
    text = f"{running}/{limit} auto" if is_auto else f"{running} of {limit}" if limit else f"{running}"
    return Gauge("at once", text, _share(running, limit) if limit else None, holds=holds)


def resource_gauges(state: SessionState, waiting: Waiting) -> Iterator[Gauge]:
    """How much of each resource is claimed: what tickets said they would use, not what they do use."""
    waits = {key.name: len(tickets) for key, tickets in waiting.by_key.items() if key.kind == "resource"}
    return amount_gauges(state.holdings, state.plan.amounts, waits)


def amount_gauges(holdings: Holdings, amounts: Mapping[str, float], waits: Mapping[str, int]) -> Iterator[Gauge]:
    """How much of each resource is held. `amounts`: of those that are always shown. `waits`: how many tickets want
    more than there is."""
    for name in dict.fromkeys((*HOST_RESOURCES, *amounts)):
        capacity = holdings.capacity(name)
        used = capacity - holdings.free(name)
        if not used and not waits.get(name) and name not in amounts:
            continue
        if name == "memory":
            text = f"{short_size(used)}/{short_size(capacity)}"
        else:
            text = f"{format_amount(name, used)} of {format_amount(name, capacity)}"
        label = f"uses {name}" if name in HOST_RESOURCES else name
        yield Gauge(label, text, _share(used, capacity), holds=_waits(waits.get(name, 0)))


def pool_gauges(state: SessionState, waiting: Waiting) -> Iterator[Gauge]:
    """How many agents of each type are busy, and how many there may be."""
    busy = Counter(state.agents[ticket.agent].type for ticket in state.live.values() if ticket.agent)
    for type_, available in state.available.items():
        limit = state.max_agents(type_)
        is_full = state.pool_size[type_] >= limit and not available
        holds = _waits(waiting.ready_for.get(type_, 0)) if is_full or type_ in state.held_types else ""
        yield Gauge(type_, f"{busy[type_]} of {limit}", _share(busy[type_], limit), holds=holds)


def claims_gauge(state: SessionState, waiting: Waiting) -> Gauge:
    """How many paths and locks are held, and how many tickets wait for these."""
    held = sum(each.key.kind != "resource" for each in state.holdings.held())
    wait = {each.ticket.id for key, waits in waiting.by_key.items() if key.kind != "resource" for each in waits}
    return Gauge("claims", f"{held} held", holds=_waits(len(wait)))


def _waits(count: int) -> str:
    return f"{count} wait" if count else ""


# --- Curves ---


def curve(samples: Iterable[HostSample], read: ReadSample, until: float, cells: int) -> list[float | None]:
    """The mean values of the last minutes in so many cells, the newest last; None where nothing was measured.

    Each cell covers a span that begins at a multiple of its length, so as time goes on only the newest cell changes.
    """
    span = max(SPAN / max(1, cells), _CELL)
    last = int(until // span)
    found: list[list[float]] = [[] for _ in range(cells)]
    for sample in samples:
        at = int(sample.at // span) - last + cells - 1
        if 0 <= at < cells and (value := read(sample)) is not None:
            found[at].append(value)
    return [sum(values) / len(values) if values else None for values in found]


def merged(values: Sequence[float], cells: int) -> list[float]:
    """The values in at most so many cells: neighbours share a cell, which has the highest of them."""
    if cells <= 0:
        return []
    together = -(-len(values) // cells)
    return [max(values[at : at + together]) for at in range(0, len(values), together)] if values else []
