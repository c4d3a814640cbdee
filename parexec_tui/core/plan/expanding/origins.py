"""Where in the plan file a key of the expanded document stands, for messages."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from msgspec import Struct

from parexec_tui.core.plan.expanding.defaults import OwnDefaults
from parexec_tui.core.plan.expanding.families import Member
from parexec_tui.core.plan.reading.faults import Fault, Path

_SAME_FAULT = 3
"""Members of a family of which the same key is told to be wrong, before the rest are only counted."""


class Origins(Struct):
    """Where tickets come from that do not stand in the file as they are."""

    families: dict[str, str] = {}
    """{member: its family}"""
    members: dict[str, Member] = {}
    """Those to which `include` gives keys."""
    entries: dict[tuple[str, str], list[int]] = {}
    """{(ticket, `needs` or `after`): the place in the file of each entry}, where one entry stands for several."""
    written: dict[str, Any] = {}
    """Tickets as they are written, with families as one."""
    defaults: OwnDefaults = msgspec.field(default_factory=OwnDefaults)
    """Those that are for each ticket."""

    def path_of(self, path: Path) -> Path:
        """The path in the file of a path in the expanded document."""
        match path:
            case ("families", name, *rest):
                return ("tickets", name, *rest)
            case ("tickets", str(id_), *rest):
                pass
            case _:
                return path
        match rest:
            case [str(key), int(place), *more] if (id_, key) in self.entries:
                rest = [key, self.entries[id_, key][place], *more]
        name = self.families.get(id_, id_)
        if name != id_ and rest and rest[0] in ("family", "member"):
            return ("tickets", name)
        if (member := self.members.get(id_)) and member.included is not None and rest and rest[0] in member.own:
            return ("tickets", name, "include", member.included, *rest)
        found = self.defaults.place(self.written.get(name, {}), tuple(rest)) if self.defaults.table else tuple(rest)
        return found if found[:1] == ("defaults",) else ("tickets", name, *found)

    def in_file(self, faults: Iterable[Fault]) -> list[Fault]:
        """The faults of the expanded document at their places in the file; what many members of a family have in
        common is told of a few of them."""
        if not (self.families or self.entries or self.defaults.table):
            return list(faults)
        return [*self._moved(faults)]

    def _moved(self, faults: Iterable[Fault]) -> Iterator[Fault]:
        told: dict[Path, int] = {}
        for fault in faults:
            path = self.path_of(fault.path)
            match fault.path:
                case ("tickets", str(id_), *_) if id_ in self.families:
                    told[path] = told.get(path, 0) + 1
                    if told[path] <= _SAME_FAULT:
                        yield Fault(path, f"in {id_}: {fault.message}", fault.hint)
                case _:
                    yield fault._replace(path=path)
        for path, count in told.items():
            if count > _SAME_FAULT:
                yield Fault(path, f"the same in {count - _SAME_FAULT} more members")
