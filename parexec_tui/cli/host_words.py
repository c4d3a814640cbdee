"""What is said of a host that was looked at, by `hosts` and by `doctor`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from parexec_tui.core.plan.units import format_count, format_duration, format_size

if TYPE_CHECKING:
    from parexec_tui.engine.backends.remote.look import Look

_AGREES = 0.5
"""Seconds that clocks may be apart and count as equal: the way there takes as long."""


class Told(NamedTuple):
    """One thing that is said of a host."""

    is_fine: bool
    text: str
    remedy: str = ""


def told_of(look: "Look") -> Iterator[Told]:
    """What was found of a host: what it is if it can be used, else why not; then what is odd about it."""
    if look.problem:
        yield Told(False, f"{look.host}: {_named(look.reached_by, look.host)}{look.problem}")
    else:
        yield Told(True, f"{look.host}: {_named(look.reached_by, look.host)}{'; '.join(_facts(look))}")
    for remark in look.remarks:
        yield Told(False, f"{look.host}: {remark.text}", remark.remedy)


def _named(reached_by: str, host: str) -> str:
    return "" if reached_by == host else f"{reached_by}: "


def _facts(look: "Look") -> Iterator[str]:
    has = [format_count(int(look.cpus), "cpu"), f"{format_size(look.memory)} of memory"]
    if look.disk_free is not None:
        has.append(f"{format_size(look.disk_free)} free")
    yield ", ".join(has)
    yield f"Python {look.python}" + (f", git {look.git}" if look.git else "")
    apart = f"{format_duration(abs(look.skew))} {'ahead' if look.skew > 0 else 'behind'}"
    yield f"clock {'as here' if abs(look.skew) < _AGREES else apart}"
    if look.workdir:
        yield f"{look.workdir} {'is there' if look.workdir_exists else 'is made when it is needed'}"
