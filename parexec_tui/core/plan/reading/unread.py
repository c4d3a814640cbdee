"""What could not be read of a plan file, and what may be meant by it."""

import re
from collections.abc import Iterable, Sequence

from parexec_tui.core.plan.reading.faults import UNKNOWN_KEY, Fault, Path
from parexec_tui.core.plan.reading.fields import hint_for_misplaced


def by_table(faults: Iterable[Fault]) -> dict[Path, list[Fault]]:
    """What could not be read, as in `Draft.unread`."""
    found: dict[Path, list[Fault]] = {}
    for fault in faults:
        found.setdefault(fault.path[: 2 if fault.path[0] in _NAMED_TABLES else 1], []).append(fault)
    return found


_NAMED_TABLES = ("agents", "families", "group", "groups", "hosts", "secrets", "services", "tickets")

_named_keys = re.compile(r"`([a-z_]+)`").findall


def may_be(fault: Fault, keys: Sequence[str]) -> bool:
    """Whether one of these keys of its table may be meant where something could not be read."""
    of_table = len(fault.path) - (2 if fault.path[0] in _NAMED_TABLES else 1)
    if of_table <= 0:
        return True
    if fault.message == UNKNOWN_KEY and of_table == 1:
        if hint_for_misplaced(str(fault.path[-1])):
            return False  # it is meant for another table
        meant = _named_keys(fault.hint)
        return not meant or any(key in meant for key in keys)
    return fault.path[-of_table] in keys
