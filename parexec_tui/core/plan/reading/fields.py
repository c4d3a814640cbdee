"""Reads one table of a plan file key by key, to find each thing that is wrong in it and say so in plan words.

A plan without mistakes never comes here: `msgspec` reads it at once.
"""

from collections.abc import Mapping
from enum import Enum
from functools import cache, lru_cache
from typing import Any, TypeVar

import msgspec
from msgspec import Struct, inspect

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.plan_settings import PlanSettings
from parexec_tui.core.plan.reading.faults import UNKNOWN_KEY, Fault, Hints, Path
from parexec_tui.core.plan.reading.foreign import hint_for_plan_key, hint_for_ticket_key
from parexec_tui.core.plan.resources import Amounts, Resources
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.plan.units import Duration, Factor, Lease, Money, Size, TokenCount, shown

_TABLES: dict[type[Struct], str] = {PlanSettings: "[plan]", AgentType: "[agents.NAME]", Ticket: "[tickets.ID]"}
"""Where the keys of each of these stand in a plan file."""


def decode(type_: type, value: object) -> object:
    """The `dec_hook` of the model: its types that msgspec does not know."""
    if type_ is Duration:
        return Duration.parse(value)
    if type_ is Lease:
        return Lease.parse(value)
    if type_ is Amounts:
        return Amounts.parse(value)
    if type_ is Resources:
        return Resources.parse(value)
    if type_ is Factor:
        return Factor.parse(value)
    if type_ is Size:
        return Size.parse(value)
    if type_ is Money:
        return Money.parse(value)
    if type_ is TokenCount:
        return TokenCount.parse(value)
    raise NotImplementedError(f"the plan file has no values of type {type_!r}")


def read_fields(
    model: type[Struct], table: object, path: Path, left_out: set[Path] | None = None
) -> tuple[dict[str, Any], list[Fault]]:
    """The keys of a table that are right, as written, and what is wrong with the others.

    Of a list or a table in which something is wrong, the rest is kept: what else is wrong there is told at once.
    `left_out` gets the places in lists whose items are not kept, so that those after them count one less.
    """
    reading = _Reading(set() if left_out is None else left_out)
    return reading.fields(model, table, path), reading.faults


def read_resources(table: object, path: Path) -> tuple[dict[str, Any], list[Fault]]:
    """The resources that are right, as written, and what is wrong with the others."""
    reading = _Reading(set())
    good = reading.right_of(inspect.CustomType(Resources), table, path)
    return (good if isinstance(good, dict) else {}), reading.faults


def kind(value: object) -> str:
    """A value as a person would call it: `a string`, `a list`."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return shown(value)
        case str():
            return "a string"
        case list() | tuple():
            return "a list"
        case dict():
            return "a table"
        case _:
            return "a date or a time"


@cache
def _types(model: type[Struct]) -> dict[str, inspect.Type]:
    info = inspect.type_info(model)
    assert isinstance(info, inspect.StructType)
    return {field.encode_name: field.type for field in info.fields}


@cache
def _required(model: type[Struct]) -> tuple[str, ...]:
    info = inspect.type_info(model)
    assert isinstance(info, inspect.StructType)
    return tuple(field.encode_name for field in info.fields if field.required)


def hint_for_misplaced(key: str) -> str:
    """Where a key stands that is not one of the table in which it was found; empty if no table has it."""
    tables = [name for model, name in _TABLES.items() if key in _types(model)]
    return f"it stands in {' or '.join(tables)}" if tables else ""


@lru_cache(maxsize=1000)
def _meant(model: type[Struct], key: str) -> str:
    return Hints(_types(model)).of(key)


def _hint_for_unknown(model: type[Struct], key: str, value: object, path: Path) -> str:
    if model is Ticket and (hint := hint_for_ticket_key(key)):
        return hint
    if model is PlanSettings and (hint := hint_for_plan_key(key)):
        return hint
    if hint := hint_for_misplaced(key) or _meant(model, key):
        return hint
    if isinstance(value, dict) and path:
        return f'a dot in a header opens a table; if the name has a dot in it, quote it: "{path[-1]}.{key}"'
    return ""


_NOTHING: Any = object()
"""Stands for what is right of a value that is wrong as a whole."""


class _Reading:
    """Finds what is right of values, and notes all that is wrong in them."""

    def __init__(self, left_out: set[Path]) -> None:
        self.faults: list[Fault] = []
        self._left_out = left_out

    def fields(self, model: type[Struct], table: object, path: Path) -> dict[str, Any]:
        """The keys of a table that are right."""
        if not isinstance(table, dict):
            self.faults.append(Fault(path, f"expected a table, got {kind(table)}"))
            return {}
        types = _types(model)
        good: dict[str, Any] = {}
        for key, value in table.items():
            if key not in types:
                hint = _hint_for_unknown(model, key, value, path)
                self.faults.append(Fault((*path, key), UNKNOWN_KEY, hint))
            elif (right := self.right_of(types[key], value, (*path, key))) is not _NOTHING:
                good[key] = right
        return good

    def right_of(self, type_: inspect.Type, value: Any, path: Path) -> Any:
        """What is right of a value that is meant to be of this type; `_NOTHING` if it is wrong as a whole."""
        match type_:
            case inspect.Metadata():
                return self.right_of(type_.type, value, path)
            case inspect.UnionType(types):
                if value is None and any(isinstance(each, inspect.NoneType) for each in types):
                    return None
                known = len(self.faults)
                member = _member(type_, value)
                if (choices := _choices(member)) and not _fits(member, value):
                    said = f"expected {_named_as_one(type_)}, got {shown(value)}"
                    self.faults.append(Fault(path, said, Hints(choices).of(str(value))))
                    return _NOTHING
                right = self.right_of(member, value, path)
                if words := _other_words(type_, value):
                    self.faults[known:] = [fault._replace(hint=fault.hint or words) for fault in self.faults[known:]]
                return right
            case inspect.StructType(cls) if isinstance(value, dict):
                return self._whole(cls, value, path)
            case inspect.VarTupleType() if isinstance(value, list) and len(value) >= (type_.min_length or 0):
                items = self._items(type_.item_type, value, path)
                return items if len(items) >= (type_.min_length or 0) else _NOTHING
            case inspect.DictType() if isinstance(value, dict):
                read = {key: self.right_of(type_.value_type, item, (*path, key)) for key, item in value.items()}
                return {key: item for key, item in read.items() if item is not _NOTHING}
            case inspect.CustomType(cls) if cls in (Amounts, Resources) and isinstance(value, dict):
                return {
                    key: item
                    for key, item in value.items()
                    if self._is_right(_decode_fault(cls, {key: item}, (*path, key)))
                }
            case inspect.CustomType(cls):
                return value if self._is_right(_decode_fault(cls, value, path)) else _NOTHING
            case _:
                fault = None if _fits(type_, value) else Fault(path, *_complaint(type_, value))
                return value if self._is_right(fault) else _NOTHING

    def _whole(self, model: type[Struct], table: dict[str, Any], path: Path) -> Any:
        """What is right of a table; nothing, if what it has to have is missing or wrong."""
        read, required = self.fields(model, table, path), _required(model)
        self.faults += [Fault(path, f"`{key}` is missing") for key in required if key not in table]
        return read if all(key in read for key in required) else _NOTHING

    def _items(self, type_: inspect.Type, values: list[Any], path: Path) -> list[Any]:
        """What is right of each item. A table that is wrong as a whole is an empty one."""
        items: list[Any] = []
        for index, value in enumerate(values):
            item = self.right_of(type_, value, (*path, index))
            if item is not _NOTHING:
                items.append(item)
            elif _may_be_table(type_):
                items.append({})
            else:
                self._left_out.add((*path, index))
        return items

    def _is_right(self, fault: Fault | None) -> bool:
        if fault is not None:
            self.faults.append(fault)
        return fault is None


def _may_be_table(type_: inspect.Type) -> bool:
    types = type_.types if isinstance(type_, inspect.UnionType) else (type_,)
    return any(isinstance(each, inspect.StructType) for each in types)


def _member(type_: inspect.UnionType, value: object) -> inspect.Type:
    """The type of a union that a value is meant to have: by its kind, else the first."""
    members = [each for each in type_.types if not isinstance(each, inspect.NoneType)]
    wanted = _OF_KIND.get(type(value))
    return next((each for each in members if wanted is not None and isinstance(each, wanted)), members[0])


def _named_as_one(type_: inspect.UnionType) -> str:
    """A union with words in it, as a person would call it: `auto or a whole number from 1 to 8`."""
    words = [word for each in type_.types for word in _choices(each)]
    kinds = [_kind_of(each) for each in type_.types if not (_choices(each) or isinstance(each, inspect.NoneType))]
    return " or ".join((f"{'' if len(words) == 1 else 'one of '}{', '.join(words)}", *kinds))


def _other_words(type_: inspect.UnionType, value: object) -> str:
    """Which words may stand where a number is expected."""
    if isinstance(_member(type_, value), inspect.LiteralType):
        return ""
    words = [word for each in type_.types for word in _choices(each)]
    return f"or write {', '.join(map(shown, words))}" if words else ""


_OF_KIND: dict[type, Any] = {
    dict: inspect.StructType,
    list: inspect.VarTupleType,
    str: inspect.StrType | inspect.LiteralType,
    bool: inspect.BoolType,
    int: inspect.IntType,
    float: inspect.FloatType,
}


def _decode_fault(type_: type, value: object, path: Path) -> Fault | None:
    try:
        decode(type_, value)
    except ValueError as error:
        return Fault(path, str(error))
    return None


def _fits(type_: inspect.Type, value: object) -> bool:
    match type_:
        case inspect.StrType():
            return isinstance(value, str)
        case inspect.BoolType():
            return isinstance(value, bool)
        case inspect.IntType(ge=minimum, le=maximum):
            is_whole = isinstance(value, int) and not isinstance(value, bool)
            return is_whole and (minimum is None or minimum <= value) and (maximum is None or value <= maximum)  # type: ignore[operator]
        case inspect.FloatType(ge=minimum, le=maximum):
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            return is_number and (minimum is None or minimum <= value) and (maximum is None or value <= maximum)  # type: ignore[operator]
        case inspect.EnumType() | inspect.LiteralType():
            return isinstance(value, str) and value in _choices(type_)
        case _:
            return False


def _complaint(type_: inspect.Type, value: object) -> tuple[str, str]:
    """What to say of a value that does not fit, and a hint."""
    choices = _choices(type_)
    if choices and isinstance(value, str):
        return f"expected {_named(type_)}, got {shown(value)}", Hints(choices).of(value)
    if isinstance(type_, inspect.VarTupleType) and isinstance(value, list):
        return f"expected {_named(type_)}, got an empty list", ""
    return f"expected {_named(type_)}, got {kind(value)}", ""


def _choices(type_: inspect.Type) -> tuple[str, ...]:
    match type_:
        case inspect.EnumType(cls):
            members: Mapping[str, Enum] = cls.__members__
            return tuple(str(member.value) for member in members.values())
        case inspect.LiteralType(values):
            return tuple(str(value) for value in values)
        case _:
            return ()


def _named(type_: inspect.Type) -> str:
    """A type as a person would call it: `a list of strings`, `a whole number from 0 to 19`."""
    return _kind_of(type_) + (
        ", at least one" if isinstance(type_, inspect.VarTupleType) and type_.min_length else ""
    )


def _kind_of(type_: inspect.Type) -> str:
    match type_:
        case inspect.StrType():
            return "a string"
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType(ge=minimum, le=maximum):
            return f"a whole number from {minimum} to {maximum}"
        case inspect.FloatType(ge=minimum, le=maximum):
            return f"a number from {minimum} to {maximum}"
        case inspect.VarTupleType(item_type=inspect.UnionType(types=kinds)):
            has_numbers = any(isinstance(kind, inspect.IntType) for kind in kinds)
            return "a list of words and numbers" if has_numbers else "a list of commands and tables"
        case inspect.VarTupleType(item_type=inspect.StructType()):
            return "a list of tables"
        case inspect.VarTupleType(item_type=inspect.IntType()):
            return "a list of whole numbers"
        case inspect.VarTupleType():
            return "a list of strings"
        case inspect.StructType():
            return "a table"
        case inspect.DictType():
            return "a table of strings"
        case inspect.EnumType() | inspect.LiteralType():
            return f"one of {', '.join(_choices(type_))}"
        case _:
            raise NotImplementedError(f"the plan file has no values of type {type_!r}")


_Model = TypeVar("_Model", bound=Struct)


def convert(model: type[_Model], table: dict[str, Any]) -> _Model:
    """A table that has only right values, as its type."""
    return msgspec.convert(table, model, dec_hook=decode)
