"""The JSON Schema of the plan file, for editors; generated from the model that reads it."""

from functools import cache
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec
from msgspec import NODEFAULT, Struct

from parexec_tui.core.plan.expanding.written import WrittenPlan
from parexec_tui.core.plan.model import ID_PATTERN
from parexec_tui.core.plan.resources import MAX_AMOUNT, Amounts, Resources
from parexec_tui.core.plan.units import (
    DURATION_PATTERN,
    FACTOR_PATTERN,
    MAX_DURATION,
    MAX_SIZE,
    MAX_TOKENS,
    MONEY_PATTERN,
    NEVER,
    SIZE_PATTERN,
    TOKENS_PATTERN,
    Duration,
    Factor,
    Lease,
    Money,
    Size,
    TokenCount,
)

_DURATION = {
    "anyOf": [
        {"type": "string", "pattern": f"^{DURATION_PATTERN}$"},
        {"type": "number", "minimum": 0, "maximum": MAX_DURATION},
    ],
    "examples": ["45s", "30m", "1h30m"],
}
_LEASE = {
    "anyOf": [
        {"type": "string", "pattern": f"^({DURATION_PATTERN}|{NEVER})$"},
        {"type": "number", "exclusiveMinimum": 0, "maximum": MAX_DURATION},
    ],
    "examples": ["30m", NEVER],
}
_SIZE = {
    "anyOf": [
        {"type": "string", "pattern": f"^{SIZE_PATTERN}$"},
        {"type": "integer", "minimum": 0, "maximum": MAX_SIZE},
    ],
    "examples": ["512MiB", "2G"],
}
_FACTOR = {"type": "string", "pattern": f"^{FACTOR_PATTERN}$", "examples": ["x2", "x1.5"]}
_MONEY = {"type": "string", "pattern": f"^{MONEY_PATTERN}$", "examples": ["$2", "$0.50"]}
_TOKENS = {
    "anyOf": [
        {"type": "string", "pattern": f"^{TOKENS_PATTERN}$"},
        {"type": "integer", "minimum": 1, "maximum": MAX_TOKENS},
    ],
    "examples": ["2M", "500k"],
}
_AMOUNTS = {
    "type": "object",
    "properties": {"cpu": {"type": "number", "minimum": 0, "maximum": MAX_AMOUNT}, "memory": _SIZE},
    "additionalProperties": {"type": "integer", "minimum": 0, "maximum": MAX_AMOUNT},
}

_UNIT = {"anyOf": [{"type": "string"}, {"type": "integer", "minimum": 0}]}
_RESOURCES = {
    **_AMOUNTS,
    "additionalProperties": {
        "anyOf": [
            {"type": "integer", "minimum": 0, "maximum": MAX_AMOUNT},
            {"type": "string"},
            {"type": "array", "items": _UNIT, "minItems": 1},
        ]
    },
    "examples": [{"gpu": ["0", "1"], "port": "8000-8099"}],
}


def plan_schema() -> dict[str, Any]:
    """A JSON Schema (2020-12) that accepts every plan that can be read, and refuses wrong keys, types and names.

    It cannot say what must hold between tables, for instance that needs exist.
    """
    _, definitions = msgspec.json.schema_components(
        (_with_plain_defaults(WrittenPlan),), schema_hook=_custom, ref_template="#/$defs/{name}"
    )
    top: dict[str, Any] = definitions.pop("WrittenPlan")
    names = {"pattern": f"^{ID_PATTERN}$"}
    for table in ("tickets", "agents", "resources", "group", "services", "families", "profiles", "hosts"):
        top["properties"][table]["propertyNames"] = names
    top["properties"]["groups"]["propertyNames"] = {"pattern": "^[1-9][0-9]*$"}
    top["title"] = "Plan of parexec"
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **top, "$defs": definitions}
    # The defaults in it may be tuples, which no reader of the schema expects.
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(schema))
    return plain


def _custom(type_: type) -> dict[str, Any]:
    schemas: dict[type, dict[str, Any]] = {
        Duration: _DURATION,
        Factor: _FACTOR,
        Lease: _LEASE,
        Money: _MONEY,
        Size: _SIZE,
        TokenCount: _TOKENS,
        Amounts: _AMOUNTS,
        Resources: _RESOURCES,
    }
    return schemas[type_]


def _with_plain_defaults(type_: Any) -> Any:
    """The same type; in its structs, defaults that `msgspec` cannot write (durations) are plain numbers."""
    if isinstance(type_, type) and issubclass(type_, Struct):
        return _copy(type_)
    if get_origin(type_) is Annotated:
        inner, *metadata = get_args(type_)
        return Annotated[(_with_plain_defaults(inner), *metadata)]
    if get_origin(type_) is dict:
        return dict.__class_getitem__(tuple(map(_with_plain_defaults, get_args(type_))))
    return type_


@cache  # One copy of each: msgspec tells structs apart by identity.
def _copy(model: type[Struct]) -> type[Struct]:
    hints = get_type_hints(model, include_extras=True)
    fields = msgspec.structs.fields(model)
    return msgspec.defstruct(
        model.__name__,
        [(field.name, _with_plain_defaults(hints[field.name]), _plain_default(field)) for field in fields],
        namespace={"__doc__": model.__doc__},
        kw_only=True,
        forbid_unknown_fields=True,
        rename={field.name: field.encode_name for field in fields},
    )


def _plain_default(field: msgspec.structs.FieldInfo) -> Any:
    """The default of a field of the copy. One that is a table of its own, or made anew each time, is left empty."""
    if field.default_factory is not NODEFAULT:
        return msgspec.field(default_factory=field.default_factory)
    if isinstance(field.default, Struct):
        return msgspec.field(default_factory=dict)
    if field.default is NODEFAULT:
        return msgspec.field()
    if isinstance(field.default, Lease):
        return field.default.told
    if isinstance(field.default, Size):
        return int(field.default)
    return float(field.default) if isinstance(field.default, Duration) else field.default
