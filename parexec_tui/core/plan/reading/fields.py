"""Reads one table of a plan file key by key, to find each thing that is wrong in it and say so in plan words.

A plan without mistakes never comes here: `msgspec` reads it at once.
"""

from collections.abc import Iterator, Mapping
from enum import Enum
from functools import cache, lru_cache
from typing import Any, TypeVar

import msgspec
from msgspec import Struct, inspect

from parexec_tui.core.plan.model import AgentType, Amounts, PlanSettings, Resources, Ticket
from parexec_tui.core.plan.reading.faults import Fault, Hints, Path
from parexec_tui.core.plan.reading.foreign import hint_for_plan_key, hint_for_ticket_key
from parexec_tui.core.plan.units import Duration, Factor, Size, shown

_TABLES: dict[type[Struct], str] = {PlanSettings: "[plan]", AgentType: "[agents.NAME]", Ticket: "[tickets.ID]"}
"""Where the keys of each of these stand in a plan file."""


def decode(type_: type, value: object) -> object:
    """The `dec_hook` of the model: its types that msgspec does not know."""
    if type_ is Duration:
        return Duration.parse(value)
    if type_ is Amounts:
        return Amounts.parse(value)
    if type_ is Resources:
        return Resources.parse(value)
    if type_ is Factor:
        return Factor.parse(value)
    if type_ is Size:
        return Size.parse(value)
    raise NotImplementedError(f"the plan file has no values of type {type_!r}")


def read_fields(model: type[Struct], table: object, path: Path) -> tuple[dict[str, Any], list[Fault]]:
    """The keys of a table that are right, as written, and what is wrong with the others."""
    if not isinstance(table, dict):
        return {}, [Fault(path, f"expected a table, got {kind(table)}")]
    good: dict[str, Any] = {}
    faults: list[Fault] = []
    types = _types(model)
    for key, value in table.items():
        if key in types:
            found = list(_faults(types[key], value, (*path, key)))
        else:
            found = [Fault((*path, key), "unknown key", _hint_for_unknown(model, key, value, path))]
        faults += found
        if not found:
            good[key] = value
        elif isinstance(value, dict) and all(len(fault.path) == len(path) + 2 for fault in found):
            wrong = {fault.path[-1] for fault in found}
            good[key] = {name: item for name, item in value.items() if name not in wrong}
        elif key in types and isinstance(value, list) and (items := _good_items(types[key], value)) is not None:
            good[key] = items
    return good, faults


def read_resources(table: object, path: Path) -> tuple[dict[str, Any], list[Fault]]:
    """The resources that are right, as written, and what is wrong with the others."""
    faults = list(_faults(inspect.CustomType(Resources), table, path))
    wrong = {fault.path[-1] for fault in faults}
    good = {key: value for key, value in table.items() if key not in wrong} if isinstance(table, dict) else {}
    return good, faults


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


def _faults(type_: inspect.Type, value: object, path: Path) -> Iterator[Fault]:
    match type_:
        case inspect.Metadata():
            yield from _faults(type_.type, value, path)
        case inspect.UnionType():
            if value is not None:
                yield from _faults(_member(type_, value), value, path)
        case inspect.StructType(cls) if isinstance(value, dict):
            _, found = read_fields(cls, value, path)
            yield from found
        case inspect.VarTupleType() if isinstance(value, list) and len(value) >= (type_.min_length or 0):
            for index, item in enumerate(value):
                yield from _faults(type_.item_type, item, (*path, index))
        case inspect.DictType() if isinstance(value, dict):
            for key, item in value.items():
                yield from _faults(type_.value_type, item, (*path, key))
        case inspect.CustomType(cls) if cls in (Amounts, Resources) and isinstance(value, dict):
            for key, item in value.items():
                yield from _decode_fault(cls, {key: item}, (*path, key))
        case inspect.CustomType(cls):
            yield from _decode_fault(cls, value, path)
        case _:
            if not _fits(type_, value):
                yield Fault(path, *_complaint(type_, value))


def _good_items(type_: inspect.Type, value: list[Any]) -> list[Any] | None:
    """A list of tables with what is right of each; None if something else is in it that is wrong."""
    while isinstance(type_, inspect.Metadata | inspect.UnionType):
        type_ = type_.type if isinstance(type_, inspect.Metadata) else _member(type_, value)
    if not isinstance(type_, inspect.VarTupleType) or len(value) < (type_.min_length or 0):
        return None
    items: list[Any] = []
    for item in value:
        of_item = type_.item_type
        if isinstance(of_item, inspect.UnionType):
            of_item = _member(of_item, item)
        if isinstance(of_item, inspect.StructType) and isinstance(item, dict):
            items.append(read_fields(of_item.cls, item, ())[0])
        elif any(True for _ in _faults(of_item, item, ())):
            return None
        else:
            items.append(item)
    return items


def _member(type_: inspect.UnionType, value: object) -> inspect.Type:
    """The type of a union that a value is meant to have: by its kind, else the first."""
    members = [each for each in type_.types if not isinstance(each, inspect.NoneType)]
    wanted = _OF_KIND.get(type(value))
    return next((each for each in members if wanted is not None and isinstance(each, wanted)), members[0])


_OF_KIND: dict[type, type[inspect.Type]] = {
    dict: inspect.StructType,
    list: inspect.VarTupleType,
    str: inspect.StrType,
    int: inspect.IntType,
}


def _decode_fault(type_: type, value: object, path: Path) -> Iterator[Fault]:
    try:
        decode(type_, value)
    except ValueError as error:
        yield Fault(path, str(error))


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
            return is_number and minimum <= value <= maximum  # type: ignore[operator]
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
