"""`{name}` in a text: a variable of the plan, or of a family.

`{{` is a brace, and `}}` is one where it closes that. Braces that hold no name stay as they are (`{1..3}`,
`{print $1}`), and so does `${name}`, which is the shell's.
"""

import json
import re
import shlex
from collections.abc import Callable, Iterator
from typing import NamedTuple

_NAME = r"[A-Za-z_][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*"
_TOKEN = re.compile(r"\{\{|\}\}|\$\{|\{(" + _NAME + r")(![a-z]+)?\}")

is_name = re.compile(r"[A-Za-z_][A-Za-z0-9_]*").fullmatch
"""Whether this can be the name of a variable."""


class Reference(NamedTuple):
    """One `{name}` or `{name!q}`."""

    name: str
    """Dotted, if it is a key of a table: `item.path`."""
    conversion: str = ""
    """`q`: quoted as a word of a shell; others are mistakes."""

    @property
    def base(self) -> str:
        return self.name.partition(".")[0]

    def __str__(self) -> str:
        return f"{{{self.name}{self.conversion and '!' + self.conversion}}}"


Template = tuple[str | Reference, ...]


def parse(text: str, braces: str = "{}") -> Template:
    """The parts of a text, literals and references in turn; a text without braces has one part, or none. `braces`:
    what doubled ones become."""
    if "{" not in text:
        return (text,) if text else ()
    parts: list[str | Reference] = []
    literal, open_, at = "", 0, 0
    for found in _TOKEN.finditer(text):
        literal += text[at : found.start()]
        at = found.end()
        match found[0]:
            case "{{":
                open_ += 1
                literal += braces[0]
            case "}}" if open_:
                open_ -= 1
                literal += braces[1]
            case "}}" | "${":
                literal += found[0]
            case _:
                if literal:
                    parts.append(literal)
                literal = ""
                parts.append(Reference(found[1], (found[2] or "")[1:]))
    literal += text[at:]
    if literal:
        parts.append(literal)
    return tuple(parts)


def references(template: Template) -> Iterator[Reference]:
    """Those of a text, in its order."""
    return (part for part in template if isinstance(part, Reference))


def fill(template: Template, value_of: Callable[[Reference], str | None]) -> str:
    """The text with its references replaced; one whose value is None stays."""
    return "".join(part if isinstance(part, str) else _converted(part, value_of(part)) for part in template)


def _converted(reference: Reference, value: str | None) -> str:
    if value is None:
        return str(reference)
    return shlex.quote(value) if reference.conversion == "q" else value


def as_text(value: object) -> str:
    """A value as it stands in a text: `true`, `8`, `3.11`; a table or a list as JSON."""
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(value)
    return json.dumps(value, ensure_ascii=False, default=str)


def escaped(text: str) -> str:
    """A text that `parse` reads as this literal."""
    if "{" not in text:
        return text
    open_ = 0

    def escape(found: re.Match[str]) -> str:
        nonlocal open_
        if found[1]:
            return "{{" + found[0][1:-1] + "}}"
        if found[0] == "{{":
            open_ += 2
            return "{{{{"
        if found[0] == "}}" and open_:
            open_ -= 2
            return "}}}}"
        return found[0]

    return _TOKEN.sub(escape, text)
