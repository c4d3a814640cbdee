"""What there is of each resource, for `uses`: an amount, or units by name, of which a ticket is told which it has."""

import re
from collections.abc import Iterable, Iterator

from parexec_tui.core.plan.units import Size, shown

Units = tuple[str, ...]
"""The names of the units of a resource, in the order in which they are given out."""

HOST_RESOURCES = ("cpu", "memory")
"""Keys of `uses` that are counted against the host when `[resources]` does not name them."""

MAX_AMOUNT = 2**63 - 1
"""The highest amount of a resource: what every format and sum can hold."""

MAX_UNITS = 65_536
"""Units that a resource may name: as many as there are ports."""

_MAX_NAME = 100

_RANGE = re.compile(r"([0-9]{1,9})-([0-9]{1,9})")

_is_unit = re.compile(r"[A-Za-z0-9_./:@+\-]+").fullmatch


def read_units(name: str, value: object) -> Units:
    """Read `["0", "1"]`, a list of names, or `"8000-8099"`, a range of numbers; both ends are in it.

    Names of a list may be ranges, too. Raises ValueError, with what is accepted, for anything else.
    """
    units: list[str] = []
    for item in value if isinstance(value, list | tuple) else [value]:
        units += _items(name, item)
        if len(units) > MAX_UNITS:
            raise ValueError(f"{name} has more than {MAX_UNITS} units")
    if not units:
        raise ValueError(f'{name} has no units: write for instance {name} = ["0", "1"], or {name} = 2')
    if twice := _repeated(units):
        raise ValueError(f"unit {shown(twice)} of {name} is there twice")
    if is_port(name) and (bad := next((unit for unit in units if not _is_port_number(unit)), None)) is not None:
        raise ValueError(f"{shown(bad)} is not a port: write numbers from 1 to 65535")
    return tuple(units)


def _items(name: str, item: object) -> Iterable[str]:
    if isinstance(item, int) and not isinstance(item, bool) and item >= 0:
        return [str(item)]
    if not isinstance(item, str) or not _is_unit(item) or len(item) > _MAX_NAME:
        raise ValueError(
            f"{shown(item)} is not a unit of {name}: write a name of letters, digits and _ . / : @ + -, or a range"
        )
    if (found := _RANGE.fullmatch(item)) is None:
        return [item]
    first, last = int(found[1]), int(found[2])
    if first > last:
        raise ValueError(f"the range {item} of {name} is empty: write the lower number first")
    if last - first >= MAX_UNITS:
        raise ValueError(f"{name} has more than {MAX_UNITS} units")
    width = len(found[1]) if found[1].startswith("0") else 0
    return [f"{number:0{width}}" for number in range(first, last + 1)]


def _repeated(units: Iterable[str]) -> str | None:
    seen: set[str] = set()
    for unit in units:
        if unit in seen:
            return unit
        seen.add(unit)
    return None


def write_units(units: Units) -> list[str]:
    """Units as a person would write them: runs of three and more numbers as ranges."""
    return list(_runs(units))


def _runs(units: Units) -> Iterator[str]:
    at = 0
    while at < len(units):
        end = at
        while end + 1 < len(units) and _follows(units[end], units[end + 1]):
            end += 1
        if end - at < 2:
            yield from units[at : end + 1]
        else:
            yield f"{units[at]}-{units[end]}"
        at = end + 1


def _follows(unit: str, other: str) -> bool:
    return (
        len(unit) == len(other) <= 9
        and unit.isdecimal()
        and unit.isascii()
        and other.isdecimal()
        and other.isascii()
        and int(other) == int(unit) + 1
    )


def is_port(name: str) -> bool:
    """Whether the units of a resource of this name are ports of this machine: `port`, `debug_port`."""
    return re.split(r"[_.-]", name)[-1] in ("port", "ports")


def _is_port_number(unit: str) -> bool:
    return unit.isascii() and unit.isdecimal() and 1 <= int(unit) <= 65535 and unit == str(int(unit))


def unit_variable(name: str) -> str:
    """The environment variable that tells an attempt its units of a resource: `PAREXEC_GPU`, `PAREXEC_DEBUG_PORT`."""
    return f"PAREXEC_{re.sub('[^A-Za-z0-9]', '_', name).upper()}"


class Amounts(dict[str, float]):
    """Amounts by resource name; `memory` is in bytes."""

    @classmethod
    def parse(cls, value: object) -> "Amounts":
        """Read a table of amounts. `memory` is a size, `cpu` may be a fraction, the rest are whole numbers.

        Raises ValueError naming the key that is wrong.
        """
        if not isinstance(value, dict):
            raise ValueError('expected a table of amounts, for instance { cpu = 1, memory = "512MiB" }')  # noqa: TRY004
        return cls((name, _amount(name, amount)) for name, amount in value.items())


def _amount(name: str, amount: object) -> float:
    if name == "memory":
        return Size.parse(amount)
    if isinstance(amount, bool) or not isinstance(amount, int | float) or not 0 <= amount <= MAX_AMOUNT:
        raise ValueError(f"{shown(amount)} is not an amount of {name}: write a number that is not negative")
    if name != "cpu" and amount != int(amount):
        raise ValueError(f"{amount} of {name} is not a whole number: only cpu may be a fraction")
    return amount


class Resources(dict[str, float | Units]):
    """What there is of each resource: an amount, or its units by name; `memory` is in bytes."""

    @classmethod
    def parse(cls, value: object) -> "Resources":
        """Read a table of amounts, named units and ranges. Raises ValueError naming the key that is wrong."""
        if not isinstance(value, dict):
            raise ValueError('expected a table of resources, for instance { gpu = 2, port = "8000-8099" }')  # noqa: TRY004
        return cls((name, _resource(name, each)) for name, each in value.items())

    @property
    def amounts(self) -> Amounts:
        """How much there is of each."""
        return Amounts((name, len(each) if isinstance(each, tuple) else each) for name, each in self.items())

    @property
    def units(self) -> dict[str, Units]:
        """The units of those that have any."""
        return {name: each for name, each in self.items() if isinstance(each, tuple)}


def _resource(name: str, value: object) -> float | Units:
    if isinstance(value, list | tuple) or (isinstance(value, str) and name != "memory"):
        if name in HOST_RESOURCES:
            raise ValueError(f"{name} is an amount of the host, and has no units")
        return read_units(name, value)
    return _amount(name, value)
