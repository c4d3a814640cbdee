"""The expressions of GitHub's workflows, `${{ ... }}` and `if`, as far as a shell and a plan can say them."""

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from parexec_tui.importing.draft import literal
from parexec_tui.importing.github_condition import EXPRESSION, ConditionReader, Token, Unsaid, token_of

_STATUS: Final = {"always": True, "success": True, "cancelled": False, "failure": False}
"""What these functions say of a step that comes after steps that succeeded."""


class Condition(NamedTuple):
    """What an `if` says."""

    is_met: bool | str
    """A command of the shell, where only that can tell."""
    functions: frozenset[str]
    """The functions that it calls: `always`."""


class Terms:
    """What the names in expressions stand for, in one job."""

    def __init__(self, matrix: Mapping[str, str], env: Mapping[str, str]) -> None:
        """`matrix`: what each of its names is called in the plan. `env`: values that are known."""
        self._matrix = matrix
        self._env = env

    def within(self, env: Mapping[str, str]) -> "Terms":
        """The same, where more variables are set."""
        return Terms(self._matrix, {**self._env, **env})

    def text(self, source: str, unsaid: list[str], *, is_run: bool = False, is_word: bool = False) -> str:
        """A text with its expressions as the plan says them. Those that it cannot say stay, and join `unsaid`.

        `is_run`: a shell reads it, and fills in variables, but for those in its single quotes. `is_word`: it has
        none, it will be in double quotes.
        """
        parts: list[str] = []
        at = 0
        for found in EXPRESSION.finditer(source):
            before = source[at : found.start()]
            at = found.end()
            is_quoted = not is_word and source[: found.start()].rpartition("\n")[2].count("'") % 2 == 1
            said = self._value(found[1], is_run=is_run and not is_quoted)
            parts.append(literal(before))
            if said is None:
                unsaid.append(found[0])
                said = literal(found[0])
            elif said.startswith("{") and before.endswith("{"):
                parts.append("{")  # a brace of the source would make one with that of the name
            parts.append(said)
        return "".join((*parts, literal(source[at:])))

    def _value(self, expression: str, *, is_run: bool) -> str | None:
        context, _, name = expression.partition(".")
        match context:
            case "matrix":
                return f"{{{self._matrix[name]}}}" if name in self._matrix else None
            case "env" if is_run and re.fullmatch(r"\w+", name):
                return f"${{{name}}}"
            case "env":
                return self._env.get(name)
            case "runner" if name == "os":
                return "Linux"
            case "runner" if name == "temp" and is_run:
                return "${TMPDIR:-/tmp}"
            case "github" if name == "workspace" and is_run:
                return "${PAREXEC_WORKDIR}"
        token = token_of(expression)
        return literal(token.says) if token is not None and token.kind == "text" else None

    def condition(self, source: str) -> Condition:
        """What an `if` says. Raises Unsaid."""
        reader = _ShellReader(source, self._matrix)
        return Condition(reader.read(), frozenset(reader.uses))


class _Word(NamedTuple):
    """A value in a condition: as a word of the shell, and as it is if that is known."""

    word: str
    known: str | None


class _ShellReader(ConditionReader):
    """Puts a condition into words of the shell."""

    functions = frozenset(_STATUS)

    def __init__(self, source: str, matrix: Mapping[str, str]) -> None:
        super().__init__(source)
        self.uses: set[str] = set()
        """The functions that the condition calls."""
        self._matrix = matrix

    def joined(self, parts: Sequence[str], *, by_or: bool) -> str:
        said = parts[0]
        for part in parts[1:]:
            said = f"{{ {said} {'||' if by_or else '&&'} {part}; }}"
        return said

    def negated(self, part: str) -> str:
        return f"! {part}"

    def called(self, name: str) -> bool:
        self.uses.add(name)
        return _STATUS[name]

    def equal(self, left: Token, right: Token) -> bool | str:
        return self._compared(left, right, "=")

    def unequal(self, left: Token, right: Token) -> bool | str:
        return self._compared(left, right, "!=")

    def _compared(self, left: Token, right: Token, operator: str) -> bool | str:
        one, other = self._word(left), self._word(right)
        if one.known is not None and other.known is not None:
            return (one.known.lower() == other.known.lower()) is (operator == "=")
        return f"[ {one.word} {operator} {other.word} ]"

    def is_true(self, value: Token) -> bool | str:
        word, known = self._word(value)
        if known is not None:
            return known not in ("", "false", "0")
        return f"{{ [ -n {word} ] && [ {word} != false ] && [ {word} != 0 ]; }}"

    def _word(self, token: Token) -> _Word:
        text = token.says
        if token.kind == "word":
            context, _, name = text.partition(".")
            if context == "matrix" and name in self._matrix:
                return _Word(f"{{{self._matrix[name]}!q}}", None)
            if context == "env" and re.fullmatch(r"\w+", name):
                return _Word(f'"${{{name}:-}}"', None)
            if text == "runner.os":
                text = "Linux"
            elif text not in ("true", "false"):
                raise Unsaid
        elif token.kind not in ("text", "number"):
            raise Unsaid
        return _Word(literal(shlex.quote(text)), text)
