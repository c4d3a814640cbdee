"""The expressions of GitHub's workflows, `${{ ... }}` and `if`, as far as a shell and a plan can say them."""

import re
import shlex
from collections.abc import Mapping
from typing import Final, NamedTuple

from parexec_tui.importing.draft import literal

_EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}", re.DOTALL)
_TOKEN = re.compile(
    r"\s*(?:(?P<op>&&|\|\||==|!=|!|\(|\))|'(?P<text>(?:[^']|'')*)'|(?P<number>-?\d+(?:\.\d+)?)(?![\w.])"
    r"|(?P<word>[A-Za-z_][\w.-]*))"
)
_STATUS: Final = {"always": True, "success": True, "cancelled": False, "failure": False}
"""What these functions say of a step that comes after steps that succeeded."""


class Unsaid(Exception):  # noqa: N818 - no error: the plan does without
    """An expression that nothing here can say."""


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
        for found in _EXPRESSION.finditer(source):
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
        if (found := _TOKEN.fullmatch(expression)) and found["text"] is not None:
            return literal(found["text"].replace("''", "'"))
        return None

    def condition(self, source: str) -> Condition:
        """What an `if` says. Raises Unsaid."""
        reading = _Reading(tokens(inside(source)), self._matrix)
        met = reading.any_of()
        if reading.tokens:
            raise Unsaid
        return Condition(met, frozenset(reading.functions))


class _Word(NamedTuple):
    """A value in a condition: as a word of the shell, and as it is if that is known."""

    word: str
    known: str | None


def inside(source: str) -> str:
    """The expression of an `if`, which may stand in `${{ }}`."""
    found = _EXPRESSION.fullmatch(source.strip())
    return found[1] if found else source


def tokens(source: str) -> list[tuple[str, str]]:
    """The parts of an expression: their kinds (`op`, `text`, `number`, `word`), and what they say. Raises Unsaid."""
    tokens = []
    at = 0
    source = source.strip()
    while at < len(source):
        found = _TOKEN.match(source, at)
        if found is None or found.lastgroup is None:
            raise Unsaid
        tokens.append((found.lastgroup, found[found.lastgroup]))
        at = found.end()
    return tokens


class _Reading:
    def __init__(self, tokens: list[tuple[str, str]], matrix: Mapping[str, str]) -> None:
        self.tokens = tokens
        self.functions: set[str] = set()
        self._matrix = matrix

    def _takes(self, op: str) -> bool:
        if self.tokens and self.tokens[0] == ("op", op):
            self.tokens.pop(0)
            return True
        return False

    def any_of(self) -> bool | str:
        met = self._all_of()
        while self._takes("||"):
            other = self._all_of()
            if met is True or other is True:
                met = True
            else:
                met = other if met is False else met if other is False else f"{{ {met} || {other}; }}"
        return met

    def _all_of(self) -> bool | str:
        met = self._one()
        while self._takes("&&"):
            other = self._one()
            if met is False or other is False:
                met = False
            else:
                met = other if met is True else met if other is True else f"{{ {met} && {other}; }}"
        return met

    def _one(self) -> bool | str:
        if self._takes("!"):
            met = self._one()
            return not met if isinstance(met, bool) else f"! {met}"
        if self._takes("("):
            met = self.any_of()
            if not self._takes(")"):
                raise Unsaid
            return met
        if (called := self._status()) is not None:
            return called
        left = self._word()
        for op in ("==", "!="):
            if self._takes(op):
                right = self._word()
                if left.known is not None and right.known is not None:
                    return (left.known.lower() == right.known.lower()) is (op == "==")
                return f"[ {left.word} {'=' if op == '==' else '!='} {right.word} ]"
        if left.known is not None:
            return left.known not in ("", "false", "0")
        return f"{{ [ -n {left.word} ] && [ {left.word} != false ] && [ {left.word} != 0 ]; }}"

    def _status(self) -> bool | None:
        match self.tokens[:3]:
            case [("word", name), ("op", "("), ("op", ")")] if name in _STATUS:
                del self.tokens[:3]
                self.functions.add(name)
                return _STATUS[name]
        return None

    def _word(self) -> _Word:
        kind, text = self.tokens.pop(0) if self.tokens else ("", "")
        if kind == "text":
            text = text.replace("''", "'")
        elif kind == "word":
            context, _, name = text.partition(".")
            if context == "matrix" and name in self._matrix:
                return _Word(f"{{{self._matrix[name]}!q}}", None)
            if context == "env" and re.fullmatch(r"\w+", name):
                return _Word(f'"${{{name}:-}}"', None)
            if text == "runner.os":
                text = "Linux"
            elif text not in ("true", "false"):
                raise Unsaid
        elif kind != "number":
            raise Unsaid
        return _Word(literal(shlex.quote(text)), text)
