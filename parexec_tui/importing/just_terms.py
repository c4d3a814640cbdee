"""The expressions of a justfile as texts of a plan."""

import re
import shlex
from collections.abc import Mapping
from typing import Any, Final

from parexec_tui.core.plan.expanding.references import Reference, parse
from parexec_tui.importing.draft import literal

Scope = Mapping[str, str | None]
"""What the names of a justfile stand for in the plan; None: a variable of the shell."""

_FIXED: Final = {"os": "linux", "os_family": "unix"}
_OF_SHELL: Final = {
    "arch": "$(uname -m)",
    "invocation_directory": "${PAREXEC_WORKDIR}",
    "justfile_directory": "${PAREXEC_WORKDIR}",
    "num_cpus": "$(nproc)",
}
_PLAIN = re.compile(r"[\w./:,@%+=-]*")
_NAME = re.compile(r"[A-Za-z_]\w*")


class Unsaid(Exception):  # noqa: N818 - no error: another way is taken
    """A plan cannot say this expression."""


def shell_name(name: str) -> str:
    """A name of just, which may have dashes, as one of variables."""
    return name.replace("-", "_")


def text(expression: Any, scope: Scope, *, is_run: bool = False) -> str:
    """An expression as a text; `is_run`: one that a shell reads outside of single quotes. Raises Unsaid."""
    return joined([_part(each, scope, is_run=is_run) for each in _parts(expression)])


def word(expression: Any, scope: Scope) -> str:
    """An expression as one word of a shell. Raises Unsaid."""
    words = []
    for each in _parts(expression):
        part = _part(each, scope, is_run=True)
        if part.startswith("$"):
            words.append(f'"{part}"')
        else:
            words += [_word(piece) for piece in parse(part)]
    return "".join(words) or "''"


def _word(piece: str | Reference) -> str:
    if isinstance(piece, str):
        return literal(shlex.quote(piece))
    return str(Reference(piece.name, "q"))


def joined(parts: list[str]) -> str:
    """Texts of a plan one after another. Raises Unsaid where braces of two of them would be read as one."""
    whole = "".join(parts)
    if "".join(map(str, parse(whole))) != "".join("".join(map(str, parse(part))) for part in parts):
        raise Unsaid
    return whole


def _parts(expression: Any) -> list[Any]:
    match expression:
        case ["concatenate", first, second]:
            return [*_parts(first), *_parts(second)]
        case ["join", first, second] if not (isinstance(second, str) and second.startswith("/")):
            return [*(_parts(first) if first is not None else ()), "/", *_parts(second)]
        case _:
            return [expression]


def _part(expression: Any, scope: Scope, *, is_run: bool) -> str:
    match expression:
        case str():
            return literal(expression)
        case ["variable", str(name)] if name in scope:
            value = scope[name]
            if value is not None:
                return value
            found = f"${{{shell_name(name)}}}"
        case ["evaluate", str(command)]:
            found = f"$({literal(command)})"
        case ["call", "quote", inner]:
            return _quoted(inner, scope)
        case ["call", str(name)] if name in _FIXED:
            return _FIXED[name]
        case ["call", str(name)] if name in _OF_SHELL:
            found = _OF_SHELL[name]
        case ["call", "env" | "env_var", str(name)] if _NAME.fullmatch(name):
            found = f"${{{name}?}}"
        case ["call", "env" | "env_var_or_default", str(name), str(default)] if _NAME.fullmatch(
            name
        ) and _PLAIN.fullmatch(default):
            found = f"${{{name}-{default}}}"
        case _:
            raise Unsaid
    if not is_run:
        raise Unsaid
    return found


def _quoted(expression: Any, scope: Scope) -> str:
    said = word(expression, scope)
    if said.startswith('"'):
        raise Unsaid
    return said
