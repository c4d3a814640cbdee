"""Values of Python as a plan file can have them."""

import math
import operator
import os
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Any

from parexec_tui.core.plan.reading.faults import Fault, Path


class ValueFault(Exception):  # noqa: N818 - it is turned into a PlanError, which says where
    """A value has no place in a plan."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


def plain(value: object, path: Path) -> Any:
    """A value as TOML and JSON have it: paths as text, tuples as lists. What is None in a table is left out.

    `path`: the keys that lead to it. Raises ValueFault.
    """
    match value:
        case Enum():
            return plain(value.value, path)
        case bool():
            return bool(value)
        case str():
            return str(value)
        case float():
            if not math.isfinite(value):
                raise ValueFault(Fault(path, f"{value} is no number that a plan can have"))
            return float(value)
        case os.PathLike():
            return plain(os.fspath(value), path)
        case Mapping():
            return dict(_items(value, path))
        case bytes() | bytearray():
            raise ValueFault(Fault(path, "expected text, got bytes", "decode them"))
        case Sequence():
            return [plain(item, (*path, index)) for index, item in enumerate(value)]
        case _ if hasattr(value, "__index__"):
            return operator.index(value)
        case _:
            raise ValueFault(Fault(path, f"a plan cannot have a value of the type {type(value).__name__}"))


def _items(table: Mapping[Any, object], path: Path) -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if not isinstance(key, str | int):
            raise ValueFault(Fault(path, f"the keys of a table are text, and {key!r} is not"))
        if value is not None:
            yield str(key), plain(value, (*path, str(key)))
