"""Reads build.ninja: the grammar of ninja's manual, with its scopes.

Ninja's own tools do not tell pools, response files and depfiles, so the file itself is read.
"""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from parexec_tui.importing.draft import ImportFault

Text = tuple[str | tuple[str], ...]
"""A text before it is evaluated: literals, and names of variables each in a tuple."""

_PART = re.compile(r"\$(?:\n *|([ :$])|([A-Za-z0-9_-]+)|\{([A-Za-z0-9_.-]+)\}|(.|\Z))", re.DOTALL)
_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_PATH_END = re.compile(r"(?:\$\n|\$.|[^$ :|\n])*", re.DOTALL)
_LINE = re.compile(r"(?:\$\n|\$.|[^$\n])*", re.DOTALL)
_SAFE = re.compile(r"[A-Za-z0-9_+./-]+").fullmatch

MAX_DEPTH: Final = 100
"""Files that include each other, at most."""


class Scope:
    """Variables and rules of a file; what it does not have is looked for in the file that includes it."""

    def __init__(self, parent: "Scope | None" = None) -> None:
        self._parent = parent
        self.values: dict[str, str] = {}
        self.rules: dict[str, dict[str, Text]] = {}

    def __call__(self, name: str) -> str:
        value = self.values.get(name)
        if value is not None:
            return value
        return self._parent(name) if self._parent else ""

    def rule(self, name: str) -> dict[str, Text] | None:
        found = self.rules.get(name)
        return self._parent.rule(name) if found is None and self._parent else found


class Edge(NamedTuple):
    """One `build` statement."""

    rule: str
    outputs: tuple[str, ...]
    """Explicit ones first: `explicit` of them."""
    explicit: int
    inputs: tuple[str, ...]
    implicit: tuple[str, ...]
    order_only: tuple[str, ...]
    validations: tuple[str, ...]
    where: str
    """File and line."""
    scope: Scope
    own: dict[str, str]
    of_rule: dict[str, Text]

    @property
    def key(self) -> str:
        """No other edge has it."""
        return self.outputs[0]

    @property
    def is_phony(self) -> bool:
        return self.rule == "phony"

    def value(self, name: str, as_shell: bool = True, _open: tuple[str, ...] = ()) -> str:
        """A variable as the edge has it; empty if nothing says it. `as_shell`: paths are quoted.

        Raises ImportFault if it stands for itself.
        """
        quote: Callable[[str], str] = quoted if as_shell else str
        match name:
            case "in":
                return " ".join(map(quote, self.inputs))
            case "in_newline":
                return "\n".join(map(quote, self.inputs))
            case "out":
                return " ".join(map(quote, self.outputs[: self.explicit]))
            case _:
                pass
        if (own := self.own.get(name)) is not None:
            return own
        text = self.of_rule.get(name)
        if text is None:
            return self.scope(name)
        if name in _open:
            raise ImportFault(self.where, f"${name} of rule {self.rule} stands for itself")
        return evaluated(text, lambda each: self.value(each, as_shell, (*_open, name)))


class NinjaFile(NamedTuple):
    """What stands in a build.ninja and in the files that it includes."""

    edges: list[Edge]
    by_output: dict[str, Edge]
    defaults: list[str]
    pools: dict[str, int]


def quoted(path: str) -> str:
    """A path as ninja gives it to a shell."""
    return path if _SAFE(path) else "'" + path.replace("'", "'\\''") + "'"


def parsed(text: str, where: str) -> Text:
    """A text with `$`. Raises ImportFault."""
    if "$" not in text:
        return (text,) if text else ()
    parts: list[str | tuple[str]] = []
    at = 0
    for found in _PART.finditer(text):
        if found.start() > at:
            parts.append(text[at : found.start()])
        at = found.end()
        if found[1]:
            parts.append(found[1])
        elif name := found[2] or found[3]:
            parts.append((name,))
        elif found[4] is not None:
            raise ImportFault(where, f"bad $-escape {found[0]!r}: write $$ for a $ itself")
    if at < len(text):
        parts.append(text[at:])
    return tuple(parts)


def evaluated(text: Text, value_of: Callable[[str], str]) -> str:
    """The text with the values of its variables."""
    return "".join(part if isinstance(part, str) else value_of(part[0]) for part in text)


def read_ninja(file: Path) -> NinjaFile:
    """Read a build.ninja. Raises ImportFault."""
    found = NinjaFile([], {}, [], {})
    _Reader(file, file.parent, Scope(), found).read()
    return found


class _Statement(NamedTuple):
    line: int
    text: str
    is_indented: bool


def _statements(text: str) -> Iterator[_Statement]:
    """The lines of a file, those that continue in the next one as one."""
    at, line = 0, 1
    while at < len(text):
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        whole = text[at:end]
        plain = whole.lstrip(" ")
        if plain and not plain.startswith("#"):
            found = _LINE.match(text, at)
            assert found is not None
            whole = found[0]
            yield _Statement(line, whole.lstrip(" "), whole.startswith(" "))
        at += len(whole) + 1
        line += whole.count("\n") + 1


class _Reader:
    def __init__(self, file: Path, folder: Path, scope: Scope, found: NinjaFile, depth: int = 0) -> None:
        """`folder`: that of the build, from which all paths are seen."""
        self._file, self._folder, self._scope, self._found, self._depth = file, folder, scope, found, depth
        self._line = 0
        try:
            text = file.read_bytes().decode("utf-8", "surrogateescape").replace("\r\n", "\n")
        except OSError as error:
            raise ImportFault(str(file), error.strerror or str(error)) from None
        self._statements = list(_statements(text))
        self._next = 0

    def _where(self) -> str:
        return f"{self._file}:{self._line}"

    def _wrong(self, what: str) -> ImportFault:
        return ImportFault(self._where(), what)

    def read(self) -> None:
        while self._next < len(self._statements):
            self._line, line, is_indented = self._statements[self._next]
            self._next += 1
            word = _NAME.match(line)
            if word is None or is_indented:
                raise self._wrong(f"not a statement of ninja: {line[:40]!r}")
            rest = line[word.end() :].lstrip(" ")
            match word[0]:
                case name if rest.startswith("="):
                    self._scope.values[name] = evaluated(self._value(rest), self._scope)
                case "rule":
                    self._scope.rules[rest.strip()] = dict(self._bindings())
                case "build":
                    self._build(rest)
                case "pool":
                    self._pool(rest.strip())
                case "default":
                    self._found.defaults.extend(self._paths(rest))
                case "include" | "subninja":
                    self._include(rest, is_own_scope=word[0] == "subninja")
                case name:
                    raise self._wrong(f"not a statement of ninja: {name!r}")

    def _value(self, rest: str) -> Text:
        return parsed(rest[1:].lstrip(" "), self._where())

    def _bindings(self) -> Iterator[tuple[str, Text]]:
        """The indented variables of a statement."""
        statement = self._line
        while self._next < len(self._statements) and self._statements[self._next].is_indented:
            self._line, line, _ = self._statements[self._next]
            self._next += 1
            word = _NAME.match(line)
            rest = line[word.end() :].lstrip(" ") if word else ""
            if word is None or not rest.startswith("="):
                raise self._wrong(f"a variable is wanted here: {line[:40]!r}")
            yield word[0], self._value(rest)
        self._line = statement

    def _pool(self, name: str) -> None:
        depth = evaluated(dict(self._bindings()).get("depth", ()), self._scope)
        if not depth.isdecimal():
            raise self._wrong(f"pool {name} has no depth that is a number")
        self._found.pools[name] = int(depth)

    def _include(self, rest: str, *, is_own_scope: bool) -> None:
        if self._depth >= MAX_DEPTH:
            raise self._wrong("files include each other")
        for path in self._paths(rest):
            scope = Scope(self._scope) if is_own_scope else self._scope
            _Reader(self._folder / path, self._folder, scope, self._found, self._depth + 1).read()

    def _build(self, rest: str) -> None:
        where = self._where()
        (outputs, implicit_outputs), rest = self._raw_paths(rest, ("|",))
        if not rest.startswith(":"):
            raise self._wrong("a ':' is wanted after the outputs")
        rest = rest[1:].lstrip(" $\n")
        word = _NAME.match(rest)
        if word is None:
            raise self._wrong("the name of a rule is wanted after ':'")
        (inputs, implicit, order_only, validations), left = self._raw_paths(rest[word.end() :], ("|", "||", "|@"))
        if left:
            raise self._wrong(f"not understood: {left[:40]!r}")
        scope = self._scope
        of_rule = {} if word[0] == "phony" else scope.rule(word[0])
        if of_rule is None:
            raise self._wrong(f"there is no rule {word[0]}")
        own = {name: evaluated(text, scope) for name, text in self._bindings()}

        def value_of(name: str) -> str:
            return own[name] if name in own else scope(name)

        def paths(texts: list[Text]) -> tuple[str, ...]:
            return tuple(canonical(evaluated(text, value_of)) for text in texts)

        edge = Edge(
            word[0],
            paths([*outputs, *implicit_outputs]),
            len(outputs),
            paths(inputs),
            paths(implicit),
            paths(order_only),
            paths(validations),
            where,
            scope,
            own,
            of_rule,
        )
        for path in edge.outputs:
            if (other := self._found.by_output.get(path)) is not None:
                raise ImportFault(where, f"{path} is made by {other.where} as well")
            self._found.by_output[path] = edge
        self._found.edges.append(edge)

    def _paths(self, rest: str) -> list[str]:
        (texts,), left = self._raw_paths(rest, ())
        if left:
            raise self._wrong(f"not understood: {left[:40]!r}")
        return [canonical(evaluated(text, self._scope)) for text in texts]

    def _raw_paths(self, rest: str, marks: tuple[str, ...]) -> tuple[list[list[Text]], str]:
        """Paths up to `:` or the end, a list for those before and after each mark; and what is left."""
        lists: list[list[Text]] = [[] for _ in range(len(marks) + 1)]
        now = 0
        at = 0
        while True:
            while at < len(rest) and (rest[at] == " " or rest.startswith("$\n", at)):
                at += 1 if rest[at] == " " else 2
            if at >= len(rest) or rest[at] == ":":
                return lists, rest[at:]
            if rest[at] == "|":
                mark = next((each for each in ("||", "|@", "|") if rest.startswith(each, at)), "")
                if mark not in marks:
                    raise self._wrong(f"{mark!r} is not expected here")
                now, at = marks.index(mark) + 1, at + len(mark)
                continue
            found = _PATH_END.match(rest, at)
            assert found is not None
            if not found[0]:
                raise self._wrong(f"not a path: {rest[at : at + 40]!r}")
            lists[now].append(parsed(found[0], self._where()))
            at = found.end()


def canonical(path: str) -> str:
    """A path as ninja compares it: without `.`, `//` and what `..` takes back."""
    return (
        os.path.normpath(path) if "/." in path or "//" in path or path.startswith("./") or path[-1:] == "/" else path
    )
