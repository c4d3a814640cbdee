"""`[defaults]`: how a ticket takes what it does not say itself."""

from collections.abc import Callable, Mapping
from typing import Any

from parexec_tui.core.plan.reading.faults import Path

Table = dict[str, Any]

_BY_KEY = ("env", "uses", "limits")
"""Tables of a ticket that take from `[defaults]` the keys that they do not have."""

_GATES = "gates"
"""Those of `[defaults]` come before those of a ticket."""


def merged(defaults: Table, tickets: dict[str, Any]) -> dict[str, Any]:
    """The tickets as written, each with the defaults that it does not override."""
    if not defaults:
        return tickets
    gates = _as_list(defaults.get(_GATES))
    found = {id_: {**defaults, **own} if isinstance(own, dict) else own for id_, own in tickets.items()}
    for key in _BY_KEY:
        if isinstance(inherited := defaults.get(key), dict):
            for id_, own in tickets.items():
                if isinstance(own, dict) and isinstance(value := own.get(key), dict):
                    found[id_][key] = {**inherited, **value}
    if defaults.get("snapshot") is True or defaults.get("on_fail") == "rollback":
        for id_, own in tickets.items():
            if isinstance(own, dict):
                _leave_out_what_cannot_be(found[id_], own)
    if gates:
        for id_, own in tickets.items():
            if isinstance(own, dict) and (mine := _as_list(own.get(_GATES))):
                found[id_][_GATES] = [*gates, *mine]
    return found


def _leave_out_what_cannot_be(merged: Table, own: Table) -> None:
    """Do not inherit a snapshot where no files are named, nor a rollback where nothing says how it is done."""
    if "snapshot" not in own and not (merged.get("writes") or merged.get("outputs")):
        merged.pop("snapshot", None)
    if "on_fail" not in own and not (merged.get("snapshot") or merged.get("rollback")):
        merged.pop("on_fail", None)


def _as_list(gates: object) -> list[Any]:
    """Gates as they are written, of which those of `[defaults]` and of a ticket add up."""
    return [gates] if isinstance(gates, dict) else gates if isinstance(gates, list) else []


class OwnDefaults:
    """Defaults that are something else for each ticket, since they name values of families."""

    def __init__(self) -> None:
        self.table: Table = {}

    def taken_from(self, defaults: Table, is_own: Callable[[str, Any], bool]) -> Table:
        """The defaults without those that are for each ticket. `is_own`: whether a value of a key is."""
        rest: Table = {}
        for key, value in defaults.items():
            if key in _BY_KEY and isinstance(value, dict):
                own = {name: each for name, each in value.items() if is_own(key, each)}
                if own:
                    self.table[key] = own
                    value = {name: each for name, each in value.items() if name not in own}
            elif is_own(key, value):
                self.table[key] = value
                continue
            rest[key] = value
        return rest

    def with_them(self, ticket: Table) -> Table:
        """A ticket as written, with those that it does not override."""
        return merged(self.table, {"": ticket})[""] if self.table else ticket

    def place(self, ticket: Mapping[str, Any], path: Path) -> Path:
        """Where a key of such a ticket stands: in `[defaults]`, with its path there, or in the ticket, which is as it
        is written: then the path there, without a name before it."""
        match path:
            case (key, *_) if key not in self.table:
                return path
            case (str(key), *_) if key not in ticket:
                return ("defaults", *path)
            case (str(key), name, *_) if key in _BY_KEY and name in self.table[key] and name not in ticket[key]:
                return ("defaults", *path)
            case ("gates", int(index), *rest):
                before = len(_as_list(self.table[_GATES]))
                return ("defaults", *path) if index < before else (_GATES, index - before, *rest)
            case _:
                return path
