"""The module parexec_tui/api/keys.py, from the JSON Schema of plans. `python -m tests.api_keys` writes it."""

import keyword
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from parexec_tui.core.plan.reading.schema import plan_schema

MODULE = Path(__file__).parents[1] / "parexec_tui" / "api" / "keys.py"

_HEAD = '''\
"""The keys of a plan and the types of their values, for the checker of your types: nothing imports this at run time.

Written by `python -m tests.api_keys`, from the JSON Schema of plans. A key that is a word of Python has a `_` at its
end here, and in calls: `finally_`.
"""

# fmt: off

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict
'''

_NAMES = {
    "WrittenTicket": "TicketKeys",
    "Ticket": "DefaultKeys",
    "PlanSettings": "SettingKeys",
    "AgentType": "AgentKeys",
}
_SCALARS = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
_WIDTH = 118


def render() -> str:
    """The whole module."""
    schema = plan_schema()
    tables = {name: table for name, table in schema["$defs"].items() if "properties" in table}
    return _HEAD + "".join(f"\n\n{text}" for text in _classes(schema["$defs"], tables))


def name_of(table: str) -> str:
    """What the keys of a table of the schema are called."""
    return _NAMES.get(table, f"{table}Keys")


def _classes(definitions: dict[str, Any], tables: dict[str, Any]) -> Iterator[str]:
    written: set[str] = set()

    def write(name: str) -> Iterator[str]:
        if name in written:
            return
        written.add(name)
        fields = [_field(key, each, definitions) for key, each in tables[name]["properties"].items()]
        for other in tables:
            if any(name_of(other) in text.partition("\n")[0] for text in fields):
                yield from write(other)
        about = f'    """{tables[name]["description"]}"""\n\n'
        yield f"class {name_of(name)}(TypedDict, total=False):\n{about}" + "".join(fields)

    for name in tables:
        yield from write(name)


def _field(key: str, schema: dict[str, Any], definitions: dict[str, Any]) -> str:
    name = f"{key}_" if keyword.iskeyword(key) else key
    types = " | ".join(dict.fromkeys(_types(schema, definitions)))
    about = (
        textwrap.fill(f'"""{schema["description"]}"""', _WIDTH, initial_indent="    ", subsequent_indent="    ")
        if "description" in schema
        else ""
    )
    return f"    {name}: {types}\n" + (f"{about}\n" if about else "")


def _types(schema: dict[str, Any], definitions: dict[str, Any]) -> Iterator[str]:
    """What a value may be; None last."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if "properties" in definitions[name]:
            yield name_of(name)
        else:
            yield from _types(definitions[name], definitions)
    elif "anyOf" in schema:
        found = [type_ for each in schema["anyOf"] for type_ in _types(each, definitions)]
        yield from sorted(found, key="None".__eq__)
    elif "enum" in schema:
        yield f"Literal[{', '.join(map(_quoted, schema['enum']))}]"
    elif schema.get("type") == "array":
        yield f"Sequence[{_union(schema['items'], definitions)}]"
    elif schema.get("type") == "object":
        values = [*schema.get("properties", {}).values()]
        values += [schema["additionalProperties"]] if "additionalProperties" in schema else []
        union = " | ".join(dict.fromkeys(type_ for each in values for type_ in _types(each, definitions)))
        yield f"Mapping[str, {union or 'Any'}]"
    else:
        yield _SCALARS[schema["type"]]


def _union(schema: dict[str, Any], definitions: dict[str, Any]) -> str:
    return " | ".join(dict.fromkeys(_types(schema, definitions)))


def _quoted(word: str) -> str:
    return f'"{word}"'


if __name__ == "__main__":
    MODULE.write_text(render(), encoding="utf-8")
