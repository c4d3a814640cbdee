"""The keys of a ticket as a plan file has them, and how to change some of them."""

from collections.abc import Mapping
from typing import Any

import msgspec

from parexec_tui.core.plan.reading.faults import Fault
from parexec_tui.core.plan.reading.fields import convert, read_fields
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.wire import codec
from parexec_tui.core.wire.requests import Refusal


def revised(id_: str, spec: Ticket, changes: Mapping[str, Any]) -> Ticket | Refusal:
    """A ticket with other values for some keys, written as in a plan file; None resets a key to its default."""
    table = {key: value for key, value in {**as_written(spec), **changes}.items() if value is not None}
    good, faults = read_fields(Ticket, table, ("tickets", id_))
    return refusal_of_faults(faults) if faults else convert(Ticket, good)


def as_written(spec: Ticket) -> dict[str, Any]:
    """The table of a ticket as a plan file has it, in values of JSON."""
    table = msgspec.json.decode(codec.encode(spec))
    assert isinstance(table, dict)
    return table


def refusal_of_faults(faults: list[Fault]) -> Refusal:
    """The first of the faults as a refusal, and how many more there are."""
    fault = faults[0]
    where = ""
    if fault.path[0] in ("tickets", "agents"):
        words = fault.path[1:3] if fault.path[0] == "tickets" else fault.path[:3]
        where = f"{'.'.join(map(str, words))}: "
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return Refusal(f"{where}{fault.message}{more}", fault.hint)
