"""The conditions of GitHub's workflows, the `if` of a job or a step: how they are read, whatever is made of them."""

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}", re.DOTALL)
_TOKEN = re.compile(
    r"\s*(?:(?P<op>&&|\|\||==|!=|!|\(|\))|'(?P<text>(?:[^']|'')*)'|(?P<number>-?\d+(?:\.\d+)?)(?![\w.])"
    r"|(?P<word>[A-Za-z_][\w.-]*))"
)


class Unsaid(Exception):  # noqa: N818 - no error: the plan does without
    """An expression that nothing here can say."""


class Token(NamedTuple):
    """A part of a condition."""

    kind: str
    """op, text, number, word; end: there is none."""
    says: str
    """Of a text, what stands between its quotes."""


_END = Token("end", "")


def token_of(source: str) -> Token | None:
    """The one token that an expression is; None: it is more, or none."""
    found = _TOKEN.fullmatch(source)
    return None if found is None else _token(found)


def _token(found: re.Match[str]) -> Token:
    kind = found.lastgroup
    assert kind is not None
    return Token(kind, found[kind].replace("''", "'") if kind == "text" else found[kind])


def _tokens(source: str) -> list[Token]:
    """The parts of an `if`, which may stand in `${{ }}`. Raises Unsaid."""
    whole = EXPRESSION.fullmatch(source.strip())
    source = (whole[1] if whole else source).strip()
    tokens = []
    at = 0
    while at < len(source):
        found = _TOKEN.match(source, at)
        if found is None:
            raise Unsaid
        tokens.append(_token(found))
        at = found.end()
    return tokens


class ConditionReader(ABC):
    """Reads one condition; what is made of its parts, a subclass says.

    `!` goes before comparisons, these before `&&`, and that before `||`. What is known already is a bool, and what is
    not is text, in the language into which the condition is put.
    """

    functions: ClassVar[frozenset[str]]
    """The functions without arguments that it knows."""

    def __init__(self, source: str) -> None:
        """Raises Unsaid."""
        self.tokens = _tokens(source)
        self._at = 0

    def read(self) -> bool | str:
        """What the condition says. Raises Unsaid."""
        said = self._any_of()
        if self._next() is not _END:
            raise Unsaid
        return said

    @abstractmethod
    def joined(self, parts: Sequence[str], *, by_or: bool) -> str:
        """Two or more parts that are not known, joined."""

    @abstractmethod
    def negated(self, part: str) -> str: ...

    @abstractmethod
    def called(self, name: str) -> bool | str:
        """What one of `functions` says. Raises Unsaid."""

    @abstractmethod
    def equal(self, left: Token, right: Token) -> bool | str:
        """Whether two values are the same. Raises Unsaid."""

    def unequal(self, left: Token, right: Token) -> bool | str:
        return self._not(self.equal(left, right))

    @abstractmethod
    def is_true(self, value: Token) -> bool | str:
        """What a value says where a condition is expected. Raises Unsaid."""

    def _next(self) -> Token:
        return self.tokens[self._at] if self._at < len(self.tokens) else _END

    def _taken(self) -> Token:
        token = self._next()
        self._at += 1
        return token

    def _takes(self, op: str) -> bool:
        if self._next() == ("op", op):
            self._at += 1
            return True
        return False

    def _not(self, said: bool | str) -> bool | str:
        return not said if isinstance(said, bool) else self.negated(said)

    def _any_of(self) -> bool | str:
        parts = [self._all_of()]
        while self._takes("||"):
            parts.append(self._all_of())
        return self.combined(parts, by_or=True)

    def _all_of(self) -> bool | str:
        parts = [self._one()]
        while self._takes("&&"):
            parts.append(self._one())
        return self.combined(parts, by_or=False)

    def combined(self, parts: Sequence[bool | str], *, by_or: bool) -> bool | str:
        """Parts joined by `or`, of which one that is true decides, or by `and`, of which one that is false does."""
        if by_or in parts:
            return by_or
        said = [part for part in parts if isinstance(part, str)]
        if len(said) > 1:
            return self.joined(said, by_or=by_or)
        return said[0] if said else not by_or

    def _one(self) -> bool | str:
        if self._takes("!"):
            return self._not(self._one())
        if self._takes("("):
            said = self._any_of()
            if not self._takes(")"):
                raise Unsaid
            return said
        left = self._taken()
        if left.kind == "word" and left.says in self.functions and self._takes("("):
            if not self._takes(")"):
                raise Unsaid
            return self.called(left.says)
        if self._takes("=="):
            return self.equal(left, self._taken())
        if self._takes("!="):
            return self.unequal(left, self._taken())
        return self.is_true(left)
