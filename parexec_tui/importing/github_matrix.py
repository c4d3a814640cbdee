"""`strategy.matrix` of a job of GitHub as a family of the plan."""

import re
from collections.abc import Callable
from itertools import product
from typing import Any, NamedTuple

from parexec_tui.core.plan.expanding.families import default_id
from parexec_tui.importing.yaml_file import as_list, as_text, scalar

Values = dict[str, Any]

Say = Callable[[str], str]
"""A text of the workflow as the plan says it."""


class Matrix(NamedTuple):
    """What a matrix becomes."""

    keys: dict[str, Any]
    """Keys of the ticket: `matrix`, `exclude`, `include`, or `foreach`."""
    names: dict[str, str]
    """{name in the workflow: what stands in the braces of the plan}"""


def read_matrix(table: dict[str, Any], job: str, say: Say) -> Matrix:
    """The family of a matrix. `say` is given each text in it."""
    axes = {
        str(name): _unique([_value(item, say) for item in as_list(values)])
        for name, values in table.items()
        if name not in ("include", "exclude")
    }
    exclude = [_values(entry, say) for entry in as_list(table.get("exclude")) if isinstance(entry, dict)]
    include = [_values(entry, say) for entry in as_list(table.get("include")) if isinstance(entry, dict)]
    exclude, include = [_as_in(entry, axes) for entry in exclude], [_as_in(entry, axes) for entry in include]
    left = [dict(zip(axes, values, strict=True)) for values in product(*axes.values())] if axes else []
    exclude = [entry for entry in exclude if any(_covers(entry, values) for values in left)]
    left = [values for values in left if not any(_covers(entry, values) for entry in exclude)]
    include = [entry for entry in include if not any(_covers(entry, values) for values in left)]
    names = {name: re.sub(r"\W", "_", name) for name in axes}
    is_plain = len(set(names.values())) == len(names) and not any(
        isinstance(value, dict) for values in axes.values() for value in values
    )
    if left and is_plain and all(entry.keys() == axes.keys() for entry in include):
        keys: dict[str, Any] = {"matrix": {names[name]: values for name, values in axes.items()}}
        for key, entries in (("exclude", exclude), ("include", include)):
            if entries:
                keys[key] = [{names[name]: value for name, value in entry.items()} for entry in entries]
        return Matrix(keys, names)
    return _one_by_one(job, left, include)


def _one_by_one(job: str, combinations: list[Values], include: list[Values]) -> Matrix:
    """A list of all members: what `include` adds to some of them are values that a family has in no other way."""
    members = [dict(values) for values in combinations]
    for entry in include:
        fitting = [
            (own, member)
            for own, member in zip(combinations, members, strict=False)
            if all(as_text(own[name]) == as_text(value) for name, value in entry.items() if name in own)
        ]
        for _, member in fitting:
            member.update(entry)
        if not fitting:
            members.append(dict(entry))
    if not members:
        return Matrix({}, {})
    names = list(dict.fromkeys(name for member in members for name in member))
    items: list[dict[str, Any]] = [{name: member.get(name, "") for name in names} for member in members]
    if len({default_id(job, {"matrix": item}) for item in items}) < len(items):
        for number, item in enumerate(items):
            words = [as_text(item[name]) for name in names if not isinstance(item[name], dict) and item[name] != ""]
            item["id"] = "-".join(words) or str(number)
        if len({default_id(job, {"matrix": item}) for item in items}) < len(items):
            for number, item in enumerate(items):
                item["id"] = str(number)
    nested = {
        f"{name}.{key}": f"matrix.{name}.{key}"
        for name in names
        for item in items
        if isinstance(item[name], dict)
        for key in item[name]
    }
    return Matrix({"foreach": {"matrix": items}}, {**{name: f"matrix.{name}" for name in names}, **nested})


def _value(value: object, say: Say) -> Any:
    if isinstance(value, dict):
        return _values(value, say)
    if isinstance(value, list):
        return say(" ".join(map(as_text, value)))
    return say(value) if isinstance(value, str) else scalar(value)


def _values(entry: dict[str, Any], say: Say) -> Values:
    return {str(name): _value(value, say) for name, value in entry.items()}


def _as_in(entry: Values, axes: dict[str, list[Any]]) -> Values:
    """The entry with the values of the axes that it means: GitHub compares texts without their case."""
    return {
        name: next((each for each in axes.get(name, ()) if as_text(each).lower() == as_text(value).lower()), value)
        for name, value in entry.items()
    }


def _unique(values: list[Any]) -> list[Any]:
    return [value for at, value in enumerate(values) if value not in values[:at]]


def _covers(entry: Values, values: Values) -> bool:
    return all(name in values and as_text(values[name]) == as_text(value) for name, value in entry.items())
