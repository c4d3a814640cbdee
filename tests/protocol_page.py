"""The page parexec_tui/docs/protocol.md, from the types. `python -m tests.protocol_page` writes it."""

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import get_args

import msgspec
import msgspec.inspect as mi
from msgspec import Struct

from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.schedule.eta import Eta
from parexec_tui.core.wire import protocol, requests

PAGE = Path(__file__).parents[1] / "parexec_tui" / "docs" / "protocol.md"
BEGIN, END = "<!-- protocol: written by tests/protocol_page.py -->", "<!-- end of protocol -->"

_FACTS = (
    protocol.StatusReport,
    Eta,
    protocol.HoldFact,
    protocol.AgentFact,
    protocol.StepReport,
    protocol.FailureFact,
    protocol.Viewer,
)
_SAMPLES = (protocol.HostSample, protocol.DiskSample, protocol.Usage)

_WIDTH = 118
"""Cells in a line of prose; rows of tables are as long as they must be."""
_HEAD = ("| name | field | type | meaning |", "| --- | --- | --- | --- |")
_LEADS = {
    "Requests": "The name is the value of `verb`. Each has a field `by` as well, which the engine fills in: "
    "the user of the connection, and the place that the client said hello from."
}


def render() -> str:
    """Everything between the two marks."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield from (inspect.getdoc(protocol) or "").splitlines()
    yield ""
    for name in ("VERSION", "MAX_LINE", "MAX_WAITING"):
        told = f"- `{name}` = {getattr(protocol, name)}. {_told(protocol)[name]}"
        yield from textwrap.wrap(told, _WIDTH, subsequent_indent="  ")
    for title, types in (
        ("What a client says", get_args(protocol.FromClient)),
        ("What the engine says", get_args(protocol.FromEngine)),
        ("What is in a sample", _SAMPLES),
        ("Requests", get_args(requests.AnyRequest)),
        ("The facts of `status`", _FACTS),
    ):
        lead = (*textwrap.wrap(_LEADS[title], _WIDTH), "") if title in _LEADS else ()
        yield from ("", f"## {title}", "", *lead, *_HEAD)
        for type_ in types:
            yield from _rows(type_)


def _rows(type_: type[Struct]) -> Iterator[str]:
    """A row for the type, and one for each of its fields."""
    tag = type_.__struct_config__.tag
    yield _row(f"`{tag}`" if tag else type_.__name__, "", "", vars(type_).get("__doc__") or "")
    told = {name: text for each in reversed(type_.__mro__) for name, text in _field_docs(each).items()}
    for field in msgspec.structs.fields(type_):
        if issubclass(type_, requests.Request) and field.name == "by":
            continue  # said once, above the table
        kind = _kind(mi.type_info(field.type))
        default = "" if field.required else f", default {_default(field)}"
        yield _row("", f"`{field.encode_name}`", kind + default, told.get(field.name, ""))


def _row(*cells: str) -> str:
    plain = (" ".join(cell.split()).replace("|", "\\|").replace("None", "null") for cell in cells)
    return f"| {' | '.join(plain)} |"


def _default(field: msgspec.structs.FieldInfo) -> str:
    default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    return f"`{msgspec.json.encode(default).decode()}`"


_PLAIN = {
    mi.BoolType: "true or false",
    mi.IntType: "integer",
    mi.FloatType: "number",
    mi.StrType: "string",
    mi.NoneType: "null",
    mi.AnyType: "any",
    mi.RawType: "an event",
}


def _kind(type_: mi.Type) -> str:
    """The type of a field in words of JSON."""
    match type_:
        case mi.Metadata():
            return _kind(type_.type)
        case mi.LiteralType():
            return " or ".join(f"`{value}`" for value in type_.values)
        case mi.EnumType():
            return " or ".join(f"`{each.value}`" for each in type_.cls)
        case mi.ListType() | mi.VarTupleType():
            return f"list of {_kind(type_.item_type)}"
        case mi.TupleType():
            return f"list of {len(type_.item_types)} {_kind(type_.item_types[0])}s"
        case mi.DictType():
            return f"object of {_kind(type_.value_type)}"
        case mi.StructType():
            return "a ticket as in a plan file" if type_.cls is Ticket else type_.cls.__name__
        case mi.UnionType():
            is_request = type_ == mi.type_info(requests.AnyRequest)
            return "a request, below" if is_request else " or ".join(map(_kind, type_.types))
        case _:
            return _PLAIN[type(type_)]


@cache
def _told(module: ModuleType) -> dict[str, str]:
    """The strings that stand below the names of a module."""
    return _docs(ast.parse(inspect.getsource(module)).body)


@cache
def _field_docs(type_: type) -> dict[str, str]:
    if not issubclass(type_, Struct) or type_ is Struct:
        return {}
    tree = ast.parse(textwrap.dedent(inspect.getsource(type_))).body[0]
    assert isinstance(tree, ast.ClassDef)
    return _docs(tree.body)


def _docs(body: list[ast.stmt]) -> dict[str, str]:
    found = {}
    for statement, below in pairwise(body):
        match statement, below:
            case (
                ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                found[name] = text
            case _:
                pass
    return found


def written() -> str:
    """What the page says."""
    found = re.search(f"{re.escape(BEGIN)}\n(.*)\n{re.escape(END)}", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return found[1] if found else ""


def main() -> None:
    text = PAGE.read_text(encoding="utf-8")
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    PAGE.write_text(f"{head}{BEGIN}\n{render()}\n{END}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
