"""The variables of a plan: `[vars]`, and what a profile, the environment and the command line say instead."""

import re
from collections.abc import Iterator, Mapping, Set
from typing import Any, Self

from parexec_tui.core.plan.expanding.given import VARIABLE_PREFIX, Given, GivenError
from parexec_tui.core.plan.expanding.references import as_text, fill, is_name, parse, references
from parexec_tui.core.plan.reading.faults import Fault, Hints
from parexec_tui.core.plan.units import shown

_is_whole = re.compile(r"[+-]?[0-9]+").fullmatch
_is_number = re.compile(r"[+-]?(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|inf|nan)").fullmatch


class AsTyped(int):
    """A whole number that stands in texts as a person typed it: `007`. Raises ValueError."""

    def __new__(cls, text: str) -> Self:
        if not _is_whole(text):
            raise ValueError(text)
        number = super().__new__(cls, text)
        number.text = text
        return number

    text: str

    def __str__(self) -> str:
        return self.text


class AsTypedFloat(float):
    """The same of any number: `2`, `1e5`. Raises ValueError."""

    def __new__(cls, text: str) -> Self:
        if not _is_number(text):
            raise ValueError(text)
        number = super().__new__(cls, text)
        number.text = text
        return number

    text: str

    def __str__(self) -> str:
        return self.text


def plain(value: Any) -> Any:
    """A value of a variable without how it was typed."""
    match value:
        case AsTyped():
            return int(value)
        case AsTypedFloat():
            return float(value)
        case _:
            return value


_NAMES = "write a letter or `_`, then letters, digits and `_`"


def variables_of(document: Mapping[str, Any], given: Given) -> tuple[dict[str, Any], list[Fault]]:
    """The variables by name, and what is wrong in the tables that have them.

    Later wins: `[vars]`, the profile, the environment, the command line. What is given by these two stands as it is,
    braces too; it has the type of what it replaces. Raises GivenError for what is wrong in `given`.
    """
    faults: list[Fault] = []
    values = dict(_table(document, ("vars",), faults))
    profiles = document.get("profiles", {})
    if not isinstance(profiles, dict):
        faults.append(Fault(("profiles",), "expected tables of variables by profile", "write [profiles.ci]"))
        profiles = {}
    hints = Hints(values)
    for name in profiles:
        own = _table(document, ("profiles", name), faults)
        for key, value in own.items():
            place = ("profiles", name, key)
            if key not in values:
                faults.append(Fault(place, f"there is no variable {shown(key)} in [vars]", hints.of(key)))
            elif type(value) is not type(values[key]):
                faults.append(Fault(place, f"expected {_kind(values[key])}, as [vars] has it"))
            elif name == given.profile:
                values[key] = value
    if given.profile and given.profile not in profiles:
        known = f"there are {', '.join(profiles)}" if profiles else "the plan has none"
        raise GivenError(f"there is no profile {shown(given.profile)}: {known}")
    for key, text in given.environment.items():
        if key in values:
            values[key] = _typed(key, text, values[key], f"{VARIABLE_PREFIX}{key}")
    for key, text in given.sets.items():
        if key not in values:
            hint = hints.of(key) or (f"it has {', '.join(values)}" if values else "it has no [vars]")
            raise GivenError(f"--set {key}: the plan has no such variable: {hint}")
        values[key] = _typed(key, text, values[key], f"--set {key}")
    said = {name for name in (*given.environment, *given.sets) if name in values}
    return _filled(values, said, faults), faults


def _table(document: Mapping[str, Any], path: tuple[str, ...], faults: list[Fault]) -> dict[str, Any]:
    table: Any = document
    for part in path:
        table = table.get(part, {})
    if not isinstance(table, dict):
        faults.append(Fault(path, "expected a table of variables", 'for instance mode = "debug"'))
        return {}
    good = {}
    for name, value in table.items():
        if not is_name(name):
            faults.append(Fault((*path, name), f"{shown(name)} cannot be the name of a variable", _NAMES))
        elif not _is_value(value):
            faults.append(Fault((*path, name), "a variable is text, a number, true, false, or a list of these"))
        else:
            good[name] = value
    return good


def _is_value(value: object) -> bool:
    if isinstance(value, list):
        return all(isinstance(item, str | int | float) for item in value)
    return isinstance(value, str | int | float)


def _kind(value: object) -> str:
    match value:
        case bool():
            return "true or false"
        case int():
            return "a whole number"
        case float():
            return "a number"
        case list():
            return "a list"
        case _:
            return "text"


def _typed(name: str, text: str, default: object, said: str) -> Any:
    """What a person typed, as the type of the default. Raises GivenError."""
    try:
        match default:
            case bool():
                return {"true": True, "false": False}[text]
            case int():
                return AsTyped(text)
            case float():
                return AsTypedFloat(text)
            case list():
                return _list(text)
            case _:
                return text
    except (KeyError, ValueError):
        raise GivenError(f"{said}={text}: {name} is {_kind(default)} in [vars]") from None


def _list(text: str) -> list[Any]:
    """`["a", "b"]` as TOML has it, or `a,b`."""
    if not text.lstrip().startswith("["):
        return [item.strip() for item in text.split(",") if item.strip()]
    import tomli  # few say a list so

    value = tomli.loads(f"value = {text}")["value"]
    if not _is_value(value):
        raise ValueError(text)
    return list(value)


def _filled(values: dict[str, Any], said: Set[str], faults: list[Fault]) -> dict[str, Any]:
    """The values, those that name other variables filled in; not those that a person said outside of the plan."""
    done: dict[str, Any] = {}

    def value(name: str, way: tuple[str, ...]) -> Any:
        if name in done:
            return done[name]
        if name in way:
            around = " -> ".join((*way[way.index(name) :], name))
            faults.append(Fault(("vars", name), f"a cycle of variables: {around}"))
            return ""
        found = values[name]
        if name in said:
            pass
        elif isinstance(found, str):
            found = text(found, name, (*way, name))
        elif isinstance(found, list):
            found = [text(item, name, (*way, name)) if isinstance(item, str) else item for item in found]
        done[name] = found
        return found

    def text(written: str, name: str, way: tuple[str, ...]) -> str:
        template = parse(written)
        if wrong := next(wrong_references(template, values), None):
            faults.append(Fault(("vars", name), *wrong))
            return written
        return fill(template, lambda each: as_text(value(each.name, way)))

    return {name: value(name, ()) for name in values}


def wrong_references(template: Any, known: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The message and the hint for each reference of a text that names no known variable, or a list."""
    hints = None
    for each in references(template):
        if each.conversion not in ("", "q"):
            yield f"{each}: `!{each.conversion}` is not known", "`!q` quotes a value as a word of a shell"
        elif each.base not in known:
            hints = hints or Hints(known)
            what = hints.of(each.base) or f"write {{{each}}} if it is meant as it stands"
            yield f"there is no variable {shown(each.base)}", what
        elif isinstance(known[each.base], list):
            yield (
                f"{each.base} is a list, which has no place in a text",
                f'write matrix = {{ x = "{{{each.base}}}" }}',
            )
        elif "." in each.name and not isinstance(known[each.base], dict):
            yield f"{each.base} is no table, and has no {shown(each.name.partition('.')[2])}", ""


def shown_values(values: Mapping[str, Any]) -> dict[str, str]:
    """Variables as a person is shown them."""
    return {name: as_text(value) for name, value in values.items()}
