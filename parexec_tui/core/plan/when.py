"""`when`: whether a ticket is wanted at all, by variables, values of its family, and what tickets before it told.

    when = "os == 'debian' and split.count > 0"

A grammar of our own, read by lark: comparisons, `in`, `and`, `or`, `not`, brackets. Nothing in it calls, computes or
loops, so an answer costs no more than its text is long.
"""

import re
from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from typing import Any, Final, Literal, NamedTuple

from parexec_tui.core.plan.units import shown

MAX_LENGTH: Final = 1_000
"""Letters that an expression may have."""

_MAX_SHOWN = 40
"""Letters that are shown of a value."""

_GRAMMAR = r"""
?start: either
?either: both ("or" both)*
?both: inverse ("and" inverse)*
?inverse: "not" inverse -> inverse
    | comparison
?comparison: operand
    | operand ORDER operand -> compared
    | operand "in" operand -> within
    | operand "not" "in" operand -> without
?operand: TEXT -> text
    | NUMBER -> number
    | NAME -> name
    | "true" -> true
    | "false" -> false
    | "[" [operand ("," operand)* ","?] "]" -> listed
    | "(" either ")"

ORDER: "==" | "!=" | "<=" | ">=" | "<" | ">"
TEXT: /'[^']*'|"[^"]*"/
NUMBER: /-?[0-9]+(\.[0-9]+)?(?![A-Za-z0-9_.-])/
NAME: /(?=[0-9_.-]*[A-Za-z_])[A-Za-z0-9_][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*/
%ignore /\s+/
"""

_HINTS: Final = {
    "=": "write `==`",
    "&": "write `and`",
    "|": "write `or`",
    "!": "write `not`, or `!=`",
    "{": "names stand without braces: split.count",
    "(": "it calls nothing: brackets only join",
    "+": "it does not compute: let a ticket tell the sum",
    "*": "it does not compute: let a ticket tell the product",
    "/": "it does not compute: let a ticket tell the quotient",
    "'": "a text ends with the quote that it began with",
    '"': "a text ends with the quote that it began with",
}

_NUMBER: Final = re.compile(r"\s*[+-]?[0-9]{1,300}(\.[0-9]{1,300})?\s*").fullmatch

Scalar = str | int | float | bool
Value = Scalar | tuple[Scalar, ...]
"""What a name stands for. What a ticket told is text."""

Look = Callable[[str], Value]
"""The value of a name. Raises UnknownError."""


class WhenError(ValueError):
    """An expression that cannot be read, or that has no answer; the text says why."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.hint = hint


class UnknownError(WhenError):
    """A name has no value, or none yet."""


class Answer(NamedTuple):
    """Whether a ticket is wanted."""

    wanted: bool
    because: str
    """The values that it follows from: `split.count is 0`. Empty if it follows from none."""


class _Literal(NamedTuple):
    value: Scalar


class _Name(NamedTuple):
    name: str


class _List(NamedTuple):
    items: "tuple[_Node, ...]"


class _Not(NamedTuple):
    part: "_Node"


class _Join(NamedTuple):
    parts: "tuple[_Node, ...]"
    decides: bool
    """The answer of a part that is that of the whole: True of `or`, False of `and`."""


class _Compared(NamedTuple):
    left: "_Node"
    by: str
    right: "_Node"


_Node = _Literal | _Name | _List | _Not | _Join | _Compared


class _Found(NamedTuple):
    value: Value
    names: dict[str, Value]
    """The names that it follows from, with their values."""


@lru_cache(maxsize=1_024)
def parse(text: str) -> _Node:
    """An expression, read. Raises WhenError with the column."""
    from lark.exceptions import UnexpectedCharacters, UnexpectedInput  # only for plans with `when`

    if len(text) > MAX_LENGTH:
        raise WhenError(f"more than {MAX_LENGTH} letters", "let a ticket before it tell a value that says the same")
    try:
        return _parser().parse(text)  # type: ignore[no-any-return]
    except UnexpectedInput as error:
        if isinstance(error, UnexpectedCharacters):
            word, column = text[error.pos_in_stream or 0 :][:1], error.column
        else:
            token: Any = getattr(error, "token", None)
            word = "" if token is None or token.type == "$END" else str(token)
            column = error.column
        if not word:
            raise WhenError("it ends too early", "for instance split.count > 0") from None
        hint = _HINTS.get(word[:1], "")
        if not hint and word[:1] in "<>!=" and isinstance(error, UnexpectedInput):
            hint = "compare two at a time, and join them by `and`"
        raise WhenError(f"column {column}: {shown(word)} is not expected there", hint) from None


@cache
def _parser() -> Any:
    from lark import Lark, Transformer, v_args

    @v_args(inline=True)
    class Reader(Transformer[Any, _Node]):
        """Makes our nodes while it is read: no tree is walked, so that nothing is nested too deeply for that."""

        def either(self, *parts: _Node) -> _Node:
            return _Join(parts, decides=True)

        def both(self, *parts: _Node) -> _Node:
            return _Join(parts, decides=False)

        def inverse(self, part: _Node) -> _Node:
            return _Not(part)

        def compared(self, left: _Node, by: str, right: _Node) -> _Node:
            return _Compared(left, str(by), right)

        def within(self, left: _Node, right: _Node) -> _Node:
            return _Compared(left, "in", right)

        def without(self, left: _Node, right: _Node) -> _Node:
            return _Not(_Compared(left, "in", right))

        def text(self, written: str) -> _Node:
            return _Literal(written[1:-1])

        def number(self, written: str) -> _Node:
            return _Literal(float(written) if "." in written else int(written))

        def name(self, written: str) -> _Node:
            return _Name(str(written))

        def true(self) -> _Node:
            return _Literal(True)

        def false(self) -> _Node:
            return _Literal(False)

        def listed(self, *items: _Node) -> _Node:
            return _List(items)

    return Lark(_GRAMMAR, parser="lalr", transformer=Reader(), maybe_placeholders=False)


@lru_cache(maxsize=1_024)
def names_in(text: str) -> tuple[str, ...]:
    """The names in an expression, each once. Raises WhenError."""
    return tuple(dict.fromkeys(_names(parse(text))))


def _names(node: _Node) -> Iterator[str]:
    match node:
        case _Name(name):
            yield name
        case _List(parts) | _Join(parts):
            for part in parts:
                yield from _names(part)
        case _Not(part):
            yield from _names(part)
        case _Compared(left, _, right):
            yield from _names(left)
            yield from _names(right)
        case _Literal():
            pass


def answer(text: str, look: Look) -> Answer:
    """What an expression says. Of `and` and `or`, no part is looked at that makes no difference any more.

    Raises UnknownError if a name has no value that matters, WhenError for what cannot be compared.
    """
    found = _found(parse(text), look)
    return Answer(_truth(found, text), ", ".join(f"{name} is {_shown(each)}" for name, each in found.names.items()))


def _found(node: _Node, look: Look) -> _Found:
    match node:
        case _Literal(value):
            return _Found(value, {})
        case _Name(name):
            told = look(name)
            return _Found(told, {name: told})
        case _List(items):
            found = [_found(item, look) for item in items]
            if any(isinstance(each.value, tuple) for each in found):
                raise WhenError("a list in a list")
            values = tuple(each.value for each in found if not isinstance(each.value, tuple))
            return _Found(values, _together(*found))
        case _Not(part):
            found_one = _found(part, look)
            return _Found(not _truth(found_one, _said(part)), found_one.names)
        case _Join(parts, decides):
            seen = []
            for part in parts:
                each = _found(part, look)
                if _truth(each, _said(part)) is decides:
                    return _Found(decides, each.names)
                seen.append(each)
            return _Found(not decides, _together(*seen))
        case _Compared(left, by, right):
            a, b = _found(left, look), _found(right, look)
            return _Found(_compare(a.value, by, b.value, (_said(left), _said(right))), _together(a, b))


def _together(*found: _Found) -> dict[str, Value]:
    return {name: value for each in found for name, value in each.names.items()}


def _said(node: _Node) -> str:
    """A part of an expression, for a person."""
    match node:
        case _Name(name):
            return name
        case _Literal(value):
            return _shown(value)
        case _:
            return ""


def _shown(value: Value) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str() if _NUMBER(value):
            return value.strip()
        case str():
            return shown(value if len(value) <= _MAX_SHOWN else f"{value[:_MAX_SHOWN]}…")
        case tuple():
            return f"[{', '.join(map(_shown, value))}]"
        case _:
            return str(value)


def _truth(found: _Found, said: str) -> bool:
    match found.value:
        case bool() as value:
            return value
        case "true":
            return True
        case "false":
            return False
        case value:
            is_name = said in found.names
            what = f"{said} is {_shown(value)}" if is_name else _shown(value)
            raise WhenError(f"{what}, neither true nor false", f"compare it: {said or 'it'} == ...")


def _number(value: Value) -> int | float | None:
    match value:
        case bool() | tuple():
            return None
        case str():
            if not _NUMBER(value):
                return None
            return float(value) if "." in value else int(value)
        case _:
            return value


def _compare(left: Value, by: str, right: Value, said: tuple[str, str]) -> bool:
    match by:
        case "in":
            return _is_in(left, right, said)
        case "==":
            return _are_equal(left, right, said)
        case "!=":
            return not _are_equal(left, right, said)
        case _:
            pass
    a, b = _number(left), _number(right)
    if a is None or b is None:
        raise _incomparable(left, by, right, said, "`<` and `>` are for numbers")
    match by:
        case "<":
            return a < b
        case "<=":
            return a <= b
        case ">":
            return a > b
        case _:
            return a >= b


def _are_equal(left: Value, right: Value, said: tuple[str, str]) -> bool:
    """Whether both are the same: as numbers if one is a number, as text if both are text, so that 3.1 is not 3.10."""
    kinds = {_kind(left), _kind(right)}
    if len(kinds) == 1:
        return left == right
    if kinds == {"number", "text"}:
        a, b = _number(left), _number(right)
        if a is not None and b is not None:
            return a == b
    if kinds == {"bool", "text"}:
        a_text, b_text = _shown_bool(left), _shown_bool(right)
        if {a_text, b_text} <= {"true", "false"}:
            return a_text == b_text
    raise _incomparable(left, "==", right, said)


def _shown_bool(value: Value) -> object:
    return str(value).lower() if isinstance(value, bool) else value


def _kind(value: Value) -> Literal["bool", "text", "number", "list"]:
    match value:
        case bool():
            return "bool"
        case str():
            return "text"
        case tuple():
            return "list"
        case _:
            return "number"


def _is_in(left: Value, right: Value, said: tuple[str, str]) -> bool:
    if isinstance(right, tuple) and not isinstance(left, tuple):
        return any(_may_equal(left, item) for item in right)
    if isinstance(left, str) and isinstance(right, str):
        return left in right
    raise _incomparable(left, "in", right, said, "right of `in` stands a list, or a text that has the left one in it")


def _may_equal(left: Scalar, item: Scalar) -> bool:
    try:
        return _are_equal(left, item, ("", ""))
    except WhenError:
        return False


def _incomparable(left: Value, by: str, right: Value, said: tuple[str, str], hint: str = "") -> WhenError:
    sides = (
        f"{name} is {_shown(value)}" if name != _shown(value) and name else _shown(value)
        for name, value in zip(said, (left, right), strict=True)
    )
    return WhenError(f"{' and '.join(sides)}: these cannot be compared by `{by}`", hint)
